"""What a scores table and its groups give reason to note, beside what was left out when it was made."""

import pandas as pd

from fairseg.io.sentences import counted, listed
from fairseg.report.summary import Summary


def notes_on(scores: pd.DataFrame, overall: Summary) -> list[str]:
    """Return what a reader of the report must know of this table, one line each.

    Args:
        scores: the scores table.
        overall: its summary over all labels.
    """
    dice = "" if "dice" in scores else "without Dice there is no SER, no fairness gap and no p: all need it"
    found = (dice, _lacking(scores), _shared(overall), _single(overall))
    return [note for note in found if note]


def _lacking(scores: pd.DataFrame) -> str:
    """Note cases that have no row of a label that other cases have."""
    labels = dict.fromkeys(scores["label"])
    lacking = {}
    for case, found in scores.groupby("case", sort=False)["label"]:
        if missing := labels.keys() - set(found):
            lacking[case] = [label for label in labels if label in missing]
    if not lacking:
        return ""
    cases = listed(f"{case} ({listed(missing)})" for case, missing in lacking.items())
    return (
        f"{counted(len(lacking), 'case')} without a row of a label that other cases have, "
        f"so averaged over fewer labels: {cases}"
    )


def _shared(overall: Summary) -> str:
    """Note subjects with cases in several groups."""
    shared = overall.shared
    if not shared:
        return ""
    who = f"{counted(len(shared), 'subject')} {'is' if len(shared) == 1 else 'are'}"
    return f"{who} in more than one group and counted in each: {listed(shared)}"


def _single(overall: Summary) -> str:
    """Note groups of one subject if most are."""
    single, number = int((overall.counts == 1).sum()), len(overall.groups)
    if 2 * single <= number:
        return ""
    by = " and ".join(overall.groups.attributes)
    return (
        f"by {by}: {single} of {counted(number, 'group')} have one subject only, whose score is their median"
    )
