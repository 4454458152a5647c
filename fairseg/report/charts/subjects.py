"""The dots of the charts and who they are: one list of subjects for the page, and a script that names them.

A dot costs about 12 bytes: all dots of a group are one path, and names and exact values stand on the page
once, however many charts show them.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from fairseg.report.charts.svg import tag
from fairseg.report.escape import plain
from fairseg.report.numbers import decimals

MOST_DOTS = 10_000  # of a chart; with more, a page is slow and dots hide each other
_LEAST_DOTS = 20  # of a group, if it has so many subjects
UNIT = 0.1  # pixels: the unit of the whole numbers in a path of dots


class Roster:
    """The subjects of a page, and the values that its charts show of them.

    Every chart takes arrays with one entry a subject, in the order of the names given here.

    Args:
        names: of the subjects, each once.
        drawn: whether each is drawn as a dot, bool (N,), as from `spread_evenly`; None: all are.

    >>> subjects = Roster(["ann", "bob"])
    >>> subjects.series("DSC", [0.912, float("nan")])
    0
    >>> print(subjects.markup())  # doctest: +ELLIPSIS
    <script type="application/json" id="chart-data">{"names":["ann","bob"],"series":[["DSC",3,[912,null]]]}...
    """

    def __init__(self, names: Sequence[str], drawn: npt.NDArray[np.bool_] | None = None) -> None:
        self.names = [plain(str(name)) for name in names]
        self.drawn = np.ones(len(self.names), dtype=bool) if drawn is None else drawn
        self.place = np.cumsum(self.drawn) - 1  # among those that are drawn
        self._series: dict[tuple[str, bytes], int] = {}
        self._data: list[tuple[str, int, list[int | None]]] = []

    def series(self, title: str, values: npt.ArrayLike) -> int:
        """Add values for tooltips, unless they are there already, and return their number.

        Raises:
            ValueError: not one value a subject.
        """
        array = self.check(values, title)
        key = (title, array.tobytes())
        if key not in self._series:
            array = array[self.drawn]
            finite = array[np.isfinite(array)]
            low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
            digits = decimals(float(low), float(high))
            whole = [round(value * 10**digits) if np.isfinite(value) else None for value in array.tolist()]
            self._series[key] = len(self._data)
            self._data.append((plain(title), digits, whole))
        return self._series[key]

    def check(self, values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
        """Return values as an array of one number a subject.

        Raises:
            ValueError: they are of another shape.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(self.names),):
            raise ValueError(
                f"{name} must have one value for each of {len(self.names)} subjects, got shape {array.shape}"
            )
        return array

    def markup(self) -> Markup:
        """Return the data for the page's script; call it once, after all charts are made."""
        names = [name for name, drawn in zip(self.names, self.drawn, strict=True) if drawn]
        text = json.dumps({"names": names, "series": self._data}, ensure_ascii=False, separators=(",", ":"))
        # Only these letters could end the script element or begin another.
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        return tag("script", Markup(text), type="application/json", id="chart-data")


def spread_evenly(
    groupings: Sequence[npt.NDArray[np.int64]], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return which subjects are drawn, bool (N,): of more than 10,000 some, spread evenly over each group.

    Args:
        groupings: of each attribute the group ids, (N,); -1 unknown.
        values: (N,); of each group the lowest and the highest are drawn, and others at even steps of rank.
    """
    if values.size <= MOST_DOTS:
        return np.ones(values.size, dtype=bool)
    num_groups = sum(np.unique(ids[ids >= 0]).size for ids in groupings)
    most = max(_LEAST_DOTS, MOST_DOTS // max(num_groups, 1))
    order = np.argsort(values, kind="stable")
    drawn = np.zeros(values.size, dtype=bool)
    for ids in groupings:
        ranked = order[np.argsort(ids[order], kind="stable")]  # by group, then by value
        ends = np.searchsorted(ids[ranked], np.arange(int(ids.max()) + 2))
        for start, stop in pairwise(ends):
            ranks = np.linspace(start, stop - 1, min(most, int(stop - start))).round().astype(np.int64)
            drawn[ranked[ranks]] = True
    return drawn


def check_groups(subjects: Roster, groups: npt.ArrayLike, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the group ids of the subjects, checked.

    Raises:
        ValueError: not one id a subject, or an id without a name.
    """
    ids = np.asarray(groups)
    if ids.shape != (len(subjects.names),) or ids.dtype.kind not in "iu":
        raise ValueError(
            f"groups must be {len(subjects.names)} integers, one for each subject, "
            f"got {ids.dtype} of shape {ids.shape}"
        )
    if ids.size and (ids.min() < -1 or ids.max() >= len(names)):
        raise ValueError(
            f"groups must be -1 to {len(names) - 1} for {len(names)} names, got {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64)


def dots(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    who: npt.NDArray[np.int64],
    *,
    subjects: Roster,
    group: str,
    series: Sequence[int],
    radius: float,
    css: str,
    opacity: float,
    marker: str | None = None,
) -> Markup:
    """Return the dots of a group as one path.

    Args:
        x: (N,), pixels.
        y: (N,), pixels.
        who: (N,), indices of the subjects, ascending.
        subjects: of the page; those that it does not draw are left out.
        group: name of the group.
        series: values in the tooltips of these dots, by their numbers from `Roster.series`.
        radius: of a dot, pixels.
        css: class of its colour.
        opacity: 0 to 1.
        marker: id of the marker that stands for a dot; None for a round one.
    """
    drawn = subjects.drawn[who]
    x, y, who = x[drawn], y[drawn], subjects.place[who[drawn]]
    if len(x) == 0:
        return Markup("")
    pairs = zip(np.rint(x / UNIT).astype(int).tolist(), np.rint(y / UNIT).astype(int).tolist(), strict=True)
    if marker is None:  # pieces of no length with round caps
        line = "".join([f"M{a} {b}h0" for a, b in pairs])
        look: dict[str, object] = {"stroke_width": round(2 * radius / UNIT), "stroke_opacity": opacity}
    else:
        line = "M" + " ".join([f"{a} {b}" for a, b in pairs])
        look = {f"marker_{position}": f"url(#{marker})" for position in ("start", "mid", "end")}
    return tag(
        "path",
        d=line,
        class_=f"dots {'marked' if marker else ''} {css}".replace("  ", " "),
        transform=f"scale({UNIT})",
        data_s=" ".join(map(str, np.diff(who, prepend=0).tolist())),
        data_g=plain(group),
        data_k=" ".join(map(str, series)),
        **look,
    )


def look_for(number: int) -> tuple[float, float]:
    """Return radius and opacity of a dot among so many dots."""
    looks = ((30, 3.0, 0.85), (120, 2.4, 0.65), (600, 1.7, 0.65), (2500, 1.2, 0.5), (10**9, 0.9, 0.5))
    return next((radius, opacity) for most, radius, opacity in looks if number <= most)


def script() -> Markup:
    """Return the only script of the page, which names dots; without it the whole page can still be read."""
    return Markup("<script>{}</script>").format(Markup(_source()))


def script_policy() -> str:
    """Return the source of the Content-Security-Policy that allows this script and no other.

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
