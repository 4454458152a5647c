"""From the scores table to what people read: summary tables, plots, an HTML page.

`summarize` gives the tables as pandas DataFrames; `write_report` writes everything into a folder;
`write_comparison` does so for several models side by side.
"""

from fairseg.report.certainty import Judging, with_evidence
from fairseg.report.clinical import Roles
from fairseg.report.compare.comparison import Comparison, compare_models
from fairseg.report.compare.page import write_comparison
from fairseg.report.compare.table import paper_table
from fairseg.report.compare.text import comparison_to_terminal
from fairseg.report.page import Extras, write_report
from fairseg.report.summary import Summary, summarize
from fairseg.report.worst import Files

__all__ = [
    "Comparison",
    "Extras",
    "Files",
    "Judging",
    "Roles",
    "Summary",
    "compare_models",
    "comparison_to_terminal",
    "paper_table",
    "summarize",
    "with_evidence",
    "write_comparison",
    "write_report",
]
