"""Tables in the form of the paper's: figures, what is bold, how many models stand side by side, LaTeX."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairseg.report import Comparison, compare_models, paper_table
from fairseg.report.compare.table import (
    blocks,
    note_on,
    paper_to_latex,
    paper_to_markdown,
    small_groups,
)
from fairseg.report.compare.text import comparison_to_latex
from fairseg.statistics import judge
from tests.report.models import by, ids, scores, values

# Table 8 of Lee et al. 2025 in its medians: groups sort by name.
BASELINE = {"Black": 0.879, "White": 0.886}
OVERSAMPLING = {"Black": 0.872, "White": 0.885}
THREE = {"Asian": 0.90, "Black": 0.85, "White": 0.92}
EVIL = [r"50%_of & #1", r"\input{/etc/passwd}", "a|b <b>c</b> `d` $e^{2}$ ~"]


def comparison(
    models: Mapping[str, Mapping[str, float]],
    number: int | Mapping[str, int] = 20,
    reference: str | None = "White",
) -> Comparison:
    tables = {name: scores(medians, number) for name, medians in models.items()}
    return compare_models(tables, by(next(iter(tables.values()))), reference=reference)


@pytest.fixture(scope="module")
def table_8() -> Comparison:
    return comparison({"Baseline": BASELINE, "Oversampling": OVERSAMPLING})


def test_the_table_is_a_frame_of_models_and_groups(table_8: Comparison) -> None:
    frame = paper_table(table_8, "Overall")
    assert list(frame.columns) == [
        (model, group) for model in ("Baseline", "Oversampling") for group in ("Black", "White", "All")
    ]
    assert list(frame.index) == [
        "Median DSC", "IQR DSC", "Median HD (mm)", "IQR HD (mm)", "SER", "SER, low", "SER, high",
        "Fairness gap", "Fairness gap, low", "Fairness gap, high", "p",
    ]  # fmt: skip
    assert frame["Baseline"].loc["Median DSC", ["Black", "White"]].tolist() == pytest.approx([0.879, 0.886])
    assert frame["Baseline", "White"]["Median HD (mm)"] == pytest.approx(20 * 0.114)
    assert frame["Baseline", "All"]["SER"] == pytest.approx(0.121 / 0.114)
    assert frame["Oversampling", "All"]["Fairness gap"] == pytest.approx(0.013)
    found = judge(values(OVERSAMPLING), ids(OVERSAMPLING), 2, reference=1)
    limits = frame["Oversampling", "All"][["Fairness gap, low", "Fairness gap, high"]]
    assert limits.tolist() == pytest.approx([found.gap.low, found.gap.high])
    assert frame["Oversampling", "All"]["SER, high"] == pytest.approx(found.ratio.high)
    assert np.isnan(frame["Baseline", "Black"]["SER"])


def test_what_is_laid_out_looks_as_in_table_8(table_8: Comparison) -> None:
    [block] = blocks(table_8, "Overall")
    p = paper_table(table_8, "Overall").loc["p"]
    assert p["Baseline", "All"] > 0.05 > p["Oversampling", "All"]
    assert block.heads == [("Baseline", f"p = {p['Baseline', 'All']:.2g}"), ("Oversampling", "*")]
    assert block.groups == ["Black", "White"]
    rows = {title: [[cell.text for cell in cells] for cells in models] for title, _, models in block.rows}
    assert [title for title, _, _ in block.rows] == [
        "Median DSC", "IQR DSC", "Median HD (mm)", "IQR HD (mm)", "SER", "95% interval", "Fairness gap",
        "95% interval",
    ]  # fmt: skip
    assert rows["Median DSC"] == [["0.879", "0.886"], ["0.872", "0.885"]]
    assert rows["SER"] == [["1.061"], ["1.113"]]
    assert rows["Fairness gap"] == [["0.007"], ["0.013"]]
    assert all(
        re.fullmatch("\N{MINUS SIGN}?0?[01]\\.\\d+ to [01]\\.\\d+", cells[0])
        for cells in rows["95% interval"]
    )


def test_the_best_of_each_kind_is_bold() -> None:
    found = comparison({"A": {"Black": 0.87, "White": 0.90}, "B": {"Black": 0.91, "White": 0.89}})
    [block] = blocks(found, "Overall")
    best = {title: [[cell.best for cell in cells] for cells in models] for title, _, models in block.rows}
    assert best["Median DSC"] == [[False, True], [True, False]]  # the highest
    assert best["Median HD (mm)"] == [[False, True], [True, False]]  # the lowest
    assert best["Fairness gap"] == [[False], [True]]  # -0.02 is closer to 0 than 0.03
    assert best["SER"] == [[False], [True]]
    assert best["IQR DSC"] == [[False, False], [False, False]]


def test_a_gap_below_0_is_as_far_from_0_as_one_above() -> None:
    found = comparison({"A": {"Black": 0.93, "White": 0.90}, "B": {"Black": 0.89, "White": 0.90}})
    [block] = blocks(found, "Overall")
    [gap] = [models for title, _, models in block.rows if title == "Fairness gap"]
    assert [(cell.text, cell.best) for (cell,) in gap] == [("\N{MINUS SIGN}0.030", False), ("0.010", True)]


def test_what_reads_the_same_is_as_good_and_one_alone_is_not_the_best() -> None:
    found = comparison({"A": BASELINE, "B": {"Black": 0.8789, "White": 0.80}})
    [block] = blocks(found, "Overall")
    assert [cells[0].best for cells in block.rows[0][2]] == [True, True]
    [alone] = blocks(comparison({"A": BASELINE}), "Overall")
    assert not any(cell.best for _, _, models in alone.rows for cells in models for cell in cells)


def test_many_models_wrap_into_several_tables() -> None:
    found = comparison(dict.fromkeys("ABCDE", BASELINE))
    assert [[name for name, _ in block.heads] for block in blocks(found, "Overall")] == [list("ABCD"), ["E"]]
    assert [len(block.heads) for block in blocks(found, "Overall", widest=4)] == [2, 2, 1]
    assert paper_to_latex(found, "Overall").count(r"\begin{tabular}") == 2
    assert paper_to_latex(found, "Overall").count("(continued)") == 1


def test_several_groups_have_a_gap_and_a_corrected_p_each() -> None:
    found = comparison({"A": THREE, "B": THREE})
    [block] = blocks(found, "Overall")
    rows = {title: [[cell.text for cell in cells] for cells in models] for title, _, models in block.rows}
    assert rows["Fairness gap"][0] == ["0.020", "0.070", "–"]  # noqa: RUF001
    assert rows["Largest fairness gap"] == [["0.070"], ["0.070"]]
    evidence = judge(values(THREE), ids(THREE), 3, reference=2)
    frame = paper_table(found, "Overall")["A"].loc["p"]
    assert frame["All"] == pytest.approx(evidence.p)
    assert frame["Black"] == pytest.approx(evidence.of(1).corrected)  # type: ignore[union-attr]
    assert "Kruskal-Wallis" in note_on(found)
    assert "Holm" in note_on(found)


def test_a_group_of_few_subjects_has_its_median_and_no_part_in_the_interval() -> None:
    found = comparison({"A": THREE, "B": THREE}, {"Asian": 20, "Black": 9, "White": 20})
    frame = paper_table(found, "Overall")["A"]
    assert frame["Black"]["Median DSC"] == pytest.approx(0.85)
    assert frame["All"]["Fairness gap"] == pytest.approx(0.07)
    assert frame["All"]["Fairness gap, groups of 10 or more"] == pytest.approx(0.02)
    assert "Fairness gap, low" not in frame.index
    assert "Fairness gap, groups of 10 or more, low" in frame.index
    assert np.isnan(frame["Black"]["p"])
    assert small_groups(found) == ["Black"]
    assert "Fewer than 10 subjects, so not judged: Black." in note_on(found)


@pytest.mark.parametrize(
    ("number", "size", "needed"), [(2, 10, None), (2, 9, 10), (39, 10, 11), (39, 11, None)], ids=str
)
def test_a_group_of_just_enough_subjects_is_judged_and_many_groups_need_more(
    number: int, size: int, needed: int | None
) -> None:
    medians = {f"site {place:02}": 0.9 - place / 1000 for place in range(number)}
    found = comparison({"A": medians, "B": medians}, size, reference="site 00")
    # All n values lie on one side of their median in 2 of 2^n samples: 39 * 2 / 2^10 is above 5%.
    assert small_groups(found) == ([] if needed is None else list(medians))
    said = re.findall(r"Fewer than (\d+) subjects", note_on(found))
    assert said == ([] if needed is None else [str(needed)])


def test_groups_all_of_few_subjects_have_no_interval_row() -> None:
    found = comparison({"A": BASELINE, "B": BASELINE}, 5)
    [block] = blocks(found, "Overall")
    assert "95% interval" not in [title for title, _, _ in block.rows]
    assert "not judged: Black, White" in note_on(found)


def test_markdown_names_model_and_group_in_one_heading(table_8: Comparison) -> None:
    text = paper_to_markdown(table_8, "Overall")
    assert "Oversampling \\*: White |" in text
    assert "**0.886**" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_latex_is_the_papers_table(table_8: Comparison) -> None:
    text = paper_to_latex(table_8, "Overall")
    assert r"\multicolumn{2}{c}{Oversampling *}" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in text
    assert r"Median DSC & \textbf{0.879} & \textbf{0.886} & 0.872 & 0.885 \\" in text
    assert r"Fairness gap & \multicolumn{2}{c}{\textbf{0.007}} & \multicolumn{2}{c}{0.013} \\" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert "\N{MINUS SIGN}" not in text


def test_twelve_groups_are_shrunk_to_the_page() -> None:
    medians = {f"group {place:02d}": 0.90 - 0.005 * place for place in range(12)}
    found = comparison({"A": medians, "B": medians}, 12, reference=None)
    assert len(blocks(found, "Overall")) == 2
    text = paper_to_latex(found, "Overall")
    assert text.count(r"\resizebox{\textwidth}{!}{%") == 2
    assert text.count(r"\multicolumn{12}{c}{A *}") == 1


def _columns(text: str) -> list[int]:
    """Return how many columns each row of LaTeX takes."""
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    wide = [sum(int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d+)\}", row)) for row in rows]
    return [len(re.findall(r"(?<!\\)&", row)) + 1 + more for row, more in zip(rows, wide, strict=True)]


def test_latex_of_evil_names_has_no_command_but_its_own(tmp_path: Path) -> None:
    medians = dict(zip(EVIL, (0.92, 0.90, 0.86), strict=True))
    tables = {name: scores(medians) for name in EVIL}
    found = compare_models(tables, by(tables[EVIL[0]]), reference=EVIL[0])
    text = comparison_to_latex(found)
    assert set(_columns(text)) == {1 + 3 * 2, 1 + 3}  # two models, and the third
    own = "begin end centering caption toprule midrule bottomrule cmidrule multicolumn textbf"
    commands = set(re.findall(r"\\[a-zA-Z]+", text))
    assert commands <= {
        *(f"\\{name}" for name in [*own.split(), "resizebox", "textwidth", "usepackage"]),
        *(rf"\text{name}" for name in ("backslash", "less", "greater", "bar", "asciitilde", "asciicircum")),
    }
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    if shutil.which("pdflatex"):
        page = tmp_path / "page.tex"
        head = "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n"
        page.write_text(f"{head}{text}\\end{{document}}\n", encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", page.name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_distances_in_pixels_are_called_so() -> None:
    tables = {name: scores(BASELINE) for name in "AB"}
    for table in tables.values():
        table["distance_unit"] = "px"
    found = compare_models(tables, by(tables["A"]))
    assert "Median HD (px)" in paper_table(found, "Overall").index
    assert "Distances in pixels" in note_on(found)


def test_without_dice_the_table_holds_what_there_is() -> None:
    tables = {name: scores(BASELINE).drop(columns="dice") for name in "AB"}
    frame = paper_table(compare_models(tables, by(tables["A"])), "Overall")
    assert list(frame.index) == ["Median HD (mm)", "IQR HD (mm)"]
    assert isinstance(frame.columns, pd.MultiIndex)
