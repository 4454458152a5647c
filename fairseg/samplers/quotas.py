"""How many samples of each group go into each batch: exact integers, carried over from batch to batch.

The shares of the groups are rarely whole numbers of samples. The remainder of a batch is carried over, and a
later batch draws it before it reaches one sample. This is the chairman assignment problem (Tijdeman, Discrete
Mathematics 32, 1980): after any number of batches every group has its share rounded down or up, whatever the
shares and the batch size. Largest remainders alone don't guarantee that; the rule below, earliest deadline
first, does. Deadlines are batches, and groups with the same deadline are served in random order, so that
different groups meet in each batch.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
import numpy.typing as npt

# Exact integers: of NumPy while they fit, else of Python.
Remainders = npt.NDArray[Any]


def share_weights(counts: Sequence[int], balance: float) -> list[int]:
    """Return the shares of the groups as integers in the same proportions.

    The share of group g is `balance / G + (1 - balance) * n_g / N`: equal at 1, natural at 0.

    Args:
        counts: samples of each group, all positive, (G,).
        balance: 0 to 1.

    >>> share_weights([30, 10], balance=1.0), share_weights([30, 10], balance=0.0)
    ([1, 1], [3, 1])
    >>> share_weights([30, 10], balance=0.5)
    [5, 3]
    """
    mix, total = Fraction(balance).limit_denominator(10**9), sum(counts)  # 0.3 means 3/10
    shares = [mix / len(counts) + (1 - mix) * Fraction(count, total) for count in counts]
    common = lcm(*(share.denominator for share in shares))
    weights = [int(share * common) for share in shares]
    divisor = gcd(*weights)
    return [weight // divisor for weight in weights]


class Quotas:
    """Divides batches of a fixed size among groups with given weights.

    The remainder of a group that has had x of T samples is `weight * T - total * x`. It stays between minus
    and plus `total`, which is one sample. Remainders are the whole state.

    >>> quotas = Quotas([1, 1, 1], batch_size=4)
    >>> quotas.divide(quotas.no_remainders(), num_batches=3)[0]
    array([[2, 1, 1],
           [1, 2, 1],
           [1, 1, 2]])
    """

    def __init__(self, weights: Sequence[int], batch_size: int) -> None:
        self.total, self.batch_size = sum(weights), batch_size
        self._exact = np.int64 if self.total * (batch_size + 2) < 2**62 else object
        self._due: Remainders = np.array(weights, dtype=self._exact) * batch_size

    def no_remainders(self) -> Remainders:
        """Return the remainders before the first batch, (G,)."""
        return np.zeros(len(self._due), dtype=self._exact)

    def as_remainders(self, saved: Sequence[int]) -> Remainders:
        """Return saved remainders as they were, (G,)."""
        return np.array(saved, dtype=self._exact)

    def divide(
        self, remainders: Remainders, num_batches: int, order: npt.NDArray[np.intp] | None = None
    ) -> tuple[npt.NDArray[np.int64], Remainders]:
        """Return the quotas of the next batches, int64 (num_batches, G), and the remainders after them.

        `order` (num_batches, G) is the order in which each batch serves groups with the same deadline.
        """
        groups = np.arange(len(self._due)) if order is None else order
        order = np.broadcast_to(groups, (num_batches, len(self._due)))
        remainder = remainders.copy()
        quotas = np.empty((num_batches, len(self._due)), dtype=np.int64)
        for quota, first_to_last in zip(quotas, order, strict=True):
            remainder += self._due
            whole = np.maximum(remainder // self.total, 0)  # can't wait: the remainder would reach one sample
            remainder -= whole * self.total
            if slots := self.batch_size - int(whole.sum()):
                # A group that does not have its share yet may be served early. Its deadline is the batch
                # after which its remainder would reach one sample; the earliest deadline comes first.
                early = first_to_last[remainder[first_to_last] > 0]
                deadline = (self.total - remainder[early] - 1) // self._due[early]
                served = early[np.argsort(deadline, kind="stable")[:slots]]
                whole[served] += 1
                remainder[served] -= self.total
            quota[:] = whole
        return quotas, remainder
