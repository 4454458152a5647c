"""Names of groups, cases and labels made safe: for the terminal, for Markdown and for LaTeX.

Pages escape by themselves (Jinja, Markup), CSV files in `fairseg.io.csv_files`.
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
    r"""Return text on one line, with a mark in place of every letter that is not for the eye.

    >>> plain("two\nlines"), plain("\x1b[31mred")
    ('two lines', '�[31mred')
    """
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def markdown(text: str) -> str:
    """Return text with what Markdown would take for marks made safe."""
    return "".join(_MARKDOWN.get(letter, letter) for letter in plain(text))


def latex(text: str) -> str:
    """Return text with what LaTeX would take for commands made safe."""
    return "".join(_LATEX.get(letter, letter) for letter in plain(text))
