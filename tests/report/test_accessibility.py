"""The pages can be used by everybody: axe-core finds nothing wrong with them, in light and in dark."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.report import HeartRoles, ReportSections
from tests.report.conftest import DARK, LIGHT
from tests.report.example_page import make_page

pytestmark = pytest.mark.slow

QUICK = ReportSections(resamples=200)
Check = Callable[..., dict[str, list[str]]]


def scores(seed: int = 0) -> pd.DataFrame:
    rows = [
        {"case": f"{index}", "subject": f"{index}", "site": "ABCDEF"[index % 6], "label": label}
        for index in range(36)
        for label in ("LV", "RV")
    ]
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rows).assign(dice=rng.uniform(0.5, 1, 72), hd=rng.uniform(1, 9, 72))


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_page_of_all_parts(scheme: str, tmp_path: Path, violations: Check) -> None:
    make_page(tmp_path / "page.html", ["White", "Black", "Asian"], 60)
    assert violations(tmp_path / "page.html", scheme) == {}


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_report(scheme: str, tmp_path: Path, violations: Check) -> None:
    table = scores()
    result = fairseg.audit(table, by="site", reference="A", min_size=5, sections=QUICK)
    assert violations(result.save(tmp_path / "report"), scheme) == {}


def test_a_report_with_every_section(tmp_path: Path, violations: Check) -> None:
    table = scores()
    table["age"] = 40 + table["subject"].astype(int) % 31
    table["sex"] = np.where(table["subject"].astype(int) % 4 < 2, "F", "M")
    table["prediction_ml"], table["reference_ml"] = 90.0 + table["hd"], 100.0 + table["dice"]
    sections = replace(QUICK, heart=HeartRoles({"lv": "LV"}), model="nnU-Net")
    result = fairseg.audit(
        table,
        by="site",
        reference="A",
        also="sex",
        adjust="age",
        bins={"age": [50]},
        min_size=6,
        sections=sections,
    )
    assert violations(result.save(tmp_path / "out"), LIGHT) == {}


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_card_of_a_notebook(scheme: str, tmp_path: Path, violations: Check) -> None:
    card = fairseg.audit(scores(), by="site", min_size=5)._repr_html_()
    assert "<script" not in card
    page = tmp_path / "card.html"
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src *">'
    page.write_text(
        f'<!doctype html><html lang="en"><head><title>Card</title>{policy}</head>'
        f"<body><main><h1>Card</h1>{card}</main></body></html>"
    )
    assert violations(page, scheme) == {}


def test_the_comparison(tmp_path: Path, violations: Check) -> None:
    change = fairseg.compare({"a": scores(0), "b": scores(1)}, by="site", min_size=5)
    assert violations(change.save(tmp_path / "out"), DARK) == {}


def test_axe_finds_what_is_wrong(tmp_path: Path, violations: Check) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 12)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    broken = text.replace("--soft: #52606d", "--soft: #dddddd").replace("<h1>", "<img src='data:,'><h1>")
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    assert {"color-contrast", "image-alt"} <= violations(tmp_path / "broken.html", LIGHT).keys()


def test_schemes_are_what_they_are_called(tmp_path: Path, ask: Callable[..., object]) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 12)
    code = "return getComputedStyle(document.body).backgroundColor"
    said = [ask(tmp_path / "page.html", code, scheme) for scheme in (LIGHT, DARK)]
    assert json.dumps(said) == '["rgb(255, 255, 255)", "rgb(18, 23, 28)"]'
