"""Speed and memory of Dice + Hausdorff distance of three labels, beside medpy, MONAI and surface-distance.

    make bench        (or: python benchmarks/metrics.py)

Every library gets the same masks in one process, one thread, and is timed in CPU seconds (the median of
the repeats). The peers need binary masks: theirs are made outside the clock, ours are inside. Values are
compared before anything is timed. Real masks are read from the folder named by FAIRSEG_ACDC if it is there.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import surface_distance
import torch
from machine import describe
from medpy.metric import binary
from monai.metrics import compute_dice, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter, zoom
from tabulate import tabulate

from fairseg.io.images import find_masks, read_mask
from fairseg.metrics import dice, score_case

LABELS = (1, 2, 3)
ACDC = Path(os.environ.get("FAIRSEG_ACDC", "../shared/data/Dataset027_ACDC"))
Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], tuple[float, ...]]


def heart(shape: Sequence[int], wobble: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Draw two nested ellipsoids and a crescent over the middle of the image, boundaries moved by wobble."""
    axes = [np.linspace(-1, 1, length, dtype=np.float32) for length in shape]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    z = (grid[0] / 0.7) ** 2 if len(shape) == 3 else 0.0
    y, x = grid[-2], grid[-1]
    left = np.sqrt(z + (y**2 + (x - 0.1) ** 2) / 0.2**2) + wobble
    right = np.sqrt(z + y**2 / 0.28**2 + (x + 0.15) ** 2 / 0.24**2) + wobble
    mask = np.zeros(shape, dtype=np.uint8)
    mask[right < 1.0] = 1
    mask[left < 1.35] = 2
    mask[left < 0.95] = 3
    return mask


def smooth_pair(shape: tuple[int, ...], spacing: tuple[float, ...], error: float, seed: int) -> Pair:
    """Make a reference and a prediction whose boundaries lie up to `error` radii away."""
    rng = np.random.default_rng(seed)

    def wobble() -> np.ndarray[Any, Any]:
        coarse = [min(length, 32) for length in shape]
        field = gaussian_filter(rng.normal(size=coarse), 2.5)
        scale = [length / small for length, small in zip(shape, coarse, strict=True)]
        return zoom((field / np.abs(field).max()).astype(np.float32), scale, order=1)

    anatomy = 0.12 * wobble()
    return heart(shape, anatomy + error * wobble()), heart(shape, anatomy), spacing


def real_pairs() -> list[Pair]:
    """Read the real predictions and references."""
    predicted, true = (find_masks(ACDC / name, name) for name in ("predictions", "labelsTr"))
    pairs = []
    for case, path in true.items():
        reference = read_mask(path)
        pairs.append((read_mask(predicted[case]).voxels, reference.voxels, reference.spacing))
    return pairs


def peers(pair: Pair) -> dict[str, Callable[[], np.ndarray[Any, Any]]]:
    """Return each library's way to Dice and HD of the three labels, as (2, L)."""
    prediction, reference, spacing = pair
    p = np.stack([prediction == label for label in LABELS])
    r = np.stack([reference == label for label in LABELS])
    tensors = torch.from_numpy(p[None]), torch.from_numpy(r[None])

    def ours() -> np.ndarray[Any, Any]:
        return np.array(list(score_case(prediction, reference, labels=LABELS, spacing=spacing).values()))

    def medpy() -> np.ndarray[Any, Any]:
        dices = [binary.dc(a, b) for a, b in zip(p, r, strict=True)]
        return np.array([dices, [binary.hd(a, b, spacing) for a, b in zip(p, r, strict=True)]])

    def monai() -> np.ndarray[Any, Any]:
        distance = compute_hausdorff_distance(*tensors, include_background=True, spacing=spacing)
        return np.stack([compute_dice(*tensors, include_background=True)[0], distance[0]])

    def deepmind() -> np.ndarray[Any, Any]:
        values = []
        for a, b in zip(p, r, strict=True):
            found = surface_distance.compute_surface_distances(b, a, spacing)
            hd = surface_distance.compute_robust_hausdorff(found, 100)
            values.append((surface_distance.compute_dice_coefficient(b, a), hd))
        return np.array(values).T

    return {"fairseg": ours, "medpy": medpy, "MONAI": monai, "surface-distance": deepmind}


def cpu_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def row(name: str, pairs: Sequence[Pair], repeats: tuple[int, int]) -> list[str]:
    """Check that the libraries agree on some pairs, then time all of them on all pairs."""
    runs = [peers(pair) for pair in pairs]
    for run in runs[:8]:
        values = {library: call() for library, call in run.items()}
        np.testing.assert_allclose(values["fairseg"], values["medpy"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(values["fairseg"], values["MONAI"], rtol=1e-5)
    seconds = {}
    for library in runs[0]:
        number = repeats[0] if library == "fairseg" else repeats[1]
        seconds[library] = cpu_seconds(lambda: [run[library]() for run in runs], number) / len(pairs)  # noqa: B023
    ours = seconds.pop("fairseg")
    score = dice(*pairs[0][:2], LABELS).mean()
    ratios = [f"{theirs / ours:.1f}x" for theirs in seconds.values()]
    return [name, f"{score:.2f}", f"{ours * 1e3:.2f} ms", *ratios]


def memory(pair: Pair) -> list[str]:
    """Return the peak of what scoring a pair allocates, the two masks included, over their size."""
    prediction, reference, spacing = pair
    own = prediction.nbytes + reference.nbytes
    found = []
    for metrics in (("dice",), ("dice", "hd"), ("dice", "hd", "hd95", "assd")):
        tracemalloc.start()
        score_case(prediction, reference, labels=LABELS, spacing=spacing, metrics=metrics)
        found.append(f"{1 + tracemalloc.get_traced_memory()[1] / own:.2f}")
        tracemalloc.stop()
    return found


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(describe("medpy", "monai", "surface-distance", "numpy", "scipy"), end="\n\n")
    plane, stack, volume = (208, 210), (10, 208, 210), (160, 512, 512)
    kinds = [
        ("2D 208x210", plane, (1.8, 1.8), (60, 15)),
        ("3D 10x208x210", stack, (10.0, 1.8, 1.8), (30, 5)),
        ("3D 160x512x512", volume, (1.0, 0.7, 0.7), (5, 1)),
    ]
    rows, used = [], []
    if ACDC.is_dir():
        rows.append(row("80 real pairs of ACDC", real_pairs(), (7, 1)))
    for error, word in ((0.05, "good"), (0.2, "poor")):
        for name, shape, spacing, repeats in kinds:
            pairs = [smooth_pair(shape, spacing, error, seed) for seed in range(1 if shape == volume else 5)]
            rows.append(row(f"smooth {name}, {word} prediction", pairs, repeats))
            used.append([f"smooth {name}, {word} prediction", *memory(pairs[0])])
    print("Dice + HD of three labels: CPU time a pair, and how many times as long the others take\n")
    head = ["input", "Dice", "fairseg", "medpy", "MONAI", "surface-distance"]
    print(tabulate(rows, headers=head, tablefmt="github", disable_numparse=True), "\n")
    print("Peak memory over the size of the two masks, which are included\n")
    head = ["input", "Dice", "Dice + HD", "Dice + HD + HD95 + ASSD"]
    print(tabulate(used, headers=head, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
