"""The card that heads a page and represents a result in a notebook; that of an audit as text, and for models.

A model card has Hugging Face's form: YAML, then Markdown.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fairseg.report.analyses import Analysis
from fairseg.report.answer import answer, answer_lines
from fairseg.report.audited import Audited
from fairseg.report.charts import badge
from fairseg.report.escape import markdown
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.notes import method
from fairseg.report.tables import Table, paragraphs, to_markdown
from fairseg.report.tables import to_terminal as tables_to_terminal
from fairseg.report.templates import render_page, render_text

MODEL_CARD = "model card"


@dataclass(frozen=True)
class Card:
    """What the macro `card` of `parts.html.j2` takes.

    Attributes:
        css: class of its colour.
        answers: badge and sentence of each.
        details: the other sentences of the answer.
        tables: below the answers.
        stacked: whether the tables stand below each other.
        notes: what a reader must know, one line each.
    """

    css: str
    answers: Sequence[tuple[Markup, str]]
    details: str = ""
    tables: Sequence[Table] = ()
    stacked: bool = False
    notes: Sequence[str] = ()

    def html(self) -> str:
        """Return the card with its own style and without a script, for a notebook."""
        return render_page("card.html.j2", card=self)


def card_of(result: Audited, notes: Sequence[str]) -> Card:
    """Return the card of an audit, with notes below its tables: verdict, sentence, groups, comparisons."""
    first, *other_analyses = result.analyses
    headline, *details = answer_lines(result, first)
    further = [
        Markup("{} {}").format(badge(result.judgement.verdicts[one.name]), text)
        for one, text in zip(other_analyses, other_answers(result), strict=True)
    ]
    return Card(
        result.verdict.css_class,
        [(badge(result.verdict), headline)],
        " ".join(details),
        [groups_table(result, first), endpoints_table(result, first)],
        notes=[*further, *notes],
    )


def other_answers(result: Audited) -> list[str]:
    """Return the answer for each further attribute."""
    return [f"By {one.name}: {answer(result, one)}" for one in result.analyses[1:]]


def to_terminal(result: Audited, notes: Sequence[str]) -> str:
    """Return the card as text."""
    first = result.analyses[0]
    verdict = f"{result.verdict.character} {result.verdict.label.capitalize()}"
    text = paragraphs([verdict, answer(result, first), *notes, *other_answers(result)])
    tables = tables_to_terminal([groups_table(result, first), endpoints_table(result, first)])
    return f"{text}\n\n{tables}"


def model_card(result: Audited, notes: Sequence[str]) -> str:
    """Return the model card: verdict and sentences as on the page, the method, groups and comparisons."""
    first, *further = [_of_model_card(result, one) for one in result.analyses]
    tables = [table(result, one) for one in result.analyses for table in (groups_table, endpoints_table)]
    text = render_text(
        "model_card.md.j2",
        metric=json.dumps(result.scores.title),  # as YAML takes it
        model=markdown(result.sections.model),
        answers=[first, *map(markdown, notes), *further],
        method=markdown(method(result)),
        tables=to_markdown(tables, level=3).rstrip(),
    )
    return f"{text.strip()}\n"


def _of_model_card(result: Audited, analysis: Analysis) -> str:
    verdict, name = result.judgement.verdicts[analysis.name], markdown(analysis.name)
    return f"**{verdict.label.capitalize()}**, by {name}. {markdown(answer(result, analysis))}"
