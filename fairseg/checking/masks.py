"""What is wrong with the files of a cohort, seen together: labels, grids, sizes, empty and repeated masks."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fairseg.checking.files import FileFacts
from fairseg.checking.findings import Finding, Severity, found, refused
from fairseg.io.sentences import times
from fairseg.scoring.labels import LabelMap, check_structures_occur, values_of

_SIZES_APART = 5.0  # voxel sizes that differ so much suggest another unit


def file_findings(
    files: Sequence[FileFacts], names: LabelMap, subject_of: Mapping[str, str], part_of: Mapping[str, str]
) -> list[Finding]:
    """Return what is to be known of the files.

    Args:
        files: of all cases, those that cannot be used among them.
        names: which value is which structure.
        subject_of: case -> subject.
        part_of: case -> part of a split, where there is one.
    """
    usable = [one for one in files if not one.error]
    findings: list[Finding] = []
    for role in dict.fromkeys(one.role for one in files):
        own = [one for one in files if one.role == role]
        wrong = [  # errors of readers begin with the path
            f"{one.file.name}: {one.error.removeprefix(str(one.file)).strip()}" for one in own if one.error
        ]
        findings += found("unusable", Severity.ERROR, role, wrong)
        apart = [f"{one.case}: {one.other_grid}" for one in own if one.other_grid]
        findings += found("other_grid", Severity.ERROR, role, apart)
    findings += _labels(usable, names)
    for role in ("reference", "prediction"):
        empty = [one.case for one in usable if one.role == role and not one.labels]
        findings += found("empty", Severity.WARNING, role, empty)
    pixels = [one.case for one in usable if one.is_mask and one.unit == "px"]
    findings += found("no_spacing", Severity.WARNING, "masks", dict.fromkeys(pixels))
    findings += _spacings([one for one in usable if one.unit == "mm"])
    findings += _repeated(usable, subject_of, part_of)
    said: dict[str, list[str]] = defaultdict(list)
    for one in usable:
        for message in one.messages:
            said[message].append(one.file.name)
    for message, named in said.items():
        findings += found("reader", Severity.NOTE, "files", named, message=message)
    return findings


def label_counts(files: Iterable[FileFacts], role: str) -> Counter[int]:
    """Return value -> number of the masks of one side that have it."""
    return Counter(value for one in files if one.role == role and not one.error for value in one.labels)


def _labels(usable: Sequence[FileFacts], names: LabelMap) -> list[Finding]:
    """Return what the values of both sides say of the structures."""
    true, predicted = label_counts(usable, "reference"), label_counts(usable, "prediction")
    del true[names.ignore or 0]
    number = sum(one.role == "reference" for one in usable)
    if not number:
        return []
    names = names if names.reference else names.of_values(sorted(true))
    there = any(one.role == "prediction" for one in usable)
    try:
        check_structures_occur(names, predicted if there else true, true, number)
    except ValueError as error:
        return refused("labels", error)  # which names the values of both sides, and what to type for them
    findings: list[Finding] = []
    for role, counts, codes in (
        ("reference", true, names.reference),
        ("prediction", predicted, names.prediction),
    ):
        known = values_of(codes)
        strays = [f"{value} (in {count})" for value, count in sorted(counts.items()) if value not in known]
        findings += found("stray_values", Severity.WARNING, role, strays)
    return findings


def _spacings(sized: Sequence[FileFacts]) -> list[Finding]:
    """Return the cases whose voxels are so large or small that their unit may be another one."""
    findings: list[Finding] = []
    for axes in {len(one.spacing) for one in sized}:
        own = [one for one in sized if len(one.spacing) == axes]
        middle = np.median([one.spacing for one in own], axis=0)
        far = {
            one.case: f"{one.case} ({times(one.spacing)} mm)"
            for one in own
            if max(np.max(np.divide(one.spacing, middle)), np.max(np.divide(middle, one.spacing)))
            >= _SIZES_APART
        }
        findings += found("spacing_differs", Severity.WARNING, "files", far.values(), middle=times(middle))
    return findings


def _repeated(
    usable: Sequence[FileFacts], subject_of: Mapping[str, str], part_of: Mapping[str, str]
) -> list[Finding]:
    """Return files that are the same, voxel by voxel, where they should not be."""
    by_digest: dict[tuple[str, str], list[FileFacts]] = defaultdict(list)
    for one in usable:
        if one.digest:
            by_digest[one.role, one.digest].append(one)

    def with_subject(one: FileFacts) -> str:
        subject = subject_of.get(one.case, one.case)
        return one.case if subject == one.case else f"{one.case} (of {subject})"

    findings: list[Finding] = []
    for role in dict.fromkeys(one.role for one in usable):
        sets = [ones for (own, _), ones in by_digest.items() if own == role and len(ones) > 1]
        leaks = [ones for ones in sets if len({part_of.get(one.case, one.part) for one in ones} - {""}) > 1]
        rest = [ones for ones in sets if ones not in leaks]
        for kind, severity, chosen in (
            ("same_files_across", Severity.ERROR, leaks),
            ("same_files", Severity.WARNING, rest),
        ):
            texts = [" = ".join(map(with_subject, ones)) for ones in chosen]
            findings += found(kind, severity, role, texts)
    references = {one.case: one.digest for one in usable if one.role == "reference"}
    pairs = [one for one in usable if one.role == "prediction" and one.case in references and one.digest]
    same = [one.case for one in pairs if references[one.case] == one.digest]
    if 2 * len(same) > len(pairs):
        findings += found("prediction_is_reference", Severity.WARNING, "prediction", same, number=len(pairs))
    return findings
