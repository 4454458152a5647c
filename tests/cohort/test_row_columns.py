"""Columns of any name that name persons, structures or models: those are found, and no others."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairseg.cohort.columns import roles_of
from fairseg.cohort.row_columns import between_rows, persons_column, repeats

Seeded = np.random.Generator


def people(rng: Seeded, number: int) -> pd.DataFrame:
    """One row a person, with all that such tables have beside the person."""
    site, age = rng.integers(0, rng.integers(3, 30), number), rng.integers(40, 80, number)
    return pd.DataFrame(
        {
            "sex": rng.choice(["F", "M"], number),
            "ethnicity": rng.choice(["White", "Black", "Asian"], number, p=[0.7, 0.2, 0.1]),
            "years": age,  # not "age", which is known
            "old": np.where(age < 60, "young", "old"),
            "place": site,
            "land": np.array(["A", "B", "C"])[site % 3],
            "kg": rng.integers(50, 100, number),
            "tall": rng.normal(170, 9, number).round(1),
            "illness": rng.choice(["NOR", "DCM", "HCM", "MINF"], number),
            "seen": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, number // 2, number), "D"),
        }
    )


def with_rows(rng: Seeded, table: pd.DataFrame) -> pd.DataFrame:
    """Several rows a person, and what differs between them."""
    person = np.repeat(np.arange(len(table)), rng.integers(1, 5, len(table)) if rng.random() < 0.5 else 2)
    rows = table.iloc[person].assign(key=(rng.permutation(10**6)[: len(table)])[person])
    frame = np.where(rows.groupby("key").cumcount() % 2, "ES", "ED")
    return rows.assign(
        frame=frame, quality=rng.integers(1, 5, len(rows)), runtime=rng.normal(9, 1, len(rows))
    )


@pytest.mark.parametrize("seed", range(40))
def test_persons_are_found_and_no_other_column_is_taken_for_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = people(rng, int(rng.choice([20, 60, 300])))
    columns = list(table)
    some = ["sex", *rng.choice(columns[1:], int(rng.integers(1, len(columns) - 1)), replace=False)]
    some = [name for name in some if name != "land"] if seed % 2 else some
    assert persons_column(table[some].assign(quality=rng.integers(1, 5, len(table)))) is None
    rows = with_rows(rng, table)
    assert persons_column(rows[["key", "frame", "runtime", *some]]) == "key"


@pytest.mark.parametrize(
    "column",
    [
        ["s1", "s2", "s3", "s4"] * 25,  # few
        np.repeat(np.arange(50) + 0.5, 2),  # a measurement
        np.repeat(pd.date_range("2020-01-01", periods=50), 2),
        [f"2020{1 + day // 28:02d}{1 + day % 28:02d}" for day in range(50) for _ in range(2)],
        np.arange(100),  # each once
        [None] * 90 + ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"],
    ],
)
def test_neither_few_values_nor_measurements_nor_dates_are_persons(column: Any) -> None:
    table = pd.DataFrame({"sex": np.repeat(["F", "M"], 50), "it": column})
    assert persons_column(table) is None
    named = table.assign(it=np.repeat([f"n{at}" for at in range(50)], 2))
    assert persons_column(named) == "it"
    assert persons_column(named.rename(columns={"it": "Scanner"})) is None


@pytest.mark.parametrize(("clinics", "found"), [(7, None), (8, "it")])
def test_persons_are_eight_at_least(clinics: int, found: str | None) -> None:
    place = np.repeat(np.arange(clinics), 5)
    assert persons_column(pd.DataFrame({"it": place, "sex": np.where(place % 2, "F", "M")})) == found


def test_of_an_identifier_within_persons_and_the_persons_it_is_the_finer_one() -> None:
    """A study of two images, two studies a person: to count studies is less wrong than to count images."""
    person, study = np.repeat(np.arange(30), 4), np.repeat(np.arange(60), 2)
    table = pd.DataFrame({"who": person, "exam": study, "sex": np.where(person % 2, "F", "M")})
    assert persons_column(table) == "exam"
    assert persons_column(table.drop(columns="exam")) == "who"


def test_short_names_of_persons_yield_to_longer_ones() -> None:
    for name in ("eid", "PID", "MRN", "person", "subj", "sub", "pat_id"):
        assert roles_of([name, "case", "sex"]) == {name: "subject"}
        assert roles_of([name, "patient_id"]) == {"patient_id": "subject"}
        assert roles_of([name, "subject"]) == {}
    assert roles_of(["uid", "study_id", "case"]) == {}
    with pytest.raises(ValueError, match="one column must be the subject, got eid and mrn"):
        roles_of(["eid", "mrn"])


def test_columns_between_the_rows_of_a_person() -> None:
    keys = np.repeat(np.arange(10), 2)
    table = pd.DataFrame({"vessel": ["A", "B"] * 10, "fold": [0, 1] * 10, "number": [0, 1] * 10, "sex": "F"})
    assert between_rows(table, keys) == ["vessel", "fold"]
    mostly = table.assign(vessel=["A", "B"] * 8 + ["A", "A"] * 2)
    assert between_rows(mostly, keys) == ["fold"]  # told apart in 8 of 10
    names = table.assign(vessel=[f"v{at}" for at in range(20)])
    assert between_rows(names, keys) == ["fold"]  # values that persons do not share
    assert between_rows(table, np.arange(20)) == []


def test_rows_that_are_all_repeated() -> None:
    table = pd.DataFrame({"sex": ["F", "M", "F"], "dice": [0.9, 0.8, None]})
    assert repeats(table) == 1
    assert repeats(pd.concat([table] * 3)) == 3
    assert repeats(pd.concat([table, table.iloc[:2]])) == 1
    assert repeats(pd.concat([table, table, table.iloc[:1]])) == 1  # one of them three times
