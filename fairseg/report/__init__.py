"""From scores to what people read: the answer, tables, figures, a page.

`audit` and `compare` are the front doors (also `fairseg.audit`, `fairseg.compare`); `summarize` gives the
tables of the paper as pandas DataFrames.
"""

from fairseg.report.audit import AuditResult, audit, write_report
from fairseg.report.compare.result import ComparisonResult, compare
from fairseg.report.compare.tables import paper_table
from fairseg.report.planning import PlannedPair, PlanResult, plan
from fairseg.report.preregistration import Preregistration
from fairseg.report.sections import HeartRoles, MaskFolders, ReportSections
from fairseg.scoring.summary import Summary, summarize
from fairseg.scoring.summary_intervals import with_intervals

__all__ = [
    "AuditResult",
    "ComparisonResult",
    "HeartRoles",
    "MaskFolders",
    "PlanResult",
    "PlannedPair",
    "Preregistration",
    "ReportSections",
    "Summary",
    "audit",
    "compare",
    "paper_table",
    "plan",
    "summarize",
    "with_intervals",
    "write_report",
]
