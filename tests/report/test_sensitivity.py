"""Other choices, other measures, and means drawn together: what changes the verdict is said first."""

import re

import numpy as np
import pandas as pd

import fairseg
from fairseg import Groups
from fairseg.report import summarize
from fairseg.report.audit import AuditResult
from fairseg.report.secondary import secondary
from fairseg.report.sensitivity import sensitivity
from fairseg.report.small_groups import shrunken_table
from fairseg.scoring.variants import variants
from fairseg.statistics.shrinkage import shrink
from fairseg.statistics.verdicts import Endpoint


def cohort(number: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (f"s{at}", "AB"[at % 2], "north" if at % 4 < 2 else "south", label, rng.normal(0.9, 0.02), 9, 9)
        for at in range(number)
        for label in ("LV", "MYO", "RV")
    ]
    names = ["subject", "group", "site", "label", "dice", "prediction_voxels", "reference_voxels"]
    return pd.DataFrame(rows, columns=names)


def test_what_is_tried() -> None:
    table = cohort()
    table.loc[0, ["dice", "prediction_voxels"]] = [0.0, 0]
    result = fairseg.audit(table, by="group")
    grouping = result.analyses[0].grouping
    tried = variants(result.scores, result.common, grouping, result.structures, 10)
    names = [one.name for one in tried]
    assert list(dict.fromkeys(names)) == [
        "median over structures",
        "missed structures left out",
        "subjects with a missed structure left out",
        "without the best or worst subject of a group",
        "without site north",
        "without site south",
    ]


def test_a_verdict_that_hangs_on_missed_structures_is_named() -> None:
    table = cohort()
    missed = (table["group"] == "B") & (table["label"] == "RV") & table["subject"].str.endswith(("1", "3"))
    table.loc[missed, ["dice", "prediction_voxels"]] = [0.0, 0]
    result = fairseg.audit(table, by="group")
    section = sensitivity(result)
    assert section is not None
    rows = section.table.to_frame()
    assert rows.loc["missed structures left out", "Changes"] == "in 1 of 1"
    assert rows.loc["median over structures", "Changes"] == "no"
    assert '"not enough evidence" by the choice "missed structures left out"' in section.sentence


def test_a_subject_without_any_structure_left_is_no_trouble() -> None:
    table = cohort()
    table.loc[table["subject"] == "s3", ["dice", "prediction_voxels"]] = [0.0, 0]
    assert sensitivity(fairseg.audit(table, by="group")) is not None


def test_a_verdict_that_hangs_on_nothing_has_no_sentence() -> None:
    table = cohort()
    table.loc[table["group"] == "B", "dice"] -= 0.1
    section = sensitivity(fairseg.audit(table, by="group"))
    assert section is not None
    assert section.sentence == ""
    assert set(section.table.to_frame()["Changes"]) == {"no"}


def changes(result: AuditResult) -> dict[str, str]:
    other_metrics = secondary(result)
    section = sensitivity(result, () if other_metrics is None else other_metrics.findings)
    assert section is not None
    return {
        row.name: cells[-1].text for row, cells in zip(section.table.rows, section.table.cells, strict=True)
    }


def test_a_gap_that_only_strata_show_hangs_on_no_other_choice() -> None:
    rng = np.random.default_rng(3)
    scanner, group = np.repeat([0, 1, 0, 1], [90, 30, 30, 90]), np.repeat(["A", "B"], 120)
    dice = 0.86 + 0.04 * scanner - 0.02 * (group == "B") + rng.normal(0, 0.01, 240)
    table = pd.DataFrame({"group": group, "device": np.array(["x", "y"])[scanner], "dice": dice})
    result = fairseg.audit(table, by="group", reference="A", adjust="device")
    assert {row.adjusted for row in result.judgement.comparisons[0].shown} == {True}
    assert set(changes(result).values()) == {"no"}


def test_a_choice_is_judged_at_the_level_of_the_whole_page() -> None:
    """With the error of seven attributes shared, a verdict must not flip because fewer are judged again."""
    rng = np.random.default_rng(5)
    table = cohort(120).query("label == 'LV'").reset_index(drop=True).drop(columns="site")
    table["dice"] -= 0.001 * (table["group"] == "B")
    others = {f"other{at}": rng.permutation(table["group"].to_numpy()) for at in range(6)}
    result = fairseg.audit(table.assign(**others), by="group", also=tuple(others))
    alone = fairseg.audit(table, by="group")
    assert (result.verdict.name, alone.verdict.name) == ("OPEN", "GAP")
    assert changes(result)["without the best or worst subject of a group"] == "no"


def test_structures_that_a_group_lacks_are_in_no_choice() -> None:
    labels = ("LV", "MYO", "RV", "LA")
    rng = np.random.default_rng(0)
    rows = [
        (f"s{at}", "AB"[at % 2], label, rng.normal(0.9, 0.015) - 0.2 * (label == "LA"), rng.normal(5, 0.5))
        for at in range(400)
        for label in labels
    ]
    table = pd.DataFrame(rows, columns=["subject", "group", "label", "dice", "hd95"])
    table.loc[table["label"] == "LA", "hd95"] += 5
    result = fairseg.audit(table[(table["group"] == "A") | (table["label"] != "LA")], by="group")
    section = changes(result)
    assert section["median over structures"] == "no"
    assert "as judged: mean over LV and MYO and RV, a missed one is 0" in section
    lacks_one = changes(fairseg.audit(table.drop(index=0), by="group"))
    assert "as judged: mean over structures, a missed one is 0, one without a score adjusted for" in lacks_one
    other_metrics = secondary(result)
    assert other_metrics is not None
    assert not any(row.shown for row in other_metrics.findings)
    medians = result.first_summaries[0].table.loc["Median HD95 (mm)", ["A", "B"]].astype(float)
    assert abs(medians["A"] - medians["B"]) < 0.2


def test_findings_that_hang_on_the_definition_of_hd95_are_named() -> None:
    rng = np.random.default_rng(1)
    table = cohort().assign(hd95_pooled=lambda one: rng.normal(5, 0.5, len(one)))
    table["hd95"] = table["hd95_pooled"] + 3 * (table["group"] == "B")
    result = fairseg.audit(table, by="group", reference="A")
    section = [
        changes(result),
        changes(fairseg.audit(table.assign(hd95_pooled=table["hd95"] - 1), by="group")),
    ]
    for endpoint in ("typical case", "hardest tenth"):
        name = f"HD95, {endpoint}: pooled (medpy), not the larger direction"
        assert [one[name] for one in section] == ["in 1 of 1", "no"]


def test_nothing_judged_is_judged_no_other_way() -> None:
    assert sensitivity(fairseg.audit(cohort(8), by="group")) is None


def test_distances_and_clinical_errors_are_findings_beside_the_verdict() -> None:
    rng = np.random.default_rng(1)
    table = cohort().assign(hd95=lambda one: rng.normal(5, 0.5, len(one)) + 3 * (one["group"] == "B"))
    table["iou"] = rng.normal(0.8, 0.01, len(table)) - 0.1 * (table["group"] == "B")
    result = fairseg.audit(table, by="group", reference="A")
    spread = np.where(np.arange(80) % 2, 4.0, 1.0)  # four times as wide in B
    clinical = pd.DataFrame(
        {"measure": "LVEF", "unit": "%", "subject": [f"s{at}" for at in range(80)]}
    ).assign(prediction=60 + spread * rng.standard_normal(80), reference=60.0)
    section = secondary(result, clinical)
    assert section is not None
    rows = section.table.to_frame()
    assert rows.loc["HD95 (mm): B against A: typical case", "Verdict"] == "Gap shown"
    assert rows.loc["LVEF error (%): B against A: spread", "Verdict"] == "Gap shown"
    assert rows.loc["LVEF error (%): B against A: typical case", "Verdict"] == "Not enough evidence"
    # B is worse served by all of them: farther away, less overlap, wider spread.
    figures = {row.name: cells[4] for row, cells in zip(section.table.rows, section.table.cells, strict=True)}
    for name, by in (("HD95 (mm)", 3.0), ("IoU", 0.1)):
        one = figures[f"{name}: B against A: typical case"]
        assert np.isclose(one.value, by, rtol=0.1)
        assert 0 < one.low < one.value < one.high
    assert figures["LVEF error (%): B against A: spread"].low > 0
    assert any("HD95 (mm) is larger in B than in A" in line for line in section.sentences)
    assert any("LVEF error (%) is spread wider in B" in line for line in section.sentences)
    assert secondary(fairseg.audit(cohort(), by="group")) is None


def test_of_an_error_with_a_sign_the_larger_is_not_called_so() -> None:
    """LVEF is 3 points too low in B and right in A: its error is the larger number in A."""
    rng = np.random.default_rng(1)
    result = fairseg.audit(cohort(), by="group", reference="A")
    low = np.where(result.analyses[0].members.ids == 1, -3.0, 0.0)
    clinical = pd.DataFrame(
        {"measure": "LVEF", "unit": "%", "subject": [f"s{at}" for at in range(80)], "reference": 60.0}
    ).assign(prediction=60 + low + 0.5 * rng.standard_normal(80))
    section = secondary(result, clinical)
    assert section is not None
    assert np.isclose(section.table.cells[0][4].value, -3.0, atol=0.5)  # no end of it is worse: B minus A
    signed, size = section.sentences
    assert "larger" not in signed
    assert re.search(r"typically \S?0\.\d+ in A and \S[23]\.\d+ in B", signed)
    assert "LVEF error (%), size is larger in B than in A" in size


def test_shrunken_means_are_those_of_the_model_and_nearer_to_the_centre() -> None:
    table = cohort(90).query("label == 'LV'").assign(group=lambda one: np.repeat(list("ABC"), [60, 27, 3]))
    table.loc[table["group"] == "C", "dice"] -= 0.03
    overall = summarize(table, Groups.from_table(table, by="group"))[0]
    shrunken = shrunken_table(overall)
    assert shrunken is not None
    parts = [table.loc[table["group"] == group, "dice"].to_numpy() for group in "ABC"]
    means = [part.mean() for part in parts]
    pooled = np.sqrt(sum(((part - part.mean()) ** 2).sum() for part in parts) / (90 - 3))
    expected = shrink(means, pooled / np.sqrt([60, 27, 3]))
    for at, (count, raw, estimate) in enumerate(shrunken.cells):
        assert (count.value, raw.value) == (len(parts[at]), means[at])
        assert np.isclose(estimate.value, expected.estimate[at])
        assert abs(estimate.value - expected.centre) <= abs(raw.value - expected.centre) + 1e-12
    assert shrunken_table(summarize(table, Groups.from_table(table, by="site"))[0]) is None


def test_a_signed_error_is_judged_by_its_typical_case_and_its_spread() -> None:
    """No end of it is the hardest; who is over-segmented, and whose errors are large either way."""
    rng = np.random.default_rng(0)
    group = np.repeat(["A", "B", "C"], 60)
    error = rng.normal(0, 0.03, 180) + 0.1 * (group == "B")
    error[group == "C"] *= 5
    table = pd.DataFrame({"group": group, "dice": rng.normal(0.9, 0.01, 180), "volume_error": error})
    result = fairseg.audit(table, by="group", reference="A")
    section = secondary(result)
    assert section is not None
    shown = {(row.second, row.endpoint) for row in section.findings if row.shown}
    assert shown == {("B", Endpoint.TYPICAL), ("C", Endpoint.SPREAD)}
    assert {row.endpoint for row in section.findings} == {Endpoint.TYPICAL, Endpoint.SPREAD}


def test_who_has_no_distance_is_counted_beside_a_larger_one() -> None:
    """The 40 hardest subjects of M are missed and have none, so that the others look better than all of F."""
    rng = np.random.default_rng(3)
    group, dice = np.repeat(["M", "F"], 100), rng.normal(0.9, 0.03, 200).clip(0, 1)
    hd = (rng.gamma(4, 2, 200) + 60 * (0.9 - dice)).clip(0.5)
    missed = np.argsort(dice + (group == "F"))[:40]
    dice[missed], hd[missed] = 0.0, np.nan
    table = pd.DataFrame({"subject": np.arange(200).astype(str), "sex": group, "dice": dice, "hd": hd})
    (note,) = (one for one in fairseg.audit(table, by="sex").notes if one.startswith("Beside the verdict"))
    assert "HD (mm) is larger in F than in M" in note
    assert note.endswith(". 40 of 100 subjects of M have no value.")
