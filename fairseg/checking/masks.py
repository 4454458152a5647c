"""Findings on the files of a cohort: labels, grids, sizes, empty and repeated masks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fairseg.checking.files import FileFacts
from fairseg.checking.findings import CheckFinding, Severity, finding, refusal
from fairseg.io.sentences import times
from fairseg.scoring.labels import LabelMap, check_structures_occur, values_of

_SIZES_APART = 5.0  # voxel sizes that differ so much suggest another unit


def file_findings(
    files: Sequence[FileFacts], names: LabelMap, subject_of: Mapping[str, str], part_of: Mapping[str, str]
) -> list[CheckFinding]:
    """Return the findings on the files.

    Args:
        files: of all cases, including those that cannot be used.
        names: which value is which structure.
        subject_of: case -> subject.
        part_of: case -> part of a split, where there is facts.
    """
    usable = [facts for facts in files if not facts.error]
    findings: list[CheckFinding] = []
    for role in dict.fromkeys(facts.role for facts in files):
        of_role = [facts for facts in files if facts.role == role]
        errors = [  # errors of readers begin with the path
            f"{facts.file.name}: {facts.error.removeprefix(str(facts.file)).strip()}"
            for facts in of_role
            if facts.error
        ]
        findings += finding("unusable", Severity.ERROR, role, errors)
        off_grid = [f"{facts.case}: {facts.other_grid}" for facts in of_role if facts.other_grid]
        findings += finding("other_grid", Severity.ERROR, role, off_grid)
    findings += _labels(usable, names)
    for role in ("reference", "prediction"):
        empty = [facts.case for facts in usable if facts.role == role and not facts.labels]
        findings += finding("empty", Severity.WARNING, role, empty)
    pixels = [facts.case for facts in usable if facts.is_mask and facts.unit == "px"]
    findings += finding("no_spacing", Severity.WARNING, "masks", dict.fromkeys(pixels))
    findings += _spacings([facts for facts in usable if facts.unit == "mm"])
    findings += _repeated(usable, subject_of, part_of)
    files_of_message: dict[str, list[str]] = defaultdict(list)
    for facts in usable:
        for message in facts.messages:
            files_of_message[message].append(facts.file.name)
    for message, file_names in files_of_message.items():
        findings += finding("reader", Severity.NOTE, "files", file_names, message=message)
    return findings


def label_counts(files: Iterable[FileFacts], role: str) -> Counter[int]:
    """Return value -> number of the masks of one side that have it."""
    masks = (facts for facts in files if facts.role == role and not facts.error)
    return Counter(value for facts in masks for value in facts.labels)


def _labels(usable: Sequence[FileFacts], names: LabelMap) -> list[CheckFinding]:
    true, predicted = label_counts(usable, "reference"), label_counts(usable, "prediction")
    del true[names.ignore or 0]
    num_references = sum(facts.role == "reference" for facts in usable)
    if not num_references:
        return []
    names = names if names.reference else names.of_values(sorted(true))
    has_predictions = any(facts.role == "prediction" for facts in usable)
    try:
        check_structures_occur(names, predicted if has_predictions else true, true, num_references)
    except ValueError as error:
        return refusal("labels", error)  # it names the values of both sides, and what to type
    findings: list[CheckFinding] = []
    for role, counts, codes in (
        ("reference", true, names.reference),
        ("prediction", predicted, names.prediction),
    ):
        strays = [f"{value} (in {counts[value]})" for value in sorted(counts.keys() - values_of(codes))]
        findings += finding("stray_values", Severity.WARNING, role, strays)
    return findings


def _spacings(sized: Sequence[FileFacts]) -> list[CheckFinding]:
    """Return the cases whose voxels are so large or small that their unit may be wrong."""
    findings: list[CheckFinding] = []
    for axes in {len(facts.spacing) for facts in sized}:
        same_axes = [facts for facts in sized if len(facts.spacing) == axes]
        middle = np.median([facts.spacing for facts in same_axes], axis=0)
        outliers = {}
        for facts in same_axes:
            ratios = [np.divide(facts.spacing, middle), np.divide(middle, facts.spacing)]
            if np.max(ratios) >= _SIZES_APART:
                outliers[facts.case] = f"{facts.case} ({times(facts.spacing)} mm)"
        usual = times(middle)
        findings += finding("spacing_differs", Severity.WARNING, "files", outliers.values(), middle=usual)
    return findings


def _repeated(
    usable: Sequence[FileFacts], subject_of: Mapping[str, str], part_of: Mapping[str, str]
) -> list[CheckFinding]:
    """Return files that are the same, voxel by voxel, where they should not be."""

    def with_subject(facts: FileFacts) -> str:
        subject = subject_of.get(facts.case, facts.case)
        return facts.case if subject == facts.case else f"{facts.case} (of {subject})"

    findings: list[CheckFinding] = []
    for role in dict.fromkeys(facts.role for facts in usable):
        by_digest: dict[str, list[FileFacts]] = defaultdict(list)
        for facts in usable:
            if facts.role == role and facts.digest:
                by_digest[facts.digest].append(facts)
        leaks: list[str] = []
        rest: list[str] = []
        for same in (files for files in by_digest.values() if len(files) > 1):
            parts = {part_of.get(facts.case, facts.part) for facts in same} - {""}
            (leaks if len(parts) > 1 else rest).append(" = ".join(map(with_subject, same)))
        findings += finding("same_files_across", Severity.ERROR, role, leaks)
        findings += finding("same_files", Severity.WARNING, role, rest)
    references = {facts.case: facts.digest for facts in usable if facts.role == "reference"}
    predictions = [facts for facts in usable if facts.role == "prediction" and facts.digest]
    pairs = [facts for facts in predictions if facts.case in references]
    copies = [facts.case for facts in pairs if references[facts.case] == facts.digest]
    if 2 * len(copies) > len(pairs):
        number = len(pairs)
        findings += finding("prediction_is_reference", Severity.WARNING, "prediction", copies, number=number)
    return findings
