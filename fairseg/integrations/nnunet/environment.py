"""The environment variables that the trainers read, since `nnUNetv2_train` passes nothing else on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Best = Literal["nnunet", "mean", "worst"]


@dataclass(frozen=True)
class Environment:
    """The attributes and weights of a training, its length, and the rule of the best epoch."""

    # Attributes whose cells are the groups, from `FAIRSEG_BY`, separated by commas; none means the only
    # attribute that the table has.
    by: tuple[str, ...] = ()
    # Attribute -> edges, from `FAIRSEG_BINS`, such as `age=50,65;bmi=30`.
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    # The table of cases, from `FAIRSEG_GROUPS`; by default `groups.csv` in the raw dataset.
    table: Path | None = None
    # The column that says how much more often a case is drawn, from `FAIRSEG_WEIGHT`; "" for none.
    weight: str = ""
    epochs: int | None = None  # from `FAIRSEG_EPOCHS`; by default those of nnU-Net
    steps: int | None = None  # of an epoch, from `FAIRSEG_STEPS`; by default those of nnU-Net
    # What decides on checkpoint_best, from `FAIRSEG_BEST`: nnU-Net's own rule, or the mean or the worst of
    # the groups.
    best: Best = "nnunet"


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the environment variables of fairseg's trainers.

    Raises:
        ValueError: a variable has another form; the message names it.

    >>> environment = read_environment({"FAIRSEG_BY": "sex, age", "FAIRSEG_BINS": "age=50,65"})
    >>> environment.by, environment.bins, environment.best
    (('sex', 'age'), {'age': (50.0, 65.0)}, 'nnunet')
    """

    def text(name: str) -> str:
        return variables.get(f"FAIRSEG_{name}", "").strip()

    def count(name: str) -> int | None:
        value = text(name)
        if value and not (value.isdecimal() and int(value)):
            raise ValueError(f"FAIRSEG_{name} must be a positive integer, got {value!r}")
        return int(value) if value else None

    try:
        pairs = [part.split("=") for part in text("BINS").split(";") if part.strip()]
        bins = {name.strip(): tuple(float(edge) for edge in edges.split(",")) for name, edges in pairs}
    except ValueError:
        raise ValueError(f"FAIRSEG_BINS must be like age=50,65;bmi=30, got {text('BINS')!r}") from None
    best = text("BEST") or "nnunet"
    if best not in get_args(Best):
        raise ValueError(f"FAIRSEG_BEST must be nnunet, mean or worst, got {best!r}")
    return Environment(
        by=tuple(name.strip() for name in text("BY").split(",") if name.strip()),
        bins=bins,
        table=Path(text("GROUPS")) if text("GROUPS") else None,
        weight=text("WEIGHT"),
        epochs=count("EPOCHS"),
        steps=count("STEPS"),
        best=best,  # type: ignore[arg-type]
    )
