"""The names of labels, from nnU-Net's dataset.json."""

import json
from pathlib import Path

from fairseg.metrics.masks import label_values


def read_dataset_labels(references: Path) -> dict[str, int] | None:
    """Return name -> value from nnU-Net's dataset.json in `references` or its parent, if there is one.

    Raises:
        ValueError: the file is not as nnU-Net writes it, or has regions or an ignore label.
    """
    for path in (references / "dataset.json", references.resolve().parent / "dataset.json"):
        if path.is_file():
            break
    else:
        return None
    try:
        entries = dict(json.loads(path.read_text(encoding="utf-8"))["labels"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} must hold "labels" as nnU-Net writes them: {error!r}') from None
    labels: dict[str, int] = {}
    for key, value in entries.items():
        # nnU-Net v1 and the Decathlon wrote value -> name, v2 writes name -> value.
        name, number = (value, key) if isinstance(value, str) and key.isdigit() else (key, value)
        if isinstance(number, list) or name == "ignore":
            raise ValueError(
                f"{path}: {name!r} is a region or the ignore label, which are not supported; "
                "name the labels to score yourself"
            )
        if name in labels:
            raise ValueError(f"{path}: label {name!r} must have one value, got {labels[name]} and {number}")
        try:
            labels[name] = int(number)
        except (TypeError, ValueError):
            labels[name] = -1
        if str(labels[name]) != str(number):
            raise ValueError(f"{path}: label {name!r} must be an integer, got {number!r}")
    try:
        label_values(foreground := {name: number for name, number in labels.items() if number != 0})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return foreground
