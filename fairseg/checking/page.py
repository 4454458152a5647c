"""The result of a check in plain characters, as Markdown, as a page, and as the card of a notebook."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from fairseg.checking.checked import Checked
from fairseg.checking.files import FileFacts
from fairseg.checking.findings import CheckFinding, Severity
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.io.sentences import listed, times
from fairseg.report import charts
from fairseg.report.card import Card
from fairseg.report.escape import markdown, plain
from fairseg.report.tables import LETTERS, Cell, Table, grid, paragraphs, to_markdown
from fairseg.report.templates import render_page, say_from
from fairseg.statistics.verdicts import Verdict

PAGE, KIND = "check.html", "check"
FILES = (PAGE, "check.md", "findings.csv", "files.csv")
_FEW = 5  # names that a sentence lists; the page has a list of more
_LOOKS = {
    Severity.ERROR: (Verdict.FAILS, "Errors"),
    Severity.WARNING: (Verdict.GAP, "Warnings"),
    Severity.NOTE: (Verdict.NO_GAP, "Ready"),
}
_HEADS = {Severity.ERROR: "Errors", Severity.WARNING: "Warnings", Severity.NOTE: "Notes"}


def answer(result: Checked) -> str:
    """Return the answer in a sentence or two."""
    return say_from(
        "check.txt.j2",
        "answer",
        **{f"{severity.value}s": result.count(severity) for severity in Severity},
        subjects=result.subjects,
        cases=result.cases,
        files=len(result.file_facts),
        unusable=sum(bool(one.error) for one in result.file_facts),
        first=result.details[0].what if result.details else "",
    )


def to_terminal(result: Checked) -> str:
    """Return the answer, the findings with what to do, and the overview, in plain characters."""
    verdict, label = _LOOKS[result.severity]
    blocks = [f"{verdict.character} {label}\n\n{paragraphs([answer(result)])}"]
    for finding in result.details:
        first, rest = f"{finding.severity.value}: ", "    "
        what = textwrap.fill(plain(finding.what), LETTERS, initial_indent=first, subsequent_indent=rest)
        to_do = textwrap.fill(
            plain(finding.to_do), LETTERS, initial_indent="    > ", subsequent_indent="      "
        )
        blocks.append(f"{what}\n{to_do}")
    blocks += [f"{plain(table.caption)}\n{grid(table)}" for table in overview(result) if table.rows]
    return "\n\n".join(blocks)


def to_text(result: Checked) -> str:
    """Return the same as Markdown."""
    lines = ["# What is there: a check before the audit", "", markdown(answer(result)), ""]
    for severity, ones in groupby(result.details, key=lambda one: one.severity):
        lines += [f"## {_HEADS[severity]}", ""]
        lines += [f"- {markdown(one.what)} *{markdown(one.to_do)}*" for one in ones]
        lines.append("")
    return "\n".join(lines) + "\n" + to_markdown(table for table in overview(result) if table.rows)


def save_page(result: Checked, folder: Path) -> Path:
    """Write page and tables; see `CheckResult.save`."""
    findings = [
        findings_table(_HEADS[severity], (one for one in result.details if one.severity is severity))
        for severity in Severity
    ]
    page = render_page(
        "check.html.j2",
        card=card_of(result),
        findings=findings,
        long=[
            (f"All {len(one.names)}: {one.what}", one.names)
            for one in result.details
            if len(one.names) > _FEW
        ],
        overview=overview(result),
    )
    names = result.findings["names"].map("; ".join)
    files = result.files.assign(
        size=result.files["size"].map(times),
        spacing=result.files["spacing"].map(times),
        labels=result.files["labels"].map(lambda values: " ".join(map(str, values))),
    )
    written = {
        PAGE: page,
        "check.md": to_text(result),
        "findings.csv": csv_files.to_csv(result.findings.assign(names=names)),
        "files.csv": csv_files.to_csv(files),
    }
    write_files(folder, written, KIND)
    return folder / PAGE


def card_of(result: Checked, tables: Sequence[Table] = ()) -> Card:
    """Return the card: whether there is something wrong, and the answer."""
    look, label = _LOOKS[result.severity]
    badge = charts.badge(look, (label, look.css_class))
    return Card(look.css_class, [(badge, answer(result))], tables=tables, stacked=bool(tables))


def overview(result: Checked) -> list[Table]:
    """Return the tables of files, labels, groups and numbers."""
    return [
        _files_table(result.file_facts),
        _labels_table(result),
        _groups_table(result),
        _numbers_table(result),
    ]


def findings_table(caption: str, findings: Iterable[CheckFinding]) -> Table:
    """Return findings with what to do about them."""
    rows = [(one.where, one.what, one.to_do) for one in findings]
    return Table.of(caption, ["What was found", "What to do"], rows, corner="Where")


def _files_table(files: Sequence[FileFacts]) -> Table:
    rows = []
    for part, role in dict.fromkeys((file.part, file.role) for file in files):
        of_role = [file for file in files if (file.part, file.role) == (part, role)]
        usable = [file for file in of_role if not file.error]
        empty = sum(file.is_mask and not file.labels for file in usable)
        counts = map(_count, (len(of_role), len(of_role) - len(usable), empty))
        spacing = _range([file.spacing for file in usable if file.unit == "mm"]) or "not stated"
        rows.append((f"{part} {role}".strip(), *counts, _range([file.size for file in usable]), spacing))
    heads = ["Files", "Cannot be used", "Without a label", "Size, voxels", "Spacing, mm"]
    note = "Sizes and spacing along the axes of the array: slices, rows, columns; from the least to the most."
    return Table.of("Files", heads, rows, corner="What", note=note)


def _labels_table(result: Checked) -> Table:
    there = {f"{one.role}s" for one in result.file_facts}
    # A dataset has no predictions, and 0 of them would say that a model never finds a structure.
    roles = [role for role in ("references", "predictions") if role in there]
    rows = [
        (str(one["value"]), one["structures"], *(_count(one[role]) for role in roles))
        for one in result.labels.to_dict("records")
    ]
    heads = ["Structure", *(f"{role.capitalize()} with it" for role in roles)]
    return Table.of("Label values", heads, rows, corner="Value")


def _groups_table(result: Checked) -> Table:
    table = result.groups
    parts = [part for part in dict.fromkeys(table.get("part", [])) if part]
    rows = []
    by_group = table.groupby(["attribute", "group"], sort=False) if len(table) else ()
    for (attribute, group), rows_of_group in by_group:
        sizes = rows_of_group.set_index("part")
        subjects = [sizes.loc[part, "subjects"] for part in ("", *parts)]
        counts = subjects[0], sizes.loc["", "cases"], *subjects[1:]
        rows.append((f"{attribute}: {group}", *map(_count, counts)))
    return Table.of(
        "Groups", ["Subjects", "Cases", *(f"Subjects, {part}" for part in parts)], rows, corner="Group"
    )


def _numbers_table(result: Checked) -> Table:
    figures = ("least", "median", "most")
    rows = [
        (one["attribute"], _count(one["known"]), *(f"{one[name]:.4g}" for name in figures))
        for one in result.numbers.to_dict("records")
    ]
    return Table.of("Numbers", ["Subjects with it", "Least", "Median", "Most"], rows, corner="Attribute")


def _count(number: Any) -> Cell:
    return Cell(float(number), kind="count")


def _range(sizes: list[tuple[float, ...]]) -> str:
    """Return sizes of several files, axis by axis, from the least to the most; 2D and 3D apart."""
    texts = []
    for axes in sorted({len(size) for size in sizes}):
        same_axes = np.array([size for size in sizes if len(size) == axes])
        spans = zip(same_axes.min(axis=0), same_axes.max(axis=0), strict=True)
        texts.append(" x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in spans))
    return listed(texts)
