"""How many samples of each group go into each batch: exact integers, carried over from batch to batch.

The shares of the groups are rarely whole numbers of samples. What a batch can not give is owed to the
group, and paid by a later batch before the debt reaches one sample. This is the chairman assignment
problem (Tijdeman, Discrete Mathematics 32, 1980): after any number of batches every group has its share
rounded down or up, whatever the shares and the batch size. Largest remainders alone do not keep that
promise; the rule below, earliest deadline first, does.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
import numpy.typing as npt

# Debts are exact integers: of NumPy while they fit, of Python beyond.
Debts = npt.NDArray[Any]


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
    """Deals out batches of a fixed size to groups with given weights.

    A group that has had x of T samples is owed `weight * T - total * x`, which stays between minus and
    plus `total`, one sample. Debts are the whole state.

    >>> quotas = Quotas([1, 1, 1], batch_size=4)
    >>> quotas.deal(quotas.no_debts(), num_batches=3)[0]
    array([[2, 1, 1],
           [1, 2, 1],
           [1, 1, 2]])
    """

    def __init__(self, weights: Sequence[int], batch_size: int) -> None:
        self.total, self.batch_size = sum(weights), batch_size
        self._exact = np.int64 if self.total * (batch_size + 2) < 2**62 else object
        self._weights: Debts = np.array(weights, dtype=self._exact)

    def no_debts(self) -> Debts:
        """Return the debts before the first batch, (G,)."""
        return np.zeros(len(self._weights), dtype=self._exact)

    def as_debts(self, debts: Sequence[int]) -> Debts:
        """Return saved debts as they were, (G,)."""
        return np.array(debts, dtype=self._exact)

    def deal(
        self, debts: Debts, num_batches: int, order: npt.NDArray[np.intp] | None = None
    ) -> tuple[npt.NDArray[np.int64], Debts]:
        """Return the quotas of the next batches, int64 (num_batches, G), and the debts after them.

        `order` (G,) says which group goes first where it makes no difference to the promise.
        """
        order = np.arange(len(self._weights)) if order is None else order
        weights, due = self._weights[order], debts[order]
        quotas = np.empty((num_batches, len(weights)), dtype=np.int64)
        for quota in quotas:
            due = due + weights * self.batch_size
            whole = np.maximum(due // self.total, 0)  # can not wait: the debt would reach one sample
            due -= whole * self.total
            if left := self.batch_size - int(whole.sum()):
                # Who has not more than its share yet may be served early; first, who must be served first.
                # The sample after next_ of the stream is the last that keeps the promise to the group.
                next_ = (self.total - due - 1) // weights
                early = np.flatnonzero(due > 0)
                first = early[np.argsort(next_[early], kind="stable")[:left]]
                whole[first] += 1
                due[first] -= self.total
            quota[order] = whole
        after = np.empty_like(due)
        after[order] = due
        return quotas, after
