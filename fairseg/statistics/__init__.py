"""Statistics of the groups' scores: intervals, tests, effect sizes, and whether there is enough evidence.

`bootstrap_interval` and `group_intervals` for one model; `judge` for the verdict on every comparison;
`compare_fairness` for two models on the same subjects; the tests in `significance`, effect sizes in
`effects`. Read `docs/statistics.md` for what was simulated and measured.
"""

from fairseg.statistics.effects import cliffs_delta, hodges_lehmann
from fairseg.statistics.equity import equity_interval
from fairseg.statistics.evidence import Evidence, Judgement, judge
from fairseg.statistics.intervals import bootstrap_interval, group_intervals
from fairseg.statistics.limits import Interval
from fairseg.statistics.paired import FairnessChange, compare_fairness
from fairseg.statistics.power import detectable_gaps
from fairseg.statistics.significance import (
    benjamini_hochberg,
    holm,
    kruskal_wallis,
    pairwise_mann_whitney,
    permutation_test,
    wilcoxon_signed_rank,
)

__all__ = [
    "Evidence",
    "FairnessChange",
    "Interval",
    "Judgement",
    "benjamini_hochberg",
    "bootstrap_interval",
    "cliffs_delta",
    "compare_fairness",
    "detectable_gaps",
    "equity_interval",
    "group_intervals",
    "hodges_lehmann",
    "holm",
    "judge",
    "kruskal_wallis",
    "pairwise_mann_whitney",
    "permutation_test",
    "wilcoxon_signed_rank",
]
