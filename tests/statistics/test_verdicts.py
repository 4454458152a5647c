"""The enumeration of verdicts: one look each, and nothing heavy behind it."""

import subprocess
import sys

from fairseg.statistics.verdicts import Verdict


def test_no_two_verdicts_look_alike() -> None:
    for look in ("label", "marker", "character", "css_class"):
        assert len({getattr(verdict, look) for verdict in Verdict}) == len(Verdict)
    assert all(len(verdict.character) == 1 for verdict in Verdict)


def test_green_verdicts() -> None:
    assert {verdict for verdict in Verdict if verdict.green} == {Verdict.NO_GAP, Verdict.FAIRER, Verdict.SAME}


def test_the_file_needs_nothing_but_python() -> None:
    code = (
        "import runpy, sys; import fairseg; place = fairseg.__path__[0] + '/statistics/verdicts.py';"
        "runpy.run_path(place); print([m for m in ('numpy', 'scipy', 'pandas', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
