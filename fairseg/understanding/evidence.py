"""The evidence of `fairseg.understand`, as numbers and names; `UnderstandResult` puts it into words."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fairseg.understanding.advice import Advice, advise
from fairseg.understanding.associations import Association, Prediction
from fairseg.understanding.changes import Intervention, Occlusion
from fairseg.understanding.confounded import Confounded
from fairseg.understanding.errors import Atlas, MeasureDifference, measure_differences
from fairseg.understanding.inputs import Gathered
from fairseg.understanding.kinds import question_of
from fairseg.understanding.location import crop_margin
from fairseg.understanding.readability import PERMUTATIONS, Model, Readings, Tested
from fairseg.understanding.slices import Slice
from fairseg.understanding.views import WHOLE

_Row = tuple[Any, ...]  # of the findings


@dataclass(frozen=True, eq=False)
class Understood:
    """The evidence on where a group can be read, and whether errors go with it.

    Attributes:
        cohort: whose images were looked at.
        readings: how well each view tells the groups apart.
        confounded: what confounders have to do with it; None where none were named.
        associations: whether looking like a group goes with Dice; empty without scores.
        predictions: whether Dice can be predicted from what tells a group, within the groups.
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
    predictions: tuple[Prediction, ...]
    atlas: tuple[Atlas, ...]
    measures: tuple[MeasureDifference, ...]
    slices: tuple[Slice, ...]
    intervention: Intervention | None
    min_size: int
    model: Model
    permutations: int
    seed: int

    @cached_property
    def findings(self) -> pd.DataFrame:
        """Every test, a row each.

        Columns: question ("readable", of the references and of a model's errors and features "told by the
        references" and "told by the model"; "readable in pairs", "readable from confounders", "readable
        within strata", "score and Dice", "Dice predicted", both also "at one size", "Dice if the image
        changes", "Dice if a patch is blanked", "place of errors", "gap", "measure", "slice"), what (the view,
        confounder, change, structure, measure or conditions), group, other, n, estimate (AUC, correlation of
        ranks, or difference: of Dice, of shares, of a measure), low, high, chance (the AUC that would be
        shown), p_adjusted, shown.
        """
        rows = [*self._reading_rows(), *self._dice_rows(), *self._intervention_rows(), *self._mask_rows()]
        for one in self.slices:
            subgroup, n = " and ".join(one.conditions), one.n + one.n_rest
            rows.append(_row(one, "slice", subgroup, "", "others", n, *one.difference))
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def _reading_rows(self) -> Iterator[_Row]:
        readings = {"readable": self.readings.rows, "readable in pairs": self.readings.pairs}
        if self.confounded is not None:
            readings["readable from confounders"] = self.confounded.alone
            readings["readable within strata"] = self.confounded.within
        for section, rows in readings.items():
            for one in rows:
                question = _OF[question_of(self.readings, one)] if section == "readable" else section
                named = question, one.view, one.group, one.against or "others", one.n + one.n_others
                yield _row(one, *named, one.auc, one.low, one.high, chance=one.chance)

    def _dice_rows(self) -> Iterator[_Row]:
        for one in self.associations:
            named = "score and Dice", one.view, one.group, "", one.n
            yield _row(one, *named, one.correlation, one.low, one.high)
        for view in self.predictions:
            yield _row(view, "Dice predicted", view.view, "", "", view.n, view.correlation)
        for one in self.associations:
            named = "score and Dice at one size", one.view, one.group, "", one.n
            yield _row(one.at_size, *named, one.at_size.correlation)
        for view in self.predictions:
            named = "Dice predicted at one size", view.view, "", "", view.n
            yield _row(view.at_size, *named, view.at_size.correlation)

    def _intervention_rows(self) -> Iterator[_Row]:
        if self.intervention is None:
            return
        for change in self.intervention.changes:
            named = "Dice if the image changes", change.intervention, change.group, change.donors, change.n
            yield _row(change, *named, *change.change)
        for patch in self.intervention.occlusion:
            row, column = patch.place
            difference = float(np.subtract(*patch.change[::-1, row, column]))
            named = "Dice if a patch is blanked", f"row {row + 1}, column {column + 1}", *self._pair(patch)
            yield _row(patch, *named, difference)

    def _mask_rows(self) -> Iterator[_Row]:
        for one in self.atlas:
            shares = one.shares[:, one.cluster].mean(axis=1) if one.more else np.zeros(2)
            named = "place of errors", f"{one.structure}: {one.kind}", *self._pair(one)
            yield _row(one, *named, float(shares[1] - shares[0]))
        for measure in (*self.gaps, *self.measures):
            question = "gap" if measure in self.gaps else "measure"
            named = question, f"{measure.structure}: {measure.measure}", *self._pair(measure)
            yield _row(measure, *named, *measure.difference)

    def _pair(self, one: Occlusion | Atlas | MeasureDifference) -> tuple[str, str, int]:
        """Return the group, that with which it is compared, and the subjects of both."""
        counts = dict(self.cohort.counts)
        return one.second, one.first, counts[one.first] + counts[one.second]

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """Advice that follows from the findings, the strongest evidence first."""
        changes = () if self.intervention is None else self.intervention.changes
        evidence = self.confounded, self.associations, self.atlas, self.measures, changes
        return advise(
            self.readings,
            *evidence,
            unit=self.cohort.frame.unit,
            predicted=self.predictions,
            removed=self.cohort.frame.removed,
            trained=self.cohort.trained,
        )

    @cached_property
    def gaps(self) -> tuple[MeasureDifference, ...]:
        """Dice of each group against the first, the mean over structures; empty without scores.

        The difference of a typical subject is that of Hodges and Lehmann, with limits, second minus first.
        """
        if self.cohort.dice is None:
            return ()
        number = self.permutations if self.model == "linear" else PERMUTATIONS["linear"]
        dice = {("Dice", "mean of structures"): self.cohort.dice}
        ids, names = self.cohort.ids, self.cohort.names
        return tuple(measure_differences(dice, ids, names, permutations=number, seed=self.seed))

    @property
    def pictured(self) -> tuple[str, str]:
        """The two groups whose mean images are compared: those that the whole image tells apart best."""
        pair = self.readings.clearest_pair(WHOLE)
        first, second = self.cohort.names[:2] if pair is None else (pair.group, pair.against)
        return first, second

    @property
    def crop_margin(self) -> float | None:
        """The margin of the crop to use, mm around the box; None where no crop would do.

        It is the widest up to which every group's AUC is shown to be below 0.7. With few subjects that is
        shown of none: then it is the tightest that was tried, in which the group may be read all the same.
        None where that tells a group, or the organ's pixels, size or shape do, or it removes less than a
        quarter of half of the images.
        """
        return crop_margin(self.readings, self.cohort.frame.removed)

    @property
    def left_out(self) -> pd.DataFrame:
        """Subjects that were left out, and why: group, subjects, why."""
        return self.cohort.left_out


_OF = {"image": "readable", "references": "told by the references", "model": "told by the model"}
_COLUMNS = (
    *("question", "what", "group", "other", "n", "estimate", "low", "high"),
    *("chance", "p_adjusted", "shown"),
)


def _row(
    one: Tested,
    question: str,
    name: str,
    group: str,
    other: str,
    n: int,
    estimate: float,
    low: float = np.nan,
    high: float = np.nan,
    *,
    chance: float = np.nan,
) -> _Row:
    """Return a row of the findings, with the columns of `_COLUMNS`."""
    return question, name, group, other, n, estimate, low, high, chance, one.p_adjusted, one.shown
