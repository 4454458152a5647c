"""What rows may be of: persons, structures and models that a table does not name; all commands tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.cli import main
from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.scoring import Scores

PEOPLE = 30
TELLS = "if the column 'xid', with 30 values in 60 cases, names the persons"


@pytest.fixture
def images() -> pd.DataFrame:
    """Two images of each of 30 people, whose column is not known."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(PEOPLE), 2)
    return pd.DataFrame(
        {
            "case": [f"c{at}" for at in range(2 * PEOPLE)],
            "xid": 1000 + person * 7,
            "sex": np.where(person % 2, "F", "M"),
            "age": rng.integers(40, 80, PEOPLE)[person],
            "dice": rng.uniform(0.8, 0.9, 2 * PEOPLE),
        }
    )


@pytest.fixture
def structures() -> pd.DataFrame:
    """Two structures of each of 30 people, in a column of any name."""
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "subject": np.repeat([f"p{at}" for at in range(PEOPLE)], 2),
            "vessel": ["aorta", "vena cava"] * PEOPLE,
            "sex": np.repeat(np.where(np.arange(PEOPLE) % 2, "F", "M"), 2),
            "dice": rng.uniform(0.8, 0.9, 2 * PEOPLE),
        }
    )


def test_persons_of_an_unknown_name_are_told_of_everywhere(
    images: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = fairseg.audit(images, by="sex")
    assert TELLS in result.notes[0]
    assert TELLS in caplog.text  # which is seen where the sentence alone is printed
    assert TELLS in repr(result)
    assert "xid" in result._repr_html_()
    assert TELLS in fairseg.compare({"a": images, "b": images.assign(dice=0.8)}, by="sex").notes[0]
    assert TELLS in repr(fairseg.compare({"a": images, "b": images.assign(dice=0.8)}, by="sex"))
    found = fairseg.check(images, by="sex").findings.set_index("kind")
    assert found.loc["doubted", "severity"] == "warning"
    assert "xid" in found.loc["doubted", "what"]
    assert "doubted" in set(fairseg.check(images.drop(columns="dice")).findings["kind"])
    plan = fairseg.plan(images, by="sex", difference=0.02)
    assert TELLS in str(plan)
    assert "30 values in 60 cases" in plan._repr_html_()
    page = result.save(tmp_path / "report").read_text()
    assert "--subject-column" in page
    assert "with 30 values in 60 cases" in page


def test_the_terminal_tells_of_persons(
    images: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images.to_csv(tmp_path / "scores.csv", index=False)
    words = ["report", str(tmp_path / "scores.csv"), "--by", "sex", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert TELLS in " ".join(capsys.readouterr().out.split())
    assert main([*words, "--subject-column", "xid"]) == 0
    assert "names the persons" not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "silent",
    [
        lambda table: fairseg.audit(table, by="sex", subject_column="xid"),
        lambda table: fairseg.audit(table.drop_duplicates("xid"), by="sex"),
        lambda table: fairseg.audit(table.drop(columns="xid"), by="sex"),
        lambda table: fairseg.audit(table.rename(columns={"xid": "eid"}), by="sex"),
    ],
)
def test_no_doubt_where_persons_are_known(
    images: pd.DataFrame, silent: Callable[[pd.DataFrame], Any]
) -> None:
    assert "names the persons" not in repr(silent(images))


def test_a_column_that_groups_are_made_of_is_no_doubt(images: pd.DataFrame) -> None:
    clinics = images.drop(columns="age").assign(xid=np.repeat([f"k{at}" for at in range(12)], 5))
    clinics["sex"] = np.where(clinics["xid"].str[1:].astype(int) % 2, "F", "M")
    assert "xid" in repr(fairseg.audit(clinics, by="sex"))
    assert "names the persons" not in repr(fairseg.audit(clinics, by="sex", also="xid"))
    assert "doubted" not in set(fairseg.check(clinics, by=["sex", "xid"]).findings["kind"])


def test_a_cohort_without_persons_is_told_of(images: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    fairseg.read_cohort(images.drop(columns="dice"))
    assert TELLS in caplog.text


@pytest.mark.parametrize(
    "name", ["class", "Class name", "region", "ROI", "tissue", "segment", "structure_name"]
)
def test_names_of_structures_that_the_rows_confirm(structures: pd.DataFrame, name: str) -> None:
    table = structures.rename(columns={"vessel": name})
    assert Scores.of(table).labels == ["aorta", "vena cava"]
    assert not Scores.of(table).doubts


def test_such_a_name_may_be_an_attribute(structures: pd.DataFrame) -> None:
    """A region of a land has one value a person, and so has a class of disease."""
    table = structures.assign(region=np.repeat(["north", "south", "west"], 20))
    scores = Scores.of(table.assign(case=[f"c{at}" for at in range(len(table))]))
    assert scores.labels == ["all labels"]
    assert "region" in scores.attributes
    assert Scores.of(structures.assign(vessel="aorta").rename(columns={"vessel": "class"})).labels == [
        "all labels"
    ]


def test_structures_of_another_name_are_told_of(structures: pd.DataFrame) -> None:
    told = "30 subjects with several rows are averaged over the column 'vessel' (aorta, vena cava)"
    cases = structures.assign(case=structures["subject"] + structures["vessel"])
    for table in (structures, cases):
        assert Scores.of(table).doubts[0].startswith(told)
        assert told in repr(fairseg.audit(table, by="sex"))
        assert "doubted" in set(fairseg.check(table, by="sex").findings["kind"])
    named = fairseg.audit(structures.rename(columns={"vessel": "label"}), by="sex")  # as the note says
    assert set(named.structures) == {"Overall", "aorta", "vena cava"}
    assert told not in str(named)


@pytest.mark.parametrize("name", ["frame", "Phase", "visit", "eye"])
def test_images_of_a_person_are_averaged_without_a_doubt(structures: pd.DataFrame, name: str) -> None:
    assert not Scores.of(structures.rename(columns={"vessel": name})).doubts


@pytest.mark.parametrize(("name", "one"), [("model", "'a'"), ("Fold", "0"), ("seed", "0")])
def test_models_in_one_table_are_told_of(structures: pd.DataFrame, name: str, one: str) -> None:
    values = ("a", "b") if name == "model" else (0, 1)
    table = structures.rename(columns={"vessel": "label"})
    both = pd.concat([table.assign(**{name: value}) for value in values])
    (doubt,) = Scores.of(both).doubts
    assert (
        f"averaged over {name} ({values[0]}, {values[1]}): judge one, table[table[{name!r}] == {one}]"
        in doubt
    )
    assert doubt[1:] in repr(fairseg.audit(both, by="sex"))


def test_models_and_structures_of_persons_without_names_are_told_of(structures: pd.DataFrame) -> None:
    """Two rows a person, one a model or structure: without names they are counted as two persons."""
    rows = structures.drop(columns="subject").assign(age=np.repeat(np.arange(40, 70), 2))
    for name in ("model", "label", "region", "Network"):
        table = rows.rename(columns={"vessel": name})
        told = f"the rows of each {name} are alike in all attributes"
        assert told in repr(fairseg.audit(table, by="sex"))
        assert told not in repr(fairseg.audit(table.iloc[1:], by="sex"))  # one row less: perhaps others
    assert not Scores.of(rows.rename(columns={"vessel": "method"}).drop(columns=["age", "sex"])).doubts
    assert "alike in all" not in repr(fairseg.audit(rows.assign(fold=[*range(5)] * 12), by="sex"))


def test_rows_that_are_there_twice(structures: pd.DataFrame) -> None:
    table = structures.drop_duplicates("subject").drop(columns="vessel")
    twice = pd.concat([table, table])
    assert "every row of the table stands there 2 times" in Scores.of(twice).doubts[0]
    assert "each is taken for a person" in Scores.of(twice.drop(columns="subject")).doubts[0]
    assert "stands there 2 times" in repr(fairseg.audit(twice, by="sex"))
    assert not Scores.of(table).doubts
    with pytest.raises(ValueError, match=r"row 30 has case p0 again; every row is there several times"):
        Scores.of(twice.rename(columns={"subject": "case"}))


def test_rows_of_a_case_that_differ_in_a_column_say_so(structures: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"row 1 has case p0 again; rows of a case differ in 'vessel'"):
        Scores.of(structures.rename(columns={"subject": "case"}))


def test_pseudonyms_hide_names_in_doubts() -> None:
    table = {"subject": ["anna", "bert", "anna"], "sex": ["F", "M", "F"], "dice": [0.9, 0.8, 0.2]}
    scores = Scores.of(table)
    assert "anna" in scores.doubts[0]
    assert scores.hidden(Pseudonyms(bytes(32))).doubts == (
        "1 subject with several rows of a label, taken as cases of theirs",
    )


def test_distances_in_pixels_among_millimetres_are_told_of(structures: pd.DataFrame) -> None:
    table = structures.rename(columns={"vessel": "label"}).assign(hd=3.0, distance_unit="mm")
    table.loc[:4, "distance_unit"] = "px"  # of the first three subjects, one of one structure only
    told = "3 of 30 cases have distances in pixels, which are left out, as the others are in mm."
    assert told in fairseg.audit(table, by="sex").notes[0]
    assert told in repr(fairseg.audit(table, by="sex"))
    assert told in repr(fairseg.audit(Scores.of(table).to_frame(), by="sex"))
    assert told in repr(fairseg.compare({"a": table, "b": table}, by="sex"))
    assert "in pixels" in " ".join(fairseg.check(table, by="sex").findings["what"])
    assert "left out" not in repr(fairseg.audit(table.assign(distance_unit="px"), by="sex"))
