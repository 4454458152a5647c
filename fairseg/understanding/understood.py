"""What `fairseg.understand` found, as numbers and names; `result.UnderstandResult` adds how it is read."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fairseg.understanding.advice import Advice, advise
from fairseg.understanding.changes import Intervention
from fairseg.understanding.confounded import Confounded
from fairseg.understanding.errors import Atlas, MeasureDifference, measure_differences
from fairseg.understanding.gather import Gathered
from fairseg.understanding.kinds import question_of
from fairseg.understanding.readable import PERMUTATIONS, Model, Readings, Tested
from fairseg.understanding.slices import Slice
from fairseg.understanding.used import Association, Prediction
from fairseg.understanding.views import WHOLE
from fairseg.understanding.where import crop_margin


@dataclass(frozen=True, eq=False)
class Understood:
    """Where a group can be read, and what that has to do with errors.

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
        rows: list[tuple[Any, ...]] = []

        def add(*about: Any, one: Tested, chance: float = np.nan) -> None:
            rows.append((*about, chance, one.p_adjusted, one.shown))

        counts, given, beside = dict(self.cohort.counts), self.intervention, self.confounded
        readings = {"readable": self.readings.rows, "readable in pairs": self.readings.pairs}
        if beside is not None:
            readings |= {"readable from confounders": beside.alone, "readable within strata": beside.within}
        for question, read in readings.items():
            for row in read:
                n, limits = row.n + row.n_others, (row.auc, row.low, row.high)
                own = _OF[question_of(self.readings, row)] if question == "readable" else question
                add(own, row.view, row.group, row.against or "others", n, *limits, one=row, chance=row.chance)
        for one in self.associations:
            add("score and Dice", one.view, one.group, "", one.n, one.correlation, one.low, one.high, one=one)
        for guess in self.predictions:
            add("Dice predicted", guess.view, "", "", guess.n, guess.correlation, *_NO_LIMITS, one=guess)
        for question, asked in (("score and Dice", self.associations), ("Dice predicted", self.predictions)):
            for goes in asked:
                group = goes.group if isinstance(goes, Association) else ""
                about = f"{question} at one size", goes.view, group, "", goes.n
                add(*about, goes.at_size.correlation, *_NO_LIMITS, one=goes.at_size)
        for change in () if given is None else given.changes:
            about = "Dice if the image changes", change.intervention, change.group, change.donors, change.n
            add(*about, *change.change, one=change)
        for patch in () if given is None else given.occlusion:
            row_number, column = patch.place
            what, n = f"row {row_number + 1}, column {column + 1}", counts[patch.first] + counts[patch.second]
            away = float(np.subtract(*patch.change[::-1, row_number, column]))
            about = "Dice if a patch is blanked", what, patch.second, patch.first, n
            add(*about, away, *_NO_LIMITS, one=patch)
        for part in self.atlas:
            what, n = f"{part.structure}: {part.kind}", counts[part.first] + counts[part.second]
            share = part.shares[:, part.cluster].mean(axis=1) if part.more else np.zeros(2)
            away = float(share[1] - share[0])
            add("place of errors", what, part.second, part.first, n, away, *_NO_LIMITS, one=part)
        for measure in (*self.gaps, *self.measures):
            what, n = (
                f"{measure.structure}: {measure.measure}",
                counts[measure.first] + counts[measure.second],
            )
            question = "gap" if measure in self.gaps else "measure"
            add(question, what, measure.second, measure.first, n, *measure.difference, one=measure)
        for subgroup in self.slices:
            what, n = " and ".join(subgroup.conditions), subgroup.n + subgroup.n_rest
            add("slice", what, "", "others", n, *subgroup.difference, one=subgroup)
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """What the findings suggest, the strongest evidence first."""
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
        asked = self.cohort.ids, self.cohort.names
        dice = {("Dice", "mean of structures"): self.cohort.dice}
        return tuple(measure_differences(dice, *asked, permutations=number, seed=self.seed))

    @property
    def pictured(self) -> tuple[str, str]:
        """The two groups whose mean images are compared: whom the whole image tells apart best."""
        pair = self.readings.clearest_pair(WHOLE)
        first, second = self.cohort.names[:2] if pair is None else (pair.group, pair.against)
        return first, second

    @property
    def crop_margin(self) -> float | None:
        """The margin of the crop to use, mm around the box; None where no crop would do.

        The widest up to which every group's AUC is shown to be below 0.7. Of few subjects nothing is: then it
        is the tightest that was tried, in which the group may be read all the same. None where that tells a
        group, or the organ's pixels, size or shape do, or it removes less than a quarter of half of the
        images.
        """
        return crop_margin(self.readings, self.cohort.frame.removed)

    @property
    def left_out(self) -> pd.DataFrame:
        """Who was left out, and why: group, subjects, why."""
        return self.cohort.left_out


_OF = {"image": "readable", "references": "told by the references", "model": "told by the model"}
_NO_LIMITS = np.nan, np.nan
_COLUMNS = (
    *("question", "what", "group", "other", "n", "estimate", "low", "high"),
    *("chance", "p_adjusted", "shown"),
)
