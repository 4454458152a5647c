"""Which files hold names of people and paths of the machine, as SECURITY.md and docs/security.md say it.

A cohort whose names and folder are unmistakable goes through what trains, tests and looks at images.
"""

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fairseg.cli import main
from fairseg.cohort.pseudonyms import Pseudonyms
from fairseg.experiment import InProcess, Plan, run_experiment
from fairseg.experiment.page import REPORT
from fairseg.training.settings import Settings
from tests.cli.test_pseudonyms import parts

NAME, PLACE = "ZZSECRET_", "ZZWARD"


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield the bytes of a file, and what is packed in it: pages, PDF, PNG, gzip, and zip (.pt, .npz)."""
    yield from parts(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive.comment
            for entry in archive.infolist():
                yield entry.filename.encode() + entry.comment + entry.extra
                yield from unpacked(archive.read(entry))


def holding(text: str, folder: Path) -> set[str]:
    """Return the files below a folder whose name or content holds a text, in any of the usual encodings."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    wanted = [text.encode(), text.encode("utf-16-le")]
    result = set()
    for path in files:
        name = path.relative_to(folder).as_posix()
        if text in name or any(one in part for part in unpacked(path.read_bytes()) for one in wanted):
            result.add(name)
    return result


@pytest.fixture(scope="module")
def ward(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the dataset `ward/data`, every case and subject of which has a secret name."""
    root = tmp_path_factory.mktemp(PLACE) / "ward"
    shutil.copytree(data, root / "data")
    table = pd.read_csv(root / "data" / "groups.csv", dtype=str)
    cases = {case: f"{NAME}{number:03d}" for number, case in enumerate(table["case"])}
    subjects = {name: f"{NAME}P{number}" for number, name in enumerate(table["subject"].unique())}
    for file in [*(root / "data").glob("imagesTr/*"), *(root / "data").glob("labelsTr/*")]:
        case = file.name.split(".")[0]
        ending = file.name.removeprefix(case)
        case, channel = (case[:-5], case[-5:]) if file.parent.name == "imagesTr" else (case, "")
        file.rename(file.with_name(f"{cases[case]}{channel}{ending}"))
    table["case"], table["subject"] = table["case"].map(cases), table["subject"].map(subjects)
    table.to_csv(root / "data" / "groups.csv", index=False)
    (root / "data" / ".fairseg.jsonl").unlink(missing_ok=True)
    assert holding(NAME, root / "data")
    return root


@pytest.fixture(scope="module")
def experiment(ward: Path, recipe: Settings) -> Path:
    plan = Plan(ward / "data", recipe, only=("full/baseline", "crop/baseline"), seeds=1)
    run_experiment(plan, ward / "exp", engine=InProcess(), pseudonyms=ward / "key.json")
    return ward / "exp"


def test_the_report_of_an_experiment_has_codes_and_no_path(ward: Path, experiment: Path) -> None:
    assert holding(NAME, experiment / REPORT) == set()
    assert holding(PLACE, experiment / REPORT) == set()
    codes = Pseudonyms.of(ward / "key.json")
    assert codes is not None
    shown = [codes.code(f"{NAME}P{number}") for number in range(17)]
    assert any(holding(code, experiment / REPORT) for code in shown)  # the search finds what is there
    assert NAME.encode() not in (ward / "key.json").read_bytes()


def test_the_state_of_an_experiment_has_names_where_it_is_said_and_no_path(experiment: Path) -> None:
    named = {name.split("/")[0] for name in holding(NAME, experiment)}
    assert named <= {"split.csv", "splits", "data.json", "experiment.json", "trainings", "tests", "prepared"}
    assert not any(name.endswith(".pt") for name in holding(NAME, experiment))
    assert holding(PLACE, experiment) == set()


def test_an_experiment_goes_on_where_it_and_its_data_were_moved_to(
    ward: Path, experiment: Path, recipe: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(ward, moved)
    trained: list[object] = []
    monkeypatch.setattr("fairseg.experiment.tasks.train", lambda *_, **__: trained.append(1))
    tests = sorted((moved / "exp" / "tests").iterdir())
    for folder in tests:  # to be done anew, with the networks that are there
        (folder / "done.json").unlink()
    plan = Plan(moved / "data", recipe, only=("full/baseline", "crop/baseline"), seeds=1)
    results = run_experiment(plan, moved / "exp", engine=InProcess(), pseudonyms=moved / "key.json")
    assert not results.failed
    assert trained == []
    for folder in tests:
        before = (experiment / "tests" / folder.name / "internal.csv").read_bytes()
        assert (folder / "internal.csv").read_bytes() == before
    assert holding(PLACE, moved / "exp") == set()


@pytest.fixture(scope="module")
def run(ward: Path) -> Path:
    recipe = ["--features", "4", "--most-features", "8", "--epochs", "1", "--steps", "2", "--batch-size", "4"]
    out = ward / "run"
    command = ["train", str(ward / "data"), "--by", "group", *recipe, "--device", "cpu", "--out", str(out)]
    assert main(command) == 0
    return out


def test_a_training_has_names_where_it_is_said_and_no_path(run: Path) -> None:
    named = holding(NAME, run)
    assert {name.split("/")[0] for name in named} == {"run.json", "prepared"}
    assert holding("input_block", run) >= {"checkpoint.pt"}  # the search sees into it
    assert holding(PLACE, run) == set()


def test_a_page_of_understand_names_nobody(ward: Path, run: Path) -> None:
    data, masks = ward / "data", ward / "masks"
    assert main(["predict", str(run), str(data / "imagesTr"), "--out", str(masks), "--device", "cpu"]) == 0
    out = ward / "understood"
    quick = ["--permutations", "199", "--min-size", "5", "--confounders", "age", "--margins", "0"]
    quick += ["--predictions", str(data / "labelsTr"), "--bins", "age=50"]
    assert main(["understand", str(data), "--by", "sex", *quick, "--out", str(out)]) == 0
    assert holding(NAME, out) == set()


def test_a_plan_names_nobody(ward: Path) -> None:
    rows = pd.read_csv(ward / "data" / "groups.csv").assign(label="heart")
    rows["dice"] = [0.8 + 0.1 * place / len(rows) for place in range(len(rows))]
    rows.to_csv(ward / "scores.csv", index=False)
    out = ward / "planned"
    out.mkdir()
    stated = ["plan", str(ward / "scores.csv"), "--by", "sex", "--write", str(out / "stated.json")]
    assert main(stated) == 0
    assert holding(NAME, out) == set()
    assert holding(PLACE, out) == set()
