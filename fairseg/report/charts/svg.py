"""Elements of HTML and SVG as safe strings: everything that is not `Markup` already is escaped."""

import textwrap
import unicodedata

from markupsafe import Markup, escape

from fairseg.report.escape import plain


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: `Markup`, or text, which is escaped.
        attributes: `stroke_width=2` becomes `stroke-width="2"`, `class_` becomes `class`; None leaves an
            attribute out.

    >>> tag("text", "a < b", class_="soft", x=1.5, y=None)
    Markup('<text class="soft" x="1.5">a &lt; b</text>')
    """
    texts = [
        f' {key.strip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return Markup(f"<{name}{''.join(texts)}>{''.join(map(escape, children))}</{name}>")


def join(*parts: object) -> Markup:
    """Return parts behind each other.

    >>> join(Markup("<b>"), "&")
    Markup('<b>&amp;')
    """
    return Markup("".join(map(escape, parts)))


def px(value: float) -> str:
    """Return a length with one decimal, which is left out where it is zero.

    >>> px(12.34), px(12.0), px(-0.01)
    ('12.3', '12', '0')
    """
    return f"{float(value):z.1f}".removesuffix(".0")  # z: never minus zero


def wrapped(text: str, letters: int, most: int = 3) -> list[str]:
    """Return text in lines of at most so many letters, the last one cut where more would follow.

    A letter of Chinese, Japanese or Korean counts twice.

    >>> wrapped("Mixed, of several backgrounds", 12)
    ['Mixed, of', 'several', 'backgrounds']
    >>> wrapped("Mixed, of several backgrounds", 12, most=1)
    ['Mixed, of…']
    """
    text = plain(text)
    wide = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    letters = max(4, letters * len(text) // max(1, wide))
    lines = textwrap.wrap(text, letters) or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][: letters - 1] + "…"]
