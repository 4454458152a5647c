"""Two models and more: what must never be said of them, by kind; and which rows belong together."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg import Verdict
from fairseg.io.outputs import MANIFEST
from fairseg.report.compare.answer import _Content, model_answer
from fairseg.report.compare.card import to_terminal
from fairseg.report.compare.tables import models_table, paper_tables
from fairseg.report.templates import say
from fairseg.statistics.gain_findings import PairGains
from fairseg.statistics.gain_reasons import GainReasonKind
from fairseg.statistics.verdicts import Endpoint

SIZES = {"A": 100, "B": 100}


def table(seed: int = 0, gap: float = 0.04, sizes: dict[str, int] = SIZES, **more: Any) -> pd.DataFrame:
    """Return one score a subject; B is behind A by the gap."""
    rng = np.random.default_rng(seed)
    group = np.repeat(list(sizes), list(sizes.values()))
    dice = 0.92 - gap * (group == "B") + rng.normal(0, 0.015, len(group))
    subject = [f"s{index:03}" for index in range(len(group))]
    return pd.DataFrame({"subject": subject, "group": group, "dice": dice.clip(0, 1), **more})


def changed(base: pd.DataFrame, **gains: float) -> pd.DataFrame:
    """Return a second model: every subject of a group gains as much, give or take."""
    rng = np.random.default_rng(1)
    gain = base["group"].map(gains).fillna(0.0) + rng.normal(0, 0.003, len(base))
    return base.assign(dice=(base["dice"] + gain).clip(0, 1))


def judged(base: pd.DataFrame, other: pd.DataFrame, **options: Any) -> Any:
    return fairseg.compare({"base": base, "other": other}, by="group", reference="A", **options)


def test_a_model_that_newly_fails_a_quarter_of_a_group_is_harm_however_the_median_rises() -> None:
    base = table()
    other = changed(base, B=0.03)
    other.loc[other.index[other["group"] == "B"][:25], "dice"] = 0.3
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.HARM}
    (row,) = [row for row in result.changes.to_dict("records") if row["group"] == "B"]
    assert (row["newly_failing"], row["rescued"], row["n"]) == (25, 0, 100)
    assert "25 of 100" in result.sentence
    assert "fairer" not in result.sentence


def test_models_are_compared_on_the_cases_that_both_have_scores_of() -> None:
    """A copy of a model that leaves out the bad cases of one group gains nothing."""
    rng = np.random.default_rng(1)
    base = pd.concat([table(), table(1)], ignore_index=True).assign(label="LV")
    base["case"] = [f"{subject}_{index // 200}" for index, subject in enumerate(base["subject"])]
    base["dice"] = rng.normal(0.92, 0.01, 400)
    bad = (base["group"] == "B") & (rng.random(400) < 0.2)
    base.loc[bad, "dice"] = 0.4
    scored = base["dice"].mask(bad)
    lacking = {"rows": base[~bad], "scores": base.assign(dice=scored)}
    for other in lacking.values():
        for models in ((base, other), (other, base)):
            result = judged(*models)
            assert result.verdicts == {"other": Verdict.OPEN}
            (pair,) = result.judgement.of("other").pairs
            assert pair.typical.gain.estimate == 0
            kinds = {GainReasonKind.DROPPED_SUBJECTS, GainReasonKind.UNPAIRED}
            assert kinds & {reason.kind for reason in pair.reasons}
    both = judged(base.assign(dice=scored), base.assign(dice=scored))
    assert both.verdicts == {"other": Verdict.OPEN}  # though each subject has another case
    assert "more subjects of B than of the others have a case without a score" in both.sentence


@pytest.mark.parametrize(("without", "too_many"), [(20, False), (21, True)])
def test_who_lost_one_case_of_two_is_counted_among_the_group_once(without: int, too_many: bool) -> None:
    """5 % of 400 are 20 subjects."""
    sizes = {"A": 400, "B": 400}
    visits = [table(visit, sizes=sizes).assign(visit=str(visit)) for visit in (1, 2)]
    base = pd.concat(visits, ignore_index=True)
    base["case"] = base["subject"] + base["visit"]
    index = base["subject"].str[1:].astype(int)
    lost = (base["visit"] == "2") & (index % 400 < without)
    other = changed(base, B=0.03)
    (pair,) = judged(base, other.assign(dice=other["dice"].mask(lost))).judgement.of("other").pairs
    assert (GainReasonKind.DROPPED_SUBJECTS in {one.kind for one in pair.reasons}) == too_many


def test_who_lost_nothing_is_not_counted_where_others_lost_a_structure() -> None:
    """Some of A lack the RV in both models; that a fifth of B loses it with one moves the level of all."""
    parts = [table(gap=gap).assign(label=label) for label, gap in (("LV", 0.0), ("RV", 0.03))]
    base = pd.concat(parts, ignore_index=True).assign(case=lambda rows: rows["subject"])
    index, is_rv = base["subject"].str[1:].astype(int), base["label"] == "RV"
    base.loc[is_rv & (index < 10), "dice"] = np.nan
    other = base.assign(dice=base["dice"].mask(is_rv & (index >= 180)))
    changes = {
        (one.group, one.structure): one.dropped for one in judged(base, other).judgement.of("other").changes
    }
    assert changes == {
        ("A", "Overall"): 0,
        ("A", "LV"): 0,
        ("A", "RV"): 0,
        ("B", "Overall"): 20,
        ("B", "LV"): 0,
        ("B", "RV"): 20,
    }


def test_scores_that_both_models_lack_more_often_in_one_group_are_no_absence_of_change() -> None:
    base = table(sizes={"A": 200, "B": 200}, gap=0.0)
    base.loc[base.index[200:280], "dice"] = np.nan
    result = judged(base, base)
    assert result.verdicts == {"other": Verdict.OPEN}
    assert "80 of 200 subjects of B lack a score" in result.sentence
    skipped = base.assign(label="LV", case=base["subject"], skipped=None)
    skipped.loc[skipped.index[200:280], ["label", "skipped"]] = None, "no prediction"
    assert judged(skipped, skipped).verdicts == {"other": Verdict.OPEN}


@pytest.mark.parametrize(
    ("metric", "shift", "worse", "apart"),
    [
        ("hd95", {"B": 6.0}, ["B"], ["B", "A"]),  # farther is worse
        ("hd95", {"A": -3.0}, [], ["B", "A"]),  # what is better for one group alone
        ("hd95", {"A": 1.0, "B": 1.0}, ["A", "B"], []),
        ("hd95", {}, [], []),
        ("nsd", {"A": -0.05}, ["A"], ["A", "B"]),  # less is worse
        ("nsd", {"A": 0.05, "B": 0.05}, [], []),
        ("volume_error", {"A": -0.3}, ["A"], ["A", "B"]),  # too small is as wrong as too large
    ],
)
def test_another_metric_than_the_one_judged_by_is_told_wherever_the_answer_is(
    metric: str, shift: dict[str, float], worse: list[str], apart: list[str]
) -> None:
    base = table()
    rng = np.random.default_rng(3)
    base["hd95"], base["nsd"] = rng.uniform(5, 9, 200), rng.uniform(0.6, 0.9, 200)
    base["volume_error"] = 0.1
    noise = rng.normal(0, 0.01, 200)
    result = judged(base, base.assign(**{metric: base[metric] + base["group"].map(shift).fillna(0) + noise}))
    assert result.verdict is Verdict.SAME
    told = [note for note in result.notes if note.startswith("Beside the verdict")]
    title = {"hd95": "HD95 (mm)", "nsd": "NSD", "volume_error": "Volume error, size"}[metric]
    parts = [f"{group} is on balance worse off than with base" for group in worse]
    parts += ["the change favours {1} over {0}".format(*apart)] if apart else []
    assert len(told) == bool(parts)
    for note in told:
        assert note.startswith(f"Beside the verdict, {title}: with other, {parts[0]}")
        assert note.count(";") == len(parts) - 1
        assert all(part in note for part in parts)
        for text in (repr(result), result._repr_html_(), to_terminal(result, result.notes)):
            assert note[:40] in " ".join(text.split())


def test_subjects_who_lose_another_metric_are_counted() -> None:
    base = table().assign(hd95=np.random.default_rng(1).uniform(5, 9, 200))
    lost = base.assign(hd95=base["hd95"].mask(base.index.isin(range(100, 112)) | (base.index < 5)))
    (note,) = (one for one in judged(base, lost).notes if one.startswith("Beside"))
    assert note.endswith("with other, 12 of 100 subjects of B have none any more.")  # 5 of A are 5 %


def test_what_most_subjects_do_not_tell_is_no_absence_of_change_and_no_praise() -> None:
    """A third of a group gains much, or a third of the group behind loses just less than "much"."""
    base = table(sizes={"A": 200, "B": 200}, gap=0.03)
    rng = np.random.default_rng(5)
    every_third = np.arange(400) % 3 == 0
    noise = rng.normal(0, 0.005, 400)
    widened = base.assign(dice=base["dice"] - 0.12)
    wider = widened.assign(dice=widened["dice"] + 0.12 * (every_third & (base["group"] == "A")) + noise)
    result = judged(widened, wider)
    (pair,) = result.judgement.of("other").pairs
    assert pair.typical is not None
    assert pair.typical.inside  # the shift of gains is small
    assert pair.typical.means_differ
    assert not pair.typical.means_oppose
    assert result.verdict in (Verdict.LESS_FAIR, Verdict.OPEN)
    mixed = np.where(every_third, -0.085, 0.05) * (base["group"] == "B")
    result = judged(base, base.assign(dice=base["dice"] + mixed + noise))
    assert result.verdict is Verdict.MOVED
    (pair,) = result.judgement.of("other").pairs
    assert GainReasonKind.MEANS_DIFFER in {one.kind for one in pair.reasons}


def test_those_of_unknown_group_who_newly_fail_bar_praise_and_are_counted() -> None:
    base = table(sizes={"A": 100, "B": 100, "?": 60})
    base["group"] = base["group"].replace("?", None)
    for gain, verdict in ((0.04, Verdict.MOVED), (0.0, Verdict.OPEN)):
        other = changed(base, B=gain)
        other.loc[200:, "dice"] = 0.3
        result = judged(base, other)
        assert result.verdict is verdict
        assert "60 of 60 subjects of unknown group newly fail" in result.sentence
        assert any("60 subjects without a known group" in note for note in result.notes)
    assert judged(base, changed(base, B=0.04)).verdict is Verdict.FAIRER


def test_a_model_does_not_fail_because_its_baseline_does() -> None:
    poor, good = table().assign(dice=0.2), table(1)
    result = judged(poor, good)
    assert result.verdict is Verdict.NOT_JUDGED
    assert "base fails for everyone" in result.sentence
    assert "other fails" not in result.sentence
    assert judged(good, poor).verdict is Verdict.FAILS
    assert "the model fails" not in result._repr_html_().lower()


def test_models_without_a_metric_in_common_have_nothing_beside_the_verdict(tmp_path: Path) -> None:
    base = table().assign(hd95=5.0)
    for other in (table(1), table(1).assign(hd=7.0)):
        for pair in ((base, other), (other, base)):
            result = judged(*pair)
            assert not any(note.startswith("Beside") for note in result.notes)
            result.save(tmp_path)


def test_the_table_of_gaps_names_who_is_behind_first() -> None:
    base = table(gap=-0.04)  # A is behind
    result = judged(base, changed(base, A=0.03))
    shown_table = models_table(result)
    assert shown_table.rows[0].name == "other: A against B"
    before, after, gain = (float(cell.value) for cell in shown_table.cells[0][1:])
    assert (before, after, gain) == pytest.approx((0.04, 0.01, 0.03), abs=0.006)
    assert result.judgement.of("other").pairs[0].typical.gain.estimate == -gain


def test_gains_are_compared_within_strata_where_something_is_held_fixed() -> None:
    """Who is on scanner y gains, where most of B is; nobody gains more than those who are alike."""
    scanner = np.repeat(["x", "y", "x", "y"], [75, 25, 25, 75])
    base = table(scanner=scanner, age=np.arange(200) % 60)
    other = changed(base)
    other["dice"] = (other["dice"] + 0.04 * (scanner == "y")).clip(0, 1)
    result = judged(base, other, adjust="scanner")
    assert judged(base, other).verdicts == {"other": Verdict.FAIRER}
    assert result.verdicts == {"other": Verdict.MOVED}
    typical = result.findings.query("endpoint == 'typical case'")
    assert typical["adjusted"].tolist() == [False, True]
    assert typical["gain"].round(2).tolist()[1] == 0
    assert "With scanner held fixed, " in result.sentence
    assert "B against A, scanner held fixed" in to_terminal(result, result.notes)
    bins = {"age": [20, 40]}
    assert "With age held fixed, " in judged(base, other, adjust="age", bins=bins).sentence
    assert "With age (in fifths) held fixed, " in judged(base, other, adjust="age").sentence
    with pytest.raises(ValueError, match="adjust: 'group' makes the groups"):
        judged(base, other, adjust="group")


def test_a_page_of_subjects_who_lack_a_structure_is_written(tmp_path: Path) -> None:
    base = pd.concat([table(sizes={"A": 20, "B": 20}).assign(label=label) for label in ("LV", "RV")])
    base = base[(base["label"] == "LV") | ~base["subject"].str.endswith(("0", "5"))]
    page = judged(base, changed(base.reset_index(drop=True), B=0.02)).save(tmp_path)
    assert "<h3>RV</h3>" in page.read_text(encoding="utf-8")


def test_a_model_beside_itself_changes_nothing_at_all() -> None:
    result = judged(table(), table())
    assert result.verdicts == {"other": Verdict.SAME}
    assert np.abs(result.findings[["gain", "low", "high"]].to_numpy()).max() == 0
    assert np.abs(result.changes[["change", "low", "high"]].to_numpy()).max() == 0


def test_a_gain_of_one_group_is_found_to_be_as_large_as_it_is() -> None:
    base = table()
    other = base.assign(dice=base["dice"] + np.where(base["group"] == "B", 0.011, 0.0))
    row = judged(base, other).findings.iloc[0]
    assert row["gain"] == pytest.approx(0.011, abs=1e-6)
    assert row["high"] - row["low"] < 0.002


def test_no_more_is_narrowed_than_there_was() -> None:
    result = judged(table(), changed(table(), B=0.07))
    for row in (row for pair in result.judgement.models[0].pairs for row in pair.rows):
        before = row.gap_before.interval
        assert row.narrowing.high <= max(abs(before.low), abs(before.high)) + 1e-9


def test_fairer_names_who_gained_and_by_how_much() -> None:
    result = judged(table(), changed(table(), B=0.04))
    assert result.verdicts == {"other": Verdict.FAIRER}
    assert re.search(r"B gained 0\.0\d+ \(0\.0\d+ to 0\.0\d+\) more than A", result.sentence)


def test_a_loss_of_the_better_group_alone_is_levelling_down() -> None:
    result = judged(table(), changed(table(), A=-0.035))
    assert result.verdicts == {"other": Verdict.LEVELS_DOWN}
    assert "A lost" in result.sentence


def test_a_wider_gap_is_less_fair() -> None:
    assert judged(table(), changed(table(), A=0.03)).verdicts == {"other": Verdict.LESS_FAIR}


def test_a_gap_that_turns_round_is_over_corrected() -> None:
    assert judged(table(), changed(table(), B=0.08)).verdicts == {"other": Verdict.OVERCORRECTED}


def test_a_second_model_that_collapses_fails_before_any_word_on_fairness() -> None:
    base = table()
    result = judged(base, base.assign(dice=base["dice"] * 0.1))
    assert result.verdicts == {"other": Verdict.FAILS}


def test_harm_in_one_structure_turns_a_gain_in_the_others() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = changed(base, B=0.04)
    bad = other.index[(other["label"] == "RV") & (other["group"] == "B")][:30]
    other.loc[bad, "dice"] = 0.2
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.HARM}
    assert "RV" in result.sentence


def test_groups_too_small_are_not_judged() -> None:
    sizes = {"A": 60, "B": 6}
    result = judged(table(sizes=sizes), changed(table(sizes=sizes), B=0.04))
    assert result.verdicts == {"other": Verdict.NOT_JUDGED}


@pytest.mark.parametrize(("failing", "said"), [(3, "3 of 9 newly fail"), (0, "too few subjects: B.")])
def test_those_of_a_group_too_small_who_newly_fail_are_counted(failing: int, said: str) -> None:
    base = table(sizes={"A": 60, "B": 9})
    after = base["dice"].where(base.index < len(base) - failing, 0.2)
    result = judged(base, base.assign(dice=after))
    assert result.verdict is Verdict.NOT_JUDGED
    assert said in result.sentence


def test_several_models_have_a_verdict_and_a_sentence_each() -> None:
    base = table()
    models = {"base": base, "up": changed(base, B=0.04), "same": base}
    result = fairseg.compare(models, by="group", reference="A", baseline="base")
    assert result.verdicts == {"up": Verdict.FAIRER, "same": Verdict.SAME}
    assert list(result.audits) == ["base", "up", "same"]
    assert set(result.groups["model"]) == set(models)


# --- what stands against praise is said ---


def test_subjects_that_the_second_model_lacks_are_no_gain() -> None:
    """Rows that are not there count as those without a score: the worst of B, say."""
    base, other = table(), changed(table(), B=0.04)
    worst = other[other["group"] == "B"].nsmallest(15, "dice").index
    for lacking in (other.drop(worst), other.assign(dice=other["dice"].mask(other.index.isin(worst)))):
        result = judged(base, lacking)
        assert result.verdicts == {"other": Verdict.MOVED}
        assert "15 of 100 subjects of B lack a score with other that they have with base" in result.sentence


def test_a_structure_that_the_second_model_lacks_is_no_gain(tmp_path: Path) -> None:
    parts = [table(label=label).assign(case=lambda rows: rows["subject"]) for label in ("LV", "RV")]
    result = judged(pd.concat(parts, ignore_index=True), changed(parts[0], B=0.04))
    assert result.verdicts == {"other": Verdict.MOVED}
    assert "other has no score of RV, which " in result.sentence
    assert result.save(tmp_path / "out").is_file()


def test_new_failures_too_few_to_be_shown_stand_beside_the_praise() -> None:
    other = changed(table(), B=0.04)
    other.loc[other.index[other["group"] == "B"][:2], "dice"] = 0.2
    result = judged(table(), other)
    assert result.verdicts == {"other": Verdict.FAIRER}
    assert "2 of 100 newly fail, 0 no longer do" in result.sentence


def test_a_gain_of_everybody_is_said_where_the_gap_stays() -> None:
    result = judged(table(), changed(table(), A=0.03, B=0.03))
    assert result.verdicts == {"other": Verdict.SAME}
    assert "A gained 0.0" in result.sentence


def test_no_figure_of_the_baseline_is_given_to_the_model() -> None:
    base = changed(table(), B=-0.7)
    result = judged(base, changed(base, B=0.05))
    assert result.verdicts == {"other": Verdict.FAILS}
    about = result.sentence.split("base fails for B:")
    (before,) = (one.median for one in result.judgement.models[0].baseline_failing if one.group)
    assert f"{before:.3f}" in about[1]
    assert f"{before:.3f}" not in about[0]


def test_a_loss_on_balance_is_not_called_typical_where_most_gained() -> None:
    other = changed(table(), B=0.04)
    other.loc[other.index[other["group"] == "B"][:40], "dice"] -= 0.135
    result = judged(table(), other)
    assert result.verdicts == {"other": Verdict.HARM}
    assert "B lost" in result.sentence
    assert "on balance, while the median subject changed by +0.03" in result.sentence


def test_all_structures_that_speak_against_a_model_are_named() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = base.copy()
    for label, gain in (("LV", 0.09), ("RV", -0.03)):
        other.loc[(other["label"] == label) & (other["group"] == "B"), "dice"] += gain
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.OVERCORRECTED}
    assert "Also on RV, less fair" in result.sentence


def test_who_gained_over_all_structures_is_said_of_a_gap_that_turned_in_one() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV", "MYO")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = base.copy()
    for label, gain in (("LV", 0.08), ("RV", 0.03), ("MYO", 0.0)):
        other.loc[(other["label"] == label) & (other["group"] == "B"), "dice"] += gain
    result = judged(base, other)
    (model,) = result.judgement.models
    overall = model.pairs[0].typical
    assert overall is not None
    assert result.verdicts == {"other": Verdict.OVERCORRECTED}
    assert f"over all structures, typically B gained {abs(overall.gain.estimate):.3f}" in result.sentence
    assert overall.gap_after.interval.estimate * overall.gap_before.interval.estimate > 0
    assert "and B is now behind by" in result.sentence


def test_what_the_better_served_gained_is_no_consolation_for_a_wider_gap() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = base.copy()
    other.loc[(other["label"] == "LV") & (other["group"] == "A"), "dice"] += 0.034
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.LESS_FAIR}
    assert "Yet" not in result.sentence


def test_a_loss_is_told_where_the_means_excuse_the_gap() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(["A", "B"], 150)
    dice = np.where(group == "A", 0.82, 0.845) + rng.normal(0, 0.01, 300)
    dice[150:180] = np.linspace(0.2, 0.45, 30)
    base = pd.DataFrame({"case": np.arange(300).astype(str), "group": group, "dice": dice})
    base = base.assign(subject=base["case"], label="LV")
    change = np.where(group == "A", -0.018, 0.03) + rng.normal(0, 0.001, 300)
    change[150:180] = 0.0
    result = judged(base, base.assign(dice=dice + change))
    assert result.verdicts == {"other": Verdict.OPEN}
    assert "typically A is behind by 0.0" in result.sentence
    assert "A lost 0.018" in result.sentence


# --- which rows belong together ---


def test_rows_are_matched_by_subject_whatever_their_order() -> None:
    base = table()
    other = changed(base, B=0.04)
    shuffled = other.sample(frac=1.0, random_state=0)
    assert judged(base, shuffled).findings["gain"].tolist() == judged(base, other).findings["gain"].tolist()


def test_what_one_model_lacks_is_named_and_leaves_the_others_alone() -> None:
    base = table()
    result = judged(base, changed(base, B=0.04).iloc[3:])
    assert result.left_out["name"].tolist() == ["s000", "s001", "s002"]
    assert set(result.left_out["model"]) == {"base"}
    assert len(result.models["base"].table) == len(base) - 3


@pytest.mark.parametrize(
    ("lacking", "told"), [(["other"], "other: 2 subjects"), (["base", "other"], "2 subjects")]
)
def test_who_has_no_score_is_named_and_counted_under_any_verdict(
    lacking: list[str], told: str, tmp_path: Path
) -> None:
    models = {"base": table(gap=0.0)}
    models["other"] = models["base"].copy()
    for name in lacking:
        models[name] = models[name].assign(dice=models[name]["dice"].mask(models["base"].index < 2))
    result = fairseg.compare(models, by="group")
    assert result.verdict is Verdict.SAME
    assert result.left_out.to_dict("list") == {
        "kind": ["subject"] * 2 * len(lacking),
        "name": ["s000", "s001"] * len(lacking),
        "group": ["A"] * 2 * len(lacking),
        "model": [name for name in lacking for _ in range(2)],
        "reason": ["no structure with a score"] * 2 * len(lacking),
    }
    (line,) = [note for note in result.notes if note.startswith(told)]
    assert "2 of 100 of A" in line
    assert line in repr(result)
    assert line in to_terminal(result, result.notes)
    page = result.save(tmp_path / "out").read_text(encoding="utf-8")
    assert line in page
    assert f"{told}, no structure with a score: s000, s001" in page


def test_who_is_in_no_group_and_a_score_that_one_model_lacks_are_left_out_by_name() -> None:
    base = pd.concat([table().assign(label=label) for label in ("LV", "RV")])
    base["group"] = base["group"].mask(base["subject"] == "s000")
    lacks = (base["subject"] == "s001") & (base["label"] == "RV")
    few = base["group"].mask(base["subject"].isin(["s002", "s003"]), "C")
    base = base.assign(group=few)
    result = judged(base, base.assign(dice=base["dice"].mask(lacks)))
    rows = {(kind, name, group, model): why for kind, name, group, model, why in result.left_out.to_numpy()}
    assert rows["subject", "s000", "unknown", "base"] == rows["subject", "s000", "unknown", "other"]
    assert "some of its labels" in rows["case", "s001", "A", "other"]
    assert "fewer than 10" in rows["group", "C", "C", "other"]
    assert ("case", "s001", "A", "base") not in rows


def test_who_is_missing_from_a_table_is_counted_in_the_answer_too() -> None:
    base = table(gap=0.0)
    result = fairseg.compare({"base": base, "other": base.iloc[2:]}, by="group")
    assert "other: 2 subjects without a score take no part: 2 of 100 of A, 0 of 100 of B." in repr(result)
    assert result.left_out[["name", "model"]].to_numpy().tolist() == [["s000", "base"], ["s001", "base"]]


def test_the_index_of_a_series_names_who_is_left_out_of_a_comparison() -> None:
    base = table(gap=0.0).set_index("subject").rename_axis(None)
    dice = base["dice"].mask(base.index == "s003")
    for models in ({"a": dice, "b": base["dice"]}, {"a": base["dice"].to_numpy(), "b": dice}):
        assert fairseg.compare(models, groups=base["group"]).left_out["name"].tolist() == ["s003"]
        assert fairseg.compare(models, groups=base["group"].tolist()).left_out["name"].tolist() == ["s003"]


def test_tables_without_names_are_matched_by_their_order_and_a_note_says_so() -> None:
    base = table().drop(columns="subject")
    result = judged(base, changed(base, B=0.04))
    assert any("order" in note for note in result.notes)
    with pytest.raises(ValueError, match=r"same rows .*base: 200 rows, other: 199 rows"):
        judged(base, base.iloc[1:])


def test_rows_named_by_an_index_alone_are_not_paired_by_their_place() -> None:
    named = table()
    base, other = (
        one.set_index("subject").rename_axis(None) for one in (named, changed(named, B=0.04)[::-1])
    )
    groups = base["group"]
    for models, by in (
        ([base, other], "group"),
        ([base, other], groups),
        ([base["dice"], other["dice"]], groups.to_numpy()),
        ([base["dice"], other["dice"]], groups),
    ):
        with pytest.raises(ValueError, match=r'df.reset_index\(names="subject"\)') as refused:
            fairseg.compare(dict(zip(["base", "other"], models, strict=True)), by=by)
        assert "\n" not in str(refused.value)
    mended = judged(*(one.reset_index(names="subject") for one in (base, other)))
    assert mended.findings["gain"].tolist() == judged(named, changed(named, B=0.04)).findings["gain"].tolist()
    assert judged(base, other[::-1]).verdicts == mended.verdicts


def test_tables_that_disagree_on_who_is_in_which_group_are_refused() -> None:
    base = table()
    other = base.assign(group=np.where(base["subject"] == "s001", "B", base["group"]))
    with pytest.raises(ValueError, match=r"agree on group, got 'B' in other and 'A' in base for case s001"):
        judged(base, other)


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        ({"base": table()}, {}, "two names or more to scores, got 1 model"),
        ({"base": table(), "b": table()}, {"baseline": "c"}, "baseline must be one of base, b, got 'c'"),
        ({"base": table(), "b": table()}, {"margin": 2}, "margin must be above 0 and at most 1, got 2"),
        ({"base": table(), "b": table().drop(columns="dice")}, {}, "model 'b' must have a column of scores"),
        ({"base": table(), "b": table().assign(subject="x" + table()["subject"])}, {}, "must share cases"),
    ],
)
def test_what_cannot_be_compared_is_one_clear_error(
    models: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        fairseg.compare(models, by="group", **options)


# --- what people read ---


def test_everything_that_shows_the_result_says_the_same_verdict(tmp_path: Path) -> None:
    result = judged(table(), changed(table(), B=0.04))
    label = result.verdicts["other"].label
    page = result.save(tmp_path).read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("comparison.html", "comparison.csv", "comparison.md", "comparison.tex", "comparison.svg"),
        *("findings.csv", "changes.csv", MANIFEST),
    }
    for text in (page, result._repr_html_(), to_terminal(result, result.notes), repr(result)):
        assert label in text.lower()
    assert result.sentence in repr(result)


def test_the_papers_table_holds_the_figures_of_each_model_alone() -> None:
    base = table()
    result = judged(base, changed(base, B=0.04))
    figures = fairseg.report.paper_table(result)
    medians = base.groupby("group")["dice"].median()
    assert figures.loc["Median DSC", ("base", "A")] == pytest.approx(medians["A"])
    gap = figures.loc["Fairness gap", ("base", "All")]
    assert gap == pytest.approx(medians["A"] - medians["B"])


def test_names_are_harmless_on_the_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    base = table().replace({"group": {"B": evil}})
    result = fairseg.compare({"base": base, evil: base}, by="group", reference="A")
    page = result.save(tmp_path).read_text(encoding="utf-8")
    assert evil not in page
    assert evil not in result._repr_html_()


@pytest.mark.parametrize("kind", ["boxes", "gaps", "gains"])
def test_plots_are_axes_to_go_on_with(kind: str) -> None:
    axes = judged(table(), changed(table(), B=0.04)).plot(kind)
    axes.set_title("mine")
    assert axes.get_title() == "mine"
    with pytest.raises(ValueError, match="kind must be one of boxes, gaps, gains, got 'pie'"):
        judged(table(), table()).plot("pie")


def test_a_page_is_written_where_no_pair_is_judged(tmp_path: Path) -> None:
    sizes = {"A": 60, "B": 6}
    result = judged(table(sizes=sizes), changed(table(sizes=sizes), B=0.04))
    page = result.save(tmp_path).read_text(encoding="utf-8")
    assert Verdict.NOT_JUDGED.label in page.lower()


@pytest.mark.parametrize(
    ("gain", "verdict"), [({"B": 0.03}, Verdict.FAIRER), ({"A": 0.03}, Verdict.LESS_FAIR)]
)
def test_sentence_and_table_say_which_group_is_behind(gain: dict[str, float], verdict: Verdict) -> None:
    base = table()
    result = fairseg.compare({"base": base, "other": changed(base, **gain)}, by="group")
    assert result.verdicts == {"other": verdict}
    assert " ." not in result.sentence
    assert "  " not in result.sentence
    # Without a reference gaps are measured from A: B is behind it.
    (row,) = [line for line in repr(result).splitlines() if line.startswith("other: ")]
    before = float(re.search(r"(\d\.\d{3})", row)[1])  # type: ignore[index]
    assert "B against A" in row
    assert before == pytest.approx(0.04, abs=0.01)


def test_a_gap_of_another_attribute_that_opens_is_told_with_its_own_groups_and_figures() -> None:
    base = table().assign(site=["S", "T"] * (sum(SIZES.values()) // 2))
    other = changed(base, B=0.04)
    other["dice"] = (other["dice"] + 0.03 * (other["site"] == "S")).clip(0, 1)
    result = judged(base, other, also="site")
    assert result.verdicts == {"other": Verdict.LESS_FAIR}
    assert re.search(r"by site, S gained 0\.030 .* more than T; S was behind by 0\.002", result.sentence)
    assert "B gained" not in result.sentence
    assert "S against T" in repr(result)


def test_levelling_down_in_one_structure_names_it_with_its_own_changes() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = changed(base, B=0.005)
    other.loc[(other["label"] == "RV") & (other["group"] == "A"), "dice"] -= 0.035
    other.loc[(other["label"] == "LV") & (other["group"] == "B"), "dice"] += 0.03
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.LEVELS_DOWN}
    assert re.search(r"levels down: on RV, .*loss of A\. A lost 0\.03", result.sentence)


def test_whom_a_model_fails_is_seen_in_the_box_plots_and_every_group_has_a_name_there() -> None:
    sizes = {"A": 60, "B": 40, "C": 3, "a group of a rather long name, and then some more": 20}
    base = table(sizes=sizes)
    base.loc[base.index[60:67], "dice"] = np.linspace(0.1, 0.4, 7)
    ax = judged(base, changed(base, B=0.03)).plot("boxes")
    drawn = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "o"])
    scores = np.concatenate([base["dice"], changed(base, B=0.03)["dice"]])
    np.testing.assert_allclose(np.sort(drawn), np.sort(scores))
    ax.figure.canvas.draw()
    legend, page = ax.get_legend().get_window_extent(), ax.figure.bbox
    assert page.x0 <= legend.x0
    assert legend.x1 <= page.x1


def test_of_rescued_subjects_the_failures_are_spoken_of_and_not_a_gain_of_nothing() -> None:
    base = table(gap=0.0)
    failing = base.index[base["group"] == "B"][:15]
    base.loc[failing, "dice"] = 0.2
    other = base.copy()
    other.loc[failing, "dice"] = 0.9
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.FAIRER}
    assert "in failures, the rate of B fell by 15.0 (" in result.sentence


def test_a_typical_gap_that_is_left_is_told_beside_repaired_failures() -> None:
    base = table(gap=0.06)
    failing = base.index[base["group"] == "B"][:20]
    base.loc[failing, "dice"] = 0.2
    other = base.copy()
    other.loc[failing, "dice"] = 0.85
    result = judged(base, other)
    (pair,) = result.judgement.models[0].pairs
    assert pair.telling is not None
    assert pair.telling.endpoint is Endpoint.FAILURES
    assert pair.rows[0].gap_after.shown
    assert result.verdicts == {"other": Verdict.FAIRER}
    assert "in failures, the rate of B fell by 20.0 (" in result.sentence
    assert "Typically B is behind by 0.06" in result.sentence
    (typical, failures) = models_table(result).cells
    assert [cells[0].text for cells in (typical, failures)] == ["Change within margin", "Fairer"]


def test_those_who_lost_much_are_counted_beside_any_praise() -> None:
    base = table()
    other = changed(base, B=0.04)
    other.loc[other.index[other["group"] == "B"][:2], "dice"] = 0.7
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.FAIRER}
    assert "2 of 100 lost more than 0.1, 0 gained as much" in result.sentence


def test_the_best_of_the_papers_figures_is_the_highest_overlap_and_the_lowest_distance() -> None:
    rng = np.random.default_rng(0)
    base = pd.DataFrame({"sex": ["F", "M"] * 20, "dice": 0.8, "iou": 0.7, "hd95": 9.0})
    base["dice"] += rng.normal(0, 0.01, 40)
    better = base.assign(dice=base["dice"] + 0.1, iou=0.8, hd95=5.0)
    rows = paper_tables(fairseg.compare({"base": base, "better": better}, by="sex"))[0]
    best = {row.name: [cell.best for cell in cells] for row, cells in zip(rows.rows, rows.cells, strict=True)}
    for name in ("Median DSC", "Median IoU", "Median HD95 (mm)"):
        assert best[name] == [False, False, True, True]


def test_a_model_that_fails_everyone_is_said_once_and_a_baseline_that_fails_too() -> None:
    table = pd.DataFrame({"subject": [f"s{at}" for at in range(40)], "sex": ["F", "M"] * 20})
    table["dice"] = np.linspace(0.2, 0.4, 40)
    result = fairseg.compare({"a": table, "b": table.assign(dice=table["dice"] + 0.01)}, by="sex")
    assert result.verdict is Verdict.FAILS
    assert "b fails for everyone" in result.sentence
    assert "a fails for everyone" in result.sentence
    assert "fails for F" not in result.sentence


@pytest.mark.parametrize(
    ("lost", "wanted"),
    [(("LV", "RV"), "lack a score with other"), (("RV",), "lack a score on RV with other")],
)
def test_the_same_lost_subjects_are_told_of_once(lost: tuple[str, ...], wanted: str) -> None:
    base = pd.concat([table().assign(label="LV"), table(1).assign(label="RV")], ignore_index=True)
    other = changed(base, B=0.04)
    gone = other["label"].isin(lost) & other["subject"].isin(
        base.loc[base["group"] == "B", "subject"].unique()[:20]
    )
    result = judged(base, other[~gone])
    assert result.sentence.count("20 of") == 1
    assert wanted in result.sentence


def test_a_change_within_the_margin_is_not_called_a_gap_within_it(tmp_path: Path) -> None:
    base = table(gap=0.06, sizes={"A": 40, "B": 40})
    page = judged(base, base.assign(dice=base["dice"] - 0.01)).save(tmp_path).read_text()
    assert "Change within margin" in page
    assert "Within margin" not in page


@pytest.mark.parametrize(("rv", "verdict"), [(0.05, Verdict.FAILS), (0.9, Verdict.FAIRER)])
def test_a_structure_that_only_the_new_model_has_is_looked_at(rv: float, verdict: Verdict) -> None:
    base = table().assign(label="LV")
    other = changed(base, B=0.03)
    added = other.assign(label="RV", dice=np.where(other["group"] == "A", 0.9, rv))
    result = judged(base, pd.concat([other, added], ignore_index=True))
    assert result.verdict is verdict
    assert any("base has no score of RV" in note for note in result.notes)
    assert ("other fails for B: on RV" in result.sentence) is (verdict is Verdict.FAILS)


def test_a_loss_near_the_margin_is_written_on_its_side() -> None:
    """Limits that three decimals would take to the margin: by more than that is "fairer" barred."""
    rng = np.random.default_rng(0)
    subjects = {"subject": range(80), "g": np.repeat(["A", "B"], 40)}
    table = pd.DataFrame({**subjects, "dice": rng.normal(0.9, 0.01, 80)})
    losses = rng.normal(0.026, 0.01, 40)

    def lost(more: float) -> tuple[float, str]:
        after = table["dice"] - np.r_[np.zeros(40), losses + more]
        result = fairseg.compare({"old": table, "new": table.assign(dice=after)}, by="g", reference="A")
        return -result.changes.query("group == 'B'")["high"].item(), result.sentence

    least, _ = lost(0.0)
    for limit, written in ((0.0202, "(0.0202 to"), (0.0198, "(0.0198 to")):
        shown_limit, sentence = lost(limit - least)
        assert shown_limit == pytest.approx(limit)
        assert written in sentence


def test_both_models_that_fail_are_named_and_the_group_too_small() -> None:
    """Twelve men fail on the left lung with both models; three women are too few to be judged."""
    rows = pd.DataFrame({"subject": [f"s{at}" for at in range(15)], "sex": ["F"] * 3 + ["M"] * 12})
    left = rows.assign(label="left", dice=[0.7] * 3 + [0.3] * 12)
    base = pd.concat([left, rows.assign(label="right", dice=0.4)], ignore_index=True)
    result = fairseg.compare({"a": base, "b": base.assign(dice=base["dice"] - 0.01)}, by="sex")
    assert result.verdict is Verdict.FAILS
    assert "b fails for" in result.sentence
    assert "a fails for" in result.sentence
    assert "Not judged, too few subjects: F" in result.sentence


def test_cases_and_subjects_may_be_called_otherwise() -> None:
    rows = range(40)
    table = pd.DataFrame({"Bild": [f"i{n}" for n in rows], "sex": ["F", "M"] * 20})
    table["Nr"] = [f"p{n % 2}{n // 4}" for n in rows]
    first = table.assign(dice=np.linspace(0.8, 0.9, 40))
    result = fairseg.compare(
        {"a": first, "b": first[::-1]}, by="sex", case_column="Bild", subject_column="Nr"
    )
    assert [pair.n_first for pair in result.judgement.models[0].pairs] == [10]
    assert set(result.findings["gain"]) == {0.0}
    with pytest.raises(ValueError, match=r"model 'a' must have a column 'scan', it has Bild, sex, Nr"):
        fairseg.compare({"a": first, "b": first}, by="sex", case_column="scan")


def test_changes_are_told_of_the_structure_that_is_spoken_of() -> None:
    base = pd.concat([table(label=label) for label in ("LV", "RV")], ignore_index=True)
    base = base.assign(case=base["subject"])
    other = changed(base, B=0.0)
    other["dice"] += np.where(other["group"] == "B", np.where(other["label"] == "RV", -0.03, 0.06), 0.0)
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.LESS_FAIR}
    # A gained nothing: it "gained 0.029 more" by what B lost.
    assert re.search(r"less fair than base: on RV, B lost 0\.0(29|30) .* more than A, and", result.sentence)
    assert re.search(
        r"Typical change of Dice on RV within each group: .*B lost 0\.0(29|30|31)", result.sentence
    )


def test_one_case_of_several_that_lacks_a_score_is_told_as_that() -> None:
    cases = [table(seed).assign(case=f"c{seed}") for seed in range(4)]
    base = pd.concat(cases, ignore_index=True)
    base["case"] = base["subject"] + base["case"]
    other = changed(base, B=0.04)
    other.loc[other["case"].str.endswith("c0") & (other["group"] == "B"), "dice"] = np.nan
    result = judged(base, other)
    assert "100 of 100 subjects of B lack a score of some case with other" in result.sentence


def test_what_bars_praise_is_told_with_its_figures() -> None:
    base = table()
    lowest = base.index[base["group"] == "B"][np.argsort(base.loc[base["group"] == "B", "dice"])[:20]]
    other = changed(base, B=0.04)
    other.loc[lowest, "dice"] = base.loc[lowest, "dice"] - 0.095
    sentence = judged(base, other).sentence
    assert re.search(
        r"not called fairer: .*the mean of the lowest 10 of 100 subjects of B fell by 0\.09", sentence
    )
    failing = base.assign(dice=base["dice"].where((base["group"] == "A") | (base.index % 5 > 0), 0.3))
    failing.loc[failing["group"] == "A", "dice"] -= 0.08
    sentence = judged(failing, changed(failing, A=0.035)).sentence
    assert "with base fewer of A failed than of B already, by 20.0" in sentence


def test_new_failures_between_groups_are_told_as_they_are_tested() -> None:
    base = table(sizes={"A": 400, "B": 12}).assign(dice=0.55)
    other = base.copy()
    other.loc[:38, "dice"] = 0.45
    other.loc[[400, 401, 402], "dice"] = 0.2
    told = (
        "3 of 12 subjects of B newly fail, by more than 0.2 (0 no longer do), against 0 of 400 of the others"
    )
    assert told in judged(base, other).sentence


def test_a_group_whose_mean_rose_is_not_named_among_those_that_lost() -> None:
    """Both typically lose .035; a fifth of A, and of B, was hard, and that of A gains .22."""
    base = table(sizes={"A": 200, "B": 200}, gap=0.0)
    hard = {"A": base.index[:44], "B": base.index[200:244]}
    base.loc[hard["A"], "dice"] -= 0.2
    base.loc[hard["B"], "dice"] -= 0.3
    other = changed(base, A=-0.035, B=-0.035)
    other.loc[hard["A"], "dice"] += 0.255
    result = judged(base, other)
    assert result.verdicts == {"other": Verdict.HARM}
    assert "B typically lost 0.035" in result.sentence
    assert "A typically lost" not in result.sentence


def test_a_largest_gap_that_is_not_called_fairer_is_told_as_what_it_was() -> None:
    """B was furthest behind and fails less than A: it comes level, which is not fairer. C gains too."""
    base = table(sizes={"A": 100, "B": 100, "C": 100}, gap=0.06)
    base.loc[base["group"] == "C", "dice"] -= 0.045
    base.loc[(base["group"] != "B") & (base.index % 5 == 0), "dice"] = 0.3
    result = judged(base, changed(base, B=0.06, C=0.03))
    assert result.verdicts == {"other": Verdict.MOVED}
    texts = [say_reasons(result, pair) for pair in result.judgement.models[0].pairs]
    assert "fewer of B failed than of A already" in texts[0]
    assert re.search(
        r"the largest gap was that between [AB] and [AB], which is not called fairer: ",
        texts[1].replace("typical ", ""),
    )


def say_reasons(result: Any, pair: PairGains) -> str:
    """Return the answer, were it of this pair alone."""
    model = replace(result.judgement.models[0], pairs=(pair, *result.judgement.models[0].pairs))
    return model_answer(result, model)


def test_equal_scores_that_hide_the_hardest_tenth_are_told_where_all_else_is_the_same() -> None:
    base = table(gap=0.0, sizes={"A": 600, "B": 600})
    place = np.arange(1200) % 10
    one, other = (base.assign(dice=base["dice"].where(place >= failing, 0.0)) for failing in (3, 1))
    result = judged(one, other)
    assert result.verdicts == {"other": Verdict.OPEN}
    assert "equal scores hide who is among the hardest tenth with one of the models" in result.sentence
    (row,) = result.findings[result.findings["endpoint"] == "hardest tenth"].to_dict("records")
    assert np.isnan([row[name] for name in ("gap_before", "gap_after", "gain", "p")]).all()


def test_within_strata_nobody_is_said_to_have_lost_what_all_strata_together_did() -> None:
    """On X both lose alike; on Y B gains, and A loses little. In all A loses much, and B does not gain."""
    parts = [("A", "X", 110, -0.06), ("A", "Y", 100, -0.01), ("B", "X", 170, -0.06), ("B", "Y", 160, 0.03)]
    rng = np.random.default_rng(0)
    base = pd.concat(
        [
            pd.DataFrame({"group": group, "scanner": scanner, "gain": rng.normal(gain, 0.004, size)})
            for group, scanner, size, gain in parts
        ],
        ignore_index=True,
    ).assign(subject=lambda rows: rows.index)
    base["dice"] = rng.normal(np.where(base["group"] == "A", 0.9, 0.86), 0.02)
    other = base.assign(dice=base["dice"] + base["gain"])
    tables = {"base": base.drop(columns="gain"), "other": other.drop(columns="gain")}
    result = fairseg.compare(tables, by="group", reference="A", adjust="scanner")
    assert "With scanner held fixed, the change favours B over A by 0.0" in result.sentence
    assert "more than B" not in result.sentence


def test_nobody_lost_more_than_it_lost() -> None:
    """A loses 0.004; of B 65% gain 0.04 and the others lose 0.095. A did not "lose 0.04 more than B"."""
    base = table(gap=0.06, sizes={"A": 120, "B": 120})
    is_second = base["group"].to_numpy() == "B"
    gains = np.full(len(base), -0.004)
    gains[is_second] = np.where(np.arange(is_second.sum()) < 0.65 * is_second.sum(), 0.04, -0.095)
    gains += np.random.default_rng(0).normal(0, 0.002, len(base))
    result = judged(base, base.assign(dice=base["dice"] + gains))
    assert "the change favours B over A by 0.04" in result.sentence
    assert "A lost 0.04" not in result.sentence


def test_the_one_group_that_lost_among_many_is_the_one_that_lost() -> None:
    rng = np.random.default_rng(9)
    site = np.repeat([f"G{number}" for number in range(9)], 60)
    before = rng.normal(np.where(site == "G3", 0.87, 0.9), 0.02)
    after = before + rng.normal(0, 0.003, 540)
    after[site == "G3"] -= rng.normal(0.022, 0.03, 60)
    people = pd.DataFrame({"subject": range(540), "site": site})
    result = fairseg.compare(
        {"base": people.assign(dice=before), "new": people.assign(dice=after)}, by="site"
    )
    assert re.search(r"less fair than base: G3 lost 0\.02\d \(.*?\) more than all others", result.sentence)


def test_nobody_is_said_to_have_gained_where_everybody_lost() -> None:
    """Of A 60% lose 0.067 and the others 0.01, all of B lose 0.02: a shift of 0.045, and B gained nothing."""
    base = table(gap=0.0, sizes={"A": 150, "B": 150})
    is_first = base["group"].to_numpy() == "A"
    losses = np.where(is_first, np.where(np.arange(300) < 90, 0.067, 0.01), 0.02)
    losses += np.random.default_rng(0).normal(0, 0.001, 300)
    result = judged(base, base.assign(dice=base["dice"] - losses))
    assert "the change favours B over A by 0.04" in result.sentence
    assert "B gained" not in result.sentence


@pytest.mark.parametrize(
    ("rescued", "words"), [(0, "the change favours B over A"), (12, "the rate of B fell")]
)
def test_rates_fall_only_where_fewer_fail(rescued: int, words: str) -> None:
    """Where the rate of one group falls and that of the other rises, neither is told of alone."""
    base = table(gap=0.0, sizes={"A": 100, "B": 100})
    second = base.index[base["group"] == "B"]
    base.loc[second[: max(1, rescued)], "dice"] = 0.3
    other = base.copy()
    other.loc[second[: max(1, rescued)], "dice"] = 0.9
    if not rescued:
        other.loc[other.index[:3], "dice"] = 0.4
    content = _Content(judged(base, other), judged(base, other).judgement.models[0])
    (row,) = (one for one in content.pair.rows if one.endpoint is Endpoint.FAILURES and not one.adjusted)
    assert words in say("against", row=content._spoken(row), verdict="")


def test_of_many_groups_that_are_worse_off_three_are_named_and_the_others_counted() -> None:
    base = table(gap=0.0, sizes=dict.fromkeys("ABCDEFGH", 60))
    lost = 0.05 * (base["group"] != "C") + np.random.default_rng(0).normal(0, 0.003, len(base))
    result = fairseg.compare({"base": base, "other": base.assign(dice=base["dice"] - lost)}, by="group")
    assert result.verdicts == {"other": Verdict.HARM}
    assert result.sentence.endswith("; and 4 more.")
