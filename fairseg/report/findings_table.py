"""The findings as tables: figures of each group, comparisons by endpoint, and all rows of a page."""

from collections.abc import Sequence

import numpy as np

from fairseg.report import numbers
from fairseg.report.analyses import Analysis
from fairseg.report.audited import Audited
from fairseg.report.tables import Cell, Heading, Table
from fairseg.report.templates import say
from fairseg.scoring.summary import ALL
from fairseg.statistics.findings import Comparison, Finding, GroupFacts
from fairseg.statistics.gain_findings import GainRow
from fairseg.statistics.group_facts import HARDEST_SHARE
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.limits import Interval
from fairseg.statistics.verdicts import Endpoint, Verdict

MOST_GAPS = 40  # rows of a chart of gaps
_MOST_ENDPOINTS = 9  # rows of the card
_MOST_ROWS = 300  # of all findings on a page; nobody reads more, and findings.csv has them all
ORDER = (Verdict.FAILS, Verdict.GAP, Verdict.OPEN, Verdict.NO_GAP, Verdict.NOT_JUDGED)


def groups_table(result: Audited, analysis: Analysis, structure: str | None = None) -> Table:
    """Return how the model serves each group of an attribute, overall or in a structure."""
    structure = structure or result.structures[0]
    rows: list[tuple[object, ...]] = []
    for fact in result.judgement.facts_of(analysis.name, structure, known=True):
        name = fact.group if fact.judged else f"{fact.group} (too few to judge)"
        rows.append((name if fact.group else Heading(ALL, "rule"), *_fact_cells(fact, result.options)))
    unknown = len(analysis.members.unknown)
    title, options = result.scores.title, result.options
    heads = ("n", f"Median {title}", f"{title} < {options.failure_threshold:g}", "In hardest tenth")
    caption = f"{structure}: groups by {analysis.name}"
    hardest = hardest_name(result, structure)
    overall = structure == result.structures[0] and len(result.structures) > 1
    about = {"title": title, "options": options, "unknown": unknown, "hardest": hardest, "overall": overall}
    note = say("about_groups", **about)
    return Table.of(caption, heads, rows, corner="Group", note=note)


def _fact_cells(fact: GroupFacts, options: JudgeOptions) -> list[Cell]:
    medians, rates = options.floors
    return [
        Cell(fact.n, kind="count"),
        Cell(fact.median, fact.median_low, fact.median_high, apart=medians),
        Cell(fact.failure_rate, fact.failure_low, fact.failure_high, kind="percent", apart=rates),
        Cell(fact.hardest, fact.hardest_low, fact.hardest_high, kind="percent"),
    ]


def endpoints_table(result: Audited, analysis: Analysis) -> Table:
    """Return the findings that a verdict rests on: all overall ones of an attribute and other shown ones.

    Those with strata held fixed are among them, and of an open comparison the least certain of any structure.
    Of many comparisons those of the worst verdict come first, and of these the most telling, of which the
    answer speaks: the first with all its overall findings, each other with one; the rest stands in
    `findings_table`.
    """

    def rows_of(one: Comparison) -> list[Finding]:
        still_open = [row for row in one.findings if _is_open(row)] if one.verdict is Verdict.OPEN else []
        least_certain = min(still_open, key=lambda row: telling(row, result), default=None)
        overall = result.structures[0]
        return [row for row in one.findings if row.shown or row.structure == overall or row is least_certain]

    comparisons = [one for one in result.judgement.comparisons if one.attribute == analysis.name]
    judged = [one for one in comparisons if one.verdict is not Verdict.NOT_JUDGED]
    several = len(comparisons) > 1
    judged.sort(key=lambda one: ORDER.index(one.verdict))
    of_pairs = list(map(rows_of, judged))
    if sum(map(len, of_pairs)) > _MOST_ENDPOINTS and len(of_pairs) > 1:
        ranks = [ORDER.index(one.verdict) for one in judged]
        leads = [min(rows, key=lambda row: telling(row, result)) for rows in of_pairs]
        order = sorted(range(len(leads)), key=lambda pair: (ranks[pair], telling(leads[pair], result)))
        lead, *others = (leads[pair] for pair in order)
        first = [row for row in of_pairs[order[0]] if row is lead or row.structure == result.structures[0]]
        of_pairs = [first, *([row] for row in others)][: max(1, _MOST_ENDPOINTS + 1 - len(first))]
    findings = [row for rows in of_pairs for row in rows]
    lines = []
    last: tuple[str, str] | None = None
    for row in map(result.as_named, findings):
        pair = (row.first, row.second)
        name = (
            f"{row.second} against {row.first}: {row.endpoint}" if several else str(row.endpoint).capitalize()
        )
        name += f" of {row.structure}" if row.structure != result.structures[0] else ""
        name += "" if row.endpoint is Endpoint.TYPICAL else " (points)"
        if row.adjusted:
            name += f", {result.held_fixed} held fixed"
        rule = "rule" if last and pair != last and len(findings) > len(of_pairs) else ""
        verdict, *_, difference = finding_cells(row, row.disadvantage, row.at_margin)
        lines.append((Heading(name, rule), verdict, difference))
        last = pair
    of = "" if several or last is None else f" of {last[1]}"
    head = f"Disadvantage{of}"
    left_out = len(judged) - len(of_pairs)
    note = say("about_endpoints", options=result.options, left_out=left_out)
    caption = f"Comparisons by {analysis.name}"
    return Table.of(caption, ["Verdict", head], lines, corner="Endpoint", note=note)


def telling(row: Finding, result: Audited) -> tuple[bool, bool, bool, float, int]:
    """Return a key by which the most telling finding comes first: shown, overall, far beyond its margin.

    What lies within its margin comes after the others, among those that are shown and among the open ones, of
    which the least certain comes first: it stands in the way of "no relevant gap".
    """
    weight = 0.5 if row.endpoint is Endpoint.HARDEST else 1.0  # as in the error control over the page
    size = -weight * float(np.nan_to_num(abs(row.estimate))) / row.margin
    single = row.structure != result.structures[0]
    if _is_open(row):
        size, single = -float(np.nan_to_num(row.times_subjects, posinf=np.inf)), False
    return not row.shown, row.inside, single, size, list(Endpoint).index(row.endpoint)


def _is_open(row: Finding) -> bool:
    return row.verdict is Verdict.OPEN and not row.inside


def most_telling(rows: Sequence[Finding], result: Audited, most: int = MOST_GAPS) -> list[Finding]:
    """Return findings in their order; of too many the most telling ones."""
    most_telling_ids = {id(row) for row in sorted(rows, key=lambda row: telling(row, result))[:most]}
    return [row for row in rows if id(row) in most_telling_ids]


def findings_table(result: Audited) -> Table:
    """Return the rows of the page: all attributes, structures, comparisons and endpoints.

    Of more than 300 the most telling ones, in their order.
    """
    findings = result.judgement.findings
    heads = ("Verdict", "Subjects", "Named first", "Other", "Disadvantage", "p", "p (page)")
    rows = []
    several = len(result.analyses) > 1
    for row in map(result.as_named, most_telling(findings, result, _MOST_ROWS)):
        name = f"{row.structure}: {row.second} against {row.first}: {row.endpoint}"
        name = f"{row.attribute}, {name}" if several else name
        if row.adjusted:
            name += f", {result.held_fixed} held fixed"
        p = Cell(row.p, kind="p"), Cell(row.p_adjusted, kind="p")
        rows.append((name, *finding_cells(row, row.disadvantage, row.at_margin), *p))
    note = say(
        "about_findings",
        alpha=result.options.alpha,
        level=result.judgement.alpha_star,
        left_out=len(findings) - len(rows),
    )
    caption = "Every finding" if len(rows) == len(findings) else "Findings that say most"
    return Table.of(caption, heads, rows, corner="Structure: groups: endpoint", note=note, tall=True)


def subgroup_table(result: Audited) -> Table:
    """Return the figures of every attribute, group and structure, for which reporting guidelines ask."""
    rows = []
    for fact in (*result.judgement.facts, *result.judgement.known):
        n, *figures = _fact_cells(fact, result.options)
        name, missing = f"{fact.attribute}, {fact.group or ALL}", Cell(fact.missing, kind="count")
        rows.append((name, fact.structure, n, missing, *figures))
    title = result.scores.title
    heads = ("Structure", "Subjects", "Without a score", f"Median {title}", "Failures", "In hardest tenth")
    unknown, hardest = len(result.analyses[0].members.unknown), hardest_name(result, result.structures[0])
    note = say("about_groups", title=title, options=result.options, unknown=unknown, hardest=hardest)
    return Table.of("Performance by subgroup", heads, rows, corner="Subgroup", note=note)


def hardest_name(result: Audited, structure: str) -> str:
    """Return what the hardest tenth is called: by its share where equal scores make that far from a tenth."""
    share = next(fact.hardest for fact in result.judgement.everyone if fact.structure == structure)
    is_about_tenth = np.isnan(share) or abs(share - HARDEST_SHARE) <= HARDEST_SHARE / 2
    return "tenth" if is_about_tenth else numbers.percent(share)


def finding_cells(row: Finding, difference: Interval, at_margin: Interval) -> list[Cell]:
    """Return verdict, numbers of subjects, figures of both groups (the second is named first), difference."""
    text, css = row_label(row)
    kind = "percent" if row.endpoint in (Endpoint.FAILURES, Endpoint.HARDEST) else "score"
    values = [Cell(value, kind=kind) for value in (row.value_second, row.value_first)]
    counts = Cell(f"{row.n_second}, {row.n_first}")
    return [Cell(text, css=css), counts, *values, difference_cell(row, difference, at_margin)]


def difference_cell(row: Finding | GainRow, difference: Interval, at_margin: Interval) -> Cell:
    """Return a difference with its limits and those by which the margin is judged."""
    kind = "points" if row.endpoint in (Endpoint.FAILURES, Endpoint.HARDEST) else "score"
    inner = (at_margin.low, at_margin.high)
    return Cell(*difference, kind=kind, apart=(row.margin, -row.margin), inner=inner)


def row_label(row: Finding) -> tuple[str, str]:
    """Return what a row is called and its CSS class.

    An open row within its margin is called so, but is not green, since its page is not.
    """
    if row.verdict is Verdict.OPEN and row.inside:
        return "Within margin", "inside"
    return row.verdict.label.capitalize(), row.verdict.css_class
