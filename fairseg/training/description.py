"""The description of a run, in plain values, and the check that a resumed run is the same."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fairseg import __version__
from fairseg.io.sentences import counted
from fairseg.training.data import TrainingData
from fairseg.training.settings import MACHINE, Settings
from fairseg.training.warm_start import Start

logger = logging.getLogger(__name__)


def describe(
    settings: Settings,
    data: TrainingData,
    start: Start | None = None,
    upweighted: list[str] | None = None,
    *,
    split: bool = False,
) -> dict[str, Any]:
    """Return the description of a run: enough to predict with it, and to tell it from another."""
    return {
        "fairseg": __version__,
        "threads": torch.get_num_threads(),  # one and two round differently, so that weights differ
        "settings": settings.to_dict(),
        "groups": data.groups.to_dict(),
        "group_slices": dict(zip(data.groups.names, data.counts, strict=True)),
        "channels": list(data.raw.channels),
        "labels": data.raw.labels,
        "regions_class_order": None if data.raw.order is None else list(data.raw.order),
        "ignore": data.raw.ignore,
        "plan": asdict(data.plan),
        "patch_size": list(data.patch_size),
        "crop_size": None if data.view.size is None else list(data.view.size),
        "train": [case.name for case in data.train.cases],
        "validation": [case.name for case in data.validation.cases],
        "validation_subjects": data.validation_subjects,
        "data": data.digest,
        "split": split,  # by a table
        "init": None if start is None else start.digest,
        "upweighted": upweighted,
    }


def check_same_settings(run: dict[str, Any], settings: Settings, out: Path, *, resume: bool) -> None:
    """Raise a ValueError unless a run may be resumed with these settings; it may get more epochs."""
    if not resume:
        raise ValueError(f"{out} holds a run already: resume it, or choose another folder")
    before, now = Settings.from_dict(run["settings"]).to_dict(), settings.to_dict()
    for name in now.keys() - set(MACHINE):
        longer = name == "epochs" and now[name] > before[name]
        if longer and settings.average:
            raise ValueError("epochs must stay: with average, the weights of other steps would be averaged")
        if before[name] != now[name] and not longer:
            raise ValueError(
                f"the run in {out} has {name} {before[name]}, not {now[name]}: "
                "resume it with its own settings, or choose another folder"
            )


def check_same_data(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    """Raise a ValueError unless a run had the same data, and began with the same weights.

    Another number of threads is logged: the run goes on, but not bit for bit as it was begun.
    """
    if before.get("threads", now["threads"]) != now["threads"]:
        logger.warning(
            "the run was begun with %s, now there are %d: its weights will differ by rounding",
            counted(before["threads"], "thread"),
            now["threads"],
        )
    for name, difference in (
        ("init", "began with other weights"),
        ("upweighted", "drew other cases more often"),
    ):
        if before.get(name) != now[name]:
            raise ValueError(
                f"the run in {out} {difference}: resume it as it was begun, or choose another folder"
            )
    same = ("train", "validation", "group_slices", "labels", "regions_class_order", "channels", "plan")
    before["plan"].setdefault("unit", "mm")  # older runs did not state it
    for name in (*same, "patch_size", "data"):
        if before.get(name) != now[name]:
            raise ValueError(
                f"the run in {out} was of other data, its {name} was {_short(before.get(name))}, "
                f"now it is {_short(now[name])}: train in another folder"
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(value)})"
