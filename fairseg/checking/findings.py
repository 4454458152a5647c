"""The findings of a check, as data. Their words are the macros of `check.txt.j2`, two for each kind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding matters.

    >>> [level.exit_code for level in Severity]
    [2, 1, 0]
    """

    ERROR = "error"  # a command would stop at it, or its result would be wrong
    WARNING = "warning"  # most often a slip
    NOTE = "note"

    @property
    def exit_code(self) -> int:
        """The exit code of `fairseg check`, if nothing is worse."""
        return {Severity.ERROR: 2, Severity.WARNING: 1, Severity.NOTE: 0}[self]


@dataclass(frozen=True)
class CheckFinding:
    """One thing that was found.

    Attributes:
        kind: the name of its two macros: `unusable` says what it is, `unusable_do` what to do.
        severity: how much it matters.
        where: the folder, table or column that it is in.
        names: the files, cases, subjects or levels that it is about, all of them.
        facts: what else the macros need.
    """

    kind: str
    severity: Severity
    where: str
    names: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """The finding in a sentence."""
        return self._say(self.kind)

    @property
    def to_do(self) -> str:
        """What to do about it."""
        return self._say(f"{self.kind}_do")

    def _say(self, macro: str) -> str:
        from fairseg.report.templates import say_from  # noqa: PLC0415  (the templates load when they are needed)

        return say_from(
            "check.txt.j2", macro, where=self.where, names=list(self.names), facts=dict(self.facts)
        )


def finding(
    kind: str, severity: Severity, where: str, names: Iterable[object], **facts: Any
) -> list[CheckFinding]:
    """Return a finding about these names; none if there are no names."""
    texts = tuple(map(str, names))
    return [CheckFinding(kind, severity, where, texts, facts)] if texts else []


def refusal(where: str, reason: object, severity: Severity = Severity.ERROR) -> list[CheckFinding]:
    """Return the finding that a reader refuses something, in the reader's own words."""
    return [CheckFinding("refused", severity, where, facts={"reason": str(reason)})]
