"""Readings whose AUCs are given, for what is said of them."""

from fairseg.understanding.readability import Reading, Readings


def readings(*, apart: float = 0.1, **aucs: float) -> Readings:
    """Return readings of one group, shown from 0.7 on, with limits so far apart on both sides."""
    rows = [
        Reading(name.replace("_", " "), "B", 40, 40, auc, auc - apart, min(auc + apart, 1.0), 0.7, p, p)
        for name, auc in aucs.items()
        for p in (0.001 if auc >= 0.7 else 0.5,)
    ]
    return Readings(tuple(rows), {})
