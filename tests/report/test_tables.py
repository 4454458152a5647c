"""Tables as text: numbers as rounded, and names that can do no harm where they are shown."""

import csv
import re
from collections.abc import Callable
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import Summary, summarize, tables
from fairseg.report.numbers import NONE, p_value
from fairseg.report.summary_table import footnote, summary_table
from fairseg.report.summary_table import summaries_to_csv as to_csv


def cells(summary: Summary) -> pd.DataFrame:
    return summary_table(summary).to_frame()


def to_terminal(summaries: list[Summary]) -> str:
    return tables.to_terminal(map(summary_table, summaries))


def to_markdown(summaries: list[Summary]) -> str:
    return tables.to_markdown(map(summary_table, summaries))


def to_latex(summaries: list[Summary]) -> str:
    return tables.to_latex(map(summary_table, summaries))


NASTY = [
    "<script>alert(1)</script>",
    "=cmd()",
    "a|b",
    "50%_&",
    "$x$",
    "two\nlines",
    "\x1b[31mred\x1b[0m",
    "*b* `c` [d](http://e) \\",
    "{#~^}",
    "-1+2",
]
NUMBERS = {"F": [0.9, 0.9], "M": [0.5, 0.5]}  # too few for a starred p: the columns are all numbers


def summaries_of(
    groups: dict[str, list[float]], *, label: str = "LV", by: str = "sex", reference: str | None = None
) -> list[Summary]:
    rows = [
        (f"{name}{index}", name, value)
        for name, values in groups.items()
        for index, value in enumerate(values)
    ]
    scores = pd.DataFrame(rows, columns=["case", by, "dice"]).assign(label=label)
    scores["subject"] = scores["case"]
    return summarize(scores, Groups.from_table(scores, by=by), reference=reference)


def nasty(name: str) -> list[Summary]:
    """Return summaries with a name in every place that a name can have."""
    return summaries_of({name: [0.9, 0.8], "z": [0.5, 0.6]}, label=name, by=name, reference="z")


def numbers(text: str, measure: str, separator: str) -> list[str]:
    """Return the first row of a measure, cell by cell."""
    (line, *_) = [line for line in text.split("\n") if line.lstrip(" |").startswith(measure)]
    return [part.strip() for part in re.split(separator, line.strip(" |").removesuffix("\\\\"))][1:]


# --- numbers ----------------------------------------------------------------------------------------

SEPARATORS = [(to_terminal, r"\s{2,}"), (to_markdown, r"\|"), (to_latex, "&")]


@pytest.mark.parametrize(("render", "separator"), SEPARATORS)
def test_numbers_have_three_decimals_and_counts_none(
    render: Callable[[list[Summary]], str], separator: str
) -> None:
    text = render(summaries_of(NUMBERS))
    assert numbers(text, "Median DSC", separator) == ["0.900", "0.500", "0.700"]
    assert numbers(text, "IQR DSC", separator) == ["0.000", "0.000", "0.400"]
    none = "--" if render is to_latex else NONE
    assert numbers(text, "SER", separator) == [none, none, "5.000"]
    assert numbers(text, "Fairness gap", separator) == [none, none, "0.400"]
    assert "Left out: none." in text
    assert "F (n=2)" in text
    assert "All (n=4)" in text


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ([0.9, 0.91, 0.92, 0.93], [0.8, 0.81, 0.82, 0.83], "0.029*"),  # 2 / 70
        ([0.9, 0.91, 0.92], [0.8, 0.81, 0.82], "0.10"),  # 2 / 20
        ([0.1, 0.4], [0.2, 0.3], "1.00"),
        (list(np.linspace(0.8, 0.9, 20)), list(np.linspace(0.5, 0.6, 20)), "<0.001*"),
        ([0.9], [0.8, 0.81], NONE),
    ],
)
def test_p_is_rounded_and_starred_below_5_percent(
    first: list[float], second: list[float], shown: str
) -> None:
    overall = summaries_of({"F": first, "M": second})[0]
    assert cells(overall).loc["p (Mann-Whitney U)"].tolist() == [NONE, NONE, shown]
    assert "* p < 0.05" in footnote(overall)


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0497, "0.0497*"),  # and not 0.05*
        (0.0503, "0.0503"),
        (0.05, "0.05"),
        (0.0452, "0.0452*"),
        (0.0447, "0.045*"),
        (0.0553, "0.055"),
        (0.0012, "0.0012*"),
    ],
)
def test_p_has_a_third_digit_near_5_percent_alone(p: float, shown: str) -> None:
    assert p_value(p) == shown


def test_a_perfect_group_has_an_infinite_ratio() -> None:
    assert cells(summaries_of({"F": [1.0, 1.0], "M": [0.5, 0.5]})[0]).loc["SER", "All (n=4)"] == "∞"


def test_latex_shows_a_small_p_as_rounded() -> None:
    groups = {"F": list(np.linspace(0.8, 0.9, 20)), "M": list(np.linspace(0.5, 0.6, 20))}
    assert numbers(to_latex(summaries_of(groups)), "p (Mann", "&")[-1] == r"\textless{}0.001*"


def test_csv_is_unrounded_and_has_a_row_for_every_measure_of_every_structure() -> None:
    summaries = summaries_of({"F": [1 / 3, 1 / 3], "M": [0.1, 0.1]})
    table = pd.read_csv(StringIO(to_csv(summaries)))
    assert list(table.columns) == ["structure", "measure", "F (n=2)", "M (n=2)", "All (n=4)"]
    assert table["structure"].unique().tolist() == ["Overall", "LV"]
    for structure, part in table.groupby("structure"):
        assert set(summaries[0].table.index) <= set(part["measure"]), structure
        assert not part["measure"].duplicated().any()
    medians = table[table["measure"] == "Median DSC"]
    assert medians.filter(like="F").to_numpy().tolist() == [[1 / 3], [1 / 3]]


def test_csv_keeps_one_column_a_group_where_a_label_has_fewer_subjects() -> None:
    rows = [("a", "F", "LV", 0.5), ("b", "M", "LV", 0.5), ("c", "M", "LV", 0.5), ("b", "M", "RV", 0.5)]
    scores = pd.DataFrame(rows, columns=["case", "sex", "label", "dice"]).assign(subject=[*"abcb"])
    table = pd.read_csv(StringIO(to_csv(summarize(scores, Groups.from_table(scores, by="sex")))))
    assert len(table.columns) == 2 + 2 + 1
    assert (table["measure"] == "Median DSC").sum() == 3


def test_many_groups_stand_below_each_other_in_the_terminal() -> None:
    groups = {f"site {number}": [0.5, 0.6] for number in range(8)}
    text = to_terminal(summaries_of(groups)[:1])
    assert sum(line.startswith("site ") for line in text.split("\n")) == 8


@pytest.mark.parametrize("level", ["All", "Overall", "measure"])
def test_a_group_may_be_called_like_a_column(level: str) -> None:
    summaries = summaries_of({level: [0.9, 0.8], "z": [0.5, 0.6]}, label=level)
    assert numbers(to_markdown(summaries), "Median DSC", r"\|") == ["0.850", "0.550", "0.700"]
    assert len(pd.read_csv(StringIO(to_csv(summaries))).columns) == 5


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NASTY)
def test_the_terminal_gets_printable_characters_only(name: str) -> None:
    text = to_terminal(nasty(name))
    assert all(letter.isprintable() for letter in text.replace("\n", ""))
    assert text.count("\n") == to_terminal(nasty("a")).count("\n")


@pytest.mark.parametrize("name", NASTY)
def test_markdown_keeps_its_lines_and_cells_and_shows_names_as_they_are(name: str) -> None:
    text = to_markdown(nasty(name))
    plain = to_markdown(nasty("a"))
    assert text.count("\n") == plain.count("\n")
    assert "\x1b" not in text
    assert not re.search(r"<|(?<!\\)[`\[]|\$\w\$", text)
    for line, like in zip(text.split("\n"), plain.split("\n"), strict=True):
        assert len(re.findall(r"(?<!\\)\|", line)) == like.count("|")
        assert line[:2] == like[:2]


def test_markdown_escapes_what_would_be_a_pipe_emphasis_or_a_tag() -> None:
    assert r"a\|b" in to_markdown(nasty("a|b"))
    assert r"a\\\|b" in to_markdown(nasty(r"a\|b"))
    assert r"\*b\* \_c\_" in to_markdown(nasty("*b* _c_"))
    assert "&lt;b>" in to_markdown(nasty("<b>")).replace("&gt;", ">")


@pytest.mark.parametrize("name", NASTY)
def test_latex_has_no_command_but_its_own(name: str) -> None:
    text = to_latex(nasty(name))
    plain = to_latex(nasty("a"))
    assert text.count("\n") == plain.count("\n")
    assert "\x1b" not in text
    for line, like in zip(text.split("\n"), plain.split("\n"), strict=True):
        bare = re.sub(r"\\text[a-z]+(\{\}| )|\\[&%$#_{}]|\$-\$", "", line)
        # What is left has the structure of the harmless table: its commands, braces and cells.
        bare_like = re.sub(r"\\text[a-z]+(\{\}| )|\\[&%$#_{}]", "", like)
        for letter in "\\{}&":
            assert bare.count(letter) == bare_like.count(letter)
        assert not re.search(r"[%$#_^~]", bare)


def test_latex_escapes_by_hand() -> None:
    text = to_latex(nasty(r"50%_& $x$ {#~^} \ <b>"))
    assert r"50\%\_\& \$x\$ \{\#\textasciitilde{}\textasciicircum{}\} \textbackslash{} " in text
    assert r"\textless{}b\textgreater{}" in text


def test_latex_shows_a_bar_as_a_bar() -> None:
    # In LaTeX's default font encoding (OT1) a bare | in text prints as a dash.
    assert r"a\textbar{}b" in to_latex(nasty("a|b")).replace(r"\textbar b", r"\textbar{}b")


@pytest.mark.parametrize("name", NASTY)
def test_csv_is_no_formula_and_keeps_its_shape(name: str) -> None:
    rows = list(csv.reader(StringIO(to_csv(nasty(name)))))
    assert len(rows) == len(list(csv.reader(StringIO(to_csv(nasty("a"))))))
    assert {len(row) for row in rows} == {5}
    for row in rows:
        for text in row:
            assert not text.startswith(("=", "+", "-", "@", "\t", "\r")) or re.fullmatch(r"-[\d.e-]+", text)


def test_the_footnote_says_why_there_is_no_p() -> None:
    three = {"A": [0.5, 0.6], "B": [0.5, 0.6], "C": [0.5, 0.6]}
    assert "name a reference group" in footnote(summaries_of(three)[0])
    assert "not corrected" in footnote(summaries_of(three, reference="A")[0])
    scores = pd.DataFrame(
        {"case": [*"abcd"], "subject": [*"xyxy"], "frame": ["ED", "ED", "ES", "ES"], "label": "LV"}
    ).assign(dice=[0.5, 0.6, 0.7, 0.8])
    assert "2 subjects" in footnote(summarize(scores, Groups.from_table(scores, by="frame"))[0])
