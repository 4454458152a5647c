"""The page of `fairseg understand`: the sentence, then where the group is readable, then the rest."""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

from fairseg import __version__
from fairseg.cohort.attributes import attribute_names
from fairseg.cohort.groups import Groups
from fairseg.io import csv_files
from fairseg.io.files import write_files
from fairseg.report import charts
from fairseg.report.card import Card
from fairseg.report.cohort_table import cohort_page_table
from fairseg.report.numbers import hundredth
from fairseg.report.plots import figure_of, to_svg
from fairseg.report.tables import Table
from fairseg.report.templates import render_page
from fairseg.statistics.cohort_table import cohort_table
from fairseg.statistics.verdicts import Verdict
from fairseg.understanding import sentences
from fairseg.understanding.evidence import Understood
from fairseg.understanding.figures import plot
from fairseg.understanding.kinds import of_the_image, question_of, shown_in
from fairseg.understanding.location import MATTERS
from fairseg.understanding.views import ERRORS

if TYPE_CHECKING:
    from fairseg.understanding.readability import Readings

PAGE, KIND = "understand.html", "understand"
FILES = (
    PAGE,
    "findings.csv",
    "advice.csv",
    "margins.svg",
    "images.svg",
    "errors.svg",
    "occlusion.svg",
    "bottleneck.svg",
)


def save_page(result: Understood, folder: Path) -> Path:
    """Write page and tables; see `UnderstandResult.save`."""
    advice = pd.DataFrame(
        [(*sentences.advice_words(one, result), one.strength) for one in result.advice],
        columns=["found", "suggests", "command", "evidence"],
    )
    kinds = [*(["margins"] if result.cohort.frame.margins else []), "images"]
    kinds += ["errors"] if result.atlas else []
    if result.intervention is not None:
        kinds += [*(["occlusion"] if result.intervention.occlusion else []), "bottleneck"]
    svgs = {kind: to_svg(figure_of(plot(result, kind, None))) for kind in kinds}
    pictures = {kind: base64.b64encode(svg).decode() for kind, svg in svgs.items()}
    page = render_page(
        "understanding.html.j2",
        title=f"What images tell of {result.cohort.attribute}",
        card=card_of(result),
        forest=_forest(result.readings),
        counts=result.cohort.counts,
        left_out=result.left_out.to_dict("records"),
        figures=pictures,
        flat=result.cohort.frame.flat,
        about_images=sentences.about_images(result),
        margin_note=sentences.margin_note(result),
        readings=sentences.readings_table(result),
        pairs=sentences.pair_table(result),
        confounders=sentences.confounder_tables(result),
        confounder_notes=[] if result.confounded is None else result.confounded.notes,
        people=_people(result),
        associations=sentences.association_tables(result),
        slices=sentences.slice_table(result),
        changes=sentences.change_table(result),
        occlusion=[]
        if result.intervention is None
        else [one for one in result.intervention.occlusion if one.shown],
        used=sentences.used_line(result),
        measures=sentences.measure_table(result),
        advice=sentences.advice_table(result),
        atlas=[one for one in result.atlas if one.shown],
        method=sentences.say("method", result=result, version=__version__),
    )
    files: dict[str, str | bytes] = {
        PAGE: page,
        "findings.csv": csv_files.to_csv(result.findings),
        "advice.csv": csv_files.to_csv(advice),
        **{f"{kind}.svg": svg for kind, svg in svgs.items()},
    }
    write_files(folder, files, KIND)
    return folder / PAGE


def card_of(result: Understood, tables: Sequence[Table] = ()) -> Card:
    """Return the card: whether a group is readable, and the answer."""
    answers = sentences.question_lines(result)
    readable = bool(of_the_image(result.readings))
    look = Verdict.GAP if readable else Verdict.OPEN
    badges = {"image": (look, "Readable" if readable else "Not shown to be readable")}
    of_model = "Errors differ" if shown_in(result.readings, ERRORS) else "Features differ"
    badges |= {"references": (Verdict.GAP, "References differ"), "model": (Verdict.GAP, of_model)}
    rows = [
        (charts.badge(badges[kind][0], (badges[kind][1], badges[kind][0].css_class)), line)
        for kind, line in answers
    ]
    return Card(look.css_class, rows, " ".join(sentences.further_lines(result)), tables)


def _forest(readings: "Readings") -> Markup:
    rows = readings.rows
    several = len({row.group for row in rows}) > 1
    lines = []
    for row in sorted(rows, key=lambda row: sentences.view_rank(row.view)):
        label = "readable" if question_of(readings, row) == "image" else "differs"
        verdict, text = (Verdict.GAP, label) if row.shown else (Verdict.OPEN, "not shown")
        lines.append(
            charts.ForestRow(
                row.view if several else "",
                row.group if several else row.view,
                row.auc - 0.5,
                row.low - 0.5,
                row.high - 0.5,
                verdict,
                hundredth(row.chance),
                (text, verdict.css_class),
                band=(-math.inf, row.chance - 0.5),
            )
        )
    return charts.forest(
        lines,
        label="AUC of each view",
        axis="AUC; band: could be chance",
        margin=0.0,
        heads=("View", "Tells the group", "AUC [95% limits]", "Could be shown from"),
        write=lambda value, **_: hundredth(value + 0.5, apart=[MATTERS]),
    )


def _people(result: Understood) -> Table | None:
    """Return the table of the subjects, with the attributes in which groups may differ."""
    table = result.cohort.table.drop(columns=["case", "note"], errors="ignore")
    names = [result.cohort.names[group] for group in result.cohort.ids]
    subjects = [
        f"subject {number + 1}" for number in pd.factorize(table["subject"])[0]
    ]  # the page names nobody
    anonymous = table.assign(**{"subject": subjects, "group that is judged": names})
    groups = Groups.from_table(anonymous, by="group that is judged")
    columns = [str(name) for name in attribute_names(table) if name not in result.cohort.attributes]
    return cohort_page_table(cohort_table(anonymous, groups, columns)) if columns else None
