"""Drawn broken inputs through all readers and commands: an answer, or one line; nothing lost.

A seed is one input, so what fails can be made again: `pytest tests/fuzz -k 'readers[mask.mha-17]'`. For other
inputs than the slow tests' own: `FUZZ_FIRST_SEED=50000 pytest -m slow tests/fuzz`.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from fairseg.cli import main
from fairseg.cohort.table import read_cohort
from fairseg.io.images import read_mask
from fairseg.io.json_files import read_json
from fairseg.io.limits import read_limits
from fairseg.report.preregistration import read_preregistration
from fairseg.scoring.labels import read_dataset_labels
from fairseg.scoring.table import Scores

QUICK, MANY = 200, 2000  # inputs in CI, and where slow tests run
FIRST = int(os.environ.get("FUZZ_FIRST_SEED", "1000"))  # seed of the slow tests' first input

NASTY = (
    *(b"NaN", b"Infinity", b"-1", b"0", b"1e308", b"1e999", b"-1e-320", b"9" * 400, b"9" * 5000, b"1.5"),
    *(
        b"\x00",
        b"\xff\xfe",
        b"\r",
        b'"',
        b"'",
        b",,,,",
        b"\n\n",
        b"[" * 2000,
        b"{",
        b"null",
        b"[1, 2]",
        b"true",
    ),
    *(b"../../x", b"/etc/passwd", b"LIST", b"=cmd()", "ä\u202e\U0001f600".encode(), b"1500", b"65536", b" "),
)


def broken(content: bytes, random: np.random.Generator) -> bytes:
    """Return content with some of it flipped, cut, doubled, zeroed, or replaced by what parsers dislike."""
    changed = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        place = int(random.integers(0, max(len(changed), 1)))
        length = int(random.integers(1, 40))
        match int(random.integers(0, 7)):
            case 0 if changed:
                changed[place] ^= 1 << int(random.integers(0, 8))
            case 1:
                del changed[place:]
            case 2:
                changed[place : place + length] = bytes(length)
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                del changed[place : place + length]
            case _:  # in the place of a word
                words = [at for at in range(len(changed)) if changed[at : at + 1] in (b" ", b":", b",", b"=")]
                start = words[int(random.integers(0, len(words)))] + 1 if words else place
                end = start
                while end < len(changed) and changed[end : end + 1] not in (b" ", b",", b"\n", b"}"):
                    end += 1
                changed[start:end] = NASTY[int(random.integers(0, len(NASTY)))]
    return bytes(changed)


def mask(path: Path, seed: int = 0) -> None:
    voxels = np.zeros((4, 12, 10), np.uint8)
    voxels[1:3, 3:9, 2:8] = np.random.default_rng(seed).integers(1, 3, (2, 6, 6))
    flat = path.suffix == ".png"
    image = sitk.GetImageFromArray(voxels[1] if flat else voxels)
    if not flat:
        image.SetSpacing((1.5, 1.5, 8.0))
    sitk.WriteImage(image, str(path), useCompression="plain" not in path.name)


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


COHORT = "case,subject,sex,age,note\na,s1,F,50,x\nb,s2,M,61,\nc,s3,F,,seen | heard\n"
SCORES = "case,subject,sex,label,dice,prediction_voxels\na,s1,F,1,0.91,120\nb,s2,M,1,0.85,98\nc,s3,F,2,,0\n"
DATASET = json.dumps({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "heart": 1, "wall": 2}})
STATED = json.dumps({"by": ["sex"], "reference": "M", "margin": 0.02, "bins": {"age": [50, 65]}, "seed": 0})

READERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    **dict.fromkeys(
        ("mask.nii.gz", "mask.nii", "mask.mha", "plain.mha", "mask.nrrd", "plain.nrrd", "mask.png"),
        (mask, read_mask),
    ),
    "cohort.csv": (text(COHORT), read_cohort),
    "scores.csv": (text(SCORES), Scores.of),
    "dataset.json": (text(DATASET), lambda path: read_dataset_labels(path.parent)),
    "stated.json": (text(STATED), read_preregistration),
    "any.json": (text(DATASET), read_json),
}


def check_reader(folder: Path, name: str, seed: int) -> None:
    make, read = READERS[name]
    path = folder / name
    make(path)
    path.write_bytes(broken(path.read_bytes(), np.random.default_rng(seed)))
    before = path.read_bytes()
    with read_limits(max_voxels=10_000_000), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes are welcome
        try:
            read(path)
        except ValueError as error:
            if name.rpartition("/")[2] not in str(error):
                raise
            assert "\n" not in str(error).strip()  # noqa: PT017  (most inputs raise, some do not)
    assert path.read_bytes() == before
    assert [file.name for file in folder.iterdir()] == [name]


def each(number: int) -> list[tuple[str, int]]:
    share = number // len(READERS)
    return [(name, seed) for name in READERS for seed in range(share)]


@pytest.mark.parametrize(("name", "seed"), each(QUICK))
def test_readers(tmp_path: Path, name: str, seed: int) -> None:
    check_reader(tmp_path, name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_readers_on_many(tmp_path: Path, name: str) -> None:
    for seed in range(FIRST, FIRST + MANY // len(READERS)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check_reader(folder, name, seed)


def inputs(folder: Path) -> None:
    for kind in ("predictions", "references"):
        (folder / kind).mkdir()
        for number, case in enumerate("abc"):
            mask(folder / kind / f"{case}{('.nii.gz', '.mha', '.nrrd')[number]}", number)
    (folder / "groups.csv").write_text(COHORT)
    (folder / "scores.csv").write_text(SCORES)
    (folder / "references" / "dataset.json").write_text(DATASET)
    (folder / "stated.json").write_text(STATED)


MASKS = ("predictions", "references", "--groups", "groups.csv")
COMMANDS = (
    ("evaluate", *MASKS, "--out", "out/s.csv", "--metrics", "dice"),
    ("evaluate", *MASKS, "--out", "out/s.csv", "--metrics", "dice,hd95", "--on-error", "skip"),
    ("plan", "scores.csv", "--by", "sex"),
    ("report", "scores.csv", "--preregister", "stated.json", "--reference", "nobody", "--out", "out"),
    ("compare", "scores.csv", "groups.csv", "--by", "sex", "--out", "out"),
)


def check_command(folder: Path, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(seed)
    inputs(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    spoilt = files[int(random.integers(0, len(files)))]
    spoilt.write_bytes(broken(spoilt.read_bytes(), random))
    before = {path: path.read_bytes() for path in files}
    command = COMMANDS[seed % len(COMMANDS)]
    capfd.readouterr()
    code = main(command)
    out, err = capfd.readouterr()
    assert code in (0, 1, 2), err
    assert "Traceback" not in err + out
    assert "a fault of fairseg" not in err
    if code == 2:
        assert len([line for line in err.splitlines() if not line.startswith("fairseg: note")]) == 1, err
    assert {path: path.read_bytes() for path in files} == before
    assert {path for path in folder.rglob("*") if path.is_file() and path.parent != folder / "out"} == set(
        files
    )


@pytest.mark.parametrize("seed", range(QUICK // 8))
def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_command(tmp_path, seed, capfd)


@pytest.mark.slow
def test_commands_on_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(FIRST, FIRST + MANY // 8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        monkeypatch.chdir(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_command(folder, seed, capfd)
        shutil.rmtree(folder)
