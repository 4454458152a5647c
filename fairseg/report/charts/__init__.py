"""Charts for the page, as SVG in its colours, light and dark; every subject in them has its name.

Make one `Roster` for the page, then charts of arrays with one entry a subject, then put
`Roster.markup()` and `script()` at the end of the page.
"""

from fairseg.report.charts.dot_boxes import dot_boxes
from fairseg.report.charts.forest import ForestRow, badge, forest
from fairseg.report.charts.frame import charts, legend
from fairseg.report.charts.points import bland_altman, scatter
from fairseg.report.charts.subjects import Roster, script, script_policy, spread_evenly

__all__ = [
    "ForestRow",
    "Roster",
    "badge",
    "bland_altman",
    "charts",
    "dot_boxes",
    "forest",
    "legend",
    "scatter",
    "script",
    "script_policy",
    "spread_evenly",
]
