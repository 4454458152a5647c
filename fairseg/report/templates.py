"""Fill in templates: pages, in which every name is escaped, and sentences as plain text.

The templates hold the English and get findings. Each sentence is a macro of `sentences.txt.j2`.
"""

import re
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fairseg import __version__
from fairseg.io.sentences import counted, listed, p_text
from fairseg.report import numbers, palette


@cache
def environment(*, html: bool) -> Environment:
    """Return the templates of all rooms that have pages, with the writers of numbers as filters."""
    templates = Environment(
        loader=ChoiceLoader(
            [PackageLoader("fairseg", room) for room in ("report", "experiment", "understanding", "checking")]
        ),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=html,
        lstrip_blocks=html,
    )
    templates.tests["search"] = lambda text, pattern: re.search(pattern, str(text)) is not None
    templates.filters |= {
        "listed": listed,
        "counted": counted,
        "p": p_text,
        "both": both,
        "structure": structure,
        "as_sentence": as_sentence,
        "options_whole": options_whole,
    }
    for name in ("score", "shift", "percent", "points_of", "tenth", "hundredth", "p_value"):
        templates.filters[name] = getattr(numbers, name)
    templates.globals |= {
        "span": numbers.span,
        "tenth": numbers.tenth,
        "css_variables": palette.css_variables,
        "version": __version__,
    }
    return templates


def render_page(template: str, **values: object) -> str:
    """Fill in a page."""
    return environment(html=True).get_template(template).render(**values)


def render_text(template: str, **values: object) -> str:
    """Fill in a template of sentences."""
    return environment(html=False).get_template(template).render(**values)


def say(macro: str, /, **facts: object) -> str:
    """Return a text on one line: a macro of `sentences.txt.j2`, filled in."""
    return say_from("sentences.txt.j2", macro, **facts)


def say_from(template: str, macro: str, /, **facts: object) -> str:
    """Return a text on one line: a macro of a template of sentences, filled in."""
    texts: Any = environment(html=False).get_template(template).module
    return " ".join(getattr(texts, macro)(**facts).split())


def as_sentence(note: str) -> str:
    """Return a note with a capital letter, unless it begins with a name of the user's and a colon.

    >>> as_sentence("no column names the cases"), as_sentence("fair: no unit is stated")
    ('No column names the cases', 'fair: no unit is stated')
    """
    word = note.split(" ", 1)[0]
    return note[:1].upper() + note[1:] if word.isalpha() else note


def options_whole(text: object) -> Markup:
    """Return a text for a page, in which no line breaks within an option of a command.

    >>> options_whole("a < b: --spacing 0.5")
    Markup('a &lt; b: <span class="option">--spacing</span> 0.5')
    """
    escaped = escape(text)
    if "--" not in escaped:
        return escaped
    return Markup(re.sub(r"(?<![\w-])--[a-z][\w-]*", r'<span class="option">\g<0></span>', str(escaped)))


def structure(name: str) -> str:
    """Return the name of a structure in a sentence: a bare number is a label.

    >>> structure("LV"), structure("2")
    ('LV', 'label 2')
    """
    return f"label {name}" if name.isdigit() else name


def both(names: list[str], most: int = 5) -> str:
    """Return names in a row, the last one after "and".

    >>> both(["A"]), both(["A", "B"]), both(["A", "B", "C"])
    ('A', 'A and B', 'A, B and C')
    """
    if len(names) > most:
        return listed(names, most)
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
