"""The card that heads a comparison's page and represents it in a notebook, and the same in a terminal."""

from collections.abc import Sequence

from fairseg.report.card import Card
from fairseg.report.charts import badge
from fairseg.report.compare.answer import model_answer
from fairseg.report.compare.compared import Compared
from fairseg.report.compare.tables import changes_table, models_table
from fairseg.report.tables import Heading, Table, paragraphs
from fairseg.report.tables import to_terminal as tables_to_terminal
from fairseg.report.templates import say

_MOST_CHANGES = 3  # models whose groups have a table on the card
_OF_CHANGES = (0, 3, 4, 5)  # columns: subjects, typical change, how many newly fail and no longer fail


def card_of(result: Compared, notes: Sequence[str]) -> Card:
    """Return the card of a comparison, with notes below its tables."""
    models = result.judgement.models
    alike = len({model.verdict for model in models}) == 1
    answers = [
        (
            badge(one.verdict, (f"{one.model}: {one.verdict.label}", one.verdict.css_class)),
            model_answer(result, one),
        )
        for one in models
    ]
    css = models[0].verdict.css_class if alike else ""
    return Card(css, answers, tables=_tables(result), stacked=True, notes=notes)


def _tables(result: Compared) -> list[Table]:
    """Return the table of all models and, for a few models, that of the changes of each group."""
    models = result.judgement.models[:_MOST_CHANGES]
    changes = [changes_table(result, model) for model in models]
    rows = [
        (Heading(f"{model.model}: {heading.name}", "rule" if number and not row_number else ""), *row)
        for number, (model, table) in enumerate(zip(models, changes, strict=True))
        for row_number, (heading, row) in enumerate(zip(table.rows, table.cells, strict=True))
    ]
    heads = [heading.name for heading in changes[0].columns]
    caption = "What became of each group"
    about = say("about_changes", title=result.scores.title, options=result.options)
    whole = Table.of(caption, heads, rows, corner="Model: group", note=about)
    return [models_table(result), whole.part(_OF_CHANGES)]


def to_terminal(result: Compared, notes: Sequence[str]) -> str:
    """Return the card as text: the verdict and sentence of every model, then notes, then the tables."""
    lines = []
    for model in result.judgement.models:
        lines.append(f"{model.verdict.character} {model.model}: {model.verdict.label}")
        lines.append(model_answer(result, model))
    return f"{paragraphs([*lines, *notes])}\n\n{tables_to_terminal(_tables(result))}"
