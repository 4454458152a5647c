"""The environment variables that the trainers read, since `nnUNetv2_train` passes nothing else on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """What to group by, and how long to train."""

    # Attributes whose cells are the groups, from `FAIRSEG_BY`, separated by commas; none means the only
    # attribute that the table has.
    by: tuple[str, ...] = ()
    # Attribute -> edges, from `FAIRSEG_BINS`, such as `age=50,65;bmi=30`.
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    # The table of cases, from `FAIRSEG_GROUPS`; by default `groups.csv` in the raw dataset.
    table: Path | None = None
    epochs: int | None = None  # from `FAIRSEG_EPOCHS`; by default those of nnU-Net


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the environment variables of fairseg's trainers.

    Raises:
        ValueError: a variable has another form; the message names it.

    >>> read_environment({"FAIRSEG_BY": "sex, age", "FAIRSEG_BINS": "age=50,65"})
    Environment(by=('sex', 'age'), bins={'age': (50.0, 65.0)}, table=None, epochs=None)
    """
    by, bin_text, table, epochs = (
        variables.get(f"FAIRSEG_{name}", "").strip() for name in ("BY", "BINS", "GROUPS", "EPOCHS")
    )
    if epochs and not (epochs.isdecimal() and int(epochs)):
        raise ValueError(f"FAIRSEG_EPOCHS must be a positive integer, got {epochs!r}")
    try:
        pairs = [part.split("=") for part in bin_text.split(";") if part.strip()]
        bins = {name.strip(): tuple(float(edge) for edge in edges.split(",")) for name, edges in pairs}
    except ValueError:
        raise ValueError(f"FAIRSEG_BINS must be like age=50,65;bmi=30, got {bin_text!r}") from None
    return Environment(
        tuple(name.strip() for name in by.split(",") if name.strip()),
        bins,
        Path(table) if table else None,
        int(epochs) if epochs else None,
    )
