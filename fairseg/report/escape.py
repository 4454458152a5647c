"""Escape names of groups, cases and labels for the terminal, Markdown and LaTeX.

Pages are escaped by Jinja and Markup, CSV files by `fairseg.io.csv_files`.
"""

_MARKDOWN = {
    "\\": "\\\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "*": "\\*", "_": "\\_", "`": "\\`",
    "[": "\\[", "$": "\\$",
}  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "\N{EN DASH}": "--", "\N{MINUS SIGN}": "$-$",
    "\N{INFINITY}": r"$\infty$",
}  # fmt: skip


def plain(text: str) -> str:
    r"""Return text on one line, with a mark in place of every letter that cannot be printed.

    >>> plain("two\nlines"), plain("\x1b[31mred")
    ('two lines', '�[31mred')
    """
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def markdown(text: str) -> str:
    """Return text with the characters escaped that mean something in Markdown."""
    return "".join(_MARKDOWN.get(letter, letter) for letter in plain(text))


def latex(text: str) -> str:
    """Return text with the characters escaped that mean something in LaTeX."""
    return "".join(_LATEX.get(letter, letter) for letter in plain(text))
