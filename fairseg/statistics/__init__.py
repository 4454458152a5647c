"""Statistics of the groups' scores: intervals, tests, effect sizes, verdicts, and planning.

`judge_page` judges one model over a whole page, `judge_gains` models beside a baseline; both give findings,
and a `Verdict`. `bootstrap_interval` and `group_intervals` are of measures of group medians; the tests in
`significance`, effect sizes in `effects`. Read `docs/statistics.md` for what was simulated and measured.
"""

import lazy_loader

# The enumeration of verdicts is wanted where SciPy is not.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
