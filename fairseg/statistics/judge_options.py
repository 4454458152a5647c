"""The margins, thresholds and floors behind a verdict, stated before the data are seen and checked once."""

from dataclasses import dataclass
from typing import Any

from fairseg.io.arguments import fits

_SHARES = ("margin", "failure_margin", "tail_margin", "median_floor", "failure_floor")
_INNER_SHARES = ("failure_threshold", "failing_median")


@dataclass(frozen=True)
class JudgeOptions:
    """What counts as a relevant gap, as a failure and as a model that works.

    Attributes:
        margin: a difference in the typical case of this size does not matter, in the unit of the scores.
        failure_threshold: a subject whose score is below has failed; a missed structure has Dice 0.
        failure_margin: a difference in failure rates of this size does not matter, as a share.
        tail_margin: the same for the shares of the groups among the hardest tenth of all subjects.
        min_size: groups with fewer subjects are not judged.
        alpha: the chance of any "gap shown" on a page without gaps; also of each one-sided test of a margin.
        permutations: of the subjects, for the control over the page.
        seed: for these.
        median_floor: no verdict is green unless each group's median is shown to be at least this,
        failure_floor: and its failure rate to be at most this.
        failing_median: the model fails for a group whose median is shown to be below this, or that is shown
            to fail in more than half of its subjects.

    Raises:
        ValueError: a value is out of range.

    >>> JudgeOptions(margin=0.03).margin
    0.03
    >>> JudgeOptions(margin=2)
    Traceback (most recent call last):
    ValueError: margin must be above 0 and at most 1, got 2
    """

    margin: float = 0.02
    failure_threshold: float = 0.5
    failure_margin: float = 0.05
    tail_margin: float = 0.10
    min_size: int = 10
    alpha: float = 0.05
    permutations: int = 4999
    seed: int = 0
    median_floor: float = 0.70
    failure_floor: float = 0.15
    failing_median: float = 0.50

    @property
    def floors(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """What medians and what failure rates of groups are compared with."""
        return (self.median_floor, self.failing_median), (self.failure_floor, 0.5)

    def __post_init__(self) -> None:
        for name in _SHARES:
            _check(name, getattr(self, name), "above 0 and at most 1", lambda value: 0 < value <= 1)
        for name in _INNER_SHARES:
            _check(name, getattr(self, name), "between 0 and 1", lambda value: 0 < value < 1)
        _check("alpha", self.alpha, "above 0 and at most 0.2", lambda value: 0 < value <= 0.2)
        for name, least in (("min_size", 2), ("permutations", 99), ("seed", 0)):
            value = getattr(self, name)
            whole = f"a whole number of at least {least}"
            _check(name, value, whole, lambda value, least=least: value == int(value) and value >= least)


def _check(name: str, value: Any, expected: str, holds: Any) -> None:
    right = fits(value, lambda number: abs(number) < float("inf") and holds(number))
    if isinstance(value, bool) or not right:
        raise ValueError(f"{name} must be {expected}, got {value!r}")
