"""How the site reads fairseg's docstrings, which are Google's style with two habits of the house.

Doctests stand without a heading `Examples:`, and arguments that are alike share a line (`a, b: numbers`).
"""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^( *)>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
SHARED = re.compile(r"^( +)((?:\*{0,2}\w+, )+\*{0,2}\w+): (.*)$", re.MULTILINE)
ARGUMENTS = re.compile(r"^Args:\n(?:(?: +.*)?\n)*", re.MULTILINE)


def for_griffe(text: str) -> str:
    """Fence the doctests, and give every argument its own line."""
    text = ARGUMENTS.sub(lambda args: SHARED.sub(_one_each, args[0]), text)
    return DOCTEST.sub(lambda block: f"{block[1]}```pycon\n{block[0]}\n{block[1]}```", text)


def _one_each(match: re.Match[str]) -> str:
    return "\n".join(f"{match[1]}{name}: {match[3]}" for name in match[2].split(", "))


class HouseStyle(griffe.Extension):
    """Give griffe the docstrings in the form that it knows."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute, where it has one."""
        if obj.docstring is not None:
            obj.docstring.value = for_griffe(obj.docstring.value)
