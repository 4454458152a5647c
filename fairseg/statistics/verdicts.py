"""What the evidence allows to say: one enumeration for the library, its tables, charts, pages and terminal.

`fairseg.Verdict` is this class. How each verdict comes about: `page` for one model, and docs/statistics.md.
"""

from enum import StrEnum


class Verdict(StrEnum):
    """A verdict; its value is its label.

    The first five are about one model, the others about a second model beside the first.

    Attributes:
        marker: the name of its shape in charts; no two verdicts share one.
        character: its shape in text: one character.
        green: whether it is good news, for which every endpoint, structure and group must hold.

    >>> Verdict.NO_GAP.value, Verdict.NO_GAP.green, Verdict("gap shown").marker
    ('no relevant gap shown', True, 'diamond')
    """

    marker: str
    character: str
    green: bool

    GAP = "gap shown", "diamond", "◆"
    NO_GAP = "no relevant gap shown", "circle", "●", True
    OPEN = "not enough evidence", "ring", "○"
    NOT_JUDGED = "not judged", "dash", "-"
    FAILS = "the model fails", "cross", "✕"
    HARM = "a group is worse off", "triangle-down", "▼"
    FAIRER = "fairer", "triangle-up", "▲", True
    LESS_FAIR = "less fair", "square", "■"
    OVERCORRECTED = "over-corrected", "hourglass", "⋈"
    MOVED = "the group behind gained more", "triangle-right", "▶"
    LEVELS_DOWN = "levelling down", "double-down", "⇊"
    SAME = "no relevant change shown", "equals", "=", True

    def __new__(cls, label: str, marker: str, character: str, green: bool = False) -> "Verdict":
        """Make a member; `Verdict(label)` finds the one with this label."""
        verdict = str.__new__(cls, label)
        verdict._value_ = label
        verdict.marker, verdict.character, verdict.green = marker, character, green
        return verdict

    @property
    def label(self) -> str:
        """The words for it."""
        return self.value

    @property
    def css_class(self) -> str:
        """Its class in HTML."""
        return self.name.lower().replace("_", "-")


class Endpoint(StrEnum):
    """What of two groups is compared."""

    TYPICAL = "typical case"
    FAILURES = "failures"
    HARDEST = "hardest tenth"
    SPREAD = "spread"
