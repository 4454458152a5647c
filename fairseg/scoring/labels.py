"""Which values of the masks are which structure, on each side: from the caller, or from a dataset.json."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairseg.io.json_files import read_json
from fairseg.io.sentences import brief, counted, listed
from fairseg.io.structure_files import structure_names
from fairseg.metrics.masks import Structures, check_ignore, structure_values

Name = str | int
Codes = tuple[int, ...]  # the values of one structure in the masks of one side
_MOST = 20  # values that an error lists


def values_of(structures: Mapping[Any, Codes]) -> set[int]:
    """Return the values that structures are made of.

    >>> sorted(values_of({"whole tumour": (1, 2, 3), "core": (2, 3)}))
    [1, 2, 3]
    """
    return {value for codes in structures.values() for value in codes}


@dataclass(frozen=True)
class DatasetLabels:
    """The labels in a dataset.json.

    Attributes:
        file: the dataset.json.
        structures: name -> values; of a region all the labels that it is made of.
        ignore: value of the voxels that count for nothing; None if there is none.
        by_files: there is none, and `file` is a folder with a file for each structure of a case, which have
            no value until `read_labels` gives them these.
    """

    file: Path
    structures: dict[Name, Codes]
    ignore: int | None = None
    by_files: bool = False


@dataclass(frozen=True)
class LabelMap:
    """Which values are which structure in the masks of each side, and which voxels count for nothing.

    Attributes:
        prediction: name -> values in the predictions; empty: every value that a reference has.
        reference: name -> values in the references; the same names.
        ignore: voxels of the references with this value count for nothing.
        stated: structures whose values in the predictions somebody typed. A model may never predict them;
            of the others that would rather be a slip.
        notes: what a reader must know about where the map comes from.
    """

    prediction: Mapping[Name, Codes] = field(default_factory=dict)
    reference: Mapping[Name, Codes] = field(default_factory=dict)
    ignore: int | None = None
    stated: frozenset[Name] = frozenset()
    notes: tuple[str, ...] = ()

    def of_values(self, values: Iterable[int]) -> "LabelMap":
        """Return the map in which every one of these values is a structure, the same on both sides."""
        structures: dict[Name, Codes] = {value: (value,) for value in values}
        return replace(self, prediction=structures, reference=structures)

    def only(self, names: Iterable[str]) -> "LabelMap":
        """Return the map of these structures, named as in tables; of all if none of the names is known."""
        by_text = {str(name): name for name in self.reference}
        chosen = [by_text[name] for name in names if name in by_text] or list(self.reference)
        prediction, reference = (
            {name: side[name] for name in chosen} for side in (self.prediction, self.reference)
        )
        return replace(self, prediction=prediction, reference=reference)


def label_map(
    predictions: Path,
    references: Path,
    labels: Structures | None = None,
    prediction_labels: Structures | None = None,
    ignore: int | None = None,
) -> LabelMap:
    """Return which values are which structure, from arguments or from the dataset.json of either folder.

    Args:
        predictions: folder of predicted masks.
        references: folder of reference masks.
        labels: values, or name -> value or tuple of values. None: those of the dataset.json of the
            references, else of the predictions. Where both have one, names are matched and each has its own
            values.
        prediction_labels: of structures that the predictions code otherwise, name -> value or values; a
            sequence goes by the order of `labels`.
        ignore: value of the references that counts for nothing. None: what the dataset.json calls "ignore".

    Raises:
        ValueError: the arguments, or the two files, do not fit each other.
    """
    true = read_dataset_labels(references)
    predicted = read_dataset_labels(predictions)
    notes = []
    if labels is not None:
        named = structure_values(labels)
        predicted_codes = {} if prediction_labels is None else _by_name(prediction_labels, named)
        pairs = ({**named, **predicted_codes}, named)
        stated = frozenset(predicted_codes)
        _check_unions_follow(pairs[1], pairs[0], stated)
    elif prediction_labels is not None:
        raise ValueError("prediction_labels must come with labels, which name the structures")
    else:
        pairs, stated = _from_files(predicted, true), frozenset()
    file = true or predicted
    used = values_of(pairs[1])
    if ignore is None and file is not None and file.ignore is not None and file.ignore not in used:
        ignore = file.ignore
        notes = [f"voxels of value {ignore} in a reference count for nothing, as {file.file.name} says"]
    elif ignore is not None:
        check_ignore(ignore, list(pairs[1].values()))
    return LabelMap(*pairs, ignore, stated, tuple(notes))


def _check_unions_follow(
    true: Mapping[Name, Codes], predicted: Mapping[Name, Codes], stated: Collection[Name]
) -> None:
    """Raise if a structure has another value in predictions, and that of a union with it is not stated."""
    single = [name for name in stated if len(true[name]) == 1 and true[name] != predicted[name]]
    moved = {true[name][0]: predicted[name][0] for name in single}
    unsaid = {name: codes for name, codes in _moved(true, moved).items() if name not in stated}
    if unsaid:
        raise ValueError(
            f"labels: predictions have other values for {listed(moved)}, so {listed(unsaid)} must say theirs"
            f" too: {_typed(unsaid, true, unsaid)}"
        )


def _moved(structures: Mapping[Name, Codes], moved: Mapping[int, int]) -> dict[Name, Codes]:
    """Return the structures whose values change when these values move, with their new values."""
    after = {name: tuple(moved.get(code, code) for code in codes) for name, codes in structures.items()}
    return {name: codes for name, codes in after.items() if set(codes) != set(structures[name])}


def _by_name(prediction_labels: Structures, named: Mapping[Name, Codes]) -> dict[Name, Codes]:
    """Return the values of the predictions by the names of the structures."""
    codes = structure_values(prediction_labels)
    if not isinstance(prediction_labels, Mapping):
        if len(codes) != len(named):
            raise ValueError(f"prediction_labels must be as many as labels, {len(named)}, got {len(codes)}")
        return dict(zip(named, codes.values(), strict=True))
    if extra := [name for name in codes if name not in named]:
        raise ValueError(f"prediction_labels must name structures of labels, got {listed(extra)}")
    return codes


def _from_files(
    predicted: DatasetLabels | None, true: DatasetLabels | None
) -> tuple[dict[Name, Codes], dict[Name, Codes]]:
    """Return the values of both sides by their files; empty if there is none."""
    _check_says_values(predicted, true)
    if predicted is None or true is None or predicted.file.resolve() == true.file.resolve():
        file = true or predicted
        structures: dict[Name, Codes] = {} if file is None else file.structures
        return structures, structures
    if absent := [name for name in true.structures if name not in predicted.structures]:
        spare = [codes for name, codes in predicted.structures.items() if name not in true.structures]
        example = _typed(absent, true.structures, dict(zip(absent, spare, strict=False)))
        raise ValueError(
            f"{predicted.file} must name the structures of {true.file}, got none called {listed(absent)}: "
            f"it has {_texts(predicted.structures)}, the other {_texts(true.structures)}; "
            f"say which is which, such as {example or '--labels NAME=REFERENCE:PREDICTION'}"
        )
    return {name: predicted.structures[name] for name in true.structures}, true.structures


def _check_says_values(predicted: DatasetLabels | None, true: DatasetLabels | None) -> None:
    """Raise if one side has a file for each structure and the other side states no values."""
    for labels, other, side in ((predicted, true, "references"), (true, predicted, "predictions")):
        if labels is not None and labels.by_files and other is None:
            name = next(iter(labels.structures))
            raise ValueError(
                f"{labels.file} has a file for each of {listed(labels.structures)}; the {side} have one a "
                f"case: say which of their values is which, such as --labels {name}=1"
            )


def check_structures_occur(
    names: LabelMap, predicted: Mapping[int, int], true: Mapping[int, int], cases: int
) -> None:
    """Raise unless every structure is in some reference and in some prediction of the cohort.

    Otherwise the codes of the two sides may differ: Dice would be 0 for everybody, and the groups equal.

    Args:
        names: the structures.
        predicted: value -> number of the predictions that have it.
        true: value -> number of the references that have it.
        cases: how many were scored.

    Raises:
        ValueError: one is missing; the message lists the values of both sides and shows a mapping to type.
    """
    lost = {
        side: [name for name, codes in structures.items() if not any(map(counts.get, codes))]
        for side, structures, counts in (
            ("reference", names.reference, true),
            ("prediction", names.prediction, predicted),
        )
    }
    neither = [name for name in lost["reference"] if name in lost["prediction"]]
    lost["prediction"] = [name for name in lost["prediction"] if name not in names.stated]
    values = f"the references have {_counts(true)}, the predictions {_counts(predicted)}"
    there = f"of {counted(cases, 'case')} {values}"
    if neither:
        texts = _texts({name: names.reference[name] for name in neither})
        raise ValueError(f"labels must occur in the masks, got {texts}, which is in none of them: {there}")
    if missing := lost["reference"]:
        texts = _texts({name: names.reference[name] for name in missing})
        spare = _unused(true, names.reference)
        typed = _typed(missing, dict(zip(missing, spare, strict=False)), names.prediction)
        remedy = (
            f"say which value is which, such as {typed}"
            if typed
            else "leave it out: name the others with --labels"
        )
        raise ValueError(f"no reference has {texts}: {there}; {remedy}")
    if missing := lost["prediction"]:
        texts = _texts({name: names.prediction[name] for name in missing})
        spare = _unused(predicted, names.prediction)[: len(missing)]
        codes = {name: names.reference[name] for name in missing} | dict(zip(missing, spare, strict=False))
        single = [name for name in missing if len(names.reference[name]) == 1]
        codes |= _moved(names.reference, {names.reference[name][0]: codes[name][0] for name in single})
        remedy = f"say which value is which, such as {_typed(codes, names.reference, codes)}"
        never = "" if spare else ", which says that the model never predicts it"
        if not spare and len(single) == 1 and names.ignore is None:
            value = names.reference[single[0]][0]
            never += f", or --ignore {value}, that what has this value counts for nothing"
        raise ValueError(f"no prediction has {texts}: {there}; {remedy}{never}")


def _unused(counts: Mapping[int, int], structures: Mapping[Name, Codes]) -> list[Codes]:
    """Return the values of one side that are of no structure."""
    used = values_of(structures)
    return [(value,) for value in sorted(counts) if value not in used]


def _typed(names: Iterable[Name], true: Mapping[Name, Codes], predicted: Mapping[Name, Codes]) -> str:
    """Return the options that state the values of both sides, for the structures that have both."""
    return " ".join(
        f'--labels "{name}={_code_text(true[name])}:{_code_text(predicted[name])}"'
        for name in list(names)[:_MOST]
        if name in true and name in predicted
    )


def _code_text(codes: Codes) -> str:
    return "+".join(map(str, codes))


def _text(name: Name, codes: Codes) -> str:
    return str(name) if codes == (name,) else f"{name} ({_code_text(codes)})"


def _texts(structures: Mapping[Any, Codes]) -> str:
    return listed((_text(name, codes) for name, codes in structures.items()), _MOST)


def _counts(counts: Mapping[int, int]) -> str:
    texts = (f"{value} ({number})" for value, number in sorted(counts.items()))
    return listed(texts, _MOST) or "background only"


def read_dataset_labels(folder: Path) -> DatasetLabels | None:
    """Return the labels of the dataset.json in or above a folder, else those that names of files state.

    Raises:
        ValueError: the file is not as nnU-Net writes it.
    """
    for path in (folder / "dataset.json", folder.resolve().parent / "dataset.json"):
        if path.is_file():
            break
    else:
        names = structure_names(folder)
        values: dict[Name, Codes] = {name: (value,) for value, name in enumerate(names, 1)}
        return DatasetLabels(folder, values, by_files=True) if names else None
    content = read_json(path)
    entries = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        shown = "no object" if entries is None else brief(entries)
        raise ValueError(
            f'{path} must hold "labels" as nnU-Net writes them, name and value of each, got {shown}'
        )
    labels: dict[Name, Codes] = {}
    for key, value in entries.items():
        # nnU-Net v1 and the Decathlon wrote value -> name, v2 writes name -> value.
        name, numbers = (value, key) if isinstance(value, str) and key.isdigit() else (key, value)
        codes = tuple(
            _code(path, name, number) for number in (numbers if isinstance(numbers, list) else [numbers])
        )
        if name in labels:
            raise ValueError(f"{path}: label {name!r} must have one value, got {labels[name]} and {codes}")
        labels[name] = codes
    ignored = labels.pop("ignore", None)
    if ignored is not None and len(ignored) != 1:
        raise ValueError(f"{path}: label 'ignore' must have one value, got {ignored}")
    foreground = {name: codes for name, codes in labels.items() if codes != (0,)}
    try:
        structure_values(foreground)
        if ignored is not None:
            check_ignore(ignored[0], None)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return DatasetLabels(path, foreground, ignored[0] if ignored else None)


def _code(path: Path, name: object, number: Any) -> int:
    try:
        code = int(number)
    except (TypeError, ValueError):
        code = -1
    if str(code) != str(number):
        raise ValueError(f"{path}: label {name!r} must be an integer, got {number!r}")
    return code
