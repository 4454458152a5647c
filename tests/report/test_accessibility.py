"""The pages can be used by everybody: axe-core finds nothing wrong with them, in light and in dark."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import Extras, Judging, Roles, write_comparison, write_report
from tests.report.conftest import DARK, LIGHT
from tests.report.example_page import make_page

Check = Callable[..., dict[str, list[str]]]


def scores(seed: int = 0) -> pd.DataFrame:
    rows = [
        {"case": f"{place}", "subject": f"{place}", "site": "ABCDEF"[place % 6], "label": label}
        for place in range(36)
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
    write_report(table, Groups.from_table(table, by="site"), tmp_path / "report", reference="A")
    assert violations(tmp_path / "report" / "report.html", scheme) == {}


def test_a_report_with_every_section(tmp_path: Path, violations: Check) -> None:
    table = scores()
    table["sex"] = np.where(table["subject"].astype(int) % 4 < 2, "F", "M")
    table["prediction_ml"], table["reference_ml"] = 90.0 + table["hd"], 100.0 + table["dice"]
    extras = Extras(others=[Groups.from_table(table, by="sex")], adjust=["sex"], roles=Roles({"lv": "LV"}))
    groups = Groups.from_table(table, by="site")
    judging = Judging(margin=0.02, min_size=6, resamples=300)
    write_report(table, groups, tmp_path / "out", reference="A", judging=judging, extras=extras)
    assert violations(tmp_path / "out" / "report.html", LIGHT) == {}


def test_the_comparison(tmp_path: Path, violations: Check) -> None:
    groups = Groups.from_table(scores(), by="site")
    write_comparison({"a": scores(0), "b": scores(1)}, groups, tmp_path / "out")
    assert violations(next((tmp_path / "out").glob("*.html")), DARK) == {}


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
