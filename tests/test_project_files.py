"""The files that people and sites look for in a repository agree with the package."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

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


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == fairseg.__version__ == citation["version"]
    assert project["license"] == citation["license"]


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


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"])
def test_files_are_there_and_their_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (ROOT / link).exists(), link


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
