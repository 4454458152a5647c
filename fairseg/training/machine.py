"""The machine of a training: the device, the precision, the processes that load."""

import torch

from fairseg.io.parallel import cores
from fairseg.training.ranks import local_gpu


def pick_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is a GPU if there is one, another for each of several processes.

    Apple's GPUs ("mps") have to be asked for.
    """
    if name == "auto":
        return local_gpu() if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError
    except RuntimeError:
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}") from None
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device mps is not there: torch finds no GPU of Apple's")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name} is not there: torch finds no GPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name} is not there: torch finds {torch.cuda.device_count()} GPUs")
    return local_gpu() if name == "cuda" else device


def pick_precision(name: str, device: torch.device) -> torch.dtype | None:
    """Return the type of the forward pass, `None` for float32, the type without autocast."""
    if name == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return None if name == "float32" else {"float16": torch.float16, "bfloat16": torch.bfloat16}[name]


def pick_workers(workers: int | None, device: torch.device) -> int:
    """Return the number of processes that load and augment; by default none on a CPU."""
    if workers is not None:
        return workers
    return min(8, max(1, cores() - 1)) if device.type == "cuda" else 0
