"""With --pseudonyms no name of a case or subject is left in any byte of the results."""

import base64
import gzip
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

import fairseg
from fairseg.cli import main
from fairseg.io.outputs import NotWritableError

NAMES = [
    f"{family}-{letter}"
    for letter in "AB"
    for family in ["Weber", "Okafor", "Rossi", "Novak", "Silva", "Larsen"]
]
SECRETS = [*NAMES, "Stranger", "Ghost", "MRN", "-02-03", "hospital"]


def parts(data: bytes) -> Iterator[bytes]:
    """Yield a file's bytes, and what is packed in them: streams of PDF, chunks of PNG, data in a page."""
    yield data
    if data.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError):
            yield from parts(gzip.decompress(data))
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(stream)
    for packed in re.findall(rb"base64,([A-Za-z0-9+/=]+)", data):
        yield from parts(base64.b64decode(packed))
    for text in re.findall(rb"(?:zTXt|iTXt)[^\0]*\0+(.{1,4000})", data, re.DOTALL):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(text)


def leaks(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    result = [
        f"{path.name}: {name}" for path in files for name in SECRETS if name in str(path.relative_to(folder))
    ]
    for path in files:
        content = [part.decode("latin-1") for part in parts(path.read_bytes())]
        result += [f"{path.name}: {name}" for name in SECRETS if any(name in text for text in content)]
    return result


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with masks, images and a cohort with names wherever they can stand."""
    rng = np.random.default_rng(0)
    rows = []
    for kind in ("predictions", "references", "images"):
        (tmp_path / "hospital" / kind).mkdir(parents=True)
    for at, name in enumerate(NAMES * 2):
        phase = ("ED", "ES")[at // len(NAMES)]
        case, place = f"{name}_{phase}", at % len(NAMES)
        about = {"case": case, "subject": name, "sex": "FM"[place % 2], "age": 30 + place, "phase": phase}
        rows.append(about | {"file": f"{case}.mha", "mrn": f"MRN{place}", "born": f"19{50 + place}-02-03"})
        mask = np.zeros((2, 24, 24), np.uint8)
        mask[:, 4:16, 4:16], mask[:, 8:12, 8:12] = 1, 2
        shifted = np.roll(mask, int(rng.integers(0, 4)), axis=2)
        image = (mask * 60 + rng.integers(0, 20, mask.shape)).astype(np.int16)
        for kind, voxels in (("predictions", shifted), ("references", mask), ("images", image)):
            written = sitk.GetImageFromArray(voxels)
            sitk.WriteImage(written, str(tmp_path / "hospital" / kind / f"{case}.nii.gz"))
    cohort = pd.DataFrame(rows)
    cohort["note"] = None
    cohort.loc[2, "note"] = f"same person as {NAMES[5]}, see {NAMES[4]}_ED.nii.gz"
    ghost = pd.DataFrame([{"case": "Ghost_ED", "subject": "Ghost", "sex": "F"}])
    pd.concat([cohort, ghost]).to_csv(tmp_path / "hospital" / f"groups_{NAMES[0]}.csv", index=False)
    masks = tmp_path / "hospital" / "predictions"
    shutil.copy(masks / f"{NAMES[1]}_ED.nii.gz", masks / "Stranger_ED.nii.gz")
    (masks / f"{NAMES[3]}_ED.nii.gz").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(*more: str, out: str = "out") -> int:
    masks = ["hospital/predictions", "hospital/references", "--groups", f"hospital/groups_{NAMES[0]}.csv"]
    wanted = ["--by", "sex", "--also", "age", "--bins", "age=36", "--min-size", "2", "--resamples", "100"]
    wanted += ["--roles", "lv=1,myocardium=2", "--phase", "phase=ED,ES", "--images", "hospital/images"]
    return main(["audit", *masks, *wanted, "--on-error", "skip", *more, "--out", out])


def test_an_audit_leaves_no_name_in_any_file(hospital: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [
        "fairseg",
        "audit",
        f"hospital/groups_{NAMES[0]}.csv",
        "--pseudonyms",
        "key.json",
        "--out=out",
    ]
    monkeypatch.setattr("sys.argv", arguments)
    assert audit("--pseudonyms", "key.json") == 1  # a case was skipped
    assert leaks(hospital / "out") == []
    page = (hospital / "out" / "report.html").read_text()
    assert "fairseg audit hospital" not in page
    assert "--out=FILE" in page
    scores = pd.read_csv(hospital / "out" / "scores.csv")
    codes = fairseg.cohort.Pseudonyms.of("key.json")
    assert codes is not None
    assert set(scores["subject"]) == {codes.code(name) for name in NAMES}
    worst = re.findall(r'aria-label="Case ([^,]+), ', page)
    assert worst
    assert set(worst) <= set(scores["case"])


def test_codes_hide_names_and_change_no_figure(hospital: Path) -> None:
    audit(out="plain")
    audit("--pseudonyms=key.json", out="hidden")
    result = leaks(hospital / "plain")  # the check sees names where there are some
    assert {one.split(":")[0] for one in result} >= {"report.html", "scores.csv", "subjects.csv"}
    for name in ("findings.csv", "summary.csv", "subgroups.csv", "clinical.csv"):
        assert (hospital / "plain" / name).read_bytes() == (hospital / "hidden" / name).read_bytes()


def test_report_and_comparison_of_scores_that_have_names(hospital: Path) -> None:
    audit(out="plain")
    for model in ("first", "second"):
        shutil.copy("plain/scores.csv", f"hospital/{model}.csv")
    judged = ["--by", "sex", "--min-size", "2"]
    masks = ["--predictions", "hospital/predictions", "--references", "hospital/references"]
    hidden = ["--pseudonyms", "--out"]  # without a file: codes of this run alone
    assert (
        main(["report", "hospital/first.csv", *judged, *masks, "--resamples", "100", *hidden, "report"]) == 0
    )
    assert main(["compare", "hospital/first.csv", "hospital/second.csv", *judged, *hidden, "comparison"]) == 0
    assert leaks(hospital / "report") == []
    assert leaks(hospital / "comparison") == []


def test_a_key_among_the_results_or_a_table_in_its_place_is_refused(
    hospital: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = hospital / "hospital" / f"groups_{NAMES[0]}.csv"
    before = table.read_bytes()
    for key in ("out/key.json", str(table), "hospital", "nowhere/key.json"):
        capfd.readouterr()
        assert audit("--pseudonyms", key) == 2
        assert len(capfd.readouterr().err.splitlines()) == 1
    assert table.read_bytes() == before
    assert not (hospital / "out").exists()


def test_in_python_the_key_stays_outside_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"subject": [f"Weber-{one}" for one in range(40)], "sex": ["F", "M"] * 20})
    table["dice"] = rng.uniform(0.8, 0.9, 40)
    result = fairseg.audit(table, by="sex", pseudonyms=tmp_path / "key.json")
    with pytest.raises(NotWritableError, match="must not lie in"):
        result.save(tmp_path)
    assert not any(name in str(result.left_out) + repr(result) for name in table["subject"])
    with pytest.raises(ValueError, match="must not be called"):
        fairseg.compare({"of Weber-3": table, "b": table}, by="sex", pseudonyms=True)
