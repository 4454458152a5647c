"""The commands that advices name, as they are typed: with all options of this call that still apply."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from fairseg.scoring.voxel_sizes import sizes_given
from fairseg.understanding.inputs import Call, Gathered

_HELD_OUT = 0.2  # share of subjects that `fairseg train` holds out
_SHARES = (_HELD_OUT, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def commands_of(cohort: Gathered) -> dict[str, str]:
    """Return commands without `--out`: "train", "experiment", "audit", "understand" and "ask_run".

    "ask_run" is `fairseg understand` for another run, without what is of the model that was looked at.
    """
    call, data = cohort.call, [cohort.call.data, *_groups(cohort)]
    reference = ["--reference", call.reference] if call.reference else []
    share = held_out(cohort)
    validation = ["--validation", f"{share:g}"] if share is not None and share > _HELD_OUT else []
    understand = ["fairseg", "understand", *data, *reference, *_call_options(call)]
    options = {"--predictions": call.predictions, "--scores": call.scores, "--run": call.run}
    model = [part for option, value in options.items() if value for part in (option, value)]
    confounders = ["--confounders", ",".join(call.confounders)] if call.confounders else []
    return {
        "train": shlex.join(["fairseg", "train", *data, *validation]),
        "experiment": shlex.join(["fairseg", "experiment", *data, *reference]),
        "audit": _audit(cohort, reference),
        "understand": shlex.join([*understand, *model]),  # a caller may hold other confounders fixed
        "ask_run": shlex.join([*understand, *confounders]),
    }


def held_out(cohort: Gathered) -> float | None:
    """Return the share of subjects that a training must hold out so that it can be asked what it goes by.

    Of the images that it trains on: that is the usual share for those of imagesTs. None where not even half
    of the subjects are enough.
    """
    if cohort.call.test:
        return _HELD_OUT
    counts = [n for _, n in cohort.counts]
    enough = (share for share in _SHARES if all(round(share * n) >= cohort.call.min_size for n in counts))
    return next(enough, None)


def images_of(cohort: Gathered) -> str:
    """Return the folder of the images, as it is typed."""
    return shlex.quote(str(_images(cohort)))


def _audit(cohort: Gathered, reference: Sequence[str]) -> str:
    """Return the audit of the model's masks; those of a run are made first."""
    call, masks = cohort.call, cohort.call.predictions or "PREDICTIONS"
    groups = ["--groups", cohort.groups_file or "GROUPS.csv", *call.options.words]
    least = ["--min-size", str(call.min_size)] if call.min_size != Call.min_size else []
    folders = masks, str(cohort.raw.mask_folder)
    audit = ["fairseg", "audit", *folders, *groups, *_by(cohort), *reference, *least]
    if call.predictions or not call.run:
        return shlex.join(audit)
    predict = ["fairseg", "predict", call.run, str(_images(cohort)), "--no-mirror"]
    if call.crops:
        predict += ["--references", str(cohort.raw.mask_folder)]
    if call.spacing is not None:
        predict += [*_spacing(call), *groups]
    return f"{shlex.join([*predict, '--out', masks])} && {shlex.join(audit)}"


def _images(cohort: Gathered) -> Path:
    return next(iter(cohort.cases)).images[0].parent


def _call_options(call: Call) -> list[str]:
    """Return the options of `fairseg understand` that were given, but for those of groups and of a model."""
    options = ["--test"] if call.test else []
    if call.margins:
        options += ["--margins", ",".join(f"{margin:g}" for margin in call.margins)]
    for option, value, default in (
        ("--min-size", call.min_size, Call.min_size),
        ("--model", call.model, Call.model),
        ("--permutations", call.permutations, Call.permutations),
        ("--seed", call.seed, Call.seed),
    ):
        options += [option, str(value)] if value != default else []
    return options


def _groups(cohort: Gathered) -> list[str]:
    """Return the options that make the groups, with the table if it is not the dataset's own."""
    reading = cohort.call.options.words
    named_otherwise = bool(reading) or cohort.groups_file != str(Path(cohort.call.data) / "groups.csv")
    table = ["--groups", cohort.groups_file or "GROUPS.csv", *reading] if named_otherwise else []
    return [*_by(cohort), *table]


def _by(cohort: Gathered) -> list[str]:
    options = [part for name in cohort.attributes for part in ("--by", name)]
    for name, edges in cohort.bins.items():
        options += ["--bins", f"{name}={','.join(f'{edge:g}' for edge in edges)}"]
    return [*options, *_spacing(cohort.call)]


def _spacing(call: Call) -> list[str]:
    return [] if call.spacing is None else ["--spacing", ",".join(map(str, sizes_given(call.spacing)))]
