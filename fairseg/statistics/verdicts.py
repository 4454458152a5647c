"""What the evidence allows to say: one enumeration for the library, its tables, charts, pages and terminal.

`fairseg.Verdict` is this class. How each verdict comes about: `page` for one model, and docs/statistics.md.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """A verdict; its value is its label.

    The first five are about one model, the others about a second model beside the first.

    >>> Verdict.NO_GAP.value, Verdict.NO_GAP.green, Verdict("gap shown").marker
    ('no relevant gap shown', True, 'diamond')
    """

    GAP = "gap shown"
    NO_GAP = "no relevant gap shown"
    OPEN = "not enough evidence"
    NOT_JUDGED = "not judged"
    FAILS = "the model fails"
    HARM = "a group is worse off"
    FAIRER = "fairer"
    LESS_FAIR = "less fair"
    OVERCORRECTED = "over-corrected"
    MOVED = "the group behind gained more"
    LEVELS_DOWN = "levelling down"
    SAME = "no relevant change shown"

    @property
    def label(self) -> str:
        """The words for it."""
        return self.value

    @property
    def marker(self) -> str:
        """The name of its shape in charts; no two verdicts share one."""
        return _LOOKS[self].marker

    @property
    def character(self) -> str:
        """Its shape in text: one character."""
        return _LOOKS[self].character

    @property
    def css_class(self) -> str:
        """Its class in HTML."""
        return self.name.lower().replace("_", "-")

    @property
    def green(self) -> bool:
        """Whether it is good news, for which every endpoint, structure and group must hold."""
        return _LOOKS[self].green


class Endpoint(StrEnum):
    """What of two groups is compared."""

    TYPICAL = "typical case"
    FAILURES = "failures"
    HARDEST = "hardest tenth"
    SPREAD = "spread"


@dataclass(frozen=True)
class _Look:
    marker: str
    character: str
    green: bool = False


_LOOKS = {
    Verdict.GAP: _Look("diamond", "◆"),
    Verdict.NO_GAP: _Look("circle", "●", green=True),
    Verdict.OPEN: _Look("ring", "○"),
    Verdict.NOT_JUDGED: _Look("dash", "-"),
    Verdict.FAILS: _Look("cross", "✕"),
    Verdict.HARM: _Look("triangle-down", "▼"),
    Verdict.FAIRER: _Look("triangle-up", "▲", green=True),
    Verdict.LESS_FAIR: _Look("square", "■"),
    Verdict.OVERCORRECTED: _Look("hourglass", "⋈"),
    Verdict.MOVED: _Look("triangle-right", "▶"),
    Verdict.LEVELS_DOWN: _Look("double-down", "⇊"),
    Verdict.SAME: _Look("equals", "=", green=True),
}
