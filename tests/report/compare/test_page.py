"""The page of a comparison, and the files beside it: what stands there, in a real browser and on disk."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg.report import compare_models, comparison_to_terminal, write_comparison
from fairseg.report.compare.page import comparison_to_html
from fairseg.report.compare.text import comparison_to_csv, comparison_to_markdown
from fairseg.statistics import compare_fairness
from tests.report.conftest import DARK, LIGHT
from tests.report.models import by, ids, scores, values

BEFORE = {"Black": 0.87, "White": 0.92}
DOWN = {"Black": 0.876, "White": 0.895}
UP = {"Black": 0.90, "White": 0.92}
EVIL = "<script>document.title='pwned'</script>"
IMAGE = '"><img src=x onerror="document.title=\'pwned\'">'
END = "</script><!-- </title></svg> ' &"

Ask = Callable[..., dict[str, object]]
Browse = Callable[..., str]
Check = Callable[..., dict[str, list[str]]]


def models(labels: tuple[str, ...] = ("LV", "RV")) -> dict[str, pd.DataFrame]:
    return {
        name: scores(medians, labels=labels)
        for name, medians in (("Baseline", BEFORE), ("Group DRO", DOWN), ("Oversampling", UP))
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models in a folder, written once."""
    out = tmp_path_factory.mktemp("comparison")
    tables = models()
    write_comparison(tables, by(tables["Baseline"]), out, reference="White", margin=0.01)
    return out


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_first_screen_answers_with_medians_and_interval(folder: Path) -> None:
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    hero = text_of(page[page.index('<section class="hero') : page.index("</section>")])
    assert "Oversampling is fairer than Baseline and has the smallest gap of 3 models without" in hero
    assert "The gap of Group DRO is smaller still, 0.019, but by levelling down: White lost 0.025" in hero
    assert "0.030 smaller gap than Baseline, 95% interval 0.030 to 0.030" in hero
    assert "Baseline (baseline) 0.050 0.870 0.920" in hero  # gap, Black, White
    assert "Group DRO 0.019 0.876 0.895" in hero


def test_each_model_is_spoken_of_on_each_structure(folder: Path) -> None:
    page = text_of((folder / "comparison.html").read_text(encoding="utf-8"))
    assert page.count("Levelling down: of the narrowing of 0.031, 0.025 (81%) is a loss") == 3
    assert page.count("Oversampling is fairer than Baseline: its gap is 0.030 smaller") == 3
    assert "Gaps up to 0.01 are taken not to matter." in page
    assert "The intervals of the 2 comparisons with Baseline hold together" in page


def test_one_label_is_not_shown_twice(tmp_path: Path) -> None:
    tables = models(("LV",))
    found = write_comparison(tables, by(tables["Baseline"]), tmp_path, reference="White")
    page = text_of((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    assert page.count("Oversampling is fairer than Baseline: its gap is 0.030 smaller") == 1
    assert list(found.evidence) == ["Overall", "LV"]
    assert found.changes["LV"] is found.changes["Overall"]


def test_the_page_asks_for_nothing_and_lets_its_own_script_run(folder: Path, browse: Browse) -> None:
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "")
    assert 'class="tip"' in browse(folder / "comparison.html", "--dump-dom")


def test_the_page_can_be_read_without_scripts(folder: Path, browse: Browse, tmp_path: Path) -> None:
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(re.sub(r"script-src [^\"]*", "script-src 'none'", page))
    said = browse(tmp_path / "page.html", "--dump-dom")
    assert 'class="tip"' not in said
    for words in ("0.031 [0.031, 0.031]", "n = 20, median 0.876", "Levelling down", "of each group"):
        assert words in said


def test_a_click_marks_a_subject_in_the_panels_of_all_models(folder: Path, ask: Ask) -> None:
    code = """const chart = document.querySelector(".chart");
        chart.scrollIntoView({ block: "center", behavior: "instant" });
        const path = chart.querySelector("path.dots");
        const [x, y] = path.getAttribute("d").match(/\\d+/g).map(Number);
        const at = new DOMPoint(x, y).matrixTransform(path.getScreenCTM());
        chart.dispatchEvent(new MouseEvent("click", { clientX: at.x, clientY: at.y, bubbles: true }));
        return { marks: document.querySelectorAll(".mark").length,
          data: document.querySelectorAll("#chart-data").length,
          told: [...document.querySelector(".tip").children].map((line) => line.textContent) }"""
    got = ask(folder / "comparison.html", code)
    assert got["marks"] == 9  # three models on three structures
    assert got["data"] == 1
    told = got["told"]
    assert isinstance(told, list)
    assert told[0].startswith("s0")
    assert told[1] == "Black"
    assert told[2].startswith("DSC, Baseline: 0.")


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_everybody_can_use_it(scheme: str, folder: Path, violations: Check) -> None:
    assert violations(folder / "comparison.html", scheme) == {}


def test_names_are_text(tmp_path: Path, ask: Ask) -> None:
    names = [EVIL, IMAGE, END]
    medians = dict(zip(names, (0.92, 0.90, 0.86), strict=True))
    tables = {name: scores(medians, labels=(EVIL, END), attribute=IMAGE) for name in names}
    for table in tables.values():
        table["subject"] = EVIL + table["subject"]
        table["note"] = IMAGE
    write_comparison(tables, by(tables[EVIL], IMAGE), tmp_path / "out", reference=END)
    code = """await new Promise((done) => setTimeout(done, 200));
        return { title: document.title, scripts: document.scripts.length, images: document.images.length,
          tables: document.querySelectorAll("table.paper").length }"""
    got = ask(tmp_path / "out" / "comparison.html", code)
    assert str(got["title"]).startswith("Models compared by ")
    assert got["scripts"] == 4  # the data, the script, and two of the probe
    assert got["images"] == 0
    assert got["tables"] == 6  # two models and one, on three structures
    assert EVIL not in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    markdown = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    assert "<img" not in markdown
    assert "\x1b" not in comparison_to_terminal(compare_models(tables, by(tables[EVIL], IMAGE)))


@pytest.mark.parametrize("width", [360, 1100])
def test_twelve_groups_are_no_wider_than_the_page(
    width: int, tmp_path: Path, overhang: Callable[[Path, int], str]
) -> None:
    medians = {f"{'Mixed or multiple' * (place == 3)} {place:02d}": 0.9 - place / 200 for place in range(12)}
    tables = {
        name: scores(medians, 11) for name in ("Baseline", "Oversampling and a long name " * 3, "x" * 90)
    }
    page = comparison_to_html(compare_models(tables, by(tables["Baseline"])))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert "wide 0<" in overhang(tmp_path / "page.html", width)


def test_a_subject_in_two_groups_takes_the_statistics_away_with_the_reason(tmp_path: Path) -> None:
    tables = {name: scores(medians) for name, medians in (("A", BEFORE), ("B", UP))}
    for table in tables.values():
        table.loc[table["case"] == "c039", "subject"] = "s000"  # a White case of a Black subject
    found = write_comparison(tables, by(tables["A"]), tmp_path, reference="White")
    assert found.evidence == found.changes == {}
    assert found.reason.startswith("1 subject is in more than one group (s000)")
    assert "1 subject is in more than one group" in comparison_to_terminal(found)
    page = text_of((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    assert "Nothing is judged: 1 subject is in more than one group (s000)" in page
    assert "No p and no intervals: 1 subject" in page
    assert "is fairer than" not in page
    assert "0.870" in page


def test_groups_of_few_subjects_are_shown_and_not_judged(tmp_path: Path) -> None:
    tables = {name: scores(medians, 9) for name, medians in (("A", BEFORE), ("B", UP))}
    write_comparison(tables, by(tables["A"]), tmp_path, reference="White")
    page = text_of((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    assert "B cannot be compared with A: fewer than two groups to compare have 10 subjects" in page
    assert "Not judged, fewer than 10 subjects: Black (0.870 to 0.900), White (0.920 to 0.920)." in page
    assert "nan" not in page.lower().replace("nance", "")


def test_without_dice_the_page_says_so_and_shows_the_rest(tmp_path: Path, violations: Check) -> None:
    tables = {name: scores(medians).drop(columns="dice") for name, medians in (("A", BEFORE), ("B", UP))}
    write_comparison(tables, by(tables["A"]), tmp_path / "out")
    page = text_of((tmp_path / "out" / "comparison.html").read_text(encoding="utf-8"))
    assert "Nothing is judged: the scores hold no Dice, of which the fairness gap is made." in page
    assert "HD (mm), A" in page
    assert violations(tmp_path / "out" / "comparison.html", LIGHT) == {}


def test_pixels_are_called_pixels(tmp_path: Path) -> None:
    tables = {name: scores(medians) for name, medians in (("A", BEFORE), ("B", UP))}
    for table in tables.values():
        table["distance_unit"] = "px"
    write_comparison(tables, by(tables["A"]), tmp_path)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "Median HD (px)" in page
    assert "(mm)" not in page


def test_the_spreadsheet_has_every_figure_with_its_interval() -> None:
    tables = models(("LV",))
    found = compare_models(tables, by(tables["Baseline"]), reference="White")
    long = pd.read_csv(StringIO(comparison_to_csv(found)), keep_default_na=False, na_values=[""])
    assert list(long) == ["structure", "model", "measure", "group", "value", "low", "high", "verdict"]

    def rows(model: str, measure: str) -> pd.DataFrame:
        of_model = (long["structure"] == "Overall") & (long["model"] == model)
        return long[of_model & (long["measure"] == measure)]

    gap = rows("Oversampling", "Fairness gap").iloc[0]
    evidence = found.evidence["Overall"]["Oversampling"]
    assert gap[["value", "low", "high"]].tolist() == pytest.approx(list(evidence.gap))
    assert gap["verdict"] == evidence.verdict
    narrowing = rows("Group DRO", "Narrowing of the gap").iloc[0]
    alone = compare_fairness(values(BEFORE), values(DOWN), ids(BEFORE), 2, reference=1, level=0.975)
    assert narrowing[["value", "low", "high"]].tolist() == pytest.approx(list(alone.narrowing))
    assert narrowing["verdict"] == "fairer, levelling down"
    change = rows("Group DRO", "Change of median DSC").set_index("group")["value"]
    assert change.to_dict() == pytest.approx({"Black": 0.006, "White": -0.025})
    assert rows("Baseline", "Narrowing of the gap").empty
    median = rows("Baseline", "Median DSC").set_index("group")
    assert median.loc["Black", "low"] < 0.87 < median.loc["Black", "high"]
    assert rows("Baseline", "Detectable gap")["value"].item() > 0


def test_the_markdown_says_what_the_page_says() -> None:
    tables = models()
    text = comparison_to_markdown(compare_models(tables, by(tables["Baseline"]), reference="White"))
    assert text.startswith("Oversampling is fairer than Baseline and has the smallest gap of 3 models")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {name}, by group, reference: White" for name in ("Overall", "LV", "RV")
    ]
    assert text.count("- Group DRO is fairer than Baseline: its gap is 0.031 smaller") == 3


def test_the_terminal_has_table_and_sentences() -> None:
    tables = models(("LV",))
    said = comparison_to_terminal(compare_models(tables, by(tables["Baseline"]), reference="White"))
    assert "DSC, Black" in said
    assert "Levelling down: of the narrowing of 0.031" in " ".join(said.split())
    assert max(map(len, said.split("* p < 0.05.")[1].splitlines())) <= 100


def test_missing_scores_of_one_model_leave_the_subject_out_of_the_pairs() -> None:
    tables = models(("LV",))
    tables["Oversampling"].loc[0, "dice"] = np.nan
    found = compare_models(tables, by(tables["Baseline"]), reference="White").changes["Overall"]
    assert found["Oversampling"].unpaired == 1
    assert found["Group DRO"].unpaired == 0
