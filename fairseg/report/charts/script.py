"""The one script of the page: it names dots; without it, all of the page is there to read."""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files

from markupsafe import Markup


def script() -> Markup:
    """Return the script element."""
    return Markup("<script>{}</script>").format(Markup(_source()))


def script_policy() -> str:
    """Return what the Content-Security-Policy says to let this script run, and no other.

    >>> script_policy()
    "'sha256-...'"
    """
    return f"'sha256-{b64encode(hashlib.sha256(_source().encode()).digest()).decode()}'"


@cache
def _source() -> str:
    """Return the script without the white space and comments that only its readers need."""
    text = files("fairseg.report.charts").joinpath("hover.js").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
