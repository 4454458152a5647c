"""A model card with the results of an audit, in Hugging Face's form: YAML, then Markdown."""

import json
from collections.abc import Sequence

from fairseg.report.analyses import Analysis
from fairseg.report.answer import answer
from fairseg.report.audited import Audited
from fairseg.report.escape import markdown
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.notes import method
from fairseg.report.tables import to_markdown
from fairseg.report.templates import render_text

KIND = "model card"


def model_card(result: Audited, notes: Sequence[str]) -> str:
    """Return the card: verdict and sentences as on the page, the method, groups and comparisons."""
    first, *further = [_answer(result, one) for one in result.analyses]
    parts = [first, *map(markdown, notes), *further]
    tables = [table(result, one) for one in result.analyses for table in (groups_table, endpoints_table)]
    text = render_text(
        "model_card.md.j2",
        metric=json.dumps(result.scores.title),  # as YAML takes it
        model=markdown(result.sections.model),
        answers=parts,
        method=markdown(method(result)),
        tables=to_markdown(tables, level=3).rstrip(),
    )
    return f"{text.strip()}\n"


def _answer(result: Audited, analysis: Analysis) -> str:
    verdict, name = result.judgement.verdicts[analysis.name], markdown(analysis.name)
    return f"**{verdict.label.capitalize()}**, by {name}. {markdown(answer(result, analysis))}"
