"""The sections of the page: worst cases, confounders, clinical measures, charts of gaps and of subjects."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

import fairseg
from fairseg import Groups, read_cohort
from fairseg.cli import main
from fairseg.clinical import agreement, clinical_measures
from fairseg.datasets.example import write_example
from fairseg.report import HeartRoles, MaskFolders, ReportSections, summarize
from fairseg.report.adjusted import adjust
from fairseg.report.clinical import agreement_charts, clinical_section
from fairseg.report.pictures import Pictures, gap_charts, sizes, with_largest_gaps
from fairseg.report.worst import worst_cases
from fairseg.scoring import evaluate
from fairseg.scoring.subjects import STRUCTURE_SIZE
from fairseg.scoring.summary import Summary
from fairseg.scoring.summary_intervals import with_intervals
from fairseg.scoring.table import Scores
from fairseg.statistics.confounders import adjusted_gap

QUICK = ReportSections(resamples=300)


def make_scores(number: int = 40, labels: tuple[str, ...] = ("LVBP", "LVM")) -> pd.DataFrame:
    """Return scores of a cohort in which group B has small hearts, and small hearts low Dice."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(number):
        group = "B" if index % 4 == 0 else "A"
        volume = rng.normal(60 if group == "B" else 120, 12)
        for frame, share in (("ED", 1.0), ("ES", 0.45)):
            for label in labels:
                true = volume * share
                rows.append(
                    {
                        "case": f"s{index:02d}_{frame}", "subject": f"s{index:02d}", "group": group,
                        "frame": frame, "sex": "F" if index % 3 else "M", "age": str(40 + index % 31),
                        "label": label,
                        "dice": float(np.clip(0.7 + volume / 800 + rng.normal(0, 0.01), 0, 1)),
                        "hd": float(rng.uniform(2, 9)),
                        "prediction_voxels": int(true * 70), "reference_voxels": int(true * 80),
                        "prediction_ml": true * 0.9, "reference_ml": true,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def summaries_of(scores: pd.DataFrame, by: str = "group", reference: str | None = "A") -> list[Summary]:
    groups = Groups.from_table(scores, by=by)
    return [
        with_intervals(summary, resamples=300) for summary in summarize(scores, groups, reference=reference)
    ]


def test_a_gap_of_small_hearts_goes_when_size_is_held_fixed() -> None:
    scores = make_scores()
    overall = summaries_of(scores)[0]
    section = adjust(Scores.of(scores), overall, [STRUCTURE_SIZE, "sex", "age"], {"age": [50]}, resamples=300)
    assert section is not None
    assert section.reference == "A"
    regression = section.regression.to_frame()
    name, cells = regression.index[0], regression.iloc[0].tolist()
    size = sizes(Scores.of(scores), overall)
    assert size is not None
    covariates = pd.DataFrame({STRUCTURE_SIZE: size[0]})
    cases = scores.drop_duplicates("subject").set_index("subject").loc[overall.subjects["subject"]]
    covariates["sex"], covariates["age"] = cases["sex"].to_numpy(), cases["age"].to_numpy()
    expected = adjusted_gap(
        overall.subjects["dice"], overall.subjects["group"], 2, covariates, reference=0
    ).table.iloc[0]
    assert name == "B"
    assert cells[1].startswith(f"{expected['unadjusted']:.3f}\n(")
    assert cells[3].startswith(f"{expected['adjusted']:.3f}\n(")
    assert expected["unadjusted"] > 0.05
    assert abs(expected["adjusted"]) < 0.03
    assert list(section.strata) == ["sex", "age"]
    assert [row.name for row in section.strata["age"].rows] == [
        "B, age<50", "B, age>=50", "B, without strata", "B, pooled over strata",
    ]  # fmt: skip
    assert "structure size is in the regression only" in section.notes


def test_what_cannot_be_adjusted_for_is_named() -> None:
    scores = make_scores()
    overall = summaries_of(scores)[0]
    assert adjust(Scores.of(scores), overall, [], {}) is None
    without_bins = adjust(Scores.of(scores), overall, ["age"], {}, resamples=300)
    assert without_bins is not None
    assert without_bins.strata == {}
    assert "give bins (--bins age=...)" in without_bins.notes[0]
    assert adjust(Scores.of(scores), summaries_of(scores, "frame", None)[0], ["sex"], {}) is None


def test_clinical_measures_stand_by_group() -> None:
    scores = make_scores()
    overall = summaries_of(scores)[0]
    roles = HeartRoles({"lv": "LVBP", "myocardium": "LVM"}, "frame")
    section = clinical_section(Scores.of(scores), overall, roles)
    assert section is not None
    measures = clinical_measures(scores, roles.labels, phase="frame")
    ids = dict(zip(overall.subjects["subject"], overall.subjects["group"], strict=True))
    expected = agreement(measures, ids, 2).table
    assert section.table["bias"].tolist() == expected["bias"].tolist()
    assert section.page_table.rows[0].name == "LVEDV (ml), A"
    count, bias, *_ = section.page_table.cells[0]
    assert (count.text, bias.value, bias.low) == ("30", expected["bias"][0], expected["bias_low"][0])
    charts = agreement_charts(section, Pictures([[overall]]))
    assert set(charts) == set(expected["measure"])
    assert charts["LVEDV"].count('class="dots') == 2
    assert clinical_section(Scores.of(scores), summaries_of(scores, "frame", None)[0], roles) is None


def test_every_subject_is_a_dot_in_every_grouping() -> None:
    scores = make_scores()
    analyses = [summaries_of(scores), summaries_of(scores, "sex", None), summaries_of(scores, "frame", None)]
    pictures = Pictures(analyses)
    # Subjects with an ED and an ES have a dot in each of these two groups.
    assert len(pictures.subjects.names) == 80
    for number, dots in ((0, 40), (1, 40), (2, 80)):
        drawn = str(pictures.boxes(number, "dice"))
        panels = re.findall(r"<svg.*?</svg>", drawn, flags=re.DOTALL)
        counts = [sum(len(who.split()) for who in re.findall(r'data-s="([^"]*)"', panel)) for panel in panels]
        assert counts == [dots, dots, dots]
    # A subject of unknown group is in no group's dots.
    unknown = scores.assign(group=scores["group"].where(scores["subject"] != "s01"))
    drawn = str(Pictures([summaries_of(unknown)]).boxes(0, "dice"))
    panel = re.findall(r"<svg.*?</svg>", drawn, flags=re.DOTALL)[0]
    assert sum(len(who.split()) for who in re.findall(r'data-s="([^"]*)"', panel)) == 39
    marks = str(pictures.scatters(Scores.of(scores)))
    assert marks.count("<svg") == 3
    assert "Size of the reference (ml)" in marks
    bare = scores.drop(columns=[name for name in scores if name.endswith(("_voxels", "_ml"))])
    assert str(pictures.scatters(Scores.of(bare))).count("<svg") == 1


def test_sizes_are_means_over_cases() -> None:
    scores = make_scores(8)
    overall, label, _ = summaries_of(scores)
    size = sizes(Scores.of(scores), label)
    assert size is not None
    own = scores[(scores["subject"] == "s03") & (scores["label"] == "LVBP")]["reference_ml"]
    index = label.subjects["subject"].tolist().index("s03")
    assert (size[0][index], size[1]) == (pytest.approx(own.mean()), "ml")
    whole = sizes(Scores.of(scores.drop(columns=["prediction_ml", "reference_ml"])), overall)
    assert whole is not None
    assert whole[1] == "voxels"
    voxels = scores[scores["subject"] == "s03"].groupby("case")["reference_voxels"].sum()
    assert whole[0][index] == pytest.approx(voxels.mean())


def test_of_many_labels_those_with_the_largest_gaps_are_drawn() -> None:
    labels = tuple(f"L{number:02d}" for number in range(20))
    scores = make_scores(40, labels)
    worse = (scores["label"] == "L17") & (scores["group"] == "B")
    scores.loc[worse, "dice"] -= 0.3
    summaries = summaries_of(scores)
    names = [summary.structure for summary in with_largest_gaps(summaries)]
    assert len(names) == 12
    assert names[0] == "Overall"
    assert "L17" in names
    result = fairseg.audit(scores, by="group", min_size=5)
    for endpoint, picture, more in gap_charts(result):
        assert str(picture).count('<th scope="row"') == 21, endpoint
        assert more == 0


def example(folder: Path) -> tuple[pd.DataFrame, Summary]:
    write_example(folder)
    scores = evaluate(folder / "predictions", folder / "references", read_cohort(folder / "groups.csv"))
    return scores, summaries_of(scores, "sex", "M")[0]


def test_the_worst_cases_are_shown_by_group(tmp_path: Path) -> None:
    scores, overall = example(tmp_path)
    masks = MaskFolders(tmp_path / "predictions", tmp_path / "references")
    shown, not_drawn = worst_cases(Scores.of(scores), overall, masks)
    assert not not_drawn
    assert [name for name, _ in shown] == ["F", "M"]
    for group, pictures in shown:
        cases = scores[scores["sex"] == group].groupby("case")["dice"].mean().sort_values()
        assert len(pictures) == 3
        for case, picture in zip(cases.index, pictures, strict=False):
            assert f"Case {case}," in picture.text
            assert picture.dice == pytest.approx(cases[case], abs=1e-9)
            own = scores[scores["case"] == case].set_index("label")["dice"]
            assert f"worst in {own.idxmin()} ({own.min():.3f})" in picture.text
    next((tmp_path / "references").glob(f"{cases.index[0]}.*")).write_bytes(b"broken")
    shown, not_drawn = worst_cases(Scores.of(scores), overall, masks)
    assert len(shown[1][1]) == 2
    assert list(not_drawn.values()) == [[cases.index[0]]]


def test_masks_of_two_formats_are_drawn_with_the_pixel_size_that_is_given(tmp_path: Path) -> None:
    """Predictions and colour images state no size, references do: 0.5 by 0.25 mm, other ones in each case."""
    table = pd.DataFrame(
        {"case": list("abcd"), "sex": list("FFMM"), "mm": ["0.5, 0.25", 1.5, 1.5, "0.5, 0.25"]}
    )
    for folder in ("predictions", "references", "images"):
        (tmp_path / folder).mkdir()
    for shift, (case, mm) in enumerate(zip(table["case"], table["mm"], strict=True)):
        true = np.zeros((40, 60), np.uint8)
        true[10:30, 20:40] = 1
        mask = sitk.GetImageFromArray(true)
        mask.SetSpacing((0.25, 0.5) if isinstance(mm, str) else (1.5, 1.5))  # columns first
        sitk.WriteImage(mask, str(tmp_path / "references" / f"{case}.nii.gz"))
        Image.fromarray(np.roll(true, shift + 1, axis=1)).save(tmp_path / "predictions" / f"{case}.png")
        Image.fromarray(np.stack([true * 90] * 3, axis=-1)).save(tmp_path / "images" / f"{case}.png")
    people = tmp_path / "people.csv"
    table.to_csv(people, index=False)
    folders = [str(tmp_path / folder) for folder in ("predictions", "references")]
    images, out = ["--images", str(tmp_path / "images"), "--by", "sex", "--min-size", "2"], tmp_path / "out"
    audit = ["audit", *folders, "--groups", str(people), "--labels", "1", *images, "--resamples", "100"]
    assert main([*audit, "--spacing", "mm", "--out", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert page.count("<figure>") == page.count("data:image") == 4
    assert not re.search("another grid|Not drawn|No image", page)
    report = [
        "report",
        str(out / "scores.csv"),
        "--predictions",
        folders[0],
        "--references",
        folders[1],
        *images,
    ]
    assert main([*report, "--spacing", "mm", "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "report.html").read_text().count("data:image") == 4
    assert main([*report, "--out", str(tmp_path / "without")]) == 0  # as if nobody had stated a size
    page = (tmp_path / "without" / "report.html").read_text()
    assert "<figure>" not in page
    assert "The worst cases of each group" in page
    assert len(re.findall("Not drawn: .* another grid", page)) == 2  # a reason each of two sizes


def test_a_whole_report_has_every_section(tmp_path: Path) -> None:
    scores = make_scores().assign(
        site=lambda table: np.where(table["subject"].str[-1] < "5", "north", "south")
    )
    sections = ReportSections(resamples=300, heart=HeartRoles({"lv": "LVBP"}, "frame"), model="nnU-Net")
    options = {"also": ["sex", "age"], "adjust": ["site", STRUCTURE_SIZE], "bins": {"age": [50.0]}}
    result = fairseg.audit(scores, by="group", reference="A", sections=sections, **options)
    page = result.save(tmp_path, figures=True).read_text()
    for heading in (
        "nnU-Net: group fairness by group", "Gaps, and how sure they are", "Every subject",
        "Distance and size", "Does the verdict hang on a choice?",
        "By sex", "By age",
        "Who the subjects are", "Among subjects who are alike", "Within site", "Clinical measures",
        "How this was judged, and on what",
    ):  # fmt: skip
        assert re.search(rf"<h[123]>{re.escape(heading)}</h[123]>", page), heading
    assert result.sentence.split(";")[0] in unescape(page)
    assert "Other metrics and clinical errors: findings beside the verdict" in page
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL).lower()
    for name in (
        "report.pdf", "findings.csv", "subgroups.csv", "subgroups.md", "subgroups.tex", "summary.csv",
        "summary.md", "summary.tex", "subjects.csv", "clinical.csv", "cohort.csv", "cohort.md", "cohort.tex",
        "overall.svg", "labels.svg", "gaps.png",
    ):  # fmt: skip
        assert (tmp_path / name).stat().st_size, name
    fairseg.audit(scores, by="group", sections=QUICK).save(tmp_path)
    for name in ("clinical.csv", "overall.svg", "labels.svg", "gaps.png", "report.pdf"):
        assert not (tmp_path / name).exists()  # of the report before


def test_a_stratum_may_be_called_like_a_group_of_the_statistics() -> None:
    scores = make_scores(60).assign(site=lambda table: np.where(table["sex"] == "F", "group 1", "group 7"))
    overall = with_intervals(summarize(scores, Groups.from_table(scores, by="group"))[0], resamples=300)
    few = scores["subject"].isin(["s00", "s04", "s08", "s12"]) & (scores["group"] == "B")
    table = scores.assign(site=scores["site"].where(~few, "group 9"))
    section = adjust(Scores.of(table), overall, ["site"], {}, resamples=200)
    assert section is not None
    assert any(note.startswith("site: group B: strata without one of both groups") for note in section.notes)
    assert any("group 9" in note for note in section.notes)


def biases(bias: dict[str, float], seed: int = 0, missed: dict[str, int] | None = None) -> list[str]:
    """Return what is said of ejection fractions of 40 subjects of A, 20 of B and 4 of C.

    Of the first subjects of a group, `missed` in number, the prediction has no ventricle at end-diastole.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for group, size in (("A", 40), ("B", 20), ("C", 4)):
        for index in range(size):
            for frame, true in (("ED", 150.0), ("ES", 60.0)):
                more = bias.get(group, 0.0) if frame == "ES" else 0.0
                if frame == "ED" and index < (missed or {}).get(group, 0):
                    more = -true - 100.0
                rows.append(
                    {
                        "case": f"{group}{index}_{frame}", "subject": f"{group}{index}", "group": group,
                        "frame": frame, "label": "LVBP", "dice": rng.normal(0.9, 0.01),
                        "prediction_ml": max(0.0, true + more + rng.normal(0, 4)), "reference_ml": true,
                    }
                )  # fmt: skip
    scores = pd.DataFrame(rows)
    overall = with_intervals(summarize(scores, Groups.from_table(scores, by="group"))[0], resamples=300)
    roles = HeartRoles({"lv": "LVBP"}, "frame")
    section = clinical_section(Scores.of(scores), overall, roles)
    assert section is not None
    return [*section.missing, *section.sentences]


def test_a_biased_ejection_fraction_is_on_the_first_screen() -> None:
    [fraction] = [line for line in biases({"B": 9.0}) if line.startswith("LVEF")]  # 9 ml of 150 are 6%
    assert re.match(
        r"LVEF, prediction minus reference \(%\): B \W\d\.\d \(\W\d\.\d to \W\d\.\d\); A ", fraction
    )
    assert fraction.endswith("The biases differ between the groups (p < 0.001 after Holm).")


def test_who_has_no_ejection_fraction_is_told() -> None:
    uneven = biases({}, missed={"B": 6})[0]
    assert uneven.startswith(
        "Missing values of LVEF are not spread evenly: 6 of 20 subjects of B (30%) against "
    )
    assert "0 of 40 of A (0%)" in uneven
    alike = biases({}, missed={"A": 6, "B": 3})[0]
    assert alike.startswith("Missing values of LVEF: ")
    assert "6 of 40 subjects of A (15%)" in alike
    assert "3 of 20 of B (15%)" in alike
    assert not any("Missing" in line for line in biases({}, missed={"A": 2, "B": 1}))  # 5% are tolerated


def test_limits_that_hold_together_say_so() -> None:
    [fraction] = [line for line in biases({"B": 9.0}) if line.startswith("LVEF")]
    assert "The 2 limits of this kind hold together, and are wider than those of the table" in fraction


def test_groups_too_few_to_judge_make_no_bias_and_hide_none() -> None:
    assert not any("C " in line for line in biases({"C": 60.0}))
    assert any(line.startswith("LVEF") for line in biases({"B": 9.0, "C": -60.0}))


def test_without_bias_nothing_is_said_of_it() -> None:
    assert sum(bool(biases({}, seed)) for seed in range(30)) <= 6  # of two families of 5% each


@pytest.mark.parametrize(("metric", "title"), [("nsd", "NSD"), ("quality", "quality")])
def test_every_place_names_the_metric_that_is_judged_by(tmp_path: Path, metric: str, title: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "subject": [f"p{index}" for index in range(60)],
            "sex": np.repeat(["F", "M"], 30),
            "age": rng.integers(40, 80, 60),
            "dice": rng.uniform(0.8, 0.9, 60),
            "hd": rng.uniform(3, 9, 60),
            metric: rng.uniform(0.6, 0.7, 60),
        }
    )
    result = fairseg.audit(table, by="sex", metric=metric, adjust="age", sections=QUICK)
    result.save(tmp_path / "audit")
    other = table.assign(**{metric: table[metric] + 0.01})
    compared = fairseg.compare({"a": table, "b": other}, by="sex", metric=metric, sections=QUICK)
    compared.save(tmp_path / "comparison")
    head = (tmp_path / "audit/subjects.csv").read_text().splitlines()[0]
    assert head == f"structure,subject,group,{metric},hd"
    assert f"| Median {title} " in (tmp_path / "audit/summary.md").read_text()
    assert f"Median {title}" in fairseg.report.paper_table(compared).index
    texts = [file for file in tmp_path.rglob("*") if file.suffix in (".html", ".md", ".csv", ".tex", ".svg")]
    assert len(texts) > 12
    for file in texts:
        visible = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", file.read_text())
        visible = re.sub(r"column \S*dice\S* is not looked at", "", visible)  # the one thing to say of it
        section = re.findall(r".{30}\b(?:DSC|[Dd]ice)\b.{30}", visible)
        assert not section, (file.name, section)
    assert result.plot("boxes").get_ylabel() == title
    assert compared.plot("boxes").get_ylabel() == title


def test_biased_ejection_fractions_stand_wherever_the_answer_does() -> None:
    rng = np.random.default_rng(0)
    subjects, group = [f"p{index}" for index in range(80)], np.repeat(["A", "B"], 40)
    parts = []
    for frame, volume, off in (("ED", 150, 0), ("ES", 60, 12)):
        reference = rng.normal(volume, 10, 80)
        part = {"case": [f"{name}_{frame}" for name in subjects], "subject": subjects, "group": group}
        part |= {"frame": frame, "label": "LV", "dice": rng.normal(0.9, 0.01, 80)}
        prediction = reference + off + rng.normal(0, 3, 80)
        parts.append(pd.DataFrame({**part, "reference_ml": reference, "prediction_ml": prediction}))
    sections = ReportSections(heart=HeartRoles({"lv": "LV"}, "frame", ("ED", "ES")))
    result = fairseg.audit(pd.concat(parts), by="group", sections=sections)
    assert any(note.startswith("LVEF, prediction minus reference") for note in result.notes)


def test_swapped_phases_are_told_with_the_answer() -> None:
    rows = [
        {"case": f"s{n}_{phase}", "subject": f"s{n}", "sex": "FM"[n % 2], "frame": phase, "label": "LV"}
        | {"dice": 0.9 + n / 1000, "prediction_ml": volume, "reference_ml": volume + n}
        for n in range(24)
        for phase, volume in (("ED", 60.0), ("ES", 150.0))
    ]
    heart = HeartRoles({"lv": "LV"}, "frame", ("ED", "ES"))
    result = fairseg.audit(pd.DataFrame(rows), by="sex", sections=ReportSections(heart=heart))
    doubt = "24 of 24 subjects have a negative ejection fraction in the references"
    assert f"{doubt}: are ED and ES of frame swapped?" in result.notes
