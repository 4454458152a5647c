"""Does a trained network go by what lies outside the organ? Its images changed there, and its Dice again.

This is what tells use from presence: the network and the organ stay, and only the outside is changed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from fairseg.crop import Box
from fairseg.metrics import dice
from fairseg.training.inference import mean_of_known
from fairseg.training.prediction import TrainedRun
from fairseg.training.prepare import Floats as Image
from fairseg.training.prepare import mask_in_plan, read_case
from fairseg.understanding.changes import Intervention, change_with_limits, occlusions, with_holm
from fairseg.understanding.outside_changes import BLANKED, INTERVENTIONS, CaseArrays, blanked
from fairseg.understanding.readability import Floats, Integers
from fairseg.understanding.views import CasePaths, Frame

DONORS = 2  # of each kind, for each subject
PATCHES = 6  # along each axis of the image
# (intervention, group, partner) -> subject, donor of its own group, donor of the partner, effect on Dice.
_Effects = dict[tuple[str, int, int], list[tuple[int, int, int, float]]]
_CACHED = 16  # scans in memory


def intervene(
    run: TrainedRun,
    cases: Sequence[CasePaths],
    case_subjects: Integers,
    ids: Integers,
    names: Sequence[str],
    frame: Frame,
    *,
    permutations: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> Intervention:
    """Change the images of subjects on which a run was not trained, and segment them again.

    Args:
        run: the network.
        cases: those of all subjects, with the organ.
        case_subjects: position of each case's subject.
        ids: group of each subject, (N,); the first is the reference group.
        names: of the groups.
        frame: of the views: the box is the same.
        permutations: of the groups, for occlusion.
        seed: of the donors.
        progress: show a bar on stderr if it is a terminal.

    Raises:
        ValueError: a case cannot be read, or the run's slices lie across another axis than the views'.
    """
    if frame.axis not in (None, run.plan.axis):
        raise ValueError(
            f"run: its slices lie across axis {run.plan.axis}, those of the views across {frame.axis}"
        )
    network = _Network(run, cases, case_subjects, frame)
    partners = {group: [0] if group else list(range(1, len(names))) for group in range(len(names))}
    donors = _donors(ids, partners, np.random.default_rng(seed))
    now, blank, bottleneck = np.empty(len(ids)), np.empty(len(ids)), []
    patches = np.empty((len(ids), PATCHES, PATCHES))
    effects: _Effects = defaultdict(list)
    hidden = None if progress else True
    for subject in tqdm(range(len(ids)), "intervening", unit="subject", disable=hidden):
        own_cases, group = network.of_subject[subject], int(ids[subject])
        now[subject] = np.mean([network.dice(network.scan(case)) for case in own_cases])
        blank[subject] = np.mean(
            [network.dice(scan := network.scan(case), blanked(scan)) for case in own_cases]
        )
        bottleneck.append(np.mean([network.features(network.scan(case)) for case in own_cases], axis=0))
        patches[subject] = network.occluded(own_cases[0])
        for name, change in INTERVENTIONS.items():
            own_donors = donors[subject, group]
            with_own = [network.changed(own_cases, donor, change) for donor in own_donors]
            for partner in partners[group]:
                for own_donor, before, donor in zip(
                    own_donors, with_own, donors[subject, partner], strict=True
                ):
                    effect = network.changed(own_cases, donor, change) - before
                    effects[name, group, partner].append((subject, own_donor, donor, effect))
    return Intervention(
        now,
        tuple(with_holm(_rows(effects, now, blank, ids, names))),
        tuple(occlusions(patches, ids, names, permutations=permutations, seed=seed)),
        np.stack(bottleneck),
    )


def _rows(effects: "_Effects", now: Floats, blank: Floats, ids: Integers, names: Sequence[str]) -> list[Any]:
    """Return the rows of `with_holm`: of each exchange, the reference group's last, then of blanking."""
    means = [float(now[ids == group].mean()) for group in range(len(names))]
    counts = [int((ids == group).sum()) for group in range(len(names))]
    rows: list[Any] = []
    for (intervention, group, partner), of_subjects in effects.items():
        *factors, values = map(np.array, zip(*of_subjects, strict=True))
        gap = means[partner] - means[group]
        row = intervention, names[group], names[partner], counts[group], means[group], gap
        rows.append((*row, change_with_limits(values, *factors)))
    rows.sort(key=lambda row: (list(INTERVENTIONS).index(row[0]), names.index(row[1]) == 0))
    for group, name in enumerate(names):
        change = change_with_limits((blank - now)[ids == group], np.flatnonzero(ids == group))
        rows.append((BLANKED, name, "", counts[group], means[group], np.nan, change))
    return rows


def _donors(
    ids: Integers, partners: Mapping[int, Sequence[int]], rng: np.random.Generator
) -> dict[tuple[int, int], list[int]]:
    """Deal donors: (subject, group of the donors) -> subjects; all of a group lend about equally often."""
    dealt: dict[tuple[int, int], list[int]] = {}
    for group, partner_groups in partners.items():
        borrowers = rng.permutation(np.flatnonzero(ids == group))
        for position, subject in enumerate(borrowers):  # one further on and so on: nobody lends to themselves
            turns = (borrowers[(position + step + 1) % borrowers.size] for step in range(DONORS))
            dealt[int(subject), group] = [int(donor) for donor in turns]
        for partner in partner_groups:
            lenders = rng.permutation(np.flatnonzero(ids == partner))
            for position, subject in enumerate(borrowers):
                turns = (lenders[(DONORS * position + step) % lenders.size] for step in range(DONORS))
                dealt[int(subject), partner] = [int(donor) for donor in turns]
    return dealt


class _Network:
    """The network on the cases of a cohort."""

    def __init__(
        self, run: TrainedRun, cases: Sequence[CasePaths], case_subjects: Integers, frame: Frame
    ) -> None:
        self.run, self.cases = run, cases
        self.of_subject: dict[int, list[int]] = defaultdict(list)
        for case, subject in enumerate(case_subjects.tolist()):
            self.of_subject[subject].append(case)
        self.labels = list(run.about["labels"].values())
        self.whole, box = (np.array(extent) / run.plan.spacing for extent in (frame.whole, frame.box))
        rows, columns = (np.ceil(box - 1e-6).astype(int) + 1).tolist()  # one more: a middle between pixels
        self.size = rows, columns
        self.scan = lru_cache(maxsize=_CACHED)(self._scan)

    def _scan(self, case: int) -> CaseArrays:
        files = self.cases[case]
        try:
            image, _ = read_case(files.images, self.run.plan, files.spacing)
            mask = mask_in_plan(files.labels(files.reference, self.run.about["labels"]), self.run.plan)
            return CaseArrays(image, mask, Box.around(mask, ndim=2), self.size)
        except ValueError as error:
            raise ValueError(f"case {files.name}: {error}") from None

    def segment(self, scan: CaseArrays, image: Image) -> Any:
        """Return the mask (Z, y, x) that the network gives an image (C, Z, y, x)."""
        slices = torch.from_numpy(np.ascontiguousarray(image.swapaxes(0, 1)))
        box = None if self.run.crop_size is None else scan.organ_box.resized(self.run.crop_size)
        return self.run.segment(slices, box, scan.organ_box).argmax(dim=1).cpu().numpy()

    def dice(self, scan: CaseArrays, image: Image | None = None) -> float:
        """Return the mean Dice over structures of an image, by default of the scan's own."""
        mask = self.segment(scan, scan.image if image is None else image)
        return float(mean_of_known(dice(mask, np.asarray(scan.mask), self.labels), axis=0))

    def changed(self, cases: Sequence[int], donor: int, change: Any) -> float:
        """Return the mean Dice of a subject's cases, each changed with the matching case of the donor."""
        donor_cases = self.of_subject[donor]
        scans = [
            (self.scan(case), self.scan(donor_cases[n % len(donor_cases)])) for n, case in enumerate(cases)
        ]
        return float(np.mean([self.dice(scan, change(scan, lent)) for scan, lent in scans]))

    @torch.no_grad()
    def features(self, scan: CaseArrays) -> Floats:
        """Return the mean features at the bottleneck over the organ's slices, (F,)."""
        features: list[Tensor] = []
        layer = self.run.predictor.network.get_submodule(self.run.about["settings"]["head_layer"])
        hook = layer.register_forward_hook(
            lambda _module, _inputs, out: features.append(out.flatten(2).mean(-1))
        )
        organ_slices = scan.only(scan.slices)
        try:
            self.segment(organ_slices, organ_slices.image)
        finally:
            hook.remove()
        return torch.cat(features).float().mean(dim=0).cpu().numpy().astype(np.float64)

    def occluded(self, case: int) -> Floats:
        """Return the change of Dice if a patch is blanked outside the box, (rows, columns), NaN within it."""
        scan = self.scan(case)
        few = scan.only(scan.levels)
        before = self.dice(few)
        result = np.full((PATCHES, PATCHES), np.nan)
        # The patches share the organ's center; the image may reach beyond them.
        rows, columns = (
            np.floor((np.arange(length) + 0.5 - middle) / whole * PATCHES + PATCHES / 2)
            for length, middle, whole in zip(scan.mask.shape[1:], scan.box.center, self.whole, strict=True)
        )
        # Patches within the box are left out, the same ones for all subjects.
        steps = np.maximum(
            np.abs(np.arange(PATCHES) - PATCHES / 2), np.abs(np.arange(PATCHES) + 1 - PATCHES / 2)
        )
        high, wide = (
            steps / PATCHES * whole <= size / 2 for whole, size in zip(self.whole, self.size, strict=True)
        )
        for row, column in np.ndindex(result.shape):
            if high[row] and wide[column]:
                continue
            patch = (rows == row)[:, None] & (columns == column) & ~scan.inside
            result[row, column] = (
                self.dice(few, np.where(patch, np.float32(0), few.image)) - before if patch.any() else 0.0
            )
        return result
