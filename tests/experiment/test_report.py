"""From scores to page: every figure against a direct computation, and cohorts that leave figures open."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.stats import mannwhitneyu

from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.page import REPORT
from fairseg.experiment.results import Results, box_errors, fallbacks
from fairseg.experiment.study import make_study
from fairseg.training.settings import Settings

ARMS = ("full/baseline", "full/oversampling", "cascade/baseline")


def run(plan: Plan, out: Path, **more: Any) -> tuple[Results, str, str]:
    """Return results, page and tables of an experiment."""
    results = run_experiment(plan, out, engine=InProcess(), **more)
    report = out / REPORT
    return results, (report / "experiment.html").read_text(), (report / "tables.md").read_text()


def rewrite(copy: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change the table of cases."""
    table = change(pd.read_csv(copy / "groups.csv", dtype=str))
    table.to_csv(copy / "groups.csv", index=False)


def row_of(text: str, name: str) -> list[str]:
    """Return the cells of the first row of a Markdown table that begins so."""
    (line, *_) = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def heads_of(text: str) -> list[str]:
    """Return the heads of the first table in Markdown."""
    line = next(line for line in text.splitlines() if line.startswith("|"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_figure_is_that_of_a_direct_computation_from_the_scores(
    data: Path, other: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=ARMS, seeds=2, external=other, also=("sex",))
    results, page, text = run(plan, tmp_path)
    scores = pd.read_csv(tmp_path / REPORT / "scores.csv")
    figures = (
        pd.read_csv(tmp_path / REPORT / "figures.csv")
        .set_index(["key", "seed", "test", "attribute", "structure", "measure", "group"])["value"]
        .sort_index()
    )
    assert figures.index.is_unique
    medians: dict[tuple[str, int, str], pd.Series[float]] = {}
    for attribute in ("group", "sex"):
        for (key, seed, test), part in scores.groupby(["key", "seed", "test"]):
            for structure, rows in [("Overall", part), *part.groupby("label")]:
                by_case = rows.groupby([attribute, "subject", "case"])[["dice", "hd"]].mean()
                subjects = by_case.groupby([attribute, "subject"]).mean()
                result = figures[key, seed, test, attribute, structure]
                median = subjects.groupby(attribute).median()
                for group in median.index:
                    values = subjects.loc[group]
                    low, high = np.percentile(values["dice"], [25, 75])
                    assert result["Subjects", group] == len(values)
                    assert result["Median DSC", group] == pytest.approx(values["dice"].median(), abs=1e-12)
                    assert result["Median HD (mm)", group] == pytest.approx(values["hd"].median(), abs=1e-9)
                    if len(values) > 1:
                        assert result["IQR DSC", group] == pytest.approx(high - low, abs=1e-12)
                errors = 1 - median["dice"]
                assert result["SER", "All"] == pytest.approx(errors.max() / errors.min(), rel=1e-9)
                gaps = median["dice"].max() - median["dice"]
                if attribute == "group":
                    gaps = median["dice"]["White"] - median["dice"].drop("White")
                farthest = gaps.loc[gaps.abs().idxmax()]
                assert result["Fairness gap", "All"] == pytest.approx(farthest, abs=1e-12)
                pair = ("White", "Black") if attribute == "group" else tuple(median.index)
                first, second = (subjects["dice"].get(name, pd.Series(dtype=float)) for name in pair)
                if min(len(first), len(second)) > 1:
                    group = "All" if len(median) == 2 else "Black"
                    p = mannwhitneyu(first, second, alternative="two-sided").pvalue
                    assert result["p (Mann-Whitney U)", group] == pytest.approx(p, rel=1e-9)
                if structure == "Overall" and attribute == "group":
                    medians[str(key), int(seed), str(test)] = median["dice"]
    # What the tables and the page show: means over the two seeds, and from the lower to the higher.
    for key, name in (("full/baseline", "Baseline"), ("full/oversampling", "Oversampling")):
        several = [medians[key, seed, "internal"] for seed in (0, 1)]
        cells = row_of(text, name)
        for group, cell in zip(("White", "Asian", "Black", "Mixed"), cells[1:5], strict=True):
            low, high = sorted(one[group] for one in several)
            assert cell == f"{(low + high) / 2:.3f} ({low:.3f} to {high:.3f})"
            assert f"{(low + high) / 2:.3f}" in page
        white_black = [one["White"] - one["Black"] for one in several]
        assert results.gap(key).mean == pytest.approx(np.mean(white_black), abs=1e-12)
        assert results.gaps(key) == pytest.approx(dict(enumerate(white_black)), abs=1e-12)
        (cell,) = (
            cell for head, cell in zip(heads_of(text), cells, strict=True) if head == "gap (White - Black)"
        )
        assert cell[:6] == f"{np.mean(white_black):+.3f}"
        farthest = [max(abs(one["White"] - one)) for one in several]
        (cell,) = (
            cell for head, cell in zip(heads_of(text), cells, strict=True) if head.startswith("Largest")
        )
        assert cell[:5] == f"{np.mean(farthest):.3f}"
    external = text.split("Table 8")[1]
    pair = [medians["full/baseline", seed, "external"] for seed in (0, 1)]
    assert row_of(external, "Baseline")[1][:5] == f"{np.mean([one['White'] for one in pair]):.3f}"
    assert "0.886 / 0.879 / 0.007" in external
    assert "that of Black, the smallest group that trains, in all tables" in page
    assert "The same arms by sex: median Dice, external test" in page
    (counts,) = re.findall(r'<th scope="row">White</th>((?:<td>\d+</td>)+)</tr>', page)
    assert re.findall(r"\d+", counts) == ["3", "1", "2", "7"]  # training, validation, test, external


def test_table_s4_counts_where_the_first_network_found_nothing(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=("cascade/baseline",), seeds=2)
    results, page, _ = run(plan, tmp_path)
    cases = results.boxes.query("seed == 0")["case"].nunique()
    assert fallbacks(results, "baseline") == (2, 2 * cases)
    assert f"<td>2 of {2 * cases}</td>" in page
    errors = box_errors(results, "baseline")
    assert errors is not None
    boxes = results.boxes.query("seed == 0")
    width = boxes["reference_x"][1:].max() + 10  # the first case, in which nothing was found, is left out
    assert errors[0].mean == pytest.approx(100 * abs(12 + 10 - width) / width)


def test_a_minority_that_nobody_is_left_of_to_test_is_told_and_breaks_nothing(
    copy: Path,
    recipe: Settings,
    tmp_path: Path,
    instant: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def one_only(table: pd.DataFrame) -> pd.DataFrame:
        last = table.loc[table["group"] == "Black", "subject"].iloc[-1]
        table.loc[(table["group"] == "Black") & (table["subject"] != last), "group"] = "White"
        return table

    rewrite(copy, one_only)
    plan = Plan(copy, recipe, only=(*ARMS, "full/reweighting", "balance/*"), seeds=1)
    results, page, text = run(plan, tmp_path / "out", progress=True)
    assert results.study.minority == "Black"
    assert not results.failed
    assert "Trained on, but nobody to test: Black." in page
    assert "Nobody of Black in the internal test: no gap and no p of White and Black there." in page
    assert "There is no Dice of White and Black by the baseline on full images." in page
    assert "nan" not in text
    assert results.gaps("full/baseline") == {}
    message = capsys.readouterr().err
    assert message.startswith("9 arms: 8 trainings and 8 tests to do, 0 done before; 1 at a time, in ")
    assert "[0 of 9 arms] started trainings/full-baseline-seed0-" in message
    assert "[0 of 9 arms] done trainings/full-baseline-seed0-" in message
    assert "[1 of 9 arms] full/baseline, seed 0: Dice " in message
    assert "; no gap\n" in message
    assert "nan" not in message
    assert "[9 of 9 arms] " in message  # balance 1 is oversampling, and is tested once


def test_a_test_set_that_has_not_two_groups_or_not_the_reference_is_told(
    data: Path, other: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    for file in other.iterdir():
        (strange / file.name).symlink_to(file)
    (strange / "groups.csv").unlink()
    table = pd.read_csv(other / "groups.csv", dtype=str)
    plan = Plan(data, recipe, only=ARMS[:1], seeds=1, external=strange, also=("sex",))
    table.assign(group="Black", sex="F").to_csv(strange / "groups.csv", index=False)
    results, page, _ = run(plan, tmp_path / "one")
    assert results.tests == ["internal"]
    assert set(results.scores["test"]) == {"internal", "external"}  # the scores are there all the same
    assert "Fewer than two groups by group in the external test" in page
    assert "Fewer than two groups by sex in the external test" in page
    table.assign(group=table["group"].replace("White", "Green")).to_csv(strange / "groups.csv", index=False)
    results, page, _ = run(plan, tmp_path / "two")
    assert results.groups("external") == ("Black", "Green")
    assert "Nobody of White in the external test: fairness gaps there are of the best group" in page


def test_all_groups_in_one_is_no_experiment_and_an_age_needs_bins(copy: Path, recipe: Settings) -> None:
    plan = Plan(copy, recipe, also=("age",))
    with pytest.raises(ValueError, match=r"'age' has .* numeric levels"):
        make_study(plan)
    study = make_study(replace(plan, also_bins={"age": (60.0,)}))
    assert study.tested["internal", "age"].names == ("age<60", "age>=60")
    (copy / "labelsTs").mkdir()
    (copy / "imagesTs").mkdir()
    mask = next((copy / "labelsTr").iterdir())
    (copy / "labelsTs" / "new.nii.gz").write_bytes(mask.read_bytes())
    with pytest.raises(ValueError, match="at least two groups by group must be tested"):
        make_study(Plan(copy, recipe))


def test_bins_of_another_attribute_make_its_table(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=ARMS[:1], seeds=1, also=("age",), also_bins={"age": (60.0,)})
    _, page, _ = run(plan, tmp_path)
    assert "The same arms by age: median Dice, internal test" in page
    assert "age&lt;60" in page


def test_cases_without_a_row_are_scored_as_of_unknown_group(
    copy: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    tested = (
        make_study(Plan(copy, recipe)).split.query("part == 'test' and group == 'White'")["subject"].iloc[0]
    )
    rewrite(copy, lambda table: table[table["subject"] != tested])
    plan = Plan(copy, recipe, only=ARMS[:1], seeds=1, test_share=0.6)
    results, page, _ = run(plan, tmp_path / "out")
    split = results.study.split.set_index("subject")
    unknown = [name for name in split.index if name.startswith(tested)]
    assert len(unknown) == 2  # without a row, each of its cases is a subject
    assert "2 subjects of unknown group: in no group" in page
    scored = set(results.scores["subject"])
    assert scored == set(split.index[split["part"] == "test"])
    assert scored & set(unknown)
    assert not results.failed


def test_a_folder_of_which_no_case_has_a_row_is_scored_as_of_unknown_group(
    data: Path, other: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in other.iterdir():
        if file.name != "groups.csv":
            (bare / file.name).symlink_to(file)
    table = pd.read_csv(other / "groups.csv", dtype=str)
    table[table["case"].str.startswith("train")].to_csv(bare / "groups.csv", index=False)
    results, _, _ = run(Plan(data, recipe, only=ARMS[:1], seeds=1, external=bare), tmp_path / "out")
    assert not results.failed
    external = results.scores[results.scores["test"] == "external"]
    assert set(external["case"]) == set(table["case"])
    assert external["group"].isna().sum() == 3 * (~table["case"].str.startswith("train")).sum()


def test_figures_of_fewer_seeds_than_were_asked_say_so_and_failures_stand_in_the_tables(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    instant("full-oversampling-seed1")
    results, page, text = run(Plan(data, recipe, only=ARMS, seeds=3), tmp_path)
    assert {(arm.key, arm.seed) for arm in results.failed} == {("full/oversampling", 1)}
    for shown in (page, text):
        assert "Oversampling, 2 of 3 seeds" in shown
        assert "Baseline, " not in shown
    assert "- full/oversampling, seed 1: it \\| broke" in text
    assert "Structures not learned" in page  # so that their gaps are no findings
    assert "closes the gap" not in text


def test_an_experiment_of_which_all_arms_fail_still_says_why(
    data: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    instant("")
    results, page, text = run(Plan(data, recipe, seeds=1), tmp_path, progress=True)
    assert len(results.failed) == len(results.states)
    assert f"{len(results.states)} of {len(results.states)} arms failed" in page
    assert "it \\| broke" in text
    assert "Table" not in text


def test_names_of_a_cohort_are_names_and_neither_marks_nor_formulas(
    copy: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    names = {"White": "<b>|w|</b>", "Black": "=1+1"}
    rewrite(copy, lambda table: table.assign(group=table["group"].replace(names)))
    plan = Plan(copy, recipe, only=(*ARMS[:2], "full/reweighting", "balance/0.5"), seeds=1)
    results, page, text = run(plan, tmp_path / "out")
    assert not results.failed
    assert results.study.counts["=1+1"] == 1
    assert "<b>|w|</b>" not in page
    assert "&lt;b&gt;|w|&lt;/b&gt;" in page
    assert "|w|" not in text.replace("\\|", "")
    assert results.by_seed("full/baseline", "Median DSC", "=1+1").keys() == {0}


def test_an_external_set_may_come_later_but_not_become_another(
    data: Path, other: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    plan = Plan(data, recipe, only=ARMS[:1], seeds=1)
    run(plan, tmp_path / "out")
    _, page, _ = run(replace(plan, external=other), tmp_path / "out")
    assert "Table 8" in page
    assert "Mixed:" not in page
    run(plan, tmp_path / "out")
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in other.iterdir():
        if file.name != "groups.csv":
            (changed / file.name).symlink_to(file)
    (changed / "groups.csv").write_text((other / "groups.csv").read_text().replace("White", "Green"))
    with pytest.raises(ValueError, match=r"begun with other external data: groups\.csv"):
        run(replace(plan, external=changed), tmp_path / "out")


def test_a_reference_mask_without_foreground_leaves_its_subject_without_a_score(
    copy: Path, recipe: Settings, tmp_path: Path, instant: Callable[[str], None]
) -> None:
    study = make_study(Plan(copy, recipe))
    (tested,) = study.split.query("part == 'test' and group == 'Black'")["subject"]
    for frame in ("ED", "ES"):
        file = copy / "labelsTr" / f"{tested}_{frame}.nii.gz"
        sitk.WriteImage(sitk.ReadImage(str(file)) * 0, str(file))
    results, page, text = run(Plan(copy, recipe, only=ARMS[:1], seeds=1), tmp_path / "out")
    assert not results.failed
    assert results.by_seed("full/baseline", "Median DSC", "Black") == {}
    assert results.by_seed("full/baseline", "Subjects without DSC", "Black") == {0: 1.0}
    assert "There is no Dice of White and Black" in page
    assert "nan" not in text


def test_a_group_of_two_attributes_may_be_named_in_any_order(data: Path, recipe: Settings) -> None:
    plan = Plan(data, recipe.with_(by=("sex", "group")), only=ARMS[:1])
    names = list(make_study(plan).counts)
    swapped = [", ".join(reversed(name.split(", "))) for name in names]
    study = make_study(replace(plan, reference=swapped[-1], train_groups=tuple(swapped)))
    assert study.reference == names[-1]
    assert list(study.counts) == names


def test_no_gap_is_told_of_an_arm_that_has_not_learned(
    data: Path,
    recipe: Settings,
    tmp_path: Path,
    instant: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("fairseg.experiment.results.LEARNED", 0.999)
    run(Plan(data, recipe, only=("full/baseline",), seeds=1), tmp_path, progress=True)
    line = next(
        line for line in capsys.readouterr().err.splitlines() if "full/baseline, seed 0: Dice " in line
    )
    assert line.endswith("; not learned")
