"""`fairseg.understand` and its command on a phantom whose groups differ outside the heart alone."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.patches import Patch

import fairseg
from fairseg.cli import main
from fairseg.cli.command import cli
from fairseg.datasets import SHIFT, Shift, write_phantom
from fairseg.understanding import UnderstandResult, views
from fairseg.understanding.advice import Advice, advise
from fairseg.understanding.changes import Intervention, Occlusion
from fairseg.understanding.errors import MeasureDifference
from fairseg.understanding.location import Crop
from fairseg.understanding.page import card_of
from fairseg.understanding.readability import Reading, Readings
from fairseg.understanding.result import _slices
from fairseg.understanding.sentences import (
    advice_words,
    association_tables,
    confounder_tables,
    image_line,
    question_lines,
    used_line,
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(
        folder,
        subjects={"White": 14, "Black": 12, "Asian": 2},
        test_subjects=0,
        shift=SHIFT.without(["brightness", "heart"]),
        shape=(52, 52),
        spacing=4.5,
        slices=3,
    )
    (folder / "masks").mkdir()
    for file in (folder / "labelsTr").iterdir():  # a model that finds too little
        mask = sitk.ReadImage(str(file))
        small = sitk.Cast(sitk.BinaryErode(mask != 0, (1, 1, 0)), mask.GetPixelID())
        sitk.WriteImage(mask * small, str(folder / "masks" / file.name))
    return folder


@pytest.fixture(scope="module")
def result(phantom: Path) -> UnderstandResult:
    return fairseg.understand(
        phantom,
        "group",
        "White",
        predictions=phantom / "masks",
        confounders="age",
        margins=(0, 30),
        permutations=199,
    )


def test_the_outside_tells_the_groups_and_the_heart_does_not(
    result: UnderstandResult,
) -> None:
    shown = {row.view: row.shown for row in result.readings.rows}
    assert shown[views.WHOLE]
    assert shown[views.OUTSIDE]
    assert not shown[views.ORGAN]
    assert not shown[views.MASK]
    assert result.crop_margin == 0.0  # so few subjects exclude nothing of a wider one
    assert (result.advice[0].kind, result.advice[0].facts["crop"].excluded) == ("crop", False)
    assert "too few subjects to exclude an AUC of 0.70" in result.sentence
    assert result.left_out.to_dict("records") == [
        {"group": "Asian", "subjects": 2, "why": "fewer than 10 subjects with images, so not judged"}
    ]
    assert dict(result.cohort.counts) == {"White": 14, "Black": 12}


def test_findings_hold_every_test_and_the_sentence_says_the_first(
    result: UnderstandResult,
) -> None:
    asked = set(result.findings["question"])
    assert {"readable", "readable from confounders", "readable within strata", "score and Dice"} <= asked
    volume = result.findings.query("what == 'LVBP: volume error (%)'").iloc[0]
    assert volume["n"] == 26
    assert "group can be read from the" in result.sentence
    assert "not yet proof" in result.sentence or "is not shown" in result.sentence
    assert "sentence" not in repr(result)
    assert "<style>" in result._repr_html_()


def test_of_three_groups_the_sentence_names_the_one_that_differs_and_the_picture_shows_it(
    result: UnderstandResult,
) -> None:
    def reading(group: str, p: float, against: str = "") -> Reading:
        return Reading(views.WHOLE, group, 9, 9, 1 - p / 2, 0.6, 0.8, 0.65, p, p, against)

    def of(*ps: float) -> UnderstandResult:
        pairs = (("A", "B"), ("A", "C"), ("B", "C"))
        told = tuple(reading(one, p, two) for (one, two), p in zip(pairs, ps, strict=True))
        organ = replace(reading("C", 0.5), view=views.ORGAN)
        rows = (*(reading(name, 0.01) for name in "ABC"), organ)
        cohort = replace(result.cohort, names=("A", "B", "C"), ids=np.arange(len(result.cohort.ids)) % 3)
        readings = replace(result.readings, rows=rows, pairs=told)
        nothing = dict.fromkeys(("associations", "atlas", "measures", "slices"), ())
        return replace(result, cohort=cohort, readings=readings, confounded=None, **nothing)

    assert "some view tells C from each of the others; not shown: A from B." in of(0.5, 0.01, 0.02).sentence
    assert "Some view tells each group from each other." in of(0.01, 0.01, 0.02).sentence
    assert "some view tells A from C; not shown: A from B, B from C." in of(0.5, 0.01, 0.5).sentence
    assert "no view is shown to tell two groups apart." in of(0.5, 0.5, 0.5).sentence
    results = of(0.5, 0.02, 0.01)
    assert results.pictured == ("B", "C")
    assert "C - B" in [inset.get_title() for inset in results.plot("images").child_axes]
    assert set(results.findings.query("question == 'readable in pairs'")["other"]) == {"B", "C"}


def test_limits_do_not_contradict_what_they_exclude(result: UnderstandResult) -> None:
    crop = Reading(views.box_name(0), "Black", 12, 14, 0.6, 0.5, 0.698, 0.75, 0.5, 0.5)
    rows = (replace(crop, view=views.WHOLE, p_adjusted=0.001), replace(crop, view=views.ORGAN), crop)
    seen = replace(result, readings=Readings(rows, {}), confounded=None)
    message = seen.sentence
    assert "an AUC of 0.70 by this model is excluded (AUC 0.60, 0.50 to 0.698)" in message
    assert any("is excluded (AUC 0.60, 0.50 to 0.698)" in advice_words(one, seen)[0] for one in seen.advice)


def test_who_has_no_confounder_and_who_is_alike_is_said(result: UnderstandResult) -> None:
    assert result.confounded is not None
    note = "too few subjects of Black are like the others in age"
    known = (("White", 14, 14), ("Black", 7, 12))
    apart = replace(result.confounded, within=(), notes=(note,), known=known)
    message = replace(result, confounded=apart).sentence
    assert f"{note}, so what images tell beyond it cannot be said, nor it be held fixed." in message
    assert "in whom age is known: 14 of 14 White and 7 of 12 Black." in message
    assert "in whom age is known" not in result.sentence
    age = replace(result.confounded.alone[0], auc=0.9, p_adjusted=0.01)
    site = replace(age, view="site", auc=0.6)
    both = replace(apart, names=("age", "site"), alone=(age, site, replace(site, view="all confounders")))
    assert "age alone tells the groups apart" in replace(result, confounded=both).sentence
    (alone, *_) = confounder_tables(result)
    assert alone.cells[0][0].text == "12 Black, 14 others"


def test_colours_of_occlusion_have_room_for_their_numbers_and_show_what_was_not_blanked(
    result: UnderstandResult,
) -> None:
    change = np.full((2, 6, 6), 0.0001)
    change[0, 0, 0], change[:, 2:4, 2:4] = -0.0041, np.nan
    patch = Occlusion("White", "Black", change, (0, 0), 0.5)
    given = Intervention(np.zeros(26), (), (patch,), np.zeros((26, 3)))
    insets: Any = replace(result, intervention=given).plot("occlusion").child_axes
    pictures = [inset for inset in insets if inset.images]
    assert len(pictures) == 3
    for inset in pictures:
        bad = inset.images[0].get_cmap()(np.ma.masked)
        assert max(bad[:3]) < 0.8  # white is no change
    bars = [inset for inset in insets if inset.get_xlabel() == "Change of Dice"]
    assert [[tick.get_text() for tick in bar.get_xticklabels()] for bar in bars] == [
        ["-0.0041", "0", "0.0041"]
    ] * 3
    insets[0].figure.canvas.draw()
    labels = [tick.get_window_extent() for bar in bars for tick in bar.get_xticklabels()]
    assert all(one.x1 + 5 < two.x0 for one, two in pairwise(labels))


def test_the_forest_has_a_band_where_a_constant_view_has_none(
    result: UnderstandResult, tmp_path: Path
) -> None:
    flat = replace(ROW, view=views.HEADER, auc=0.5, low=0.4, high=0.6, chance=0.5, p_adjusted=1.0)
    rows = tuple(row for row in result.readings.rows if row.view != views.HEADER)
    readings = replace(result.readings, rows=(*rows, flat))
    page = replace(result, readings=readings).save(tmp_path).read_text(encoding="utf-8")
    bands = [float(width) for width in re.findall(r'<rect x="[\d.]+%" width="([\d.]+)%"', page)]
    assert len(bands) == len(rows) + 1
    assert len(set(bands)) > 1
    assert min(bands) > 5


def test_a_view_that_the_answer_names_is_not_named_again(result: UnderstandResult) -> None:
    organ = Reading(views.ORGAN, "White", 9, 9, 0.5, 0.4, 0.6, 0.65, 0.5, 0.5)
    rows = (organ, replace(organ, view=views.POSITION, auc=0.9, p_adjusted=0.01))
    readings = replace(result.readings, rows=rows)
    message = replace(result, readings=readings, confounded=None).sentence
    assert message.count("position of the organ") == 1
    rows = (*rows, replace(rows[1], view=views.WHOLE))
    message = replace(result, readings=replace(readings, rows=rows), confounded=None).sentence
    assert "whole image" in message
    assert "Also told by: position of the organ." in message


def test_differences_are_drawn_on_a_scale_that_chance_does_not_fill_and_in_their_shape(
    result: UnderstandResult,
) -> None:
    noise = np.random.default_rng(0).normal(size=result.cohort.views[views.WHOLE].shape)
    cohort = replace(result.cohort, views={**result.cohort.views, views.WHOLE: noise})
    drawn = {}
    for kind, given in (("images", replace(result, cohort=cohort)), ("errors", result)):
        insets: Any = given.plot(kind).child_axes
        drawn[kind] = next(inset for inset in insets if " - " in inset.get_title())
        low, high = drawn[kind].images[0].get_clim()
        assert high == -low >= 8
        assert "Standard errors" in [inset.get_xlabel() for inset in insets]
    assert np.abs(drawn["images"].images[0].get_array()).max() < 6
    tall, wide = views.errors_extent(result.cohort.frame)
    assert drawn["errors"].get_aspect() == pytest.approx(tall / wide)


@pytest.mark.parametrize("kind", ["views", "margins", "images", "errors"])
def test_every_figure_can_be_drawn(result: UnderstandResult, kind: str) -> None:
    assert isinstance(result.plot(kind), Axes)


def test_intersections_have_room_in_figures_and_whoever_is_left_out_is_in_the_cohort(
    phantom: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    masks = {"predictions": phantom / "masks", "permutations": 199, "margins": (0,)}
    with caplog.at_level("INFO"):
        results = fairseg.understand(phantom, ["sex", "group"], min_size=5, **masks)
    assert "not in the cohort" not in caplog.text
    assert "Asian" in " ".join(results.left_out["group"])
    legend = results.plot("margins").get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(results.cohort.names)
    assert results.cohort.names[0] == "Black / F"  # a pair of groups can be read in a sentence
    assert not any(isinstance(handle, Patch) for handle in legend.legend_handles)
    page = results.save(tmp_path)  # a warning of matplotlib would be an error
    assert "Which groups are told from each other?" in page.read_text(encoding="utf-8")


def test_no_model_of_groups_is_written(result: UnderstandResult, tmp_path: Path) -> None:
    page = result.save(tmp_path)
    written = {file.name for file in tmp_path.iterdir() if not file.name.startswith(".")}
    figures = {"margins.svg", "images.svg", "errors.svg"}
    assert written == {"understand.html", "findings.csv", "advice.csv", *figures}
    text = page.read_text(encoding="utf-8")
    assert text.index(result.sentence[:40]) < text.index("Can the group be read, and where?")
    assert "social category" in text
    captions = [one.caption for one in association_tables(result)]
    assert [text.count(f"<h3>{caption}</h3>") for caption in captions] == [1, 1]
    assert text.count("moved by one pixel") == text.count("group means removed") == 1  # the note of each
    assert "None" not in text


def test_the_command_says_what_the_function_says(
    phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = phantom / "groups.csv"
    assert main(["understand", str(phantom), "--by", "sex", "--margins", "0", "--min-size", "9",
                 "--permutations", "199", "--groups", str(table), "--out", str(tmp_path)]) == 0  # fmt: skip
    assert "Page:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "age"}, "age"),
        ({"by": "shoe"}, "no column 'shoe'"),
        ({"by": "group", "reference": "Asian"}, "Asian cannot be judged: fewer than 10 subjects with images"),
        ({"by": "group", "min_size": 13}, "at least two groups of 13 subjects .*Asian 2, Black 12, White 14"),
        ({"by": "group", "confounders": "shoe"}, "no column 'shoe'"),
        ({"by": ["sex", "group"], "confounders": "group"}, "confounders: 'group' makes the groups"),
        ({"by": "group", "confounders": ("age", "subject")}, "confounders: 'subject' names people"),
        ({"by": "group", "confounders": "case"}, "confounders: 'case' names people"),
        ({"by": "group", "margins": (-1,)}, "margins must be"),
        (
            {"by": "group", "permutations": 10},
            "must be 120 to 100000 of a linear model, got 10: .* 6 slices",
        ),
        ({"by": "group", "model": "cnn", "permutations": 19}, "must be 20 to 100000 of a cnn model"),
        ({"by": "group", "model": "forest"}, "model must be one of linear, cnn"),
        ({"by": "group", "margins": (1e308,)}, "margins must be"),
        ({"by": "group", "margins": (float("nan"),)}, "margins must be"),
        ({"by": "group", "permutations": 10**10}, "must be 120"),
        ({"by": "group", "min_size": 4}, "at least 5"),
    ],
)
def test_bad_input_is_named(phantom: Path, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fairseg.understand(phantom, **arguments)


def test_options_are_judged_before_images_are_read(phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("fairseg.understanding.inputs.make_frame", never)
    scores = pd.DataFrame({"case": ["a"], "subject": ["a"], "label": ["1"], "hd": [1.0]})
    with pytest.raises(ValueError, match="must have a column dice"):
        fairseg.understand(phantom, "group", scores=scores)
    with pytest.raises(ValueError, match="confounders: the cohort has no column 'shoe'"):
        fairseg.understand(phantom, "group", confounders=("sex", "shoe"))


def test_groups_are_judged_by_those_who_have_an_organ_and_told_why_not(phantom: Path, tmp_path: Path) -> None:
    shutil.copytree(phantom, tmp_path / "data")
    table = pd.read_csv(phantom / "groups.csv")
    subjects = {name: rows["subject"].unique() for name, rows in table.groupby("group")}

    def blank(group: str, number: int) -> None:
        for case in table.loc[table["subject"].isin(subjects[group][:number]), "case"]:
            (file,) = (tmp_path / "data" / "labelsTr").glob(f"{case}.*")
            mask = sitk.ReadImage(str(file))
            sitk.WriteImage(mask * 0, str(file))

    blank("Asian", 1)
    blank("White", 3)
    asked = {"permutations": 120, "margins": (0,)}
    with_asians = fairseg.understand(tmp_path / "data", "group", **asked)
    assert dict(with_asians.cohort.counts) == {"Black": 12, "White": 11}
    none = "no organ in the reference"
    assert with_asians.left_out.to_dict("records")[1:] == [{"group": "White", "subjects": 3, "why": none}]
    blank("Black", 5)
    with pytest.raises(
        ValueError, match="an organ in the reference are needed, got Black 7 of 12, White 11 of"
    ):
        fairseg.understand(tmp_path / "data", "group", **asked)
    few = fairseg.understand(tmp_path / "data", ["sex", "group"], min_size=5, **asked)
    assert min(n for _, n in few.cohort.counts) >= 5
    assert "fewer than 5 subjects with an organ in the reference, so not judged" in set(few.left_out["why"])


def test_a_missing_prediction_is_named(phantom: Path, tmp_path: Path) -> None:
    one = sorted((phantom / "masks").iterdir())[0]
    (tmp_path / one.name).write_bytes(one.read_bytes())
    with pytest.raises(ValueError, match="predictions has no mask of"):
        fairseg.understand(phantom, "group", predictions=tmp_path)


def test_nothing_is_said_of_crops_that_remove_nothing(phantom: Path, tmp_path: Path) -> None:
    results = fairseg.understand(phantom, "group", permutations=120, margins=(500,))
    assert results.crop_margin is None
    assert "crop" not in results.sentence
    assert not {"crop", "no crop"} & {one.kind for one in results.advice}
    page = results.save(tmp_path).read_text(encoding="utf-8")
    assert "No crop was tried: even one with 500 mm around the largest organ removes nothing" in page
    with pytest.raises(ValueError, match="margins need a crop that removes something"):
        results.plot("margins")


def test_views_do_not_depend_on_numbers_of_cases(phantom: Path) -> None:
    results = fairseg.understand(phantom, "group", permutations=199, margins=(0,)).cohort.views
    assert all(len(view) == 26 for view in results.values())
    assert all(view.dtype == np.float32 for view in results.values())


def test_a_cnn_reads_images_alone_and_the_page_says_the_smallest_p(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    class Guess:  # in place of a network, which `test_encoder` trains
        def __init__(self, name: str, view: np.ndarray, number: int, **_: Any) -> None:
            read.append(name)
            self.number = number

        def __call__(self, ids: np.ndarray, _folds: np.ndarray) -> np.ndarray:
            return np.zeros((*ids.shape, self.number))

    monkeypatch.setattr("fairseg.understanding.encoder.EncoderReader", Guess)
    results = fairseg.understand(phantom, "group", model="cnn", margins=(0,))
    assert results.permutations == 39
    numbers = {views.SHAPE, views.OUTLINE, views.HEADER, views.POSITION, views.INTENSITY, views.WITHIN}
    numbers.add(views.SCALED)
    assert set(read) == set(results.readings.views) - numbers
    assert {row.auc for row in results.readings.rows if row.view in read} == {0.5}
    text = results.save(tmp_path).read_text(encoding="utf-8")
    assert "none can be below 0.025" in text
    assert "balanced batches" in text


ROW = Reading("outside", "Black", 12, 14, 0.9, 0.8, 0.95, 0.6, 0.001, 0.001)
FACTS: dict[str, Any] = {"margin": 10.0, "row": ROW, "names": ["age", "body size"], "views": ["outside"]}
FACTS |= {"crop": Crop(10.0, True, ROW, None), "own": ROW, "told": ROW, "little": False, "rare": "Black"}
FACTS |= {"outside": True, "organ": True, "scaled": True}


@pytest.mark.parametrize("scanned", [True, False])
@pytest.mark.parametrize(
    "kind",
    [
        *("crop", "no crop", "standardise", "inside", "intensity", "anatomy", "pixels", "header"),
        *("position", "confounded"),
    ],
)
def test_the_command_of_an_advice_runs_as_it_is_printed(
    kind: str, scanned: bool, result: UnderstandResult, phantom: Path
) -> None:
    table = result.cohort.table.assign(**({"Scanner vendor": "A"} if scanned else {}))
    cohort = replace(result.cohort, table=table, bins={"group": [1.0, 2.5]})
    asked: Any = SimpleNamespace(cohort=cohort, model="linear")
    _, suggests, printed = advice_words(Advice(kind, "shown", dict(FACTS)), asked)
    if kind == "header" and not scanned:
        assert printed == ""
        assert "no column" in suggests
        return
    program, name, *arguments = shlex.split(printed)
    assert program == "fairseg"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    parsed = command.make_parser(click.Context(command)).parse_args([*arguments])[
        0
    ]  # refuses what is no option
    required = {one.name for one in command.params if one.required}
    assert required <= parsed.keys()
    masks = {cohort.call.predictions, str(cohort.raw.mask_folder)}
    given = {str(phantom)} if name in ("train", "experiment", "understand") else masks
    assert given <= set(arguments)
    assert arguments[arguments.index("--by") + 1] == "group"
    assert "group=1,2.5" in arguments
    if kind == "crop":  # 10 mm of 4.5 mm each
        assert arguments[arguments.index("--crop-margin") + 1] == "2"
    if kind == "confounded":
        assert arguments[arguments.index("body size") - 1] == "--adjust"


@pytest.mark.parametrize(("counts", "runs"), [((40, 40), True), ((18, 40), False)])
def test_a_network_to_ask_has_not_seen_enough_of_each_group(
    counts: tuple[int, int], runs: bool, result: UnderstandResult
) -> None:
    cohort = replace(result.cohort, ids=np.repeat([0, 1], counts))
    association = SimpleNamespace(view=views.OUTSIDE, correlation=-0.5, of_size=False)
    facts = {"one": association, "asked": False, "organ": False}
    asked: Any = SimpleNamespace(cohort=cohort, advice=(), model="linear")
    _, suggests, command = advice_words(Advice("used", "shown", facts), asked)
    assert ("--validation 0.25 --out RUN" in suggests) == runs == command.endswith("--run RUN --out DIR")
    assert ("so 20 of each to train it and to ask" in suggests) != runs


def test_the_command_names_the_age_that_makes_the_fat_by_which_groups_are_told(tmp_path: Path) -> None:
    """Fat goes with age alone, and so do the groups: older people have more of it, and are B more often."""
    sizes = {str(level): 20 for level in range(5)}
    write_phantom(tmp_path / "data", subjects=sizes, test_subjects=0, shift=Shift(fat=40.0), shape=(40, 40),
                  spacing=6.0, slices=2)  # fmt: skip
    table = pd.read_csv(tmp_path / "data" / "groups.csv")
    table = table[table["case"].str.endswith("ED")]
    people = table.groupby("subject")["group"].first()
    rng = np.random.default_rng(2)
    age = (50 + 5 * people + rng.normal(0, 2, len(people))).round(1)
    kind = pd.Series(np.where(rng.random(len(people)) < 0.04 + 0.23 * people, "B", "A"), people.index)
    table["age"], table["group"] = table["subject"].map(age), table["subject"].map(kind)
    table.to_csv(tmp_path / "data" / "groups.csv", index=False)
    for confounder, named in (("age", True), ("height", False)):
        out = tmp_path / confounder
        told = ["--by", "group", "--margins", "0", "--permutations", "199", "--confounders", confounder]
        assert main(["understand", str(tmp_path / "data"), *told, "--out", str(out)]) == 0
        rows = pd.read_csv(out / "findings.csv").set_index(["question", "what"])
        assert rows.loc[("readable", "outside the box"), "shown"]
        assert rows.loc[("readable from confounders", confounder), "shown"] == named
        assert rows.loc[("readable within strata", "outside the box"), "shown"] != named
        commands = pd.read_csv(out / "advice.csv", keep_default_na=False)["command"]
        assert any(command.endswith(f"--adjust {confounder} --out DIR") for command in commands) == named


def test_who_goes_by_the_outside_trains_on_crops_if_these_remove_something(result: UnderstandResult) -> None:
    moved = SimpleNamespace(group="Black", change=(0.1, 0.05, 0.2), donors="White", intervention="exchanged")
    tight = Crop(10.0, False, ROW, ROW)  # it tells the group too, and less than the outside
    for crop, rare, option in (
        (tight, "Black", "--crop reference --crop-margin 2"),
        (None, "Black", "--sampler oversampling"),
        (None, "", "--loss group_dro"),
    ):
        went_by = Advice("goes by", "shown", {"one": moved, "rare": rare, "crop": crop})
        _, suggests, command = advice_words(went_by, result)
        options = {"--crop reference --crop-margin 2", "--sampler oversampling", "--loss group_dro"}
        assert {one for one in options if one in command} == {option}
        assert ("not what tells the group within" in suggests) == (crop is not None)


@pytest.mark.parametrize(
    ("told", "said", "unsaid"),
    [
        ({views.WHOLE: 0.9}, "Where in the image it lies is not known", "without the organ"),
        ({views.WHOLE: 0.9, views.HEADER: 0.9}, "Also told by: header", "is not known"),
        (
            {views.WHOLE: 0.9, views.WITHIN: 1.0},
            "the organ's own intensities (intensity within the reference, AUC 1.00",
            "From the organ alone it is not",
        ),
        ({views.WITHIN: 1.0}, "and it is not shown that anything of them is left where the crop", "excluded"),
        (
            {views.WITHIN: 1.0, views.SCALED: 1.0},
            "no crop takes these away, and standardising it not",
            "excluded",
        ),
        (
            {views.WHOLE: 0.9, views.ORGAN: 0.9, views.WITHIN: 1.0},
            "Also told by: intensity within",
            "own intensities",
        ),
        (
            {views.OUTSIDE: 0.8, views.ORGAN: 0.9},
            "read from the image outside the organ's box (Black",
            "is not known",
        ),
        ({views.AROUND: 0.8, views.WHOLE: 0.9, views.ORGAN: 0.9}, "without the organ (ring", "may be why"),
        (
            {views.OUTSIDE: 0.8, views.WHOLE: 0.9, views.MASK: 0.95},
            "organ, which moves that, may be",
            "hides it",
        ),
        (
            {views.OUTSIDE: 1.0, views.box_name(0): 0.8},
            "does not hide it, but takes away what lies outside",
            "excluded",
        ),
    ],
)
def test_the_answer_says_outside_of_views_without_the_organ_and_denies_no_organ(
    result: UnderstandResult, told: dict[str, float], said: str, unsaid: str
) -> None:
    quiet = dict.fromkeys((views.WHOLE, views.ORGAN, views.box_name(0)), 0.5)
    rows = [
        replace(
            ROW, view=view, auc=auc, low=auc - 0.1, high=auc + 0.1, p_adjusted=0.001 if auc > 0.6 else 0.5
        )
        for view, auc in (quiet | told).items()
    ]
    sentence = image_line(replace(result, readings=Readings(tuple(rows), {})))
    assert said in sentence
    assert unsaid not in sentence


def test_what_is_not_shown_is_not_called_absent(result: UnderstandResult) -> None:
    rows = [replace(ROW, view=view, p_adjusted=0.5) for view in (views.WHOLE, views.ORGAN, views.box_name(0))]
    silent = replace(result, readings=Readings(tuple(rows), {}), confounded=None, atlas=(), measures=())
    advice = next(one for one in silent.advice if one.kind == "nothing")
    _, suggests, _ = advice_words(advice, silent)
    assert "Not shown by this model of 14 White and 12 Black is not absent" in suggests
    assert "--model cnn" in suggests


def test_balanced_batches_are_advised_where_groups_are_unequal_in_training(
    result: UnderstandResult,
) -> None:
    assert result.cohort.trained == {"White": 14, "Black": 12}
    inside = replace(ROW, view=views.ORGAN)
    for trained, rare in (({"White": 45, "Black": 45}, ""), ({"White": 60, "Black": 12}, "Black")):
        results = advise(Readings((inside,), {}), None, [], [], [], trained=trained)
        (advice,) = [one for one in results if one.kind == "inside"]
        _, suggests, command = advice_words(advice, result)
        assert ("more subjects of Black" in suggests) == ("oversampling" in command) == bool(rare)
        assert advice.facts["rare"] == rare


def test_few_subjects_with_dice_are_said(result: UnderstandResult) -> None:
    dice = result.cohort.dice
    assert dice is not None
    assert "Dice is known" not in result.sentence
    few = replace(result.cohort, dice=np.where(np.arange(dice.size) < 3, dice, np.nan))
    message = used_line(replace(result, cohort=few, associations=(), predictions=()))
    known = (
        f"Dice is known of {(few.ids[:3] == 0).sum()} of 14 White and {(few.ids[:3] == 1).sum()} of 12 Black"
    )
    assert message == f"Whether a model goes by it cannot be told. {known} only."


def test_slices_are_of_columns_that_nobody_named() -> None:
    """Dice is bad in one group and in nobody else: that was asked, and is no answer to another question."""
    group = np.tile(["White", "Black"], 40)
    rng = np.random.default_rng(0)
    look: Any = {views.LEAK: np.zeros((80, 1, 1, 2, 2)), views.MEASURES: np.ones((80, 2))}
    look[views.HEADER] = np.ones((80, 3))
    people: Any = SimpleNamespace(
        dice=np.where(group == "Black", 0.5, 0.9) + rng.normal(0, 0.01, 80),
        table=pd.DataFrame({"subject": np.arange(80), "group": group, "sex": np.repeat(["F", "M"], 40)}),
        ids=np.repeat([0, 1], 40),
        views=look,
        frame=SimpleNamespace(unit="mm", size="volume", size_unit="ml"),
        attributes=("sex",),
    )
    (results, *_) = _slices(people, 199, 0)
    assert results.shown
    assert results.conditions[0] == "group = Black"
    people.attributes, people.ids = ("group",), np.tile([0, 1], 40)
    assert not any("group" in condition for one in _slices(people, 199, 0) for condition in one.conditions)


def test_pictures_without_a_pixel_size_are_measured_in_pixels_and_commands_name_what_was_given(
    tmp_path: Path,
) -> None:
    from PIL import Image  # noqa: PLC0415

    rng, lines = np.random.default_rng(0), ["case,sex"]
    data, predictions = tmp_path / "pictures", tmp_path / "predictions"
    for folder in (data / "imagesTr", data / "labelsTr", data / "imagesTs", data / "labelsTs", predictions):
        folder.mkdir(parents=True)
    for number in range(24):
        case, part, sex = f"c{number:02}", "Tr" if number < 22 else "Ts", "FM"[number % 2]
        mask = np.zeros((48, 48), np.uint8)
        mask[16 : 30 + number % 3, 16:30] = 1
        image = 60 + rng.normal(0, 5, mask.shape) + 80 * mask
        image[:6, :6] += 90 * (sex == "F")
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(data / f"images{part}" / f"{case}_0000.png")
        Image.fromarray(mask).save(data / f"labels{part}" / f"{case}.png")
        if part == "Tr":
            Image.fromarray(np.roll(mask, 1, 0)).save(predictions / f"{case}.png")
        lines.append(f"{case},{sex}")
    (data / "groups.csv").write_text("\n".join(lines))
    about = {"channel_names": {"0": "X"}, "labels": {"background": 0, "lung": 1}, "file_ending": ".png"}
    (data / "dataset.json").write_text(json.dumps(about))
    result = fairseg.understand(data, "sex", predictions=predictions, permutations=199, margins=[2, 16])
    assert {view for view in result.readings.views if view.startswith("box +")} == {
        "box + 2 px",
        "box + 16 px",
    }
    assert {one.measure for one in result.measures} >= {"reference area (px)"}
    page = result.save(tmp_path / "out").read_text(encoding="utf-8")
    assert not re.search(r"\d mm\b|\(m[lm]\)", page)
    commands = [advice_words(one, result)[2] for one in result.advice]
    assert all(str(predictions) in command for command in commands if command.startswith("fairseg audit"))
    assert not any(
        word in command for command in commands for word in ("PREDICTIONS", "REFERENCES", "SCORES")
    )
    assert result.cohort.unseen == 2
    assert "--test" in result.sentence
    for file in predictions.iterdir():  # of a model that writes NIfTI, which states the size
        stated = sitk.GetImageFromArray(np.asarray(Image.open(file)))
        stated.SetSpacing((0.25, 0.5))
        sitk.WriteImage(stated, str(file.with_suffix(".nii.gz")))
        file.unlink()
    table = pd.read_csv(data / "groups.csv").assign(subject=lambda rows: rows["case"], mm="0.5, 0.25")
    sized = fairseg.understand(data, "sex", cohort=table, spacing="mm", predictions=predictions,
                               permutations=199, margins=[2])  # fmt: skip
    assert sized.cohort.frame.pixel == (0.5, 0.25)
    assert result.cohort.dice is not None
    assert sized.cohort.dice is not None
    assert sized.cohort.dice.tolist() == result.cohort.dice.tolist()
    for kind in ("crop", "no crop", "header", "confounded", "errors"):
        facts: dict[str, Any] = {**FACTS, "one": SimpleNamespace(more="F", kind="misses", structure="lung")}
        printed = advice_words(Advice(kind, "shown", facts), sized)[2]
        assert "--spacing mm" in printed or printed == "", kind
    for file in predictions.iterdir():
        file.unlink()
    Image.fromarray(mask).save(predictions / "c22.png")
    with pytest.raises(ValueError, match=r"no mask of c00, .* --test"):
        fairseg.understand(data, "sex", predictions=predictions, permutations=199)


def test_errors_and_outlines_that_differ_have_their_own_words_and_no_badge_of_the_image(
    result: UnderstandResult,
) -> None:
    def row(view: str, p: float) -> Reading:
        return replace(ROW, view=view, auc=0.95 if p < 0.05 else 0.5, p_adjusted=p)

    quiet = {views.WHOLE: 0.9, views.ORGAN: 0.9, views.box_name(0): 0.9}
    for told, kinds in (
        ((), ["image"]),
        ((views.ERRORS,), ["image", "model"]),
        ((views.OUTLINE, views.WITHIN), ["image", "references"]),
        ((views.OUTSIDE, views.MASK, views.ERRORS), ["image", "references", "model"]),
    ):
        rows = [row(view, p) for view, p in {**quiet, **dict.fromkeys(told, 0.001)}.items()]
        seen = replace(result, readings=Readings(tuple(rows), {}), confounded=None)
        lines = question_lines(seen)
        assert [kind for kind, _ in lines] == kinds
        readable = views.OUTSIDE in told
        assert lines[0][1].startswith("It is not shown that group can be read") != readable
        card = card_of(seen)
        assert card.css == ("gap" if readable else "open")
        badges = [str(badge) for badge, _ in card.answers]
        assert ("Not shown" in badges[0]) != readable
        assert ("References differ" in " ".join(badges)) == ("references" in kinds)
        assert ("Errors differ" in " ".join(badges)) == ("model" in kinds)
        told_by = set(seen.findings.query("shown and estimate == 0.95")["question"])
        asked = {"image": "readable", "references": "told by the references", "model": "told by the model"}
        assert told_by == {asked[kind] for kind in kinds if kind != "image" or readable}


@pytest.mark.parametrize(
    ("view", "rough", "organs", "hands"),
    [
        (views.OUTLINE, True, False, "other hands may have drawn them"),
        (views.MASK, True, True, "other hands may have drawn them"),
        (views.MASK, False, True, "drawn differently"),
        (views.OUTLINE, False, False, "as those of smaller organs do"),
    ],
)
def test_outlines_that_differ_come_into_the_sentence_and_hide_no_organ_that_does(
    result: UnderstandResult, view: str, rough: bool, organs: bool, hands: str
) -> None:
    rows = [replace(ROW, view=name, p_adjusted=0.9) for name in (views.WHOLE, views.ORGAN, views.box_name(0))]
    names = ("LV", "White", "Black", (5.0, 1.0))
    outline = MeasureDifference("roughness of the reference outline (%)", *names, (-4.0, -5.0, -3.0), 0.01)
    readings = Readings((*rows, replace(ROW, view=view)), {})
    seen = replace(result, readings=readings, measures=(outline,) if rough else (), confounded=None)
    _, (kind, message) = question_lines(seen)
    assert kind == "references"
    assert ("outlines of LV are smoother in Black than in White" in message) == rough
    assert ("organs themselves differ" in message) == organs
    assert hands in message


def test_the_gap_in_dice_is_said_with_its_limits(result: UnderstandResult) -> None:
    black = result.cohort.ids == 1
    dice = np.where(black, 0.8, 0.9) + np.linspace(-0.01, 0.01, black.size)
    seen = replace(result, cohort=replace(result.cohort, dice=dice))
    (gap,) = seen.gaps
    away = dice[black][:, None] - dice[~black]
    assert gap.difference[0] == pytest.approx(np.median(away))
    message = f"Dice of Black is typically {-gap.difference[0]:.3f} lower than that of White ("
    medians = f"medians {np.median(dice[black]):.3f} and {np.median(dice[~black]):.3f}). "
    assert message in seen.sentence
    assert medians in seen.sentence
    assert seen.findings.query("question == 'gap'")["shown"].tolist() == [True]
    alike = np.random.default_rng(0).normal(0.9, 0.01, black.size)
    assert "; no gap is shown). " in replace(seen, cohort=replace(result.cohort, dice=alike)).sentence
    assert "typically" not in replace(seen, cohort=replace(result.cohort, dice=None)).sentence
