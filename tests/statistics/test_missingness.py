"""What is missing by group: counts by hand, tests by SciPy, and the sentences that people read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import fairseg
from fairseg import Groups
from fairseg.cli import main
from fairseg.scoring.table import Scores
from fairseg.statistics.missingness import missingness, missingness_sentences

NAN = float("nan")


def scores_of(rows: list[tuple[str, str, str, str, int, int]], **columns: Any) -> pd.DataFrame:
    named = ["case", "subject", "sex", "label", "prediction_voxels", "reference_voxels"]
    return pd.DataFrame(rows, columns=named).assign(dice=0.5, **columns)


SMALL = scores_of(
    [
        ("a1", "a", "F", "LV", 0, 9),  # missed
        ("a1", "a", "F", "RV", 5, 9),
        ("a2", "a", "F", "LV", 0, 9),  # missed again: one subject
        ("a2", "a", "F", "RV", 5, 0),  # and invented
        ("b1", "b", "F", "LV", 0, 0),  # in neither mask
        ("c1", "c", "M", "LV", 3, 0),  # invented
        ("d1", "d", "M", "LV", 3, 3),
        ("e1", "e", "", "LV", 0, 3),  # missed, but of no group
    ],
    site=["A", "A", None, None, "", "A", "B", "A"],
)


def found_in(scores: pd.DataFrame, by: str = "sex") -> pd.DataFrame:
    groups = Groups.from_table(scores, by=by)
    return missingness(scores, groups.encode(scores), len(groups))


def uneven(counts: dict[str, tuple[int, int]], **columns: Any) -> pd.DataFrame:
    """Return scores of groups of n subjects, in so many of whom the structure is missed."""
    rows = [
        (f"{name}{number}", f"{name}{number}", name, "LV", 0 if number < count else 9, 9)
        for name, (count, n) in counts.items()
        for number in range(n)
    ]
    return scores_of(rows, **columns)


def test_by_hand() -> None:
    found = found_in(SMALL)
    counts = found[["kind", "attribute", "group", "count", "n"]].to_numpy().tolist()
    assert counts == [
        ["structure missed", "", 0, 1, 2],
        ["structure missed", "", 1, 0, 2],
        ["structure invented", "", 0, 1, 2],
        ["structure invented", "", 1, 1, 2],
        ["attribute unknown", "sex", 0, 0, 2],
        ["attribute unknown", "sex", 1, 0, 2],
        ["attribute unknown", "site", 0, 1, 2],
        ["attribute unknown", "site", 1, 0, 2],
        ["group unknown", "", -1, 1, 5],
    ]
    np.testing.assert_allclose(found["share"], found["count"] / found["n"])
    sex = found[found["attribute"] == "sex"]
    assert sex["p"].isna().all()  # a known group has a known attribute
    assert (sex["test"] == "").all()


def test_p_values_are_scipys_and_corrected_by_holm() -> None:
    scores = uneven({"Black": (5, 12), "White": (9, 400)})
    scores["site"] = [None if number % 40 == 1 else "A" for number in range(412)]
    found = found_in(scores)
    missed = found[found["kind"] == "structure missed"]
    expected = stats.fisher_exact([[5, 9], [7, 391]]).pvalue
    assert missed["p"].tolist() == pytest.approx([expected] * 2)
    tested = found[found["p"].notna()].drop_duplicates(["kind", "attribute"])
    assert tested["kind"].tolist() == ["structure missed", "attribute unknown"]
    np.testing.assert_allclose(tested["p_holm"], multipletests(tested["p"], method="holm")[1])
    assert found["p_holm"].isna().tolist() == found["p"].isna().tolist()


def test_the_sentence() -> None:
    found = found_in(uneven({"Black": (5, 12), "White": (9, 400)}))
    assert missingness_sentences(found, ["Black", "White"]) == [
        "Missed structures are not spread evenly: 5 of 12 subjects of Black (42%) against "
        "9 of 400 of White (2%), p < 0.001."
    ]


def test_several_groups_stand_from_most_to_least() -> None:
    counts = {"A": (1, 50), "B": (0, 60), "C": (9, 40), "D": (0, 1), "E": (1, 200), "F": (2, 50)}
    found = found_in(uneven(counts))
    (sentence,) = missingness_sentences(found, list("ABCDEF"))
    assert (
        "9 of 40 subjects of C (22%) against 2 of 50 of F (4%), 1 of 50 of A (2%), "
        "1 of 200 of E (0.5%), 0 of 60 of B (0%), 0 of 1 of D (0%), p < 0.001." in sentence
    )
    assert found["test"].iloc[0] == "Monte Carlo exact test"


def test_attributes_and_inventions_have_sentences_of_their_own() -> None:
    scores = uneven({"F": (0, 30), "M": (0, 30)})
    scores["site"] = [None] * 15 + ["A"] * 45
    scores.loc[50:, "reference_voxels"] = 0
    assert missingness_sentences(found_in(scores), ["F", "M"]) == [
        "Invented structures are not spread evenly: 10 of 30 subjects of M (33%) against "
        "0 of 30 of F (0%), p < 0.001.",
        "Unknown values of site are not spread evenly: 15 of 30 subjects of F (50%) against "
        "0 of 30 of M (0%), p < 0.001.",
    ]


def test_what_is_spread_evenly_is_not_said() -> None:
    assert missingness_sentences(found_in(uneven({"F": (3, 30), "M": (4, 31)})), ["F", "M"]) == []
    assert missingness_sentences(found_in(SMALL), ["F", "M"]) == []


def test_holm_by_hand() -> None:
    scores = uneven({"F": (6, 30), "M": (0, 30)})
    unknown = scores["prediction_voxels"].eq(0)
    scores = scores.assign(**{f"x{number}": np.where(unknown, None, "A") for number in range(3)})
    found = found_in(scores)
    tested = found[found["p"].notna()]
    assert len(set(tested["p"])) == 1
    np.testing.assert_allclose(tested["p_holm"], 4 * tested["p"])  # four equal p-values


def test_correction_can_silence_a_finding() -> None:
    scores = uneven({"F": (6, 30), "M": (0, 30)})
    alone = found_in(scores)
    assert alone["p"].iloc[0] == pytest.approx(stats.fisher_exact([[6, 0], [24, 30]]).pvalue)
    assert len(missingness_sentences(alone, ["F", "M"])) == 1
    among = scores.assign(**{f"x{number}": [None, *["A"] * 59] for number in range(3)})
    found = found_in(among)
    assert found["p"].iloc[0] < 0.05 < found["p_holm"].iloc[0]
    assert missingness_sentences(found, ["F", "M"]) == []


def test_a_table_without_voxels_cannot_tell_what_was_missed() -> None:
    foreign = SMALL.drop(columns=["prediction_voxels", "dice"])
    assert set(found_in(foreign)["kind"]) == {"attribute unknown", "group unknown"}


def test_voxels_that_are_not_stated_count_as_neither() -> None:
    scores = SMALL.astype({"prediction_voxels": float})
    scores.loc[[0, 2], "prediction_voxels"] = NAN
    assert found_in(scores)["count"].iloc[0] == 0


def test_a_cohort_alone_has_its_attributes_counted() -> None:
    found = found_in(pd.DataFrame({"case": list("ab"), "sex": ["F", "M"], "age": ["", "41"]}))
    assert found[["attribute", "count"]].to_numpy().tolist() == [
        ["sex", 0],
        ["sex", 0],
        ["age", 1],
        ["age", 0],
        ["", 0],
    ]


def test_a_subject_in_two_groups_counts_in_both_and_nothing_is_tested() -> None:
    scores = uneven({"F": (8, 10), "M": (0, 10)}).replace({"subject": {"M9": "F0"}})
    found = found_in(scores)
    assert found["n"].tolist()[:2] == [10, 10]
    assert found["count"].tolist()[:2] == [8, 1]
    assert found["p"].isna().all()
    assert missingness_sentences(found, ["F", "M"]) == []


def test_an_absent_group_is_nan_and_in_no_sentence() -> None:
    scores = uneven({"F": (8, 10), "M": (0, 10)})
    ids = np.where(scores["sex"] == "F", 0, 2)
    found = missingness(scores, ids, 3)
    assert found["n"].tolist()[:3] == [10, 0, 10]
    assert np.isnan(found["share"].iloc[1])
    (sentence,) = missingness_sentences(found, ["F", "X", "M"])
    assert "X" not in sentence


def test_nobody_has_a_group() -> None:
    found = missingness(SMALL, np.full(8, -1), 2)
    assert found["n"].tolist() == [0] * 8 + [5]
    assert found["count"].iloc[-1] == 5
    assert missingness_sentences(found, ["F", "M"]) == []


def test_names_must_be_those_of_the_table() -> None:
    with pytest.raises(ValueError, match="names must be one for each group of the table, got 1, not of 1"):
        missingness_sentences(found_in(SMALL), ["F"])
    with pytest.raises(ValueError, match="ids must be one integer a row"):
        missingness(SMALL, [0], 2)


@pytest.mark.parametrize("name", ["{0}", "100%", "of", "a|b"])
def test_odd_names(name: str) -> None:
    found = found_in(uneven({name: (8, 10), "z": (0, 10)}))
    (sentence,) = missingness_sentences(found, sorted([name, "z"]))
    assert f"8 of 10 subjects of {name} (80%)" in sentence


def test_without_voxels_a_dice_of_zero_is_counted() -> None:
    plain = SMALL.drop(columns=["prediction_voxels", "reference_voxels"])
    plain["dice"] = np.where(plain["subject"] == "a", 0.0, 0.5)
    found = missingness(plain, Groups.from_table(plain, by="sex").encode(plain), 2)
    assert set(found["kind"]) == {"Dice of 0", "attribute unknown", "group unknown"}
    assert found.loc[found["kind"] == "Dice of 0", "count"].tolist() == [1, 0]


def test_distances_that_are_missing_where_the_structure_was_found() -> None:
    rows = [(name, 0.9 if number else 0.0) for name in "FM" for number in range(40)]
    table = pd.DataFrame(rows, columns=["sex", "dice"])
    table["case"] = [f"p{number}" for number in range(80)]
    table["hd95"] = np.where((table["sex"] == "F") & (table.index % 40 < 16), NAN, 3.0)
    found = found_in(table.assign(label="LV"))
    lost = found[found["kind"] == "distance missing"]
    assert lost["count"].tolist() == [15, 0]  # one of 16 is a missed structure, which has no distance
    (sentence,) = missingness_sentences(found, ["F", "M"])
    assert sentence.startswith("Missing distances are not spread evenly: 15 of 40 subjects of F")
    alone = found_in(table.drop(columns="dice").assign(label="LV"))
    assert alone[alone["kind"] == "distance missing"]["count"].tolist() == [16, 0]


def test_distances_left_out_for_their_unit_are_not_called_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    sex = np.array(["M", "M", *["F", "M"] * 40])
    unit = np.where(sex == "F", "px", "mm")
    table = {"case": [f"c{n}" for n in range(82)], "sex": sex, "dice": rng.uniform(0.8, 0.9, 82)}
    scores = pd.DataFrame({**table, "label": "LV", "hd95": rng.uniform(1, 9, 82), "distance_unit": unit})
    path, out = tmp_path / "scores.csv", tmp_path / "out"
    scores.to_csv(path, index=False)
    assert main(["report", str(path), "--by", "sex", "--out", str(out)]) == 0
    result = fairseg.audit(scores, by="sex")
    shown = [repr(result), capsys.readouterr().out, (out / "report.html").read_text()]
    for text in (" ".join(one.split()) for one in shown):
        assert "Missing distances" not in text
        assert "left out because they are in pixels, and others in mm" in text
    lost = scores.copy()
    lost.loc[lost.index[sex == "M"][:20], "hd95"] = NAN  # these are missing
    read = Scores.of(lost).table
    found = missingness(read, read["sex"])
    of_kind = {kind: rows["count"].tolist() for kind, rows in found.groupby("kind")}
    assert of_kind["distance in pixels left out"] == [40, 0]
    assert of_kind["distance missing"] == [0, 20]
    few = missingness_sentences(found.assign(p_holm=1.0), tolerated=0.5)
    assert few == ["Distances left out because they are in pixels, and others in mm: 40 of 40 subjects of F "
                   "(100%), 0 of 42 of M (0%)."]  # fmt: skip
