"""A page of all parts, made of made-up numbers: what the tests of the charts open in a browser."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from fairseg.report.charts import (
    ForestRow,
    Roster,
    badge,
    bland_altman,
    charts,
    dot_boxes,
    forest,
    legend,
    scatter,
    script,
    script_policy,
)
from fairseg.report.overlays import Overlay, overlay_legend
from fairseg.report.tables import Cell, Table
from fairseg.report.templates import environment
from fairseg.statistics.verdicts import Verdict

PAGE = """{% import "parts.html.j2" as parts %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {{ policy }}">
<title>All parts</title>
{% include "style.html.j2" %}
</head>
<body class="fairseg">
{{ parts.skip() }}
<main id="main" tabindex="-1">
<h1>Does the model treat {{ names[0] }} and {{ names[1] }} alike?</h1>
<p class="soft">{{ number }} subjects, {{ structures|length }} structures.</p>
{{ parts.card(card) }}
<h2>Gaps</h2>
{{ forest }}
{% for attribute, picture in boxes %}
<h2>By {{ attribute }}</h2>
{{ picture }}
{% endfor %}
<h2>Scatter</h2>
{{ legend }}
{{ scatters }}
<h2>Agreement</h2>
{{ agreement }}
{% if overlays %}
<h2>Worst cases</h2>
{{ keys }}
<div class="cases">
{% for one in overlays %}<figure>{{ one.picture }}<figcaption>{{ one.text }}</figcaption></figure>{% endfor %}
</div>
{% endif %}
{% call parts.fold("All tables") %}
{% call parts.region("Scores by group") %}
<table class="tall">
<thead><tr><th scope="col">Measure</th>
{% for name in names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody><tr><th scope="row">Median DSC</th>{% for name in names %}<td>0.9</td>{% endfor %}</tr></tbody>
</table>
{% endcall %}{% endcall %}
</main>
{{ subjects }}
{{ script }}
</body>
</html>
"""


def make_page(
    path: Path,
    names: Sequence[str],
    number: int,
    *,
    structures: Sequence[str] = ("LVBP", "LVM", "RVBP", "Mean"),
    attributes: int = 1,
    who: Sequence[str] | None = None,
    overlays: Sequence[Overlay] = (),
) -> dict[str, int]:
    """Write a page and return the bytes of its parts.

    Args:
        path: of the page.
        names: of the groups.
        number: of subjects.
        structures: names of the structures.
        attributes: how many times the subjects are grouped.
        who: names of the subjects.
        overlays: pictures of cases.
    """
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.arange(len(names))) if len(names) > 2 else np.array([0.7, 0.3])
    groups = rng.choice(len(names), number, p=share / share.sum())
    groups[: len(names)] = np.arange(len(names))
    groups[-1] = -1
    subjects = Roster(who if who is not None else [f"subject_{index:04d}" for index in range(number)])
    size = np.exp(rng.normal(9, 0.6, number))
    worse = np.linspace(0, 0.05, len(names))[groups]
    score = {
        name: np.clip(1 - rng.gamma(3, 0.02 + 0.008 * index, number) - worse - 200 / size, 0, 1)
        for index, name in enumerate(structures)
    }
    first = next(iter(score.values()))
    first[5 % number] = np.nan
    distance = 3 + 60 * (1 - first) * rng.uniform(0.5, 1.5, number)
    boxes = []
    for index in range(attributes):
        ids = groups if index == 0 else rng.permutation(groups)
        boxes.append(
            (
                f"attribute {index}",
                dot_boxes(score, ids, names, subjects=subjects, name=f"box{index}", axis="DSC", reference=0),
            )
        )
    verdicts = (Verdict.GAP, Verdict.OPEN, Verdict.NO_GAP, Verdict.GAP)
    gaps = [
        ForestRow(
            block,
            name,
            (gap := (0.034, 0.012, 0.003, 0.03)[index % 4]),
            gap - (wide := (0.015, 0.04, 0.009, float("nan"))[index % 4]),
            gap + wide,
            verdicts[index % 4],
            f"{names[0]} 15, {names[1]} 12",
        )
        for block in ("sex", "ethnicity")
        for index, name in enumerate(structures)
    ]
    scatters = charts(
        scatter(
            first, distance, groups, names, subjects=subjects, name="sc1",
            title=f"{structures[0]}: DSC and HD", x_axis="DSC", y_axis="HD (mm)", reference=0,
        ),
        scatter(
            size, first, groups, names, subjects=subjects, name="sc2",
            title=f"{structures[0]}: size and DSC", x_axis="Voxels of the reference", y_axis="DSC",
            reference=0,
            log_x=True, trend=True,
        ),
    )  # fmt: skip
    agreement = bland_altman(
        size * rng.normal(0.98, 0.05, number) / 100, size / 100, groups, names, subjects=subjects, name="ba",
        quantity="Volume of LVBP (ml)", reference=0,
    )  # fmt: skip
    parts = {
        "boxes": boxes,
        "scatters": scatters,
        "agreement": agreement,
        "forest": forest(gaps, label="Gaps", axis=f"Gap in median DSC, {names[0]} minus group", margin=0.02),
        "legend": legend(names, 0),
        "script": script(),
    }
    parts["subjects"] = subjects.markup()
    text = environment(html=True).from_string(PAGE).render(
        parts,
        names=names,
        number=number,
        structures=structures,
        policy=Markup(script_policy()),
        card={
            "css": Verdict.GAP.css_class,
            "answers": [
                (badge(Verdict.GAP), f"{names[1]} is segmented worse than {names[0]}: 0.031, more than 0.02.")
            ],
            "stacked": False,
            "details": "",
            "notes": [],
            "tables": [
                Table.of("Groups", ["n"], [(name, Cell(int((groups == group).sum()), kind="count"))
                                           for group, name in enumerate(names)])
            ],
        },
        overlays=overlays,
        keys=overlay_legend(structures),
    )  # fmt: skip
    path.write_text(text.lstrip(), encoding="utf-8")
    return {"page": len(text.encode())} | {
        name: len((part if isinstance(part, str) else "".join(p for _, p in part)).encode())
        for name, part in parts.items()
    }
