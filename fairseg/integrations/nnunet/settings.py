"""What the trainers are told: by environment variables, since `nnUNetv2_train` passes nothing else on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What to group by, and how long to train.

    Attributes:
        by: attributes whose cells are the groups, from `FAIRSEG_BY`, separated by commas; none means the only
            attribute that the table has.
        bins: attribute -> edges, from `FAIRSEG_BINS`, such as `age=50,65;bmi=30`.
        table: the table of cases, from `FAIRSEG_GROUPS`; by default `groups.csv` in the raw dataset.
        epochs: from `FAIRSEG_EPOCHS`; by default those of nnU-Net.
    """

    by: tuple[str, ...] = ()
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    table: Path | None = None
    epochs: int | None = None


def settings_of(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        ValueError: a variable is not as said above; the message names it.

    >>> settings_of({"FAIRSEG_BY": "sex, age", "FAIRSEG_BINS": "age=50,65"})
    Settings(by=('sex', 'age'), bins={'age': (50.0, 65.0)}, table=None, epochs=None)
    """
    by = tuple(name.strip() for name in environment.get("FAIRSEG_BY", "").split(",") if name.strip())
    table = environment.get("FAIRSEG_GROUPS", "").strip()
    return Settings(
        by,
        _bins(environment.get("FAIRSEG_BINS", "")),
        Path(table) if table else None,
        _epochs(environment.get("FAIRSEG_EPOCHS", "")),
    )


def _bins(text: str) -> dict[str, tuple[float, ...]]:
    bins: dict[str, tuple[float, ...]] = {}
    for part in text.split(";"):
        name, _, edges = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        try:
            bins[name] = tuple(float(edge) for edge in edges.split(","))
        except ValueError:
            raise ValueError(f"FAIRSEG_BINS must be like age=50,65;bmi=30, got {text!r}") from None
    return bins


def _epochs(text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isdecimal() or not int(text):
        raise ValueError(f"FAIRSEG_EPOCHS must be a positive integer, got {text!r}")
    return int(text)
