"""`fairseg.understand`: can the group be read, where, and does that go with the model's errors?

Sentences, tables, figures and the page are made from the evidence, and from nothing else.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairseg.cohort.reading import TableOptions
from fairseg.io.sentences import listed
from fairseg.scoring.voxel_sizes import Spacing
from fairseg.understanding.advice import Advice, advise, crop_margin
from fairseg.understanding.changes import Intervention
from fairseg.understanding.confounded import Confounded, confounders_of
from fairseg.understanding.errors import (
    Atlas,
    MeasureDifference,
    error_atlas,
    measure_differences,
    signed_volume_errors,
)
from fairseg.understanding.gather import Gathered, gather
from fairseg.understanding.readable import (
    FEWEST_PERMUTATIONS,
    PERMUTATIONS,
    Model,
    Reading,
    Readings,
    read_groups,
)
from fairseg.understanding.slices import Slice, find_slices
from fairseg.understanding.used import Association, associations
from fairseg.understanding.views import BOTTLENECK, ERRORS, MARGINS, MEASURES, image_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class UnderstandResult:
    """Where a group can be read, and what that has to do with errors. Printed, it is the answer and a table.

    Attributes:
        cohort: whose images were looked at.
        readings: how well each view tells the groups apart.
        confounded: what confounders have to do with it; None where none were named.
        associations: whether looking like a group goes with Dice; empty without scores.
        atlas: where the groups' errors differ; empty without predictions or a run.
        measures: how volumes, volume errors and outlines differ.
        slices: subgroups that nobody named, as half of the subjects found and the other half tested them.
        intervention: what the network does if the outside changes; None without a run.
        min_size: subjects that a group needs.
        model: that read the images.
        permutations: deals of the groups, behind the p of every view.
        seed: of the deals.
    """

    cohort: Gathered
    readings: Readings
    confounded: Confounded | None
    associations: tuple[Association, ...]
    atlas: tuple[Atlas, ...]
    measures: tuple[MeasureDifference, ...]
    slices: tuple[Slice, ...]
    intervention: Intervention | None
    min_size: int
    model: Model
    permutations: int
    seed: int

    @cached_property
    def sentence(self) -> str:
        """The answer in a few sentences."""
        from fairseg.understanding.words import answer  # noqa: PLC0415  (the templates load when they are needed)

        return answer(self)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every test, a row each.

        Columns: question ("readable", "readable from confounders", "readable within strata", "score and
        Dice", "Dice if the image changes", "Dice if a patch is blanked", "place of errors", "measure",
        "slice"), what (the view, confounder, change, structure, measure or conditions), group, other, n,
        estimate (AUC, correlation of ranks, or difference: of Dice, of shares, of a measure), low, high,
        chance (the AUC that would be shown), p_adjusted, shown.
        """
        rows = _reading_rows("readable", self.readings.rows)
        if self.confounded is not None:
            rows += _reading_rows("readable from confounders", self.confounded.alone)
            rows += _reading_rows("readable within strata", self.confounded.within)
        rows += [
            _row("score and Dice", one.view, one.group, "", one.n, one.correlation, one.low, one.high, one)
            for one in self.associations
        ]
        counts = dict(self.cohort.counts)
        if self.intervention is not None:
            rows += [
                _row(
                    "Dice if the image changes",
                    one.intervention,
                    one.group,
                    one.donors,
                    one.n,
                    *one.change,
                    one,
                )
                for one in self.intervention.changes
            ]
            for patch in self.intervention.occlusion:
                row, column = patch.place
                what, n = f"row {row + 1}, column {column + 1}", counts[patch.first] + counts[patch.second]
                away = np.subtract(*patch.change[::-1, row, column])
                rows.append(
                    _row(
                        "Dice if a patch is blanked",
                        what,
                        patch.second,
                        patch.first,
                        n,
                        away,
                        None,
                        None,
                        patch,
                    )
                )
        for part in self.atlas:
            what, n = f"{part.structure}: {part.kind}", counts[part.first] + counts[part.second]
            share = part.shares[:, part.cluster].mean(axis=1) if part.more else np.zeros(2)
            rows.append(
                _row(
                    "place of errors", what, part.second, part.first, n, share[1] - share[0], None, None, part
                )
            )
        for one in self.measures:
            what, n = f"{one.structure}: {one.measure}", counts[one.first] + counts[one.second]
            rows.append(_row("measure", what, one.second, one.first, n, *one.difference, one))
        rows += [
            _row(
                "slice", " and ".join(one.conditions), "", "others", one.n + one.n_rest, *one.difference, one
            )
            for one in self.slices
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """What the findings suggest, the strongest evidence first."""
        changes = () if self.intervention is None else self.intervention.changes
        return advise(self.readings, self.confounded, self.associations, self.atlas, self.measures, changes)

    @property
    def crop_margin(self) -> float | None:
        """The widest crop in which no group is shown to be readable, mm around the box; None if none is."""
        return crop_margin(self.readings)

    @property
    def left_out(self) -> pd.DataFrame:
        """Who was left out, and why: group, subjects, why."""
        return self.cohort.left_out

    def plot(self, kind: str = "views", ax: "Axes | None" = None) -> "Axes":
        """Draw the result with matplotlib.

        Args:
            kind: "views" (AUC of each view, with what chance gives), "margins" (AUC against the crop's
                margin), "images" (mean image of each group, and their difference), "errors" (where the
                groups' errors differ), "occlusion" (what a run does if a patch is blanked) or "bottleneck"
                (first two components of its features).
            ax: where to draw; None makes a figure. Kinds of several pictures draw them side by side in it.

        Raises:
            ValueError: there is no such kind, or what it shows was not computed.
        """
        from fairseg.understanding.figures import plot  # noqa: PLC0415  (matplotlib)

        return plot(self, kind, ax)

    def save(self, folder: str | Path) -> Path:
        """Write the page and its tables into a folder: `understand.html`, `findings.csv`, `advice.csv`.

        Returns the page's path. No model is written: none that tells people's groups may leave this call.

        Raises:
            ValueError: the folder cannot be written.
        """
        from fairseg.understanding.page import save_page  # noqa: PLC0415  (the templates)

        return save_page(self, Path(folder))

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        from fairseg.report.tables import grid  # noqa: PLC0415
        from fairseg.understanding.words import readings_table  # noqa: PLC0415

        return f"{self.sentence}\n\n{grid(readings_table(self))}"

    def _repr_html_(self) -> str:
        from fairseg.understanding.page import card_html  # noqa: PLC0415

        return card_html(self)


_MOST_PERMUTATIONS = 100_000  # which are held in memory, an integer a subject
_WIDEST = 10_000.0  # mm, of a margin
_COLUMNS = (
    "question",
    "what",
    "group",
    "other",
    "n",
    "estimate",
    "low",
    "high",
    "chance",
    "p_adjusted",
    "shown",
)


def _row(
    question: str, what: str, group: str, other: str, n: int, estimate: Any, low: Any, high: Any, one: Any
) -> dict[str, Any]:
    values = (question, what, group, other, n, estimate, low, high, np.nan, one.p_adjusted, one.shown)
    return dict(zip(_COLUMNS, values, strict=True))


def _reading_rows(question: str, rows: Sequence[Reading]) -> list[dict[str, Any]]:
    return [
        _row(question, row.view, row.group, "others", row.n + row.n_others, row.auc, row.low, row.high, row)
        | {"chance": row.chance}
        for row in rows
    ]


def understand(
    data: str | Path,
    by: str | Sequence[str],
    reference: str | None = None,
    *,
    cohort: str | Path | pd.DataFrame | None = None,
    options: TableOptions | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    predictions: str | Path | None = None,
    scores: Any = None,
    run: str | Path | None = None,
    test: bool = False,
    confounders: str | Sequence[str] = (),
    margins: Sequence[float] = MARGINS,
    min_size: int = 10,
    model: Model = "linear",
    permutations: int | None = None,
    seed: int = 0,
    spacing: Spacing | None = None,
    device: str = "auto",
    progress: bool = False,
) -> UnderstandResult:
    """Say whether groups can be read from images, where, and whether that goes with a model's errors.

    That a group is readable says nothing bad of anybody: age is readable in every image. It says where a
    network that is trained on few of a group could find something else to go by than the organ; whether one
    does is a second question. What is read is how a group was recorded; an attribute such as ethnicity is a
    social category.

    Args:
        data: folder in nnU-Net's raw layout: imagesTr, labelsTr, dataset.json, and groups.csv.
        by: the attribute whose levels are the groups; several: their intersections.
        reference: the group that the others are compared with; None: the first.
        cohort: table of cases, or its path; None: groups.csv in `data`.
        options: how that file calls things otherwise.
        bins: attribute -> edges that cut a numeric attribute.
        predictions: folder of a model's masks of the same cases; None: those of `run`.
        scores: a model's scores of the same subjects, as `fairseg.audit` takes them; None: those of
            `predictions`, or of `run`.
        run: folder of a training of `fairseg train`, whose images are changed outside the organ to see
            whether it goes by that; subjects whose cases have the names of its training cases are left out.
            A run that was trained on crops gets them around the reference.
        test: look at imagesTs and labelsTs of `data` in place of imagesTr and labelsTr.
        confounders: attributes of subjects that groups may differ in besides.
        margins: of the crops that are tried, mm around the largest organ.
        min_size: a group of fewer subjects is not judged; at least 5.
        model: that reads images: "linear", seconds; or "cnn", the encoder of the reference network, trained
            anew on balanced batches in every fold of every permutation, half an hour for 120 subjects on one
            core. Numbers are read by the linear one.
        permutations: of the groups among subjects, 199 to 100,000, of a cnn at least 19; None: 1000, of a cnn
            39. No p of a view is below 1 / (permutations + 1).
        seed: of the permutations, folds, networks and donors.
        spacing: pixel size in mm of images whose files state none, or the columns of the cohort that have it;
            None: that of `run`.
        device: where networks train and predict.
        progress: show a bar on stderr if it is a terminal, while a network trains or predicts.

    Returns:
        The result; no trained model is in it.

    Raises:
        ValueError: an input is not usable, or fewer than two groups are large enough; the message says which.
    """
    if min_size < 5:
        raise ValueError(f"min_size must be at least 5, one subject for each fold, got {min_size}")
    if model not in PERMUTATIONS:
        raise ValueError(f"model must be one of {listed(PERMUTATIONS)}, got {model!r}")
    permutations = PERMUTATIONS[model] if permutations is None else permutations
    least = FEWEST_PERMUTATIONS[model]
    if not least <= permutations <= _MOST_PERMUTATIONS:
        must = f"must be {least} to {_MOST_PERMUTATIONS} of a {model} model"
        raise ValueError(f"permutations {must}, got {permutations}")
    if not margins or not all(0 <= margin <= _WIDEST for margin in margins):
        raise ValueError(f"margins must be from 0 to {_WIDEST:g} mm, got {listed(margins) or 'none'}")
    alike = [confounders] if isinstance(confounders, str) else list(dict.fromkeys(confounders))
    trained, predict_run = None, None
    if run is not None:
        from fairseg.training.prediction import load_run, predict  # noqa: PLC0415  (torch)
        from fairseg.understanding.intervention import intervene  # noqa: PLC0415

        trained = load_run(run, mirror=False, device=device)
        spacing = trained.spacing if spacing is None else spacing
        predict_run = partial(predict, run, spacing=spacing, mirror=False, device=device, progress=progress)
    with tempfile.TemporaryDirectory() as scratch:
        whole = gather(
            data,
            by,
            reference,
            cohort=cohort,
            options=options,
            bins=bins or {},
            predictions=predictions,
            scores=scores,
            run=trained,
            predict_run=predict_run,
            scratch=Path(scratch),
            test=test,
            margins=sorted(set(map(float, margins))),
            min_size=min_size,
            spacing=spacing,
            confounders=alike,
        )
    # What needs no network has as many deals as by default.
    cheap = permutations if model == "linear" else PERMUTATIONS["linear"]
    tested: dict[str, Any] = {"permutations": cheap, "seed": seed}
    reading: dict[str, Any] = {"model": model, "permutations": permutations, "seed": seed}
    reading |= {"device": device, "progress": progress}
    intervention = None
    if trained is not None:
        cases = whole.cases, whole.case_subjects, whole.ids, whole.names, whole.frame
        intervention = intervene(trained, *cases, **tested, progress=progress)
        whole = replace(whole, views={**whole.views, BOTTLENECK: intervention.bottleneck})
    views = {name: view for name, view in whole.views.items() if name != MEASURES}
    readings = read_groups(views, whole.ids, whole.names, **reading)
    confounded = None
    if alike:
        columns = whole.table[alike]
        confounded = confounders_of(views, whole.ids, whole.names, columns, least=min_size, **reading)
    associated = (
        associations(readings, whole.dice, whole.ids, whole.names, **tested) if whole.dice is not None else []
    )
    structures = list(whole.raw.structures)
    atlas = (
        error_atlas(
            whole.views[ERRORS],
            whole.ids,
            whole.names,
            structures,
            permutations=min(cheap, 500),
            seed=seed,
        )
        if ERRORS in whole.views
        else []
    )
    return UnderstandResult(
        whole,
        readings,
        confounded,
        tuple(associated),
        tuple(atlas),
        tuple(_measures(whole, structures, cheap, seed)),
        tuple(_slices(whole, cheap, seed)),
        intervention,
        min_size,
        model,
        permutations,
        seed,
    )


def _slices(whole: Gathered, permutations: int, seed: int) -> list[Slice]:
    """Search the table, and what images say of size, brightness and pixels, for subgroups with low Dice."""
    if whole.dice is None:
        return []
    asked = ["case", "subject", "note", "split", *whole.attributes]  # the groups themselves were named
    table = whole.table.drop(columns=asked, errors="ignore")
    columns: dict[str, Any] = {str(name): table[name] for name in table}
    return find_slices(whole.dice, columns | image_columns(whole.views), permutations=permutations, seed=seed)


def _measures(
    whole: Gathered, structures: Sequence[str], permutations: int, seed: int
) -> list[MeasureDifference]:
    """Compare volumes and outlines of the references, and the model's signed volume errors."""
    columns = whole.views[MEASURES].astype(np.float64)
    measures = {}
    for place, structure in enumerate(structures):
        measures["reference volume (ml)", structure] = columns[:, 2 * place]
        measures["roughness of the reference outline (%)", structure] = columns[:, 2 * place + 1]
    table = None if whole.scores is None else whole.scores.table
    if table is not None and {"prediction_voxels", "reference_voxels"} <= set(table):
        measures |= signed_volume_errors(table, whole.subjects)
    return measure_differences(measures, whole.ids, whole.names, permutations=permutations, seed=seed)
