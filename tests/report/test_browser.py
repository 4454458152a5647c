"""The report in a real browser: it renders, its pictures load, and no name in it runs as code."""

from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairseg
from fairseg.report import ReportSections
from fairseg.statistics.verdicts import Verdict

pytestmark = pytest.mark.slow

EVIL = "<script>document.title='pwned'</script>"
IMAGE = "<img src=x onerror=\"document.title='pwned'\">"


def make_report(folder: Path) -> Path:
    """Write a report whose group, label, note and skipped case have names that attack."""
    rng = np.random.default_rng(0)
    rows = [
        {"case": f"{index}", "subject": f"{index}", "sex": EVIL if index % 2 else IMAGE, "label": label}
        for index in range(20)
        for label in (EVIL, "$\\frac{", "LV")
    ]
    scores = pd.DataFrame(rows).assign(dice=rng.uniform(0.7, 1, 60), hd=rng.uniform(1, 9, 60), note=EVIL)
    skipped = pd.DataFrame([{"case": EVIL, "subject": EVIL, "sex": IMAGE, "skipped": IMAGE}])
    return save(pd.concat([scores, skipped], ignore_index=True), "sex", folder)


def save(scores: pd.DataFrame, by: str, folder: Path, **options: object) -> Path:
    return fairseg.audit(scores, by=by, sections=ReportSections(resamples=100, model=EVIL), **options).save(
        folder
    )


def test_names_are_text_and_pictures_load(tmp_path: Path, browse: Callable[..., str]) -> None:
    page = make_report(tmp_path / "report")
    # A second page takes the first one into a frame and says what a browser made of it.
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<iframe id=f src="{page.as_uri()}"></iframe><pre id=out></pre><script>
        onload = () => {{ const d = document.getElementById('f').contentDocument;
          const wide = [...d.querySelectorAll('.chart svg')].filter(i => i.clientWidth > 100);
          document.getElementById('out').textContent = JSON.stringify({{ title: d.title,
            images: d.images.length, charts: wide.length,
            tables: d.querySelectorAll('table').length, scripts: d.scripts.length,
            text: d.body.innerText.includes("<script>document.title='pwned'") }}); }}</script>"""
    )
    said = unescape(browse(probe, "--allow-file-access-from-files", "--dump-dom"))
    assert '"title":"<script>document.title=' in said
    assert "group fairness by sex" in said
    assert '"images":0' in said
    assert '"charts":9' in said  # DSC and HD of four structures; one against the other
    # Card 2, gaps 3, findings, structures 3, sensitivity, distances, summaries 4, cohort.
    assert '"tables":16' in said
    assert '"scripts":2' in said  # the dots' names, and ours
    assert '"text":true' in said


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    text = make_report(tmp_path).read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert EVIL not in text
    assert IMAGE not in text


def test_no_table_is_wider_than_the_page(tmp_path: Path, browse: Callable[..., str]) -> None:
    names = ["Asian", "Black", "Chinese", "Mixed, of several backgrounds", "Other", "White"]
    rows = [(f"{index}", names[index % 6], label) for index in range(36) for label in ("LV", "RV")]
    scores = pd.DataFrame(rows, columns=["case", "ethnicity", "label"])
    scores["subject"] = scores["case"]
    rng = np.random.default_rng(0)
    for metric in ("dice", "hd", "hd95", "assd", "nsd"):
        scores[metric] = rng.uniform(0.5, 0.9, len(scores))
    page = save(scores, "ethnicity", tmp_path / "report", reference="White", min_size=5)
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<iframe id=f width=1160 height=900 src="{page.as_uri()}"></iframe>
        <pre id=out></pre><script>
        onload = () => {{ const d = document.getElementById('f').contentDocument;
          const cut = [...d.querySelectorAll('.scroll')].map(e => e.scrollWidth > e.clientWidth);
          document.getElementById('out').textContent = JSON.stringify({{ cut }}); }}</script>"""
    )
    said = browse(probe, "--allow-file-access-from-files", "--dump-dom")
    assert '"cut":[false,' in said
    assert "true" not in said.partition('"cut"')[2].partition("]")[0]


@pytest.mark.parametrize("width", [420, 1160])
def test_intervals_of_all_rows_lie_on_one_axis(
    width: int, tmp_path: Path, browse: Callable[..., str]
) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(["White", "Black"], 30)
    first = 0.90 + rng.normal(0, 0.03, 60) - 0.05 * (group == "Black")
    second = first + rng.normal(0, 0.01, 60) + 0.05 * (group == "Black")
    compared = fairseg.compare({"baseline": first, "balanced": second}, groups=group, reference="White")
    assert compared.verdicts["balanced"] is Verdict.MOVED  # the longest words, which pushed the axes apart
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<iframe id=f width={width} height=900 src="{compared.save(tmp_path / "page").as_uri()}"></iframe>
        <pre id=out></pre><script>
        onload = () => {{ const d = document.getElementById('f').contentDocument;
          const ends = (e) => {{ const box = e.getBoundingClientRect(); return box.left + ' ' + box.right; }};
          const axes = new Set([...d.querySelectorAll('.forest tr:not(.blocks) td.plot')].map(ends)).size;
          const around = d.querySelector('.scroll:has(.forest)');
          const cut = around.scrollWidth > around.clientWidth;
          document.getElementById('out').textContent = JSON.stringify({{ axes, cut }}); }}</script>"""
    )
    assert '{"axes":1,"cut":false}' in browse(probe, "--allow-file-access-from-files", "--dump-dom")


def test_a_screenshot_is_not_blank(tmp_path: Path, browse: Callable[..., str]) -> None:
    picture = tmp_path / "page.png"
    browse(
        make_report(tmp_path / "r"),
        f"--screenshot={picture}",
        "--window-size=1100,1400",
    )
    import SimpleITK as sitk  # noqa: PLC0415

    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))
    assert pixels.std() > 20
