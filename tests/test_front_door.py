"""What a person types after reading the README works: each line runs alone, on tables such as people have."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fairseg

TABLE = "df"  # in the snippets: one row a subject; `long` has a row a case and label, `other` a second model
SNIPPETS = """
fairseg.audit(df, by="sex")
fairseg.audit(df, by="sex", reference="M").verdict is fairseg.Verdict.GAP
fairseg.audit(df, "sex", "M").sentence
fairseg.audit(df, by=["sex", "site"], min_size=5).groups
fairseg.audit(df, by="age", bins={"age": [50]}).findings
fairseg.audit(df, by="sex", also=["site"], adjust=["site"], margin=0.03).left_out
fairseg.audit(df["dice"], groups=df["sex"])
fairseg.audit(df["dice"].to_numpy(), groups=df["sex"].to_numpy(), reference="M")
fairseg.audit(df["dice"].tolist(), groups=df["sex"].tolist())
fairseg.audit(df["dice"].tolist(), df["sex"].tolist(), reference="M")
fairseg.audit(df["dice"], df["sex"].tolist(), "M").verdict is fairseg.Verdict.GAP
fairseg.audit(dict(zip(df.subject, df.dice)), groups=dict(zip(df.subject[::-1], df.sex[::-1]))).sentence
fairseg.audit(dict(zip(df.subject, df.dice)), dict(zip(df.subject, df.sex))).verdict is fairseg.Verdict.GAP
fairseg.audit(df.assign(sex=(df.sex == "M").astype(float)), by="sex", reference=1.0).sentence
fairseg.audit(df.assign(dice=df.dice * 100), by="sex", percent=True)
fairseg.audit(df.assign(RV=df.dice).rename(columns={"dice": "LV"}), by="sex", wide=["LV", "RV"]).structures
fairseg.audit(df.dice, by=df.sex, reference="M")
fairseg.audit(df, df["sex"]).groups
fairseg.audit(df, by=df.columns[df.columns == "sex"])
fairseg.audit(df.to_dict("records"), by="sex")
fairseg.audit(df.to_records(index=False), by="sex")
fairseg.compare({"a": df.dice, "b": other.dice}, by=df.sex)
fairseg.compare({"a": df, "b": other}, by="sex").verdict is fairseg.Verdict.FAIRER
fairseg.audit(df.rename(columns={"dice": "DSC"}), by="sex")
fairseg.audit(df.rename(columns={"dice": "my score"}), by="sex", metric="my score")
fairseg.audit(long, by="sex", reference="M")
fairseg.audit("scores.csv", by="sex")
fairseg.audit(Path("scores.csv"), by="sex").save("report").is_file()
fairseg.audit(df, by="sex").plot("boxes").set_title("mine")
fairseg.audit(long, by="sex").plot("gaps").figure
fairseg.audit(long, by="sex").plot("size").get_xlabel()
fairseg.audit(df, by="sex")._repr_html_()
fairseg.compare({"baseline": df, "fair": other}, by="sex", baseline="baseline").verdicts["fair"]
fairseg.compare({"a": df, "b": other}, by="sex", baseline="a").sentence
fairseg.compare({"a": long, "b": long}, by="sex", baseline="a").findings
fairseg.compare({"a": df, "b": other}, by="sex", baseline="a").save("comparison").is_file()
fairseg.plan(df, by="sex", reference="M", difference=0.02).table
fairseg.plan(median=0.9, iqr=0.05, sizes=(400, 12)).sentence
fairseg.Groups.from_values(df["sex"]).names == ("F", "M")
fairseg.Groups(["F", "M"]).encode(df["sex"])
fairseg.samplers.GroupBatchSampler(df["sex"], batch_size=8)
next(iter(fairseg.samplers.GroupBatchSampler(df.sex, 8, subjects=df["subject"])))
list(fairseg.samplers.GroupWeightedSampler(df["sex"], 20))
fairseg.metrics.by_group(df["dice"], df["sex"])[0]["F"] < 0.9
fairseg.metrics.fairness_gap(df["dice"], df["sex"], reference="M") > 0
fairseg.metrics.skewed_error_ratio(df["dice"], df["sex"]) > 1
fairseg.metrics.worst_group(df["dice"], df["sex"])
fairseg.metrics.equity_scaled(df["dice"], df["sex"], variant="sum")
fairseg.metrics.dice(prediction, reference)
fairseg.metrics.hausdorff(prediction, reference, spacing=(10, 1.5, 1.5))
fairseg.metrics.score_case(prediction, reference)["dice"]
fairseg.metrics.mann_whitney_u(df[df.sex == "F"].dice, df[df.sex == "M"].dice)
fairseg.statistics.bootstrap_interval(df["dice"], df["sex"], "fairness_gap", reference="M").low
fairseg.losses.GroupDROLoss(groups)(logits, target, ids)
fairseg.losses.GroupDROLoss(groups)(logits, target, ["F", "M", "M", "F"])
fairseg.losses.BalancedGroupLoss(groups)(logits, target, ids)
fairseg.losses.ReweightedLoss(groups.counts(groups.encode(df)))(logits, target, ids)
fairseg.losses.group_weights(df["sex"].value_counts().sort_index())
dict(fairseg.losses.group_weights(df.sex.value_counts()))["F"] > 0.5
fairseg.Groups.from_values(df.sex).counts(df.sex).tolist() == [40, 60]
fairseg.fairness_gap(df.dice, (df.sex == "M").astype(float)) > 0
fairseg.audit(df.dice, groups=(df.sex == "M").astype(float)).groups["n"].tolist() == [40, 60]
fairseg.GroupBatchSampler((df.sex == "M").astype(float), 8)
fairseg.crop.crop(reference, fairseg.crop.Box.around(reference, margin=2)).shape
fairseg.evaluate("predictions", "references", "groups.csv")
fairseg.audit(fairseg.evaluate("predictions", "references", fairseg.read_cohort("groups.csv")), by="sex")
fairseg.audit(predictions="predictions", references="references", cohort="groups.csv", by="sex")
fairseg.audit(predictions="predictions", references="references", cohort="groups.csv", by="sex", metric="iou")
fairseg.audit("predictions", "references", groups="groups.csv", by="sex", metric="iou").options.seed == 0
fairseg.audit(Path("predictions"), Path("references"), "groups.csv", "sex", "M").analyses[0].reference == 1
fairseg.audit(df, groups="sex", reference="M").verdict is fairseg.Verdict.GAP
list(fairseg.compare(df, other, by="sex").verdicts) == ["model 2"]
list(fairseg.compare([df, other, df], "sex").verdicts) == ["model 2", "model 3"]
list(fairseg.compare("scores.csv", "others.csv", "sex", reference="M").verdicts) == ["others"]
fairseg.compare(df.dice, other.dice, groups=df.sex).verdict is fairseg.Verdict.FAIRER
fairseg.evaluate("predictions", "references", groups="groups.csv")
fairseg.check("predictions", "references", "groups.csv").exit_code == 0
fairseg.evaluate([prediction], [reference], {"case": ["p1"], "sex": ["F"]}, labels=1, metrics="dice")
fairseg.evaluate({"p1": prediction}, {"p1": reference}, {"case": ["p1"]}, labels=1, spacing=(8, 1, 1))
fairseg.score_case(prediction, reference, labels=1)["dice"].shape == (1,)
list(fairseg.audit(df, by="age", bins={"age": 50}).groups["group"]) == ["age<50", "age>=50"]
fairseg.Groups.from_values(df.age, bins=50).names == ("age<50", "age>=50")
fairseg.audit(named.dice, groups=named.sex).left_out["name"].tolist() == ["p00"]
fairseg.audit(named, by="sex").left_out["name"].tolist() == ["p00"]
fairseg.audit(named.dice.tolist(), groups=named.sex).left_out["name"].tolist() == ["p00"]
fairseg.audit(named.dice.reset_index(drop=True), groups=named.sex.tolist()).left_out["name"].tolist() == ["0"]
fairseg.dice(prediction, reference) == fairseg.metrics.dice(prediction, reference)
fairseg.fairness_gap(df.dice, df.sex, reference="M") > 0
next(iter(fairseg.GroupBatchSampler(df.sex, 8)))
fairseg.GroupDROLoss(groups, fairseg.DiceCELoss())(logits, target, ids)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with masks, a cohort and a table of scores."""
    from fairseg.datasets import write_example  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("front_door")
    write_example(folder)
    return folder


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Return what the snippets know."""
    rng = np.random.default_rng(0)
    sex = np.repeat(["M", "F"], [60, 40])
    dice = np.clip(np.where(sex == "M", 0.93, 0.87) + rng.normal(0, 0.03, 100), 0, 1)
    df = pd.DataFrame(
        {
            "subject": [f"p{number:03}" for number in range(100)],
            "sex": sex,
            "site": rng.choice(["A", "B"], 100),
            "age": rng.integers(20, 90, 100),
            "dice": dice,
        }
    )
    long = pd.concat(
        [
            df.assign(case=df["subject"], label=label, reference_voxels=1000 + place)
            for place, label in enumerate("LR")
        ],
        ignore_index=True,
    )
    reference = np.zeros((5, 40, 40), dtype=np.uint8)
    reference[1:4, 10:30, 10:30] = 1
    groups = fairseg.Groups.from_values(df["sex"])
    return {
        "fairseg": fairseg,
        "Path": Path,
        "df": df,
        "long": long,
        # One row a subject, named by the index; the first has no score.
        "named": df[["sex", "dice"]]
        .set_axis(df["subject"].str[:1] + df["subject"].str[2:])
        .head(90)
        .rename_axis(None)
        .assign(dice=df["dice"].mask(df.index == 0).to_numpy()[:90]),
        "other": df.assign(dice=np.clip(dice + np.where(sex == "F", 0.05, 0.0), 0, 1)),
        "reference": reference,
        "prediction": np.roll(reference, 2, axis=2),
        "groups": groups,
        "ids": torch.tensor([0, 1, 1, 0]),
        "logits": torch.randn(4, 2, 8, 8),
        "target": torch.randint(0, 2, (4, 8, 8)),
    }


@pytest.mark.parametrize("snippet", [line for line in SNIPPETS.splitlines() if line])
def test_a_line_that_a_person_would_type(
    snippet: str, place: Path, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    for file in ("scores.csv", "others.csv"):
        names["long"].to_csv(file, index=False)
    result = eval(snippet, dict(names))
    assert result is not None
    assert result is not False


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'fairseg.audit(df, by="gender")',
            "by: the table has no attribute 'gender', it has sex",
        ),
        ('fairseg.compare({"a": df, "b": other, "c": df}, by="sex").verdict', "see verdicts"),
        ("fairseg.audit(df)", "by must name the attribute .*; the scores have sex, site"),
        ('fairseg.audit(df.dice, by="sex")', r"got Series|groups= beside it"),
        ('fairseg.audit(df, df["sex"][:9])', "scores and groups must have one length"),
        ('fairseg.audit(df, by="sex", bins=[50])', r"bins must map attributes to edges.*got \[50\]"),
        ('fairseg.audit(df, by=["sex", "site"], reference="X")', "reference: group must be one of .*F / "),
        ('fairseg.audit(df, by="sex", metric=["dice"])', "metric must be the name of one column"),
        ('fairseg.audit(df.assign(dice=None), by="sex")', "scores must have a number of DSC in some row"),
        ('fairseg.audit(df, by="sex").plot("size")', "reference_voxels or reference_ml"),
        ("fairseg.plan(failure_rate=0.02)", "for failures say endpoint='failures'"),
        (
            'fairseg.metrics.fairness_gap(df, "sex")',
            "values must be numbers, got a table .* take a column",
        ),
        ('fairseg.metrics.dice("a.nii.gz", reference)', "prediction must be an array .* 'a.nii.gz'"),
        ('fairseg.Groups(df["sex"])', "'[FM]' twice: Groups.from_values"),
        ('fairseg.losses.GroupDROLoss(df["sex"])', "'[FM]' twice: Groups.from_values"),
        ("fairseg.crop.crop(reference, (1, 2, 3))", "box must be a Box, .*got tuple"),
        ("fairseg.crop.Cascade(None, None, 96)", r"size must have one integer an axis.*got 96"),
        ('fairseg.audit(df, by="Sexo")', "did you mean 'sex'"),
        ('fairseg.audit(df, by="sex", metric="dize")', "did you mean 'dice'"),
        ('fairseg.audit(df, by="sex").plot("box")', "did you mean 'boxes'"),
        ('fairseg.audit(df, by="sex").plot("gaps", df.dice.to_numpy())', r"ax must be one axes.*axes\[0\]"),
        ('fairseg.compare({"old": df, "new": other}, "sex", "odl")', "did you mean 'old'"),
        ('fairseg.audit(df, by="sex", referense="M")', "did you mean 'reference'.*fairseg.audit"),
        ('fairseg.audit("a.csv", "b.csv", by="sex")', "fairseg.compare"),
        ('fairseg.audit("here", "there", by="sex")', "predictions, references and cohort"),
        ('fairseg.compare(a=df, b=other, by="sex")', "fairseg.compare"),
        ("fairseg.evaluate('here', 'there')", "cohort.*fairseg.evaluate"),
        ("fairseg.audit(df, by='sex', margin='0.02')", "margin must be above 0 and at most 1, got '0.02'"),
        (
            "fairseg.audit(df, by='sex', min_size='10')",
            "min_size must be a whole number of at least 2, got '10'",
        ),
        ("fairseg.audit(df, by='sex', failure_threshold='0.5')", "failure_threshold must be .* got '0.5'"),
        ("fairseg.plan(df, by='sex', difference='0.02')", "difference must be .* got '0.02'"),
        ("fairseg.plan(median=0.9, iqr=0.05, sizes=(400, 12), power='0.8')", "power must be .* got '0.8'"),
        ("fairseg.metrics.hausdorff(prediction, reference, percentile='95')", "percentile must .* got '95'"),
        (
            "fairseg.score_case(prediction, reference, metrics=['nsd'], tolerance='2')",
            "tolerance must .* got '2'",
        ),
        (
            "fairseg.statistics.bootstrap_interval(df.dice, df.sex, 'fairness_gap', level='0.9')",
            "level .* got '0.9'",
        ),
        ("fairseg.losses.GroupDROLoss(2, step_size='0.01')", "step_size must .* got"),
        ("fairseg.losses.CVaRGroupLoss(2, alpha='0.3')", "alpha must .* got"),
        ("fairseg.losses.group_weights([1, 2], eps='1')", "eps must .* got '1'"),
        ("fairseg.losses.CrossEntropyLoss(label_smoothing='0.1')", "label_smoothing must .* got"),
        ("fairseg.audit(df.assign(dice=df.dice * 100), by='sex')", r"say so: percent=True"),
        ("fairseg.audit(df[['subject', 'dice']], by='sex')", r"no attribute at all.*scores\.merge\(cohort"),
        ("fairseg.audit(df[['subject', 'dice']], by='sex', cohort=df)", r"scores\.merge\(cohort"),
        ("fairseg.audit(df[['subject', 'dice']], by='sex', groups=df)", r"scores\.merge\(cohort"),
        ("fairseg.audit(df[['subject', 'dice']], by='sex', groups='groups.csv')", r"scores\.merge\(cohort"),
        ("fairseg.compare([df[['subject', 'dice']]] * 2, by='sex')", r"scores\.merge\(cohort"),
        (
            "fairseg.audit({'a': 0.9, 'b': 0.8}, groups={'a': 'F', 'c': 'M'})",
            "same subjects, got b, c in one",
        ),
        ("fairseg.audit(df['dice'].tolist(), df['sex'].tolist()[1:])", "one value a subject with groups"),
        ("fairseg.audit(prediction, reference, groups=df.sex)", r"fairseg\.audit\(list\(predictions\), list"),
        ("fairseg.audit(logits, reference, df, by='sex')", r"audit\(list\(predictions\)"),
        ("fairseg.audit([prediction], [reference], groups=['F'])", "cohort={'case': names, 'sex': groups}"),
        ("fairseg.evaluate(prediction, reference, df)", r"fairseg\.evaluate\(list\(predictions\), list"),
        ("fairseg.score_case(prediction, reference, labels={1: 'LV'})", "name first: labels={'LV': 1}"),
        (
            "fairseg.score_case(prediction, reference, labels=['LV', 'RV'])",
            "such as labels={'LV': 1, 'RV': 2}",
        ),
        ("fairseg.audit(df, by='sex*site')", r"by=\['sex', 'site'\]"),
        ("fairseg.audit(df.rename(columns={'dice': 'f1'}), by='sex')", "metric='f1'"),
        ("fairseg.audit(df.rename(columns={'dice': 'val_dice'}), by='sex')", "metric='val_dice'"),
        (
            "fairseg.skewed_error_ratio(df.dice * 100, df.sex)",
            r"between 0 and 1.*percentages\? divide by 100",
        ),
        ("fairseg.metrics.equity_scaled(df.dice, df.sex)", "variant must be .*there is no default"),
        (
            "fairseg.statistics.bootstrap_interval(len, df.dice, df.sex)",
            "values must be numbers",
        ),
        ("fairseg.score_case(prediction, reference, metrics=['hausdorff'])", "did you mean 'hd'"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_what_there_is(
    line: str, message: str, names: dict[str, Any]
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        eval(line, names)


def test_a_result_printed_is_its_sentence(names: dict[str, Any]) -> None:
    result = fairseg.audit(names["df"], by="sex")
    change = fairseg.compare({"old": names["df"], "new": names["other"]}, by="sex")
    assert (str(result), str(change)) == (result.sentence, change.sentence)


def test_a_reference_may_follow_the_groups() -> None:
    dice, sex = [0.84, 0.90, 0.92, 0.86], ["F", "M", "M", "F"]
    named = fairseg.metrics.fairness_gap(dice, sex, reference="M")
    assert fairseg.metrics.fairness_gap(dice, sex, "M") == named == pytest.approx(0.06)
    assert fairseg.metrics.gap_pair(dice, sex, "F") == ("M", "F")
    with pytest.raises(TypeError):
        fairseg.metrics.fairness_gap(dice, sex, "M", 2)


def test_names_of_metrics_are_those_that_are_public_and_near_misses_are_named() -> None:
    assert "moved" not in dir(fairseg.metrics)
    assert {"dice", "bootstrap_interval", "evaluate"} <= set(dir(fairseg.metrics))
    code = "import fairseg.metrics\nfairseg.metrics.hausdorf"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Did you mean: 'hausdorff'" in done.stderr


def test_samplers_show_what_they_draw_from() -> None:
    sampler = fairseg.GroupBatchSampler(["M"] * 6 + ["F"] * 2, batch_size=4, balance=0.5)
    assert repr(sampler) == "GroupBatchSampler(samples: F 2, M 6; balance=0.5, seed=0, length=2)"


def test_a_reference_may_be_called_as_tables_call_it(names: dict[str, Any]) -> None:
    df = names["df"]
    short, full = (
        fairseg.audit(df, by=["sex", "site"], min_size=5, reference=name).analyses[0].reference
        for name in ("M / B", "sex=M, site=B")
    )
    assert short == full


def test_functions_stay_functions_whatever_was_imported_first() -> None:
    code = "import fairseg.scoring.folders, fairseg as f; print(callable(f.evaluate), callable(f.audit))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
