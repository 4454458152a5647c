"""The result of an audit in plain characters: the answer, the groups, every comparison, what to know."""

import textwrap
from collections.abc import Sequence

from fairseg.report.answer import answer
from fairseg.report.audited import Audited
from fairseg.report.escape import plain
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.tables import grid
from fairseg.report.tables import to_terminal as tables_to_terminal

_LETTERS = 100  # of a line


def small_table(result: Audited) -> str:
    """Return the groups of the attribute that was asked about, one a row."""
    return grid(groups_table(result, result.analyses[0]))


def other_answers(result: Audited) -> list[str]:
    """Return the answer for each further attribute."""
    return [f"By {one.name}: {answer(result, one)}" for one in result.analyses[1:]]


def to_terminal(result: Audited, notes: Sequence[str]) -> str:
    """Return the card of the page as text: verdict, sentence, groups and comparisons, in the same order."""
    first = result.analyses[0]
    verdict = result.verdict
    lines = [f"{verdict.character} {verdict.label.capitalize()}", answer(result, first)]
    lines += notes
    lines += other_answers(result)
    text = "\n\n".join(textwrap.fill(plain(line), _LETTERS) for line in lines)
    tables = tables_to_terminal([groups_table(result, first), endpoints_table(result, first)])
    return f"{text}\n\n{tables}"
