"""The code and the data of an experiment, so that results of different ones are never mixed."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import fairseg
from fairseg.cohort.reading import TableOptions
from fairseg.experiment.plan import Plan
from fairseg.io.files import write_files
from fairseg.io.json_files import read_object
from fairseg.io.sentences import listed
from fairseg.training.settings import Settings

EXPERIMENT, DATA = "experiment.json", "data.json"
_PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "SimpleITK", "monai", "batchgeneratorsv2")
_ROOMS = ("cohort", "crop", "io", "losses", "metrics", "samplers", "scoring", "training")  # make the results
_FILES = ("arms.py", "split.py", "study.py", "tasks.py")  # of the experiment, likewise


def check_same_origin(
    root: Path, files: Mapping[str, Mapping[str, Path]], plan: Plan, *, mix: bool
) -> list[str]:
    """Write down code and data of an experiment, or compare them with those that it was begun with.

    A dataset that comes later, such as an external one, is compared from then on.

    Args:
        root: folder of the experiment.
        files: kind of dataset -> name of each file in it -> where the file lies.
        plan: to be written down.
        mix: go on although they differ.

    Returns:
        The differences, now or when the experiment was continued before, in a line each.

    Raises:
        ValueError: they differ, and `mix` is False.
    """
    packages = {name: version(name) for name in _PACKAGES}
    now: dict[str, dict[str, str]] = {"packages": packages, "code": _code(), **_data(root, files)}
    before = read_object(root / EXPERIMENT)
    mixed: list[str] = list(before.get("mixed", []))
    for kind in ("packages", "code", *files):
        old, new = before.get(kind, now[kind]), now[kind]
        if differ := sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
            mixed.append(f"{kind} changed: {listed(differ, most=3)}")
    if len(mixed) > len(before.get("mixed", [])) and not mix:
        raise ValueError(
            f"{root} was begun with other {mixed[-1].replace(' changed', '')}; its results would not be "
            "comparable: choose another folder, or say --mix"
        )
    fields_asked = {one.name: getattr(plan, one.name) for one in fields(plan)}
    text = json.dumps(
        {**before, **now, "fairseg": fairseg.__version__, "mixed": mixed, "asked": fields_asked},
        indent=1,
        default=partial(_plain, root),
    )
    write_files(root, {EXPERIMENT: text + "\n"})
    return mixed


def _plain(root: Path, value: Any) -> Any:
    """Return a value as JSON holds it; a path relative to the experiment."""
    if isinstance(value, TableOptions):
        return value.words
    return value.to_dict() if isinstance(value, Settings) else os.path.relpath(value, root)


def _code() -> dict[str, str]:
    package = Path(fairseg.__file__).parent
    files = [file for room in _ROOMS for file in sorted((package / room).rglob("*.py"))]
    files += [package / "experiment" / name for name in _FILES]
    return {file.relative_to(package).as_posix(): _digest(file) for file in files}


def _data(root: Path, datasets: Mapping[str, Mapping[str, Path]]) -> dict[str, dict[str, str]]:
    """Return a digest of each file; a file that has kept its size and time is not read again."""
    before = read_object(root / DATA)
    now: dict[str, list[Any]] = {}
    digests: dict[str, dict[str, str]] = {}
    for kind, files in datasets.items():
        digests[kind] = {}
        for name, file in files.items():
            status = file.stat()
            stamp, path = [status.st_size, status.st_mtime_ns], os.path.relpath(file, root)
            old = before.get(path)
            now[path] = old if old and old[:2] == stamp else [*stamp, _digest(file)]
            digests[kind][name] = now[path][2]
    write_files(root, {DATA: json.dumps(now) + "\n"})
    return digests


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
