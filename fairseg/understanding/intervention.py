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
from fairseg.understanding.exchange import BLANKED, INTERVENTIONS, Scan, blanked
from fairseg.understanding.readable import Floats, Integers
from fairseg.understanding.views import CaseFiles, Frame

DONORS = 2  # of each kind, for each subject
PATCHES = 6  # along each axis of the image
_KEPT = 16  # scans in memory


def intervene(
    run: TrainedRun,
    cases: Sequence[CaseFiles],
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
    rng = np.random.default_rng(seed)
    number = len(ids)
    partners = {group: [0] if group else list(range(1, len(names))) for group in range(len(names))}
    donors = _donors(ids, partners, rng)
    now, blank, bottleneck = np.empty(number), np.empty(number), []
    patches = np.empty((number, PATCHES, PATCHES))
    made: dict[tuple[str, int, int], list[tuple[int, int, int, float]]] = defaultdict(list)
    bar = tqdm(total=number, desc="intervening", unit="subject", disable=None if progress else True)
    with bar:
        for subject in range(number):
            own = network.of_subject[subject]
            group = int(ids[subject])
            now[subject] = np.mean([network.dice(network.scan(case)) for case in own])
            blank[subject] = np.mean(
                [network.dice(scan := network.scan(case), blanked(scan)) for case in own]
            )
            bottleneck.append(np.mean([network.features(network.scan(case)) for case in own], axis=0))
            patches[subject] = network.occluded(own[0])
            for what, change in INTERVENTIONS.items():
                with_own = [network.changed(own, donor, change) for donor in donors[subject, group]]
                for partner in partners[group]:
                    for place, donor in enumerate(donors[subject, partner]):
                        effect = network.changed(own, donor, change) - with_own[place]
                        made[what, group, partner].append(
                            (subject, donors[subject, group][place], donor, effect)
                        )
            bar.update()
    means = [float(now[ids == group].mean()) for group in range(len(names))]
    rows: list[Any] = []
    for (what, group, partner), effects in made.items():
        people, own_donors, others, values = zip(*effects, strict=True)
        found = change_with_limits(np.array(values), *map(np.array, (people, own_donors, others)))
        n = int((ids == group).sum())
        gap = means[partner] - means[group]
        rows.append((what, names[group], names[partner], n, means[group], gap, found))
    rows.sort(key=lambda row: (list(INTERVENTIONS).index(row[0]), names.index(row[1]) == 0))
    for group, name in enumerate(names):
        mine = ids == group
        found = change_with_limits((blank - now)[mine], np.flatnonzero(mine))
        rows.append((BLANKED, name, "", int(mine.sum()), means[group], np.nan, found))
    return Intervention(
        now,
        tuple(with_holm(rows)),
        tuple(occlusions(patches, ids, names, permutations=permutations, seed=seed)),
        np.stack(bottleneck),
    )


def _donors(
    ids: Integers, partners: Mapping[int, Sequence[int]], rng: np.random.Generator
) -> dict[tuple[int, int], list[int]]:
    """Deal donors: (subject, group of the donors) -> subjects; all of a group lend about equally often."""
    dealt: dict[tuple[int, int], list[int]] = {}
    for group, others in partners.items():
        mine = rng.permutation(np.flatnonzero(ids == group))
        for place, subject in enumerate(mine):  # one further on and so on: nobody lends to themselves
            turns = (mine[(place + step + 1) % mine.size] for step in range(DONORS))
            dealt[int(subject), group] = [int(donor) for donor in turns]
        for other in others:
            theirs = rng.permutation(np.flatnonzero(ids == other))
            for place, subject in enumerate(mine):
                turns = (theirs[(DONORS * place + step) % theirs.size] for step in range(DONORS))
                dealt[int(subject), other] = [int(donor) for donor in turns]
    return dealt


class _Network:
    """The network on the cases of a cohort."""

    def __init__(
        self, run: TrainedRun, cases: Sequence[CaseFiles], case_subjects: Integers, frame: Frame
    ) -> None:
        self.run, self.cases = run, cases
        self.of_subject: dict[int, list[int]] = defaultdict(list)
        for case, subject in enumerate(case_subjects.tolist()):
            self.of_subject[subject].append(case)
        self.labels = list(run.about["labels"].values())
        self.whole, box = (np.array(extent) / run.plan.spacing for extent in (frame.whole, frame.box))
        rows, columns = (np.ceil(box - 1e-6).astype(int) + 1).tolist()  # one more: a middle between pixels
        self.size = rows, columns
        self.scan = lru_cache(maxsize=_KEPT)(self._scan)

    def _scan(self, case: int) -> Scan:
        files = self.cases[case]
        try:
            image, _ = read_case(files.images, self.run.plan, files.spacing)
            mask = mask_in_plan(files.labels(files.reference, self.run.about["labels"]), self.run.plan)
            return Scan(image, mask, Box.around(mask, ndim=2), self.size)
        except ValueError as error:
            raise ValueError(f"case {files.name}: {error}") from None

    def segment(self, scan: Scan, image: Image) -> Any:
        """Return the mask (Z, y, x) that the network gives an image (C, Z, y, x)."""
        slices = torch.from_numpy(np.ascontiguousarray(image.swapaxes(0, 1)))
        box = None if self.run.crop_size is None else scan.organ_box.resized(self.run.crop_size)
        return self.run.segment(slices, box, scan.organ_box).argmax(dim=1).cpu().numpy()

    def dice(self, scan: Scan, image: Image | None = None) -> float:
        """Return the mean Dice over structures of an image, by default of the scan's own."""
        mask = self.segment(scan, scan.image if image is None else image)
        return float(mean_of_known(dice(mask, np.asarray(scan.mask), self.labels), axis=0))

    def changed(self, own: Sequence[int], donor: int, change: Any) -> float:
        """Return the mean Dice of a subject's cases, each changed with the donor's case in its place."""
        theirs = self.of_subject[donor]
        scans = [(self.scan(case), self.scan(theirs[n % len(theirs)])) for n, case in enumerate(own)]
        return float(np.mean([self.dice(scan, change(scan, lent)) for scan, lent in scans]))

    @torch.no_grad()
    def features(self, scan: Scan) -> Floats:
        """Return the mean features at the bottleneck over the organ's slices, (F,)."""
        found: list[Tensor] = []
        layer = self.run.predictor.network.get_submodule(self.run.about["settings"]["head_layer"])
        hook = layer.register_forward_hook(
            lambda _module, _inputs, out: found.append(out.flatten(2).mean(-1))
        )
        own = scan.only(scan.slices)
        try:
            self.segment(own, own.image)
        finally:
            hook.remove()
        return torch.cat(found).float().mean(dim=0).cpu().numpy().astype(np.float64)

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
        # Those within the box of everybody, so that the same are looked at in all.
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
