"""What the site has besides docs/: executed notebooks, pages of the repository's root, and source files.

`execute.py` has left the notebooks in build/notebooks; they become pages, as do CONTRIBUTING.md and
CHANGELOG.md. A document may link to any other file of the repository, since it is read on the forge as well:
that file is then part of the site, as text.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "build" / "notebooks"
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
log = logging.getLogger("mkdocs.hooks.fairseg")


def on_files(files: Files, *, config: Any) -> Files:
    """Add what lies outside docs/."""
    for name in ROOT_PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for source in sorted((ROOT / "docs" / "notebooks").glob("*.py")):
        page = NOTEBOOKS / f"{source.stem}.md"
        if not page.exists():
            log.warning("docs/notebooks/%s has not been executed: `make docs` does that first", source.name)
            continue
        for file in (page, page.with_suffix(".ipynb"), *sorted(NOTEBOOKS.glob(f"{source.stem}_files/*"))):
            uri = f"notebooks/{file.relative_to(NOTEBOOKS).as_posix()}"
            files.append(File.generated(config, uri, abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Let links that leave docs/ lead somewhere in the site."""

    def target(match: re.Match[str]) -> str:
        link, source = in_site(match[1], page.file.src_uri)
        if source is not None and files.get_file_from_path(uri := f"source/{source}.txt") is None:
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
        return link

    return LINK.sub(target, markdown)


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Warn of what a page would load from elsewhere."""
    for resource in foreign(output):
        log.warning("%s loads %s, but the site must be complete in itself", page.file.src_uri, resource)
    return output


def foreign(page: str) -> list[str]:
    """Return what a page loads from other sites: scripts, styles, pictures, frames; links are not loaded."""
    tags = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", page)
    loaded = [tag for tag in tags if not re.search(r'rel="?(?:canonical|next|prev)', tag)]
    return [
        url for tag in loaded for url in re.findall(r"""(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""", tag)
    ]


def in_site(link: str, page: str) -> tuple[str, str | None]:
    """Return where a link of a page leads in the site, and the file of the repository that it needs there."""
    in_root = page in ROOT_PAGES
    path = posixpath.normpath(posixpath.join("" if in_root else "docs", posixpath.dirname(page), link))
    if path.startswith("docs/"):
        return (path.removeprefix("docs/") if in_root else link), None
    if not (ROOT / path).is_file():
        return link, None  # MkDocs warns of it
    here = posixpath.dirname(page) or "."
    if path in ROOT_PAGES:
        return posixpath.relpath(path, here), None
    return posixpath.relpath(f"source/{path}.txt", here), path
