"""Which sections a report has beside the gaps: worst cases, clinical measures, confounders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.metrics.masks import Structures
from fairseg.report.preregistration import DEFAULTS, NUMBERS, Preregistration, read_preregistration
from fairseg.scoring.voxel_sizes import Spacing
from fairseg.statistics.judge_options import JudgeOptions


@dataclass(frozen=True)
class MaskFolders:
    """Where the masks of the scored cases are.

    Attributes:
        predictions: folder of the model's masks.
        references: folder of the reference masks.
        images: folder of the images; None to draw masks alone.
        labels: as in `fairseg.evaluate`, and so `prediction_labels`, `ignore` and `spacing` (its columns are
            attributes of the scores).
    """

    predictions: Path
    references: Path
    images: Path | None = None
    labels: Structures | None = None
    prediction_labels: Structures | None = None
    ignore: int | None = None
    spacing: Spacing | None = None


@dataclass(frozen=True)
class HeartRoles:
    """Which labels are which part of the heart, and which cases are of which phase.

    Attributes:
        labels: role ("lv", "myocardium", "rv") -> name of its label.
        phase: attribute that tells end-diastole from end-systole; None: volumes only.
        phases: its levels.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    phase: str | None = None
    phases: tuple[str, str] = ("ED", "ES")


@dataclass(frozen=True)
class ReportSections:
    """What a saved report holds beyond the groups and their gaps.

    Attributes:
        masks: where the masks are, for pictures of the worst cases.
        heart: which labels are which part of the heart, for volumes and ejection fractions.
        adjust: attributes that are held fixed, numbers without bins by regression, and in fifths.
        bins: edges of numeric ones, for gaps within strata.
        model: what the model is called.
        command: the command that made the report.
        resamples: draws of the intervals in tables.
        preregistered: the file that stated the options before; set by `audit(preregister=...)`.
        pseudonyms: codes in the place of names, or None; set by `audit(pseudonyms=...)`.
    """

    masks: MaskFolders | None = None
    heart: HeartRoles | None = None
    adjust: tuple[str, ...] = ()
    bins: Mapping[str, Sequence[float]] = field(default_factory=dict)
    model: str = ""
    command: str = ""
    resamples: int = 10_000
    preregistered: Preregistration | None = None
    pseudonyms: Pseudonyms | None = None

    @property
    def stated_in(self) -> str:
        """How sentences call the file that stated the options before; "" without one."""
        if self.preregistered is None:
            return ""
        return "that has the SHA-256 below" if self.pseudonyms else self.preregistered.name

    def adjusted_for(self, adjust: Sequence[str], bins: Mapping[str, Sequence[float]]) -> "ReportSections":
        """Return these sections with the attributes that `audit` holds fixed."""
        return replace(self, adjust=tuple(adjust), bins={name: bins[name] for name in adjust if name in bins})


def as_stated(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], JudgeOptions, ReportSections]:
    """Return the question, the options of its judgement and the sections, with those of a preregistered file.

    Args:
        arguments: of `audit` or `compare` by name; used are those that a file can state, and `preregister`,
            `sections` and `pseudonyms`.

    Raises:
        ValueError: as `read_preregistration`, or an option differs from its default and from the file.
    """
    options = {name: arguments[name] for name in DEFAULTS}
    if isinstance(options["bins"], Mapping):
        one_each = {name: (edges,) for name, edges in options["bins"].items() if isinstance(edges, Real)}
        options["bins"] = {**options["bins"], **one_each}
    sections = arguments["sections"] or ReportSections()
    if arguments["preregister"] is not None:
        file = read_preregistration(arguments["preregister"])
        options, sections = file.settle(options), replace(sections, preregistered=file)
    if arguments["pseudonyms"]:
        sections = replace(sections, pseudonyms=Pseudonyms.of(arguments["pseudonyms"]))
    judging = {name: options.pop(name) for name in NUMBERS}
    options["bins"] = options["bins"] or {}
    for name in ("also", "adjust"):
        options[name] = (options[name],) if isinstance(options[name], str) else tuple(options[name])
    return options, JudgeOptions(**judging), sections
