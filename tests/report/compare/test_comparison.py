"""Several models side by side: hand-worked medians and gaps, files, names that must be made safe."""

from pathlib import Path

import pandas as pd
import pytest

from fairseg import Groups
from fairseg.report import compare_models, comparison_to_terminal, write_comparison

MEN, WOMEN = [0.90, 0.92, 0.94], [0.80, 0.84, 0.88]


def scores(women: list[float], label: str = "LV") -> pd.DataFrame:
    rows = [("M", value) for value in MEN] + [("F", value) for value in women]
    return pd.DataFrame(
        {"case": f"c{n}", "subject": f"s{n}", "sex": sex, "label": label, "dice": value, "hd": 10 - value}
        for n, (sex, value) in enumerate(rows)
    )


def groups(table: pd.DataFrame) -> Groups:
    return Groups.from_table(table, by="sex")


def test_medians_and_gaps_are_those_worked_by_hand() -> None:
    before, after = scores(WOMEN), scores([0.89, 0.91, 0.93])
    found = compare_models({"before": before, "after": after}, groups(before), reference="M")
    table = found.tables["Overall"]
    assert list(table.index) == ["before", "after"]
    assert table["Median DSC", "F"].tolist() == pytest.approx([0.84, 0.91])
    assert table["Median DSC", "M"].tolist() == pytest.approx([0.92, 0.92])
    assert table["IQR DSC", "M"].tolist() == pytest.approx([0.02, 0.02])
    assert table["Fairness gap", ""].tolist() == pytest.approx([0.08, 0.01])
    assert table["SER", ""].tolist() == pytest.approx([2.0, 0.09 / 0.08])
    assert list(found.tables) == ["Overall", "LV"]


def test_every_gap_stands_beside_the_dice_of_every_group() -> None:
    table = scores(WOMEN)
    text = comparison_to_terminal(compare_models({"one": table}, groups(table), reference="M"))
    for shown in ("0.840", "0.920", "0.080", "Fairness gap", "DSC, F", "DSC, M"):
        assert shown in text
    assert "0.080 (" not in text  # only medians have a spread


def test_three_groups_have_a_gap_and_a_p_value_each() -> None:
    table = scores(WOMEN)
    third = pd.DataFrame(
        {"case": f"x{n}", "subject": f"x{n}", "sex": "X", "label": "LV", "dice": value, "hd": 1.0}
        for n, value in enumerate([0.5, 0.6, 0.7])
    )
    table = pd.concat([table, third], ignore_index=True)
    found = compare_models({"one": table}, groups(table), reference="M")
    row = found.tables["Overall"].loc["one"]
    assert row["Fairness gap", "F"] == pytest.approx(0.08)
    assert row["Fairness gap", "X"] == row["Fairness gap", ""] == pytest.approx(0.32)
    assert row["p (Mann-Whitney U)", "X"] == pytest.approx(0.1)  # 2 of the 20 ways to draw 3 of 6
    text = comparison_to_terminal(found)
    assert "reference: M" in text
    for shown in ("Fairness gap, X", "Fairness gap, largest", "p, F", "p, X", "under All that of"):
        assert shown in text
    unreferenced = comparison_to_terminal(compare_models({"one": table}, groups(table)))
    assert "\np " not in unreferenced  # no test, no empty row for it
    assert "largest that of" not in unreferenced


def test_a_two_group_table_names_no_column_that_it_lacks() -> None:
    table = scores(WOMEN)
    text = comparison_to_terminal(compare_models({"one": table}, groups(table), reference="M"))
    assert "under" not in text
    assert "\np " in text


def test_scores_without_dice_are_compared_by_what_they_have(tmp_path: Path) -> None:
    table = scores(WOMEN).drop(columns="dice")
    found = write_comparison({"one": table, "two": table}, groups(table), tmp_path, reference="M")
    assert {measure for measure, _ in found.tables["Overall"].columns} == {"Median HD (mm)", "IQR HD (mm)"}
    assert "HD (mm)" in (tmp_path / "comparison.svg").read_text()


def test_the_folder_holds_page_table_and_figure(tmp_path: Path) -> None:
    names = ["<b>a|b</b>", 'c, "d" & $e$']
    tables = {name: scores(WOMEN) for name in names}
    found = write_comparison(tables, groups(tables[names[0]]), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"comparison.{kind}" for kind in ("html", "csv", "md", "svg", "tex")
    }
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "<b>a" not in page
    assert "&lt;b&gt;a|b&lt;/b&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    long = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert set(long["model"]) == set(names)
    gap = long[(long["measure"] == "Fairness gap") & (long["structure"] == "Overall")]["value"]
    assert gap.tolist() == pytest.approx(found.tables["Overall"]["Fairness gap", ""].tolist())


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "at least one model"),
        ({"a": scores(WOMEN), "b": scores(WOMEN[:2])}, "b and a were not scored on the same cases: c5"),
        ({"a": scores(WOMEN), "b": scores(WOMEN, "RV")}, "b was scored on the labels RV, a on LV"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(tables: dict[str, pd.DataFrame], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compare_models(tables, groups(scores(WOMEN)))


def test_another_subject_group_or_unit_is_refused() -> None:
    table = scores(WOMEN)
    person, sex, unit = table.copy(), table.copy(), table.copy()
    person.loc[0, "subject"] = "s9"
    sex.loc[5, "sex"] = "M"
    unit["distance_unit"] = "px"
    for other, said in (
        (person, "b and a name different subjects for the cases c0"),
        (sex, "b and a put cases into different groups by sex: c5"),
        (unit, "the distances of b are in px, those of a in mm"),
    ):
        with pytest.raises(ValueError, match=said):
            compare_models({"a": table, "b": other}, groups(table))
    with pytest.raises(ValueError, match="baseline must be one of the models a, b, got 'c'"):
        compare_models({"a": table, "b": table}, groups(table), baseline="c")


def test_a_metric_that_not_all_models_have_is_left_out_with_a_note() -> None:
    table = scores(WOMEN)
    found = compare_models({"a": table, "b": table.drop(columns="hd")}, groups(table))
    assert "hd is left out: only a of 2 models has it" in found.notes
    assert ("Median HD (mm)", "M") not in found.tables["Overall"].columns
    assert "hd" in table
    with pytest.raises(ValueError, match="a metric in common: a has dice; b has hd"):
        compare_models({"a": table.drop(columns="hd"), "b": table.drop(columns="dice")}, groups(table))


def test_labels_may_stand_in_another_order() -> None:
    left, right = scores(WOMEN, "LV"), scores([0.7, 0.7, 0.7], "RV")
    found = compare_models(
        {"a": pd.concat([left, right]), "b": pd.concat([right, left])}, groups(left), reference="M"
    )
    assert list(found.tables) == ["Overall", "LV", "RV"]
    for structure, table in found.tables.items():
        assert table.loc["a"].tolist() == pytest.approx(table.loc["b"].tolist(), nan_ok=True), structure


def test_the_rows_of_the_tables_may_stand_in_another_order() -> None:
    table = scores(WOMEN)
    found = compare_models({"a": table, "b": table.sample(frac=1, random_state=0)}, groups(table))
    change = found.changes["Overall"]["b"].found.changes
    assert [interval.estimate for interval in change] == [0.0, 0.0]
    assert found.values("Overall")["a"].tolist() == found.values("Overall")["b"].tolist()
