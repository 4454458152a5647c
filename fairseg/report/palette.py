"""The colours and markers of groups and structures, the same in figures, on pages and in overlays.

The reference group is grey; the others have Okabe and Ito's colours, the pale ones darkened to 3:1 on white.
"""

from typing import Any

INK, LINE, GRID = "#22313f", "#c0392b", "#dfe4e8"  # of figures, which stand on white
REFERENCE = ("#6b7a89", "#94a3b1")  # on white, and on a dark page
GROUPS = (
    ("#0072b2", "#56a8e8"), ("#d55e00", "#ff8a3d"), ("#009371", "#2dc79b"), ("#bb5a92", "#e39cc4"),
    ("#b88100", "#e69f00"), ("#2b93cf", "#8fd0f5"), ("#857b00", "#f0e442"), ("#3d3d3d", "#d9d9d9"),
)  # fmt: skip
STRUCTURES = (
    "#56d4ff",
    "#ffb000",
    "#4ade80",
    "#ff7ab6",
    "#c4a5ff",
    "#fff066",
    "#ff8a5c",
    "#9be8d8",
)  # on black

# Outlines of about equal area in a circle of radius 1, and what matplotlib calls them.
MARKERS: tuple[tuple[str, Any], ...] = (
    ("M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z", "o"),
    ("M0-1.25L1.15 .85L-1.15 .85z", "^"),
    ("M-.9-.9H.9V.9H-.9z", "s"),
    ("M0-1.3L1.1 0L0 1.3L-1.1 0z", "D"),
    ("M0 1.25L1.15-.85L-1.15-.85z", "v"),
    ("M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4z", "P"),
    ("M0-1.3L.4-.4L1.25-.4L.6 .2L.85 1.1L0 .6L-.85 1.1L-.6 .2L-1.25-.4L-.4-.4z", "*"),
    ("M-.7-1.1L0-.45L.7-1.1L1.1-.7L.45 0L1.1 .7L.7 1.1L0 .45L-.7 1.1L-1.1 .7L-.45 0L-1.1-.7z", "X"),
    ("M-.5-1.1H.5L1.1 0L.5 1.1H-.5L-1.1 0z", "H"),
)
# Marker of a verdict -> its outline within 7 pixels of 0, 0, its colour, and what matplotlib calls it.
BAD, GOOD, UNSURE = "#b3261e", "#00704f", "#6b5300"
VERDICTS: dict[str, tuple[str, str, Any]] = {
    "diamond": ("M0-7L7 0L0 7L-7 0z", BAD, "D"),
    "circle": ("M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z", GOOD, "o"),
    "ring": ("M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z", UNSURE, "o"),
    "dash": ("M-5-1H5V1H-5z", REFERENCE[0], "_"),
    "cross": ("M-6-4L-4-6L0-2L4-6L6-4L2 0L6 4L4 6L0 2L-4 6L-6 4L-2 0z", BAD, "X"),
    "triangle-down": ("M0 6.5L6-5H-6z", BAD, "v"),
    "triangle-up": ("M0-6.5L6 5H-6z", GOOD, "^"),
    "square": ("M-5-5H5V5H-5z", BAD, "s"),
    "hourglass": ("M-5-6H5L-5 6H5z", BAD, "$\u29d7$"),
    "triangle-right": ("M6.5 0L-5-6V6z", UNSURE, ">"),
    "double-down": ("M0 0L6-6H-6zM0 7L6 1H-6z", BAD, "$\u21ca$"),
    "equals": ("M-5-4H5V-1H-5zM-5 1H5V4H-5z", GOOD, "$=$"),
}


def color(group: int, reference: int | None) -> str:
    """Return the colour of a group in a figure.

    >>> color(0, reference=0) == REFERENCE[0], color(1, reference=0) == GROUPS[0][0]
    (True, True)
    """
    css = css_class(group, reference)
    return REFERENCE[0] if css == "cr" else GROUPS[int(css[1:])][0]


def fill(group: int, reference: int | None) -> str:
    """Return the colour of a group mixed with white, for shapes with an outline in ink."""
    shades = (int(color(group, reference)[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - 0.55 * (255 - shade)):02x}" for shade in shades)


def css_class(group: int, reference: int | None) -> str:
    """Return the class of a group's colour on a page.

    >>> css_class(0, reference=0), css_class(1, reference=0), css_class(9, reference=None)
    ('cr', 'c0', 'c1')
    """
    if group == reference:
        return "cr"
    return f"c{(group - (reference is not None and group > reference)) % len(GROUPS)}"


def outline(group: int) -> str:
    """Return a group's marker as an SVG path; with the colour, 72 groups look different."""
    return MARKERS[group % len(MARKERS)][0]


def marker(group: int) -> Any:
    """Return a group's marker for matplotlib."""
    return MARKERS[group % len(MARKERS)][1]


def css_variables(*, dark: bool) -> str:
    """Return the colours of the groups as the custom properties of a page."""
    pairs = {"reference": REFERENCE} | {f"c{index}": pair for index, pair in enumerate(GROUPS)}
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in pairs.items())
