"""The card that heads a page and stands for a result in a notebook: verdict, sentence, groups, gaps."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from fairseg.report.answer import answer_lines
from fairseg.report.audited import Audited
from fairseg.report.charts import badge
from fairseg.report.findings_table import endpoints_table, groups_table
from fairseg.report.templates import render_page
from fairseg.report.text import other_answers


def card_values(result: Audited, notes: Sequence[str]) -> dict[str, Any]:
    """Return what the macro `card` of `parts.html.j2` takes, with notes below its tables."""
    first, *others = result.analyses
    headline, *details = answer_lines(result, first)
    return {
        "css": result.verdict.css_class,
        "answers": [(badge(result.verdict), headline)],
        "details": " ".join(details),
        "tables": [groups_table(result, first), endpoints_table(result, first)],
        "stacked": False,
        "notes": [
            *(
                Markup("{} {}").format(badge(result.judgement.verdicts[one.name]), text)
                for one, text in zip(others, other_answers(result), strict=True)
            ),
            *notes,
        ],
    }


def card_html(result: Audited, notes: Sequence[str]) -> str:
    """Return the card with its own style and without a script, for a notebook."""
    return render_page("card.html.j2", card=card_values(result, notes))
