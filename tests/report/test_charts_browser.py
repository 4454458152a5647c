"""The charts in a real browser: dots are named by pointer and keyboard, and no name runs as code."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.example_page import make_page

pytestmark = pytest.mark.slow

Ask = Callable[..., dict[str, object]]
Browse = Callable[..., str]

EVIL = "<script>document.title='pwned'</script>"
IMAGE = '"><img src=x onerror="document.title=\'pwned\'">'
END = "</script><!-- </title></svg> ' & \u2028"

POINT = """
    const chart = document.querySelectorAll(".chart")[place];
    chart.scrollIntoView({ block: "center", behavior: "instant" });
    const path = [...chart.querySelectorAll("path.dots")].at(-1);
    const [x, y] = path.getAttribute("d").match(/\\d+/g).map(Number);
    const at = new DOMPoint(x, y).matrixTransform(path.getScreenCTM());
    const mouse = (kind, dx = 0) => chart.dispatchEvent(
      new MouseEvent(kind, { clientX: at.x + dx, clientY: at.y, bubbles: true }));
    const tip = document.querySelector(".tip");
    const said = () => tip.hidden ? null : [...tip.children].map((line) => line.textContent);
    const key = (name) => chart.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
"""


@pytest.mark.parametrize("place", [0, 4, 6], ids=["boxes", "scatter", "agreement"])
def test_the_dot_under_the_pointer_is_named(place: int, tmp_path: Path, ask: Ask) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    code = f"""const place = {place}; {POINT}
        const before = said();
        mouse("mousemove", 2); const near = said();
        const box = tip.getBoundingClientRect();
        const seen = box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
        mouse("mousemove", 4000); const far = said();
        mouse("mousemove"); key("Escape");
        return {{ before, near, far, escaped: said(), seen, title: chart.querySelector("title") }}"""
    answer = ask(tmp_path / "page.html", code)
    assert answer["before"] is answer["far"] is answer["escaped"] is answer["title"] is None
    assert answer["seen"] is True
    near = answer["near"]
    assert isinstance(near, list)
    assert near[0].startswith("subject_00")
    assert near[1] in {"White", "Black"}
    assert ": 0." in near[2] or "Mean of both" in near[2]


def test_the_value_is_exact(tmp_path: Path, ask: Ask) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    code = f"""const place = 0; {POINT} mouse("mousemove");
        const data = JSON.parse(document.getElementById("chart-data").textContent);
        const who = data.names.indexOf(said()[0]);
        const [title, digits, values] = data.series[path.dataset.k];
        return {{ said: said()[2], true: title + ": " + (values[who] / 10 ** digits).toFixed(digits) }}"""
    answer = ask(tmp_path / "page.html", code)
    assert answer["said"] == answer["true"]
    assert str(answer["said"]).startswith("DSC, LVBP: 0.")


def test_a_click_marks_the_subject_in_all_charts(tmp_path: Path, ask: Ask) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    code = f"""const place = 0; {POINT}
        mouse("click"); const marks = document.querySelectorAll(".mark").length;
        mouse("click", 4000); const none = document.querySelectorAll(".mark").length;
        mouse("click"); key("Escape");
        return {{ marks, none, escaped: document.querySelectorAll(".mark").length }}"""
    answer = ask(tmp_path / "page.html", code)
    assert answer == {"marks": 7, "none": 0, "escaped": 0}  # four structures, two scatters, one agreement


def test_arrow_keys_step_through_the_dots(tmp_path: Path, ask: Ask) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    code = f"""const place = 0; {POINT}
        chart.focus();
        const live = document.querySelector("[role=status]");
        const press = (name) => {{ key(name); return live.textContent; }};
        const right = Array.from({{ length: 9 }}, () => press("ArrowRight"));
        const left = press("ArrowLeft");
        const down = press("ArrowDown"); const up = press("ArrowUp");
        key("Enter");
        return {{ right, left, down, up, focus: document.activeElement === chart, role: chart.role,
          marks: document.querySelectorAll(".mark").length, label: chart.getAttribute("aria-label") }}"""
    answer = ask(tmp_path / "page.html", code)
    right = answer["right"]
    assert isinstance(right, list)
    assert all(", White, DSC, LVBP: 0." in said for said in right)
    values = [float(said.rsplit(" ", 1)[1]) for said in right]
    assert values == sorted(values)
    assert len(set(right)) == 7  # the last one stays
    assert answer["left"] == right[5]
    assert ", Black, DSC" in str(answer["down"])
    assert ", White, DSC" in str(answer["up"])
    assert answer["focus"] is True
    assert answer["role"] == "application"
    assert answer["marks"] == 7
    assert "Arrow keys" in str(answer["label"])


def test_names_are_text(tmp_path: Path, ask: Ask) -> None:
    names = [EVIL, IMAGE, END]
    who = [f"{name} {place}" for place in range(10) for name in (EVIL, IMAGE, END)]
    make_page(tmp_path / "page.html", names, 30, structures=[EVIL, END], who=who)
    code = f"""const place = 0; {POINT} mouse("mousemove");
        const told = said();
        await new Promise((done) => setTimeout(done, 200));
        return {{ title: document.title, scripts: document.scripts.length, images: document.images.length,
          said: told, charts: document.querySelectorAll(".chart svg").length }}"""
    answer = ask(tmp_path / "page.html", code)
    assert answer["title"] == "All parts"
    assert answer["images"] == 0
    assert answer["scripts"] == 4  # the data, the script, and two of the probe
    assert answer["charts"] == 2 + 2 + 3
    said = answer["said"]
    assert isinstance(said, list)
    assert said[1] == " ".join(END.split())
    assert said[0].split(" ")[0] in {"<script>document.title='pwned'</script>", '"><img', "</script><!--"}


def test_the_policy_lets_the_script_run(tmp_path: Path, browse: Browse) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    said = browse(tmp_path / "page.html", "--dump-dom")
    assert 'class="tip"' in said
    (tmp_path / "page.html").write_text(text.replace('"use strict"', '"use strict" '), encoding="utf-8")
    assert 'class="tip"' not in browse(tmp_path / "page.html", "--dump-dom")


def test_the_page_can_be_read_without_scripts(tmp_path: Path, browse: Browse) -> None:
    make_page(tmp_path / "page.html", ["White", "Black"], 15)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    off = re.sub(r"script-src [^\"]*", "script-src 'none'", text)
    (tmp_path / "page.html").write_text(off, encoding="utf-8")
    said = browse(tmp_path / "page.html", "--dump-dom")
    assert 'class="tip"' not in said
    for words in ("median 0.9", "Not enough evidence", "bias 0.0", "0.034 [0.019, 0.049]", "</desc>"):
        assert words in said


@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_is_wider_than_the_page(
    width: int, tmp_path: Path, overhang: Callable[[Path, int], str]
) -> None:
    names = ["White", "Mixed or multiple ethnic backgrounds, of which none is named", "x" * 90, "Other"]
    make_page(tmp_path / "page.html", names, 40)
    assert "wide 0<" in overhang(tmp_path / "page.html", width)


def test_thousands_of_subjects_stay_small(tmp_path: Path) -> None:
    sizes = make_page(tmp_path / "page.html", ["White", "Black", "Asian", "Other"], 6000, attributes=3)
    assert sizes["page"] < 2_000_000
    assert sizes["script"] < 4096
