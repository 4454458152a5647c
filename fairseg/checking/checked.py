"""The result of a check, as numbers and names; `result.CheckResult` adds how to read it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from fairseg.checking.files import FileFacts
from fairseg.checking.findings import CheckFinding, Severity, refusal
from fairseg.checking.masks import label_counts
from fairseg.scoring.labels import LabelMap

SEVERITIES = list(Severity)  # the worst first


@dataclass(eq=False)
class Checked:
    """The data that were checked, and the findings on them; `inputs` fills it in.

    Attributes:
        details: every finding, the worst first.
        file_facts: the contents of each file that was read; empty for a table of scores.
        names: which value is which structure, from the files or the caller.
        groups: attribute, group, part, subjects, cases; one row a group (part ""), and one for each part of a
            split.
        numbers: attribute, known, least, median, most; one row an attribute that is a measurement.
        part_of: case -> its part of a split, from the table.
        subjects: how many the table has.
        cases: how many the table has.
    """

    details: list[CheckFinding] = field(default_factory=list)
    file_facts: list[FileFacts] = field(default_factory=list)
    names: LabelMap = field(default_factory=LabelMap)
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)
    part_of: dict[str, str] = field(default_factory=dict)
    subjects: int = 0
    cases: int = 0

    @contextmanager
    def collecting_refusals(self, where: str) -> Iterator[None]:
        """Make a reader's refusal a finding."""
        try:
            yield
        except ValueError as error:
            self.details += refusal(where, error)

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity is severity for finding in self.details)

    @property
    def severity(self) -> Severity:
        """The worst of the findings; a note if there is none."""
        severities = (finding.severity for finding in self.details)
        return min(severities, key=SEVERITIES.index, default=Severity.NOTE)

    @property
    def exit_code(self) -> int:
        """2 with errors, 1 with warnings, else 0."""
        return self.severity.exit_code

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a finding: severity, kind, where, names (files, cases, subjects, levels), what, to_do."""
        rows = [
            (finding.severity.value, finding.kind, finding.where, finding.names, finding.what, finding.to_do)
            for finding in self.details
        ]
        return pd.DataFrame(rows, columns=["severity", "kind", "where", "names", "what", "to_do"])

    @cached_property
    def files(self) -> pd.DataFrame:
        """One row a file: case, role, file, part, size, spacing, unit, labels, error."""
        columns = ["case", "role", "file", "part", "size", "spacing", "unit", "labels", "error"]
        rows = [[getattr(file, name) for name in columns] for file in self.file_facts]
        table = pd.DataFrame(rows, columns=columns)
        return table.assign(file=table["file"].map(str))

    @cached_property
    def labels(self) -> pd.DataFrame:
        """One row a label value: value, structures, references and predictions (the masks that have it)."""
        true, predicted = (label_counts(self.file_facts, role) for role in ("reference", "prediction"))
        rows = []
        for value in sorted(true.keys() | predicted.keys()):
            names = [str(name) for name, codes in self.names.reference.items() if value in codes]
            if value == self.names.ignore:
                names = ["ignored"]
            names += [str(name) for name, codes in self.names.prediction.items() if value in codes]
            rows.append((value, ", ".join(dict.fromkeys(names)), true[value], predicted[value]))
        return pd.DataFrame(rows, columns=["value", "structures", "references", "predictions"])
