"""The files that people and sites look for in a repository agree with the package."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fairseg

ROOT = Path(__file__).parent.parent
# The keys of the Citation File Format 1.2.0 that are used here, of the file and of its reference.
FILE_KEYS = {
    "cff-version",
    "message",
    "type",
    "title",
    "abstract",
    "version",
    "license",
    "authors",
    "keywords",
    "references",
}
ARTICLE_KEYS = {"type", "title", "authors", "journal", "volume", "year", "date-published", "doi", "license"}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(name: str) -> dict[str, str]:
    """Return package -> version of a file of constraints."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in pairs}


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == fairseg.__version__ == citation["version"]
    assert PROJECT["license"] == citation["license"]
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    lowest = pins("constraints-lowest.txt")
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    required = [Requirement(line) for line in PROJECT["dependencies"]]
    for requirement in [*required, *map(Requirement, extras)]:
        version = lowest.get(canonicalize_name(requirement.name))
        assert version or requirement not in required, requirement
        if version:
            (low,) = (part for part in requirement.specifier if part.operator in (">=", "=="))
            assert Requirement(f"x=={low.version}").specifier.contains(version), requirement


def test_the_versions_that_are_tested_lie_in_the_ranges_and_the_documents_name_them() -> None:
    tested = pins("constraints.txt")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(tested[canonicalize_name(requirement.name)]), requirement
    for page in ("README.md", "docs/quickstart.md"):
        named = re.findall(r"torch==([\w.]+)", (ROOT / page).read_text(encoding="utf-8"))
        assert set(named) == {tested["torch"]}, page


def test_the_draft_of_the_paper_cites_what_its_bibliography_has() -> None:
    text = (ROOT / "paper.md").read_text(encoding="utf-8")
    body = text.split("---", 2)[2]
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "paper.bib").read_text(encoding="utf-8")))
    assert set(re.findall(r"@(\w+)", body)) == keys
    assert yaml.safe_load(text.split("---", 2)[1])["bibliography"] == "paper.bib"


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.stem
)
def test_workflows_run_what_the_makefile_has_and_may_write_nothing(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for job in content["jobs"].values():
        for step in job.get("steps", []):
            assert re.fullmatch(r"[\w/-]+@(v\d+|release/v\d+)", step.get("uses", "a/b@v1"))
            for target in re.findall(r"^make (\w+)", step.get("run", ""), re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_citation_names_the_library_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.keys() == FILE_KEYS
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The fairseg developers"}]
    (paper,) = citation["references"]
    assert paper.keys() == ARTICLE_KEYS
    assert [author["family-names"] for author in paper["authors"]][:2] == ["Lee", "Puyol-Antón"]
    assert re.fullmatch(r"10\.\d{4,9}/\S+", paper["doi"])
    assert f"https://doi.org/{paper['doi']}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"]
)
def test_files_are_there_and_their_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (ROOT / link).exists(), link


def test_the_readme_leads_to_every_page_of_the_docs() -> None:
    linked = re.findall(r"\]\(docs/([^)#/]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} == set(linked)


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda f: f.stem
)
def test_forms_of_issues_have_what_the_site_asks_for(form: Path) -> None:
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= content.keys()
    for part in content["body"]:
        assert part["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert part["attributes"].get("label") or part["attributes"].get("value")
    names = [part["id"] for part in content["body"] if "id" in part]
    assert len(names) == len(set(names))
