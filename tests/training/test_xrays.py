"""The way of docs/training.md from images, masks and a table, as they came, to a page: as it stands there."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairseg.cli.command import main

DOCS = Path(__file__).parents[2] / "docs" / "training.md"
BRIEF = ["--epochs=1", "--steps=2", "--batch-size=2", "--features=4", "--patch-size=32,32"]


def _modes(pixels: Any) -> list[Image.Image]:
    """Return a picture as grey values, colours, with transparency, and in 16 bits."""
    grey = Image.fromarray(pixels)
    return [grey, grey.convert("RGB"), grey.convert("LA"), Image.fromarray(pixels.astype(np.uint16) * 257)]


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with images, masks and people.csv, and go there."""
    monkeypatch.chdir(tmp_path)
    random, rows = np.random.default_rng(0), []
    for number in range(12):
        new = "new_" if number >= 8 else ""
        mask = np.zeros((40, 48), np.uint8)
        mask[8:30, 6:18], mask[8:30, 30:42], mask[20:34, 18 + number % 3 : 28] = 150, 200, 250
        image = (mask // 2 + random.integers(0, 60, mask.shape)).astype(np.uint8)
        for folder in ("images", "masks"):
            Path(f"{new}{folder}").mkdir(exist_ok=True)
        name = f"{number:08d}_000"
        _modes(image)[number % 4].save(f"{new}images/{name}{'_0000' if new else ''}.png")
        Image.fromarray(mask).save(f"{new}masks/{name}.png")
        rows.append((f"{name}.png", 100 + number, "FM"[number % 2], "?" if number == 7 else 40 + number, 0.8))
    columns = ["Image Index", "Patient ID", "Patient Sex", "Patient Age", "mm"]
    pd.DataFrame(rows, columns=columns).to_csv("people.csv", index=False)
    return tmp_path


def test_from_the_files_as_they_came_to_a_page(raw: Path) -> None:
    page = DOCS.read_text(encoding="utf-8").split("**From folders of images and masks**")[1]
    (code,) = re.findall(r"```python\n(.*?)```", page.split("## Methods")[0], re.DOTALL)
    (lines,) = re.findall(r"```\n(fairseg .*?)```", page.split("## Methods")[0], re.DOTALL)
    exec(code, {})
    done = []
    for line in lines.replace("\\\n", " ").strip().splitlines():
        _, *words = shlex.split(line)
        more = {"train": BRIEF, "audit": ["--min-size", "2"]}.get(words[0], [])
        done.append((words[0], main([*words, *more])))
    assert done == [("check", 1), ("train", 0), ("predict", 0), ("audit", 0)]  # groups of fewer than 10
    assert (raw / "page" / "report.html").is_file()
    scores = pd.read_csv(raw / "page" / "scores.csv")
    assert set(scores["label"]) == {"right lung", "left lung", "heart"}
    assert set(scores["distance_unit"]) == {"mm"}
