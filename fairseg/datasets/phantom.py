"""The phantom cohort: made-up cardiac MR of groups that differ mostly outside the heart.

No bias is put in. Subjects of one group are drawn more often than those of another, and the groups look a
little different, as Lee et al. (2025a) found for cine cardiac MR: in the fat under the skin, the shape of
the chest, the vessels around the heart, the brightness, and hardly in the heart itself. A network that is
trained on such a cohort serves the smaller group worse by itself.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from fairseg.datasets.anatomy import LABELS, Body, Scan, draw_slice
from fairseg.io.files import filled_folder
from fairseg.io.image_writing import write_image
from fairseg.io.outputs import boundaries, reading

SLICE_DISTANCE = 10.0  # mm
FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")


@dataclass(frozen=True)
class Shift:
    """The differences of a group from the first one; each is one number and can be set to 0.

    Attributes:
        fat: more fat under the skin, mm.
        vessels: more bright vessels 72 to 110 mm from the heart, how many on average.
        chest: chest deeper and narrower by this fraction.
        brightness: blood and all that is as bright is brighter by this fraction.
        heart: the heart is larger by this fraction: the little that differs inside.
    """

    fat: float = 0.0
    vessels: float = 0.0
    chest: float = 0.0
    brightness: float = 0.0
    heart: float = 0.0

    def scaled(self, strength: float) -> "Shift":
        """Return every shift times a strength."""
        return Shift(**{part.name: strength * getattr(self, part.name) for part in fields(self)})

    def without(self, names: Sequence[str]) -> "Shift":
        """Return the shift with some of its parts turned off.

        Raises:
            ValueError: there is no such part.
        """
        parts = [part.name for part in fields(self)]
        if wrong := [name for name in names if name not in parts]:
            raise ValueError(f"a shift has the parts {', '.join(parts)}, not {', '.join(wrong)}")
        return replace(self, **dict.fromkeys(names, 0.0))


SHIFT = Shift(fat=30.0, vessels=6.0, chest=0.06, brightness=0.08, heart=0.03)


def write_phantom(
    folder: str | Path,
    *,
    subjects: Mapping[str, int] | None = None,
    test_subjects: int = 30,
    shift: Shift = SHIFT,
    shape: tuple[int, int] = (80, 80),
    spacing: float = 3.0,
    slices: int = 4,
    seed: int = 0,
    replace_files: bool = False,
) -> None:
    """Write a cohort in nnU-Net's raw layout.

    `imagesTr/CASE_0000.nii.gz` and `labelsTr/CASE.nii.gz` hold the training cohort, `imagesTs` and
    `labelsTs` one of equally many subjects of each group to test on; two cases a subject, end-diastole and
    end-systole. `dataset.json` names the labels, `groups.csv` has case, subject, split, group, sex, age,
    height (cm) and weight (kg) of all of them. The same arguments give the same files.

    The first group has no shift, the last has the whole shift, and those between have even parts of it.

    Args:
        folder: where to write.
        subjects: group -> training subjects; default 240 White and 8 Black.
        test_subjects: test subjects of each group.
        shift: how the last group differs from the first.
        shape: pixels of a slice (y, x).
        spacing: size of a pixel, mm.
        slices: slices of a stack, base to apex, 10 mm apart.
        seed: 0 or more.
        replace_files: write although the folder holds a dataset; files of the same names are replaced.

    Raises:
        ValueError: an argument is not usable, or the folder holds a dataset or cannot be written.
    """
    counts = dict(subjects) if subjects is not None else {"White": 240, "Black": 8}
    if not counts or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in counts.values()):
        raise ValueError(f"subjects must be group -> number of subjects, got {subjects}")
    if wrong := [name for name in counts if not isinstance(name, str) or not name.strip()]:
        raise ValueError(f"groups must have names, got {wrong[0]!r}")
    for name, value, low, high in (
        ("test_subjects", test_subjects, 0, 10**6),
        ("slices", slices, 1, 1000),
        ("seed", seed, 0, 2**32 - 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} must be an integer of at least {low} and at most {high}, got {value!r}")
    if max(shape) > 4096 or not 150.0 <= min(shape) * spacing <= 10_000.0:
        raise ValueError(
            "shape times spacing must cover 150 mm and more, up to 10 m and 4096 pixels, "
            f"got {shape} times {spacing} mm"
        )
    names = ("dataset.json", "groups.csv", *FOLDERS)
    replace_files = replace_files or boundaries().overwrite
    if not replace_files and (there := [name for name in names if (Path(folder) / name).exists()]):
        raise ValueError(
            f"folder must hold no dataset, {folder} has {', '.join(there)}: the old images would stay among "
            "the new ones; choose another folder"
        )
    with reading(overwrite=replace_files), filled_folder(Path(folder), "phantom") as scratch:
        _write_all(scratch, counts, test_subjects, shift, (shape, spacing, slices), seed)


def _write_all(
    out: Path,
    counts: Mapping[str, int],
    test_subjects: int,
    shift: Shift,
    grid: tuple[tuple[int, int], float, int],
    seed: int,
) -> None:
    for name in FOLDERS:
        (out / name).mkdir()
    rows = [["case", "subject", "split", "group", "sex", "age", "height", "weight"]]
    for position, (group, number) in enumerate(counts.items()):
        own_shift = shift.scaled(position / max(len(counts) - 1, 1))
        for split, folder, several in (("train", "Tr", number), ("test", "Ts", test_subjects)):
            for person in range(several):
                # One generator a person: a larger cohort keeps the people of a smaller one.
                random = np.random.default_rng((seed, position, split == "test", person))
                subject = f"{split}_{position}_{person:04d}"
                body, scan, attributes = _person(own_shift, random)
                for frame in ("ED", "ES"):
                    case = f"{subject}_{frame}"
                    rows.append([case, subject, split, group, *attributes])
                    _write_case(out, folder, case, body, scan, frame == "ES", grid, random)
    with (out / "groups.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    dataset = {
        "channel_names": {"0": "cine MRI"},
        "labels": {"background": 0, **LABELS},
        "numTraining": 2 * sum(counts.values()),
        "file_ending": ".nii.gz",
    }
    (out / "dataset.json").write_text(json.dumps(dataset, indent=1) + "\n", encoding="utf-8")


def _person(shift: Shift, random: np.random.Generator) -> tuple[Body, Scan, list[str]]:
    """Draw a person, their examination, and their row of the table."""
    sex = "F" if random.random() < 0.5 else "M"
    age = float(np.clip(random.normal(62.0, 8.0), 45.0, 82.0))
    tall = random.normal(175.0, 7.0) if sex == "M" else random.normal(162.0, 6.5)
    usual = 26.0 + 0.12 * shift.fat
    bmi = float(np.clip(random.normal(usual, 3.0), 18.0, 40.0))
    size = (tall / 168.0) ** 0.7 * (1.04 if sex == "M" else 0.97)
    heart = size * (1.0 + shift.heart) * float(np.exp(random.normal(0.0, 0.07)))
    vessels = [
        (random.uniform(72.0, 110.0), random.uniform(0.0, 2.0 * np.pi), random.uniform(7.0, 13.0))
        for _ in range(random.poisson(0.5 + shift.vessels))
    ]
    body = Body(
        lv_radius=25.0 * heart,
        wall=float(np.clip(random.normal(9.0, 1.3), 6.0, 14.0)) * size,
        rv_width=float(np.clip(random.normal(29.0, 4.5), 18.0, 42.0)) * heart,
        rotation=float(random.normal(0.25, 0.25)),
        squeeze=float(random.uniform(0.93, 1.07)),
        ejection=float(np.clip(random.normal(0.33, 0.06), 0.15, 0.5)),
        center=(float(random.normal(0.0, 7.0)), float(random.normal(0.0, 7.0))),
        chest=(
            90.0 * size * (1.0 + shift.chest) + float(random.normal(0.0, 4.0)),
            127.0 * size * (1.0 - shift.chest) + float(random.normal(0.0, 5.0)),
        ),
        chest_center=(float(random.normal(18.0, 4.0)), float(random.normal(-5.0, 4.0))),
        fat=max(2.0, 8.0 + shift.fat + 0.8 * (bmi - usual) + float(random.normal(0.0, 2.0))),
        heart_fat=float(random.uniform(1.0, 4.0)),
        vessels=tuple((float(a), float(b), float(c)) for a, b, c in vessels),
        liver=float(random.normal(32.0, 12.0)),
        blood=(1.0 + shift.brightness) * float(np.exp(random.normal(0.0, 0.1))),
        myocardium=float(np.clip(random.normal(0.38, 0.06), 0.22, 0.6)),
    )
    scan = Scan(
        noise=float(random.gamma(6.0, 0.012)),
        blur=float(random.uniform(0.8, 3.5)),
        bias=float(random.uniform(0.05, 0.35)),
        jitter=float(random.gamma(5.0, 0.1)),
    )
    weight = bmi * (tall / 100.0) ** 2
    return body, scan, [sex, f"{age:.0f}", f"{tall:.0f}", f"{weight:.0f}"]


def _write_case(
    out: Path,
    folder: str,
    case: str,
    body: Body,
    scan: Scan,
    systole: bool,
    grid: tuple[tuple[int, int], float, int],
    random: np.random.Generator,
) -> None:
    shape, spacing, slices = grid
    heights = (np.arange(slices) + 0.5) / slices * 0.95
    pairs = [draw_slice(body, scan, float(height), systole, shape, spacing, random) for height in heights]
    gain = float(np.exp(random.normal(0.0, 0.2))) * 400.0  # scanners have no unit of brightness
    image = np.stack([np.round(gain * slice_) for slice_, _ in pairs]).clip(0, 32767).astype(np.int16)
    mask = np.stack([outline for _, outline in pairs])
    for array, path in (
        (image, out / f"images{folder}" / f"{case}_0000.nii.gz"),
        (mask, out / f"labels{folder}" / f"{case}.nii.gz"),
    ):
        file = sitk.GetImageFromArray(array)
        file.SetSpacing((spacing, spacing, SLICE_DISTANCE))
        write_image(path, file)
