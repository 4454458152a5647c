"""Checkpoints: written whole or not at all, read without running any code of theirs."""

import random
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseg.io.files import new_file
from fairseg.io.outputs import NotWritableError

CHECKPOINT = "checkpoint.pt"
FORMAT = 2
_RUN: dict[str, Any] = {  # what a run says of itself
    "settings": dict,
    "groups": dict,
    "channels": list,
    "labels": dict,
    "plan": dict,
    "patch_size": list,
    "crop_size": list | None,
}


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
        kept = "the one before is kept" if path.exists() else "there is none before"
        raise RuntimeError(f"checkpoint {path} could not be written, {kept}: {_reason(error)}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, tensors and plain values only (`weights_only=True`).

    Raises:
        DamagedError: there is none, or it is damaged.
        ValueError: it cannot be read, or it is of another format.
    """
    try:
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

    Who guesses a name can see whether it was there. A code is its own code.
    """
    return name if name.startswith("#") else "#" + blake2b(name.encode(), digest_size=8).hexdigest()


def without_names(run: dict[str, Any]) -> dict[str, Any]:
    """Return what a run is for its checkpoint, which may be given away: with codes for the names of cases."""
    lists = {part: run.get(part) for part in ("train", "validation", "upweighted")}
    return {**run, **{part: names and [case_code(name) for name in names] for part, names in lists.items()}}


def load_whole_run(path: Path) -> dict[str, Any]:
    """Read a checkpoint that is to be used: as `load_checkpoint`, and all that is read of its run is there.

    Raises:
        DamagedError, ValueError: as `load_checkpoint`; or a description is not there, or of another type.
    """
    state = load_checkpoint(path)
    run = state.get("run", {})
    if wrong := [name for name, kind in _RUN.items() if not isinstance(run.get(name), kind)]:
        raise ValueError(f"{path} does not describe its run as this version of fairseg does: {wrong[0]}")
    return state


def weights_to_use(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights that a run is used with: those that its rule has kept (`Settings.keep`)."""
    weights: dict[str, Tensor] = state["kept"]["network"] if "kept" in state else state["network"]
    return weights


def load_weights(network: nn.Module, weights: dict[str, Tensor], owner: str) -> None:
    """Load weights, or raise a ValueError that says that they are of another network."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n", 1)[-1].split())
        raise ValueError(
            f"{owner} was trained with another network, give it as network=: {reason:.200}"
        ) from None


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
    """Return what the operating system said: torch's own errors on a full disk tell of positions."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return (str(error).splitlines() or [type(error).__name__])[0]
