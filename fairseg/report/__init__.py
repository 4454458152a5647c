"""From the scores table to what people read: summary tables, plots, an HTML page.

`summarize` gives the tables as pandas DataFrames; `write_report` writes everything into a folder.
"""

from fairseg.report.page import write_report
from fairseg.report.summary import Summary, summarize

__all__ = ["Summary", "summarize", "write_report"]
