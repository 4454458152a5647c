"""Predict with a trained run: images to masks on the images' own grid, whole, cropped or cascaded."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from fairseg.cohort.case_names import cohort_as_files
from fairseg.cohort.table import read_cohort
from fairseg.crop import Box, Cascade, segment_crops, standardized
from fairseg.crop.cascade import relative
from fairseg.io.files import settle_manifest, write_files
from fairseg.io.images import check_same_grid, find_masks
from fairseg.io.label_files import read_image_files, read_labels, with_spacing
from fairseg.io.outputs import check_writable, reading
from fairseg.io.parallel import run_all
from fairseg.io.sentences import listed
from fairseg.scoring.voxel_sizes import Spacing, VoxelSizes, sizes_given
from fairseg.training.checkpoint import CHECKPOINT, load_whole_run, weights_to_use
from fairseg.training.inference import Predictor
from fairseg.training.machine import pick_device, pick_precision
from fairseg.training.network import check_weights, load_weights, reference_network
from fairseg.training.prepare import (
    MASKS,
    Labels,
    SlicePlan,
    foreground_box,
    log_messages,
    mask_in_plan,
    read_case,
    write_prediction,
)
from fairseg.training.raw import find_images
from fairseg.training.settings import Settings

logger = logging.getLogger(__name__)

BOXES = "boxes.json"
# Name, images of the channels, mask that says where to look, pixel size; None where there is no mask or size.
_Case = tuple[str, Sequence[Path], Path | None, tuple[float, ...] | None]
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png")  # of masks that are written


@dataclass
class TrainedRun:
    """A trained network, ready to use."""

    about: dict[str, Any]  # as in run.json
    plan: SlicePlan  # the form that its images have
    predictor: Predictor  # slices (Z, C, y, x) to logits
    crop_size: tuple[int, int] | None  # of a network that was trained on crops, or `None`

    def box_around(self, mask: Labels) -> tuple[Box, Box | None]:
        """Return the crop around a reference mask (Z, y, x), as in training, and the box of its labels."""
        assert self.crop_size is not None
        organ = foreground_box(mask)
        return (organ or Box((0, 0), mask.shape[1:])).resized(self.crop_size), organ

    @property
    def spacing(self) -> Spacing | None:
        """The pixel size of images whose files state none, as the training had it."""
        return Settings.from_dict(self.about["settings"]).spacing

    @property
    def standardize(self) -> Literal["crop", "organ"] | None:
        """The standardisation of crops, as `Cascade` takes it."""
        named = self.about["settings"].get("standardize", "crop")
        return None if named == "image" else named

    def segment(self, slices: Tensor, box: Box | None = None, organ: Box | None = None) -> Tensor:
        """Return the logits (Z, K, y, x) of a case's slices (Z, C, y, x), or from their crop alone.

        Args:
            slices: of a case.
            box: the crop.
            organ: the box of the organ; None where nothing was found.
        """
        if box is None:
            return self.predictor(slices)
        boxes, organs = [box] * len(slices), [organ] * len(slices)

        def segment(crops: Tensor) -> Tensor:
            if self.standardize is not None:
                relative_organs = relative(organs, boxes) if self.standardize == "organ" else None
                crops = standardized(crops, together=True, organs=relative_organs)
            return self.predictor(crops)

        return segment_crops(segment, slices, boxes)


def load_run(
    folder: str | Path, *, mirror: bool = True, device: str = "auto", network: nn.Module | None = None
) -> TrainedRun:
    """Load a run from its checkpoint; arguments are those of `predict`.

    Raises:
        ValueError: there is no whole checkpoint, or it is of another network.
    """
    saved = load_whole_run(Path(folder) / CHECKPOINT)
    about = saved["run"]
    settings, plan = Settings.from_dict(about["settings"]), SlicePlan(**about["plan"])
    chosen, weights = pick_device(device), weights_to_use(saved)
    if network is None:
        check_weights(
            about, settings, weights, str(folder)
        )  # before a network of the stated size takes memory
        network = reference_network(about, settings)
    load_weights(network, weights, str(folder))
    autocast = pick_precision(settings.precision, chosen)
    predictor = Predictor(
        network.to(chosen),
        about["patch_size"],
        mirrored_axes=settings.mirrored_axes if mirror else (),
        device=chosen,
        autocast=autocast,
        order=about.get("regions_class_order"),
    )
    crop_size = about["crop_size"] and tuple(about["crop_size"])
    return TrainedRun(about, plan, predictor, crop_size)


def predict(
    run: str | Path,
    images: str | Path,
    out: str | Path,
    *,
    cases: Collection[str] | None = None,
    cascade: str | Path | None = None,
    references: str | Path | None = None,
    spacing: Spacing | None = None,
    table: str | Path | pd.DataFrame | None = None,
    mirror: bool = True,
    device: str = "auto",
    workers: int = 1,
    network: nn.Module | None = None,
    first_network: nn.Module | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Segment a folder of images; masks lie on the exact grids of the images, and are written one by one.

    A run that was trained on crops needs to know where to look: from another run (`cascade`, Fig. 1 of Lee
    et al. 2025), or from the reference masks (`references`, which is for comparison only: nobody has them
    for new images). All slices of a case share one crop, around the largest connected component of what the
    first run finds, or if it finds nothing around the middle of the image, which is counted and logged.

    Args:
        run: folder of a run.
        images: folder with CASE_0000.nii.gz and so on.
        out: folder for the masks, CASE with the ending of its images where that is .nii.gz, .nii, .nrrd, .mha
            or .png, else with .nii.gz; where there were crops, `boxes.json` says where each was, and what was
            found there (pixels in plane, in the spacing of the run).
        cases: names of those to segment; default: all of the folder.
        cascade: folder of the run that says where to look.
        references: folder of masks that say where to look.
        spacing: pixel size of images whose files state none, or columns of `table`; default: as in training.
        table: of the cases, where a column has their pixel size.
        mirror: average over the mirrorings that the training had.
        device: where to predict.
        workers: processes, on the CPU.
        network: the network that was trained, if it was not the reference U-Net.
        first_network: the same for the run that says where to look.
        progress: show a bar on stderr if it is a terminal.

    Returns:
        `cases`, their number; of crops also `fallbacks`, in how many nothing was found, and `cut`, in
        how many what was found did not fit into the crop.

    Raises:
        ValueError: a run, an image or an argument is not usable; the message says which.
    """
    load = partial(_load_networks, run, cascade, mirror, device, (network, first_network))
    if workers > 1 and (network is not None or first_network is not None):
        raise ValueError("workers must be 1 with a network of your own")
    about = load_whole_run(Path(run) / CHECKPOINT)["run"]
    cropped = about["crop_size"] is not None
    if cropped != (cascade is not None or references is not None) or None not in (cascade, references):
        needs = "needs cascade or references, one of them" if cropped else "sees whole images: no cascade"
        raise ValueError(f"{run} was trained on {about['settings']['crop']} crops, so it {needs}")
    spacing_used = Settings.from_dict(about["settings"]).spacing if spacing is None else spacing
    case_files = _cases(images, cases, references, len(about["channels"]), spacing_used, table)
    folder = Path(out)
    with reading(run, cascade, images, references, None if isinstance(table, pd.DataFrame) else table):
        written = [_mask_name(name, files) for name, files, *_ in case_files]
        check_writable(folder, [*written, *([BOXES] if cropped else [])], MASKS)
    loaded = load()
    checks = run_all(partial(_check_case, plan=loaded[0].plan), case_files, workers)
    bar = tqdm(
        checks, desc="checking", total=len(case_files), unit="case", disable=None if progress else True
    )
    grid_notes = [note for notes in bar for note in notes]  # of all of them before the first is segmented
    share = -(-len(case_files) // max(workers, 1))
    jobs = [(case_files[start : start + share],) for start in range(0, len(case_files), share)]
    alone = len(jobs) == 1
    predict_part = partial(
        _predict_cases,
        load=(lambda: loaded) if alone else load,
        out=folder,
        progress=progress and alone,
        one_thread=not alone,
    )
    folder.mkdir(parents=True, exist_ok=True)
    results = list(run_all(predict_part, jobs, workers))
    settle_manifest(folder)
    log_messages(Counter([*grid_notes, *(message for _, messages in results for message in messages)]))
    total: dict[str, Any] = {"cases": len(case_files)}
    if cropped:
        boxes = {name: box for part, _ in results for name, box in part.items()}
        write_files(folder, {BOXES: json.dumps(boxes, indent=1) + "\n"}, MASKS)
        total |= _counted(boxes)
    return total


def _cases(
    images: str | Path,
    cases: Collection[str] | None,
    references: str | Path | None,
    channels: int,
    spacing: Spacing | None,
    table: str | Path | pd.DataFrame | None,
) -> list[_Case]:
    """Return the cases to segment, in the order of their names.

    Raises:
        ValueError: a case has no image or no reference, or its pixel size is not known.
    """
    files = find_images(Path(images), channels)
    if cases is not None:
        if absent := sorted(set(cases) - files.keys()):
            raise ValueError(f"{images} has no image of {listed(absent)}")
        files = {name: files[name] for name in sorted(cases)}
    sizes = _sizes(spacing, table, files)
    masks = find_masks(Path(references), "references") if references is not None else {}
    if references is not None and (without := sorted(files.keys() - masks.keys())):
        raise ValueError(f"references has no mask for {listed(without)}")
    return [(name, files[name], masks.get(name), sizes[name]) for name in sorted(files)]


def _counted(boxes: Mapping[str, Any]) -> dict[str, int]:
    """Count the cases in which nothing was found, or more than fits into the crop, and log their names."""
    nothing = [name for name, box in boxes.items() if box["found"] is None]
    cut = [name for name, box in boxes.items() if box["found"] and not _fits(**box)]
    if nothing:
        logger.warning("nothing was found, so the middle was cropped, in %s", listed(nothing))
    if cut:
        logger.warning("more was found than fits into the crop in %s", listed(cut))
    return {"fallbacks": len(nothing), "cut": len(cut)}


def _sizes(
    spacing: Spacing | None, table: str | Path | pd.DataFrame | None, files: Collection[str]
) -> VoxelSizes:
    """Return the voxel sizes of the cases of a table, named as the files are.

    Raises:
        ValueError: they are in a column, and there is no table; or as `VoxelSizes.of`.
    """
    sizes = [] if spacing is None else sizes_given(spacing)
    if table is None and any(isinstance(one, str) for one in sizes):
        raise ValueError(
            f"pixel sizes are in the column {listed(sizes)}, as in training, so the table of the cases is "
            "needed: --groups TABLE; or --spacing with numbers"
        )
    cohort = None if table is None else cohort_as_files(read_cohort(table), files).set_index("case")
    return VoxelSizes.of(spacing, cohort)


def _mask_name(case: str, images: Sequence[Path]) -> str:
    """Return the name of a case's mask: with the ending of its images, where that can hold a mask."""
    image = images[0].name.lower()
    return case + next((ending for ending in _ENDINGS if image.endswith(ending)), ".nii.gz")


def _fits(crop: list[list[int]], found: list[list[int]]) -> bool:
    """Say whether a box is no larger than the crop around it."""
    sizes = zip(*(Box(*map(tuple, edges)).shape for edges in (crop, found)), strict=True)
    return all(size >= extent for size, extent in sizes)


def _load_networks(
    run: str | Path,
    cascade: str | Path | None,
    mirror: bool,
    device: str,
    networks: tuple[nn.Module | None, nn.Module | None],
) -> tuple[TrainedRun, Cascade | None]:
    """Load the run that segments; and the cascade of both, where another says where to look."""
    second = load_run(run, mirror=mirror, device=device, network=networks[0])
    if cascade is None:
        return second, None
    return second, _cascade(load_run(cascade, mirror=mirror, device=device, network=networks[1]), second)


def _check_case(
    name: str, files: Sequence[Path], mask: Path | None, spacing: tuple[float, ...] | None, *, plan: SlicePlan
) -> tuple[str, ...]:
    """Raise a ValueError unless a case can be segmented: no mask is written before all of them can.

    Returns:
        Notes on the grids of image and mask.
    """
    try:
        first, *_ = read_image_files(files)
        first = with_spacing(first, spacing)
        plan.size_of(first)
        if mask is None:
            return ()
        reference = with_spacing(read_labels(mask), spacing)
        return check_same_grid(reference, first, names=("the reference", "the image"))
    except ValueError as error:
        raise ValueError(f"case {name}: {error}") from None


def _predict_cases(
    cases: Sequence[_Case],
    *,
    load: Callable[[], tuple[TrainedRun, Cascade | None]],
    out: Path,
    progress: bool,
    one_thread: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Write the masks of cases.

    Returns:
        The boxes of each case, where there were crops; and the messages of the image reader.
    """
    if one_thread:
        torch.set_num_threads(1)  # a process of several
    run, cascade = load()
    boxes: dict[str, Any] = {}
    messages: list[str] = []
    bar = tqdm(total=len(cases), desc="predicting", unit="case", disable=None if progress else True)
    with bar:
        for name, files, mask, spacing in cases:
            try:
                image, like = read_case(files, run.plan, spacing)
                slices = torch.from_numpy(image).transpose(0, 1).contiguous()
                if cascade is not None:
                    logits, box, organ = cascade(slices), cascade.boxes[0], cascade.found[0]
                elif mask is not None:
                    reference = with_spacing(read_labels(mask), spacing)
                    mask_voxels = mask_in_plan(reference, run.plan, run.about.get("ignore"))
                    box, organ = run.box_around(mask_voxels)
                    logits = run.segment(slices, box, organ)
                else:
                    logits, box, organ = run.predictor(slices), None, None
            except ValueError as error:
                raise ValueError(f"case {name}: {error}") from None
            if box is not None:
                boxes[name] = {"crop": _edges(box), "found": organ and _edges(organ)}
            messages += like.messages
            logits, file = logits.transpose(0, 1), out / _mask_name(name, files)
            write_prediction(logits, like, run.plan, file, run.predictor.order)
            bar.update()
    return boxes, messages


def _cascade(first: TrainedRun, second: TrainedRun) -> Cascade:
    """Return both networks as one, for all slices of a case at a time."""
    if len(first.about["channels"]) != len(second.about["channels"]) or first.plan.axis != second.plan.axis:
        raise ValueError("cascade: both runs must be of images with the same channels and slice axis")
    if first.crop_size is not None:
        raise ValueError("cascade: the first run must see whole images, this one was trained on crops")
    assert second.crop_size is not None
    zoom = [target / source for target, source in zip(second.plan.spacing, first.plan.spacing, strict=True)]

    def locate(slices: Tensor) -> Tensor:
        size = [round(length * factor) for length, factor in zip(slices.shape[2:], zoom, strict=True)]
        if size == list(slices.shape[2:]):
            return first.predictor(slices)
        logits = first.predictor(F.interpolate(slices, size=size, mode="bilinear"))
        return F.interpolate(logits, size=slices.shape[2:], mode="bilinear")

    return Cascade(locate, second.predictor, second.crop_size, shared=True, standardize=second.standardize)


def _edges(box: Box) -> list[list[int]]:
    return [list(box.start), list(box.stop)]
