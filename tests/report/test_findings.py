"""What the engine found, as tables, card, chart and terminal: the same everywhere, in the same order."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Verdict
from fairseg.report import AuditResult
from fairseg.report.card import to_terminal
from fairseg.report.cohort_table import parts_table
from fairseg.report.compare.tables import findings_table as all_gains
from fairseg.report.findings_table import (
    ORDER,
    endpoints_table,
    findings_table,
    groups_table,
    row_label,
)
from fairseg.report.pictures import gap_charts
from fairseg.report.sensitivity import sensitivity
from fairseg.report.tables import Table
from fairseg.statistics.verdicts import Endpoint


def scores(worse: float = 0.0, fails: int = 0, size: int = 60) -> pd.DataFrame:
    """Return two labels of groups A and B, in which RV of B is worse and some subjects of B fail."""
    rng = np.random.default_rng(0)
    rows = []
    for group in "AB":
        for at in range(size):
            for label in ("LV", "RV"):
                dice = rng.normal(0.9, 0.02) - worse * (group == "B" and label == "RV")
                failed = group == "B" and at < fails
                rows.append(
                    (f"{group}{at}", group, "north" if at % 2 else "south", label, 0.2 if failed else dice)
                )
    return pd.DataFrame(rows, columns=["subject", "group", "site", "label", "dice"])


@pytest.fixture(scope="module")
def tail() -> AuditResult:
    return fairseg.audit(scores(fails=15), by="group", reference="A", adjust="site")


@pytest.fixture(scope="module")
def one_label() -> AuditResult:
    return fairseg.audit(scores(worse=0.05), by="group", reference="A")


def test_groups_stand_with_typical_case_failures_and_hardest_tenth(tail: AuditResult) -> None:
    table = groups_table(tail, tail.analyses[0])
    assert [row.name for row in table.rows] == ["A", "B", "All"]
    facts = {fact.group: fact for fact in tail.judgement.facts if fact.structure == "Overall"}
    for name, (count, median, failures, hardest) in zip("AB", table.cells, strict=False):
        fact = facts[name]
        assert (count.value, median.value, median.low) == (fact.n, fact.median, fact.median_low)
        assert (failures.value, hardest.value) == (fact.failure_rate, fact.hardest)
    assert table.to_frame().loc["B", "DSC < 0.5"].startswith("25.0%\n(")


def test_a_disadvantage_has_the_same_direction_at_every_endpoint(tail: AuditResult) -> None:
    for row in tail.judgement.findings:
        gap, low, high = row.disadvantage
        assert low <= gap <= high
        if row.endpoint is Endpoint.FAILURES and not row.adjusted and row.structure == "Overall":
            assert gap == pytest.approx(0.25)  # B fails in 15 of 60


def test_verdicts_in_tables_are_members_of_the_enumeration(one_label: AuditResult) -> None:
    # Where pyarrow is installed, pandas reads members of a StrEnum as bare text.
    table = scores(worse=0.05)
    change = fairseg.compare({"first": table, "second": table}, by="group", reference="A")
    for found in (one_label.findings, change.findings):
        assert len(found)
        assert all(isinstance(verdict, Verdict) for verdict in found["verdict"])


def test_the_verdict_rests_on_no_row_that_the_card_hides(one_label: AuditResult) -> None:
    rows = endpoints_table(one_label, one_label.analyses[0])
    pairs = zip(rows.rows, rows.cells, strict=True)
    shown = {row.name for row, cells in pairs if cells[0].text == "Gap shown"}
    assert one_label.verdict is Verdict.GAP
    assert "Typical case of RV" in shown
    assert len(shown) == sum(row.shown for row in one_label.judgement.findings)


def test_the_adjusted_finding_is_in_card_and_terminal(tail: AuditResult) -> None:
    names = [row.name for row in endpoints_table(tail, tail.analyses[0]).rows]
    assert "Failures (points), site held fixed" in names
    assert "Failures (points), site held fixed" in to_terminal(tail, tail.notes)
    assert "Failures (points), site held fixed" in tail._repr_html_()


def test_card_chart_table_and_terminal_say_the_same_in_the_same_order(tail: AuditResult) -> None:
    rows = endpoints_table(tail, tail.analyses[0])
    expected = [(row.name, cells[0].text) for row, cells in zip(rows.rows, rows.cells, strict=True)]
    html = re.sub(r"<style>.*?</style>", "", tail._repr_html_(), flags=re.DOTALL)
    card = unescape(re.sub(r"<[^>]+>", " ", html))
    for shown in (card, to_terminal(tail, tail.notes)):
        text = " ".join(shown.split())
        positions = [text.index(tail.verdict.label.capitalize()), text.index(tail.sentence)]
        positions += [text.index(f"{name} {verdict}", positions[1]) for name, verdict in expected]
        assert positions == sorted(positions)
    drawn = "".join(str(picture) for _, picture, _ in gap_charts(tail))
    for row in tail.judgement.findings:
        assert f"{row_label(row)[0]}</span>" in drawn
    everything = findings_table(tail)
    assert len(everything.rows) == len(tail.judgement.findings)


def test_a_row_within_its_margin_is_not_green_on_a_red_page(one_label: AuditResult) -> None:
    inside = [row for row in one_label.judgement.findings if row.inside and not row.shown]
    assert inside
    assert {row_label(row) for row in inside} == {("Within margin", "inside")}


def test_of_many_comparisons_those_that_show_most_stand_on_the_card() -> None:
    rng = np.random.default_rng(0)
    site = np.repeat(list("ABCDEF"), 20)
    table = pd.DataFrame({"subject": range(120), "site": site, "dice": rng.normal(0.9, 0.01, 120)})
    table.loc[table["site"] == "F", "dice"] -= 0.1
    result = fairseg.audit(table, by="site")
    card = endpoints_table(result, result.analyses[0])
    assert len(card.rows) <= 9
    names = [row.name for row in card.rows]
    pairs = [name.split(":")[0] for name in names]
    assert pairs[:3] == [pairs[0]] * 3  # all endpoints of the one that says most
    assert len(set(pairs[2:])) == len(pairs[2:])  # and one row of each other
    assert card.cells[0][0].text == "Gap shown"
    assert "F against" in names[0]
    assert "8 more comparisons below" in card.note


def test_of_an_open_pair_the_card_shows_the_row_that_is_open() -> None:
    """Of five groups each has one row on the card: "Within margin" of one would clear a pair that is open."""
    rng = np.random.default_rng(4)
    sizes = {"White": 900, "Black": 200, "Asian": 40, "Mixed": 40, "Other": 40}
    dice = {name: rng.normal(0.9, 0.02, size) for name, size in sizes.items()}
    dice["Black"] -= 0.06
    for name in ("Asian", "Mixed", "Other"):
        dice[name] -= 0.002  # well within the margin; of 40 nobody fails, and one in 20 may
    names = np.repeat(list(sizes), list(sizes.values()))
    result = fairseg.audit(np.concatenate(list(dice.values())), groups=names, reference="White")
    card = endpoints_table(result, result.analyses[0])
    shown = {row.name: cells[0].text for row, cells in zip(card.rows, card.cells, strict=True)}
    assert shown["Black against White: typical case"] == "Gap shown"
    for name in ("Asian", "Mixed", "Other"):
        of_pair = {row: text for row, text in shown.items() if row.startswith(f"{name} against White")}
        ((row, text),) = of_pair.items()
        assert "typical case" not in row
        assert text == "Not enough evidence"


@pytest.mark.parametrize("tail_margin", [0.1, 0.3])
def test_the_card_of_many_groups_begins_with_what_the_answer_speaks_of(tail_margin: float) -> None:
    """Five large sites are shown to be alike, with shown differences; a small one is open, or behind."""
    rng = np.random.default_rng(0 if tail_margin < 0.2 else 3)
    step = 0.0008 if tail_margin < 0.2 else 0.004
    means = {name: 0.898 + step * number for number, name in enumerate("ABCDE")}
    dice = [rng.normal(mean, 0.008, 3000) for mean in means.values()]
    small = rng.normal(0.9 if tail_margin < 0.2 else 0.893, 0.012, 40)
    names = np.repeat([*means, "Small"], [3000] * 5 + [40])
    result = fairseg.audit(np.concatenate([*dice, small]), groups=names, tail_margin=tail_margin)
    card = endpoints_table(result, result.analyses[0])
    labels = [cells[0].text for cells in card.cells]
    assert "Small" in card.rows[0].name
    assert "Small" in result.sentence
    pairs = [tuple(sorted(row.name.split(":")[0].split(" against "))) for row in card.rows]
    verdicts = {tuple(sorted((one.first, one.second))): one.verdict for one in result.judgement.comparisons}
    order = [ORDER.index(verdicts[pair]) for pair in pairs]
    assert order == sorted(order)
    assert labels[0] != "No relevant gap shown"


def test_the_answer_counts_what_it_does_not_tell() -> None:
    """Three structures and every endpoint are shown; those with age held fixed repeat them and come last."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"subject": range(400), "group": ["A", "B"] * 200, "age": rng.integers(40, 80, 400)})
    behind = 0.12 * (table["group"] == "B")
    table = pd.concat([table.assign(label=name, dice=rng.normal(0.85, 0.02, 400) - behind) for name in "xyz"])
    result = fairseg.audit(table, by="group", adjust="age")
    shown = sum(finding.shown for one in result.judgement.comparisons for finding in one.findings)
    assert shown > 8
    assert f"; and {shown - 4} more between these groups." in result.sentence
    assert "held fixed" not in result.sentence


def test_intersections_have_short_names_and_a_table_of_their_parts() -> None:
    table = scores().assign(sex=lambda one: np.where(one["subject"].str[-1] < "5", "F", "M"))
    result = fairseg.audit(table, by=["group", "sex"])
    assert result.groups["group"].tolist() == ["A / F", "A / M", "B / F", "B / M"]
    parts = parts_table(result.analyses[0].groups, [1, 2, 3, 4]).to_frame()
    assert parts.loc["A / F"].tolist() == ["A", "F", "1"]
    assert "group=" not in result.sentence


def test_a_notebook_shows_the_card_without_a_script(tail: AuditResult) -> None:
    card = tail._repr_html_()
    assert "<script" not in card
    assert "<style>" in card
    assert repr(tail).startswith(tail.sentence)


def test_counts_stand_in_the_order_in_which_a_row_names_the_groups() -> None:
    table = scores(worse=0.1)
    few = table[(table["group"] == "A") | (table.index < table.index[table["group"] == "B"][0] + 60)]
    html = str(gap_charts(fairseg.audit(few, by="group", reference="A"))[0][1])
    assert "B against A" in html
    assert "<td>30, 60</td>" in html


def test_a_structure_that_is_a_number_is_called_a_label() -> None:
    numbered = scores(worse=0.1).replace({"label": {"LV": "1", "RV": "2"}})
    assert "on label 2, " in fairseg.audit(numbered, by="group", reference="A").sentence


def test_all_is_one_rule_on_card_in_tables_and_in_files(tmp_path: Path) -> None:
    """Subjects of unknown group, who are far worse, are in no group and not under All, anywhere."""
    table = scores()
    unknown = table[table["group"] == "A"].assign(
        subject=lambda one: "u" + one["subject"], group=None, dice=lambda one: one["dice"] - 0.3
    )
    result = fairseg.audit(pd.concat([table, unknown]), by="group", also="site")
    result.save(tmp_path)
    of_subjects = table.groupby("subject")["dice"].mean()
    shown = groups_table(result, result.analyses[0])
    cells = shown.cells[-1]
    assert shown.rows[-1].name == "All"
    assert (cells[0].value, cells[1].value) == (120, pytest.approx(of_subjects.median()))
    subgroups = pd.read_csv(tmp_path / "subgroups.csv").query("structure == 'Overall' and group == 'All'")
    assert subgroups.set_index("attribute")["n"].to_dict() == {"group": 120, "site": 180}
    summary = pd.read_csv(tmp_path / "summary.csv").set_index(["structure", "measure"])["All (n=120)"]
    median = summary["Overall", "Median DSC"]
    assert median == pytest.approx(of_subjects.median())
    limits = [summary["Overall", f"Median DSC: {end}"] for end in ("low", "high")]
    assert limits == pytest.approx([cells[1].low, cells[1].high])
    words = " ".join(to_terminal(result, result.notes).split())
    assert "60 subjects of unknown group are in no row" in words


def test_findings_have_one_sign(tmp_path: Path) -> None:
    """Above 0 the second group is worse served, in every endpoint and file, of one model and of two."""
    table = scores(worse=0.06, fails=20)
    for reference, sign in (("A", 1), ("B", -1)):
        result = fairseg.audit(table, by="group", reference=reference)
        result.save(tmp_path)
        found = pd.read_csv(tmp_path / "findings.csv")
        assert found["endpoint"].nunique() == 3
        shown = found[found["verdict"] == "gap shown"]
        assert set(shown["endpoint"]) >= {"failures", "hardest tenth"}
        assert (np.sign(shown[["estimate", "low", "high"]].to_numpy()) == sign).all()
        second = "B" if reference == "A" else "A"
        assert found["sign"].eq(f"above 0: {second} is worse served than {reference}").all()
        rows = zip(findings_table(result).rows, findings_table(result).cells, strict=True)
        of_page = {row.name: cells[4].value for row, cells in rows if cells[0].text == "Gap shown"}
        assert all(f"{second} against {reference}" in name for name in of_page)
        assert list(of_page.values()) == shown["estimate"].tolist()
        change = fairseg.compare({"one": table, "two": table}, by="group", reference=reference)
        merged = change.findings.merge(result.findings, on=["structure", "endpoint", "first", "second"])
        assert len(merged) == len(change.findings)
        assert np.allclose(merged["gap_before"], merged["estimate"])


@pytest.mark.parametrize("worse", ["A", "B"])
def test_without_a_reference_the_group_behind_is_named_first_wherever_a_gap_stands(
    worse: str, tmp_path: Path
) -> None:
    """The card, the chart, the table of all findings and other choices give a gap one name and one sign."""
    other = "B" if worse == "A" else "A"
    table = scores(worse=0.06).query("label == 'RV'").replace({"group": {"B": worse, "A": other}})
    result = fairseg.audit(table, by="group")
    (name,) = {row.name.split(": ")[1] for row in findings_table(result).rows}
    assert name == f"{worse} against {other}"
    assert findings_table(result).cells[0][4].value == pytest.approx(0.06, abs=0.01)
    assert endpoints_table(result, result.analyses[0]).cells[0][1].value > 0
    (line,) = [one for one in result.plot("gaps").lines if one.get_marker() not in (None, "None", "")]
    assert line.get_xdata()[0] > 0
    assert [tick.get_text() for tick in result.plot("gaps").get_yticklabels()] == [name]
    choices = sensitivity(result)
    assert choices is not None
    assert all(cells[1].value > 0 for cells in choices.table.cells)
    sign = pd.read_csv(result.save(tmp_path).parent / "findings.csv")["sign"]
    assert sign.eq("above 0: B is worse served than A").all()  # the file has the first and second of a pair
    change = fairseg.compare({"one": table, "two": table}, by="group")
    assert change.plot("gaps").get_yticklabels()[0].get_text() == f"two: {worse} against {other}"
    whole = all_gains(change)
    assert f"{worse} against {other}" in whole.rows[0].name
    assert whole.cells[0][2].value == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize("table", [endpoints_table, findings_table])
def test_no_limit_contradicts_the_verdict_beside_it(table: Callable[..., Table]) -> None:
    """Within a margin by 90% limits only: both those and the wider ones of the page are given."""
    result = fairseg.audit(scores(worse=0.05, size=80), by="group")
    rows = table(result, result.analyses[0]).cells if table is endpoints_table else table(result).cells
    within_margin = [row for row in rows if row[0].text == "Within margin"]
    beyond = 0
    for verdict, *cells in within_margin:
        (figure,) = [cell for cell in cells if cell.inner is not None]
        margin = max(figure.apart)
        assert figure.inner is not None
        assert max(-figure.inner[0], figure.inner[1]) <= margin, verdict
        leaves = max(-figure.low, figure.high) > margin
        assert ("90%: " in figure.limits) == leaves
        beyond += leaves
    assert beyond, "no row tells the two kinds of limits apart"
    assert all("90%" not in cell.limits for row in rows if row not in within_margin for cell in row)


def test_the_chart_of_gaps_has_the_limits_that_the_margin_is_judged_by() -> None:
    result = fairseg.audit(scores(size=80), by="group")
    typical = [row for row in result.judgement.findings if row.endpoint is Endpoint.TYPICAL]
    assert str(gap_charts(result)[0][1]).count('class="whisker inner"') == len(typical)
    thick = [line for line in result.plot("gaps").lines if line.get_linewidth() == 3.0]
    assert [tuple(line.get_xdata()) for line in thick] == [
        (row.equivalence_low, row.equivalence_high) for row in typical
    ]


def test_a_stray_level_leaves_the_comparison_of_the_others_as_it_is() -> None:
    """One subject of group "b" beside "B": every endpoint of A against B stands on the card all the same."""
    table = pd.concat([scores(worse=0.05).assign(label=label) for label in ("RV", "LV", "MYO")])
    table = table.drop_duplicates(["subject", "label"])
    stray = table.assign(group=table["group"].mask(table["subject"] == "B0", "b"))
    whole, split = (fairseg.audit(one, by="group", adjust="site") for one in (table, stray))
    rows = [len(endpoints_table(one, one.analyses[0]).rows) for one in (whole, split)]
    assert rows[0] == rows[1] > 3


def test_a_model_that_fails_one_group_is_said_once() -> None:
    table = scores().assign(hd95=3.0)
    failed = table["group"] == "B"
    table.loc[failed, "dice"] -= 0.6
    table.loc[failed, "hd95"] = 40.0
    result = fairseg.audit(table, by="group")
    assert result.verdict is Verdict.FAILS
    assert "for B: B" not in result.sentence
    assert not any("units" in note for note in result.notes)


def test_no_difference_is_no_minus_zero(one_label: AuditResult) -> None:
    """Nobody fails, and a file had -0.0 for the difference."""
    for result in (one_label, fairseg.audit(scores(worse=0.05), by="group")):
        failures = result.findings[result.findings["endpoint"] == "failures"]
        assert failures["estimate"].eq(0).all()
        assert not np.signbit(failures["estimate"]).any()
