"""Results do not depend on the order of a table's rows, with names of subjects or without."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import fairseg


def cohort(seed: int) -> pd.DataFrame:
    """Return scores of lumpy and smooth groups, a second attribute and a scanner, named by subject."""
    rng = np.random.default_rng(seed)
    sizes = (41, 25, 14)
    dice = np.concatenate(
        [rng.normal(0.9, 0.03, sizes[0]), 1 - rng.gamma(1, 0.05, sizes[1]), rng.choice([0.3, 0.8, 0.9], 14)]
    )
    return pd.DataFrame(
        {
            "subject": [f"s{number:03d}" for number in range(80)],
            "site": np.repeat(["A", "B", "C"], sizes),
            "sex": rng.choice(["F", "M"], 80),
            "scanner": rng.choice(["one", "two"], 80),
            "dice": dice.clip(0, 1),
        }
    )


def later(table: pd.DataFrame) -> pd.DataFrame:
    """Return scores of a second model."""
    rng = np.random.default_rng(7)
    gains = rng.normal(0.0, 0.03, len(table)) + np.where(table["site"] == "B", 0.04, 0.0)
    return table.assign(dice=(table["dice"] + gains).clip(0, 1))


Judge = Callable[[pd.DataFrame], tuple[str, pd.DataFrame]]


def audited(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Audit by names."""
    result = fairseg.audit(table, by="site", reference="A", also=["sex"], adjust=["scanner"])
    return result.sentence, result.findings


def audited_arrays(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Audit arrays that name nobody."""
    result = fairseg.audit(table["dice"].to_numpy(), groups=table["site"].to_numpy(), reference="A")
    return result.sentence, result.findings


def compared(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Compare two models, the second in another order than the first."""
    models = {"old": table.drop(columns="gain"), "new": table.assign(dice=table["gain"]).drop(columns="gain")}
    result = fairseg.compare(models, by="site", reference="A", adjust=["scanner"])
    return result.sentence, result.findings


@pytest.mark.parametrize("judge", [audited, audited_arrays, compared])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_rows_changes_no_word_and_no_number(judge: Judge, seed: int) -> None:
    table = cohort(seed)
    if judge is compared:
        table = table.assign(gain=later(table)["dice"])
    sentence, findings = judge(table)
    for shuffle in (1, 2):
        other, same = judge(table.sample(frac=1, random_state=shuffle))
        assert other == sentence
        pd.testing.assert_frame_equal(same, findings, rtol=1e-9)
