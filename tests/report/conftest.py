"""A real headless Chromium, and axe-core in it, which checks that a page can be used by everybody."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path

import axe_core_python
import pytest

from tests.waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

DARK = "--blink-settings=preferredColorScheme=0"
LIGHT = "--blink-settings=preferredColorScheme=1"


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Return a function that opens a page, with flags of Chromium, and returns what it prints."""
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")

    def open_page(page: Path, *flags: str) -> str:
        command = [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", *flags, page.as_uri(),
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout

    return open_page


@pytest.fixture
def overhang(browse: Callable[..., str], tmp_path: Path) -> Callable[[Path, int], str]:
    """Return a function that says by how many pixels a page is wider than a window of this width."""

    def measure(page: Path, width: int) -> str:
        probe = tmp_path / "frame.html"
        probe.write_text(
            f"""<iframe id=f width={width} height=900 src="{page.name}"></iframe><pre id=out></pre><script>
            onload = () => {{ const d = document.getElementById("f").contentDocument;
              const {{ scrollWidth: wide, clientWidth }} = d.documentElement;
              document.getElementById("out").textContent = `wide ${{wide - clientWidth}}`; }}</script>"""
        )
        return browse(probe, "--allow-file-access-from-files", "--dump-dom")

    return measure


@pytest.fixture
def ask(browse: Callable[..., str], tmp_path: Path) -> Callable[..., object]:
    """Return a function that runs a script in a copy of a page and returns what it makes of it.

    The script is the body of an async function; what it returns comes back through JSON.
    """

    def run(page: Path, code: str, *flags: str, library: str = "") -> object:
        text = page.read_text(encoding="utf-8")
        policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
        assert policy.search(text), "the page has no policy"
        probe = f"""<script>{library}</script><script>addEventListener("load", async () => {{
            const ask = async () => {{ {code} }};
            const said = await ask().catch((error) => String(error));
            const out = document.createElement("pre");
            out.id = "probe";
            out.textContent = JSON.stringify(said);
            document.body.append(out); }});</script></body>"""
        copy = tmp_path / "probe.html"
        before, _, after = policy.sub("", text).rpartition("</body>")
        copy.write_text(before + probe + after, encoding="utf-8")
        output = re.search(r'<pre id="probe">(.*?)</pre>', browse(copy, "--dump-dom", *flags), re.DOTALL)
        assert output, "the probe did not finish"
        return json.loads(unescape(output[1]))

    return run


@pytest.fixture
def violations(ask: Callable[..., object]) -> Callable[..., object]:
    """Return a function that returns what axe-core finds wrong with a page: rule -> elements."""
    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

    def check(page: Path, *flags: str) -> object:
        code = """const found = await axe.run({ resultTypes: ["violations"] });
            const where = (one) => one.nodes.map((node) => node.html.slice(0, 200));
            return Object.fromEntries(found.violations.map((one) => [one.id, where(one)]));"""
        return ask(page, code, *flags, library=axe)

    return check
