"""Other choices, other measures, and means drawn together: what changes the verdict is said first."""

import numpy as np
import pandas as pd

import fairseg
from fairseg import Groups
from fairseg.report import summarize
from fairseg.report.secondary import secondary
from fairseg.report.sensitivity import sensitivity
from fairseg.report.small_groups import shrunken_table
from fairseg.scoring.variants import variants
from fairseg.statistics.shrinkage import shrink


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
    grouping = result.analyses[0].grouping()
    tried = variants(result.scores, result.common.overall, grouping, result.structures)
    names = [one.name for one in tried]
    assert list(dict.fromkeys(names)) == [
        "median over structures",
        "missed structures left out",
        "without the best or worst subject of a group",
        "without site north",
        "without site south",
    ]


def test_a_verdict_that_hangs_on_missed_structures_is_named() -> None:
    table = cohort()
    missed = (table["group"] == "B") & (table["label"] == "RV") & table["subject"].str.endswith(("1", "3"))
    table.loc[missed, ["dice", "prediction_voxels"]] = [0.0, 0]
    result = fairseg.audit(table, by="group")
    found = sensitivity(result)
    assert found is not None
    rows = found.table.to_frame()
    assert rows.loc["missed structures left out", "Changes"] == "in 1 of 1"
    assert rows.loc["median over structures", "Changes"] == "no"
    assert 'missed structures left out, it is "not enough evidence"' in found.sentence


def test_a_subject_without_any_structure_left_is_no_trouble() -> None:
    table = cohort()
    table.loc[table["subject"] == "s3", ["dice", "prediction_voxels"]] = [0.0, 0]
    assert sensitivity(fairseg.audit(table, by="group")) is not None


def test_a_verdict_that_hangs_on_nothing_has_no_sentence() -> None:
    table = cohort()
    table.loc[table["group"] == "B", "dice"] -= 0.1
    found = sensitivity(fairseg.audit(table, by="group"))
    assert found is not None
    assert found.sentence == ""
    assert set(found.table.to_frame()["Changes"]) == {"no"}


def test_nothing_judged_is_judged_no_other_way() -> None:
    assert sensitivity(fairseg.audit(cohort(8), by="group")) is None


def test_distances_and_clinical_errors_are_findings_beside_the_verdict() -> None:
    rng = np.random.default_rng(1)
    table = cohort().assign(hd95=lambda one: rng.normal(5, 0.5, len(one)) + 3 * (one["group"] == "B"))
    result = fairseg.audit(table, by="group", reference="A")
    overall = summarize(result.scores, result.analyses[0].groups)[0]
    spread = np.where(np.arange(80) % 2, 4.0, 1.0)  # four times as wide in B
    clinical = pd.DataFrame(
        {"measure": "LVEF", "unit": "%", "subject": [f"s{at}" for at in range(80)]}
    ).assign(prediction=60 + spread * rng.standard_normal(80), reference=60.0)
    found = secondary(result, overall, clinical)
    assert found is not None
    rows = found.table.to_frame()
    assert rows.loc["HD95 (mm): A, B: typical case", "Verdict"] == "Gap shown"
    assert rows.loc["LVEF error (%): A, B: spread", "Verdict"] == "Gap shown"
    assert rows.loc["LVEF error (%): A, B: typical case", "Verdict"] == "Not enough evidence"
    assert any("HD95 (mm) is larger in B than in A" in line for line in found.sentences)
    assert any("LVEF error (%) is spread wider in B" in line for line in found.sentences)
    assert secondary(fairseg.audit(cohort(), by="group"), overall) is None


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
