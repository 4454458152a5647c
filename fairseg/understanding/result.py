"""`fairseg.understand`: can the group be read, where, and does that go with the model's errors?

Sentences, tables, figures and the page are made from the evidence, and from nothing else.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairseg.cohort.attributes import attribute_names
from fairseg.cohort.reading import TableOptions
from fairseg.io.calls import says_what_to_type
from fairseg.io.sentences import listed, not_among
from fairseg.scoring.voxel_sizes import Spacing
from fairseg.understanding.associations import Association, Prediction, associations
from fairseg.understanding.confounded import confounders_of
from fairseg.understanding.errors import (
    Atlas,
    MeasureDifference,
    error_atlas,
    measure_differences,
    signed_size_errors,
)
from fairseg.understanding.evidence import Understood
from fairseg.understanding.inputs import Call, Gathered, gather
from fairseg.understanding.readability import LEVEL, PERMUTATIONS, Model, read_groups
from fairseg.understanding.slices import FOUND, Slice, find_slices
from fairseg.understanding.views import BOTTLENECK, ERRORS, MEASURES, NOT_READ, ONE_PIXEL, image_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class UnderstandResult(Understood):
    """Where a group can be read, and whether errors go with it; printed, an answer and a table.

    Its attributes are those of `Understood`.
    """

    @cached_property
    def sentence(self) -> str:
        """The answer in a few sentences."""
        from fairseg.understanding.sentences import answer  # noqa: PLC0415  (the templates load when they are needed)

        return answer(self)

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
        from fairseg.understanding.sentences import margin_note, readings_table  # noqa: PLC0415

        return "\n\n".join(filter(None, (self.sentence, grid(readings_table(self)), margin_note(self))))

    def _repr_html_(self) -> str:
        from fairseg.understanding.page import card_of  # noqa: PLC0415
        from fairseg.understanding.sentences import readings_table  # noqa: PLC0415

        return card_of(self, [readings_table(self)]).html()


_HOLM: dict[Model, int] = {"linear": 2 * FOUND, "cnn": 1}  # rows over which a p is corrected, at most
_MOST_PERMUTATIONS = 100_000  # which are held in memory, an integer a subject
_WIDEST = 10_000.0  # mm or pixels, of a margin


@says_what_to_type("fairseg.understand('dataset', 'sex')")
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
    margins: Sequence[float] | None = None,
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
        margins: of the crops that are tried, mm around the largest organ (pixels where files state no size);
            None: 0, 5, 10, 20 and 40 mm, or smaller steps where images are so small that a crop would remove
            nothing. Of those that are given, the result names what removes nothing of half of the images.
        min_size: a group of fewer subjects is not judged; at least 5.
        model: that reads images: "linear", seconds; or "cnn", the encoder of the reference network, trained
            anew on balanced batches in every fold of every permutation, half an hour for 120 subjects on one
            core. Numbers are read by the linear one.
        permutations: of the groups among subjects, 120 to 100,000, of a cnn at least 20 (fewer could show
            nothing at 0.05); None: 1000, of a cnn 39. No p of a view is below 1 / (permutations + 1).
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
    _check(min_size, model, permutations, margins)
    permutations_asked = permutations
    permutations = PERMUTATIONS[model] if permutations is None else permutations
    confounder_names = [confounders] if isinstance(confounders, str) else list(dict.fromkeys(confounders))
    trained, predict_run = None, None
    if run is not None:
        from fairseg.training.prediction import load_run, predict  # noqa: PLC0415  (torch)
        from fairseg.understanding.intervention import intervene  # noqa: PLC0415

        trained = load_run(run, mirror=False, device=device)
        spacing = trained.spacing if spacing is None else spacing
        predict_run = partial(predict, run, spacing=spacing, mirror=False, device=device, progress=progress)
    call = Call(
        data=str(data),
        reference=None if reference is None else str(reference),
        options=options or TableOptions(),
        predictions="" if predictions is None else str(predictions),
        spacing=spacing,
        run="" if run is None else str(run),
        crops=trained is not None and trained.crop_size is not None,
        scores=str(scores) if isinstance(scores, str | Path) else "" if scores is None else "SCORES.csv",
        test=test,
        confounders=tuple(map(str, confounder_names)),
        margins=() if margins is None else tuple(map(float, margins)),
        min_size=min_size,
        model=model,
        permutations=permutations_asked,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as scratch:
        gathered = gather(
            by,
            call,
            cohort=cohort,
            bins=bins or {},
            scores=scores,
            run=trained,
            predict_run=predict_run,
            scratch=Path(scratch),
        )
    # Tests that need no network have as many deals as by default.
    cheap = permutations if model == "linear" else PERMUTATIONS["linear"]
    tested: dict[str, Any] = {"permutations": cheap, "seed": seed}
    reading: dict[str, Any] = {"model": model, "permutations": permutations, "seed": seed}
    reading |= {"device": device, "progress": progress}
    intervention = None
    if trained is not None:
        cases = gathered.cases, gathered.case_subjects, gathered.ids, gathered.names, gathered.frame
        intervention = intervene(trained, *cases, **tested, progress=progress)
        gathered = replace(gathered, views={**gathered.views, BOTTLENECK: intervention.bottleneck})
    views = {name: view for name, view in gathered.views.items() if name not in NOT_READ}
    readings = read_groups(views, gathered.ids, gathered.names, **reading)
    confounded = None
    if confounder_names:
        columns = gathered.table[confounder_names]
        confounded = confounders_of(views, gathered.ids, gathered.names, columns, least=min_size, **reading)
    associated: list[Association] = []
    predicted: list[Prediction] = []
    if gathered.dice is not None:
        one_pixel = gathered.views[ONE_PIXEL][:, 0].astype(np.float64)
        arguments = readings, views, gathered.dice, gathered.ids, gathered.names
        associated, predicted = associations(*arguments, one_pixel=one_pixel, **tested)
    structures = list(gathered.raw.structures)
    atlas: list[Atlas] = []
    if ERRORS in gathered.views:
        maps = gathered.views[ERRORS], gathered.ids, gathered.names, structures
        atlas = error_atlas(*maps, permutations=min(cheap, 500), seed=seed)
    return UnderstandResult(
        gathered,
        readings,
        confounded,
        tuple(associated),
        tuple(predicted),
        tuple(atlas),
        tuple(_measures(gathered, structures, cheap, seed)),
        tuple(_slices(gathered, cheap, seed)),
        intervention,
        min_size,
        model,
        permutations,
        seed,
    )


def _check(min_size: int, model: Model, permutations: int | None, margins: Sequence[float] | None) -> None:
    """Raise a ValueError for options that no cohort can be asked with."""
    if min_size < 5:
        raise ValueError(f"min_size must be at least 5, one subject for each fold, got {min_size}")
    if model not in PERMUTATIONS:
        raise ValueError(not_among("model", model, PERMUTATIONS))
    least = round(_HOLM[model] / LEVEL)
    if permutations is not None and not least <= permutations <= _MOST_PERMUTATIONS:
        tested = f"{_HOLM[model]} slices together" if _HOLM[model] > 1 else "a view"
        raise ValueError(
            f"permutations must be {least} to {_MOST_PERMUTATIONS} of a {model} model, got {permutations}: "
            f"of fewer, the smallest p of {tested}, {_HOLM[model]} / (permutations + 1), is not below "
            f"{LEVEL:g}, so that nothing could be shown"
        )
    if margins is not None and not (margins and all(0 <= margin <= _WIDEST for margin in margins)):
        raise ValueError(f"margins must be from 0 to {_WIDEST:g}, got {listed(margins) or 'none'}")


def _slices(gathered: Gathered, permutations: int, seed: int) -> list[Slice]:
    """Search the table, and what images say of size, brightness and pixels, for subgroups with low Dice."""
    if gathered.dice is None:
        return []
    excluded = ["split", *gathered.attributes]  # the groups themselves were named
    named = [name for name in attribute_names(gathered.table) if name not in excluded]
    columns: dict[str, Any] = {str(name): gathered.table[name] for name in named}
    columns |= image_columns(gathered.views, gathered.frame)
    return find_slices(gathered.dice, columns, gathered.ids, permutations=permutations, seed=seed)


def _measures(
    gathered: Gathered, structures: Sequence[str], permutations: int, seed: int
) -> list[MeasureDifference]:
    """Compare volumes and outlines of the references, and the model's signed volume errors."""
    columns = gathered.views[MEASURES].astype(np.float64)
    measures = {}
    for index, structure in enumerate(structures):
        measures[f"reference {gathered.frame.size} ({gathered.frame.size_unit})", structure] = columns[
            :, 2 * index
        ]
        measures["roughness of the reference outline (%)", structure] = columns[:, 2 * index + 1]
    table = None if gathered.scores is None else gathered.scores.table
    if table is not None and {"prediction_voxels", "reference_voxels"} <= set(table):
        measures |= signed_size_errors(table, gathered.subjects, gathered.frame.size)
    return measure_differences(measures, gathered.ids, gathered.names, permutations=permutations, seed=seed)
