"""Checkpoints: written whole or not at all, read without running any code of theirs."""

import random
from collections.abc import Callable
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from torch import Tensor

from fairseg.io.files import new_file
from fairseg.io.outputs import NotWritableError
from fairseg.training.settings import Settings

CHECKPOINT = "checkpoint.pt"
FORMAT = 2
_LARGEST_SIDE = 2**16  # pixels of a patch or crop


class DamagedError(ValueError):
    """There is no whole checkpoint where one should be."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint in place of the one before; whatever happens meanwhile, one of the two is whole.

    Raises:
        RuntimeError: it cannot be written, as on a full disk; the one before is still there.
    """
    try:
        with new_file(path) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
    except (OSError, RuntimeError, NotWritableError) as error:
        note = "the one before is kept" if path.exists() else "there is none before"
        raise RuntimeError(f"checkpoint {path} could not be written, {note}: {_reason(error)}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, tensors and plain values only (`weights_only=True`).

    Raises:
        DamagedError: there is none, or it is damaged.
        ValueError: it cannot be read, or it is of another format.
    """
    try:
        with ZipFile(path) as archive:  # torch itself asks no checksum
            if archive.testzip() is not None:
                raise BadZipFile
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DamagedError(f"{path} is not there: no checkpoint was written yet") from None
    except OSError as error:
        raise ValueError(f"{path} could not be read: {_reason(error)}") from error
    except Exception as error:  # torch raises many kinds, and tells of ways to run the file's code
        raise DamagedError(f"{path} is no whole checkpoint: the file is damaged") from error
    if (
        not isinstance(state, dict)
        or state.get("format") != FORMAT
        or not isinstance(state.get("run", {}), dict)
    ):
        raise ValueError(f"{path} is no checkpoint of this version of fairseg")
    return state


def case_code(name: str) -> str:
    """Return a code for the name of a case: the same for the same name, so that runs can be compared.

    A reader who guesses a name can see whether it was there. A code is its own code.
    """
    return name if name.startswith("#") else "#" + blake2b(name.encode(), digest_size=8).hexdigest()


def without_names(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run's description for its checkpoint, which may be given away: with codes for cases' names."""
    lists = {part: run.get(part) for part in ("train", "validation", "upweighted")}
    return {**run, **{part: names and [case_code(name) for name in names] for part, names in lists.items()}}


def load_whole_run(path: Path) -> dict[str, Any]:
    """Read a checkpoint as `load_checkpoint` does, and check the description of its run and its weights.

    Raises:
        DamagedError, ValueError: as `load_checkpoint`; or a description or the weights are missing, or of
            another type.
    """
    state = load_checkpoint(path)
    run, unlike = state.get("run", {}), f"{path} does not describe its run as this version of fairseg does"
    try:
        Settings.from_dict(run.get("settings") or {})
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{unlike}: {error}") from None
    for name, fits in _RUN.items():
        if not fits(run.get(name)):
            raise ValueError(f"{unlike}: {name}, got {run.get(name)!r:.100}")
    if not _are_weights(state.get("network")) or not _are_weights(weights_to_use(state)):
        raise ValueError(f"{path} does not hold the finite weights of a network")
    return state


def _is_size(value: Any) -> bool:
    pair = isinstance(value, list | tuple) and len(value) == 2
    return pair and all(type(length) is int and 1 <= length <= _LARGEST_SIDE for length in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _are_codes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(code) is int for code in value)


def _are_labels(value: Any) -> bool:
    labels = list(value.values()) if isinstance(value, dict) else []
    return bool(labels) and all(type(one) is int or _are_codes(one) for one in labels)


def _is_plan(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() - {"unit"} != {"axis", "spacing", "shape"}:
        return False
    spacing = value["spacing"]
    pair = isinstance(spacing, list | tuple) and len(spacing) == 2
    positive = pair and all(isinstance(mm, float) and 0 < mm < inf for mm in spacing)
    valid = value["axis"] in (0, 1, 2) and value.get("unit", "mm") in ("mm", "px")
    return positive and valid and _is_size(value["shape"])


def _are_weights(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        return False
    return all(isinstance(one, Tensor) and bool(one.isfinite().all()) for one in value.values())


# Parts of a run's description, and whether a value can be one.
_RUN: dict[str, Callable[[Any], bool]] = {
    "groups": lambda value: isinstance(value, dict),
    "channels": lambda value: bool(value) and _are_texts(value),
    "labels": _are_labels,
    "plan": _is_plan,
    "patch_size": _is_size,
    "crop_size": lambda value: value is None or _is_size(value),
    "train": _are_texts,
    "ignore": lambda value: value is None or type(value) is int,
    "regions_class_order": lambda value: value is None or _are_codes(value),
}


def weights_to_use(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights with which a run is used: those that its rule has kept (`Settings.keep`)."""
    chosen = state.get("kept", state)
    weights: Any = chosen.get("network") if isinstance(chosen, dict) else None
    return cast(dict[str, Tensor], weights)


def seed_generators(seed: int) -> None:
    """Seed the global generators: initial weights and networks with dropout draw from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """Return the states of the global generators; networks with dropout draw from them."""
    version, internal, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  (saved for code that uses it)
    key = np.asarray(numpy_state["state"]["key"]).tolist()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [key, int(numpy_state["state"]["pos"]), numpy_state["has_gauss"], numpy_state["gauss"]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Put the global generators where they were."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    key, position, has_gauss, cached = state["numpy"]
    np.random.set_state(  # noqa: NPY002
        ("MT19937", np.array(key, dtype=np.uint32), position, has_gauss, cached)
    )
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _reason(error: BaseException) -> str:
    """Return the operating system's message: torch's own errors on a full disk only name positions."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
