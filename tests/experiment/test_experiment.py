"""A whole experiment, small: killed and resumed, on other engines, with arms that fail, on other data."""

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from fairseg.cli import main
from fairseg.cohort import TableOptions
from fairseg.experiment import Cluster, InProcess, Plan, Processes, run_experiment
from fairseg.experiment.page import REPORT
from fairseg.experiment.plan import read_table
from fairseg.experiment.results import Results
from fairseg.experiment.study import data_files, make_study
from fairseg.experiment.tasks import state_of
from fairseg.training import loop
from fairseg.training.settings import Settings
from tests.ranks import start
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

ARMS = ("full/baseline", "cascade/oversampling", "full/group_dro")


@pytest.fixture(scope="module")
def plan(data: Path, recipe: Settings) -> Plan:
    return Plan(data, recipe, only=ARMS, seeds=2, sweep_seeds=1, also=("sex",), ce_factor=2, mirror=False)


@pytest.fixture(scope="module")
def whole(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The experiment in one process, uninterrupted."""
    out = tmp_path_factory.mktemp("whole")
    return out, run_experiment(plan, out, engine=InProcess())


def tables(out: Path) -> dict[str, bytes]:
    """Return all score tables of an experiment, and those of its report."""
    files = [*out.glob("tests/*/*.csv"), *(out / REPORT).glob("*.csv"), out / REPORT / "tables.md"]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


@pytest.fixture
def command(data: Path, recipe: Settings) -> Callable[..., list[str]]:
    """Return a function that gives the command line of the plan, into a folder."""

    def arguments(
        out: Path, *more: str, dataset: Path = data, arms: Sequence[str] = ARMS, seeds: int = 2
    ) -> list[str]:
        settings = ("features", "most_features", "epochs", "steps", "batch_size", "validation")
        options = [f"--set={name}={getattr(recipe, name)}" for name in settings]
        options += [f"--arms={name}" for name in arms]
        options += ["--also=sex", f"--seeds={seeds}", "--device=cpu"]
        return ["experiment", str(dataset), "--out", str(out), *options, *more]

    return arguments


def test_the_report_has_all_groups_arms_and_figures(whole: tuple[Path, Results]) -> None:
    out, results = whole
    assert [one.status for one in results.states.values()] == ["done"] * 6
    assert results.groups("internal") == ("White", "Asian", "Black", "Mixed")
    arms = pd.read_csv(out / REPORT / "arms.csv")
    assert len(arms) == 6
    scores = pd.read_csv(out / REPORT / "scores.csv")
    tested = set(pd.read_csv(out / "split.csv").query("part == 'test'")["subject"])
    assert set(scores["subject"]) == tested
    assert len(scores) == 6 * len(tested) * 2 * 3  # arms, subjects, frames, labels
    page = (out / REPORT / "experiment.html").read_text()
    for text in ("Table 4", "Table 7", "0.896", "0.846", "Table S4", "by sex", "Group DRO", "UK Biobank"):
        assert text in page, text
    split = pd.read_csv(out / "split.csv")
    assert set(split["part"]) == {"train", "validation", "test"}
    small = split[split["group"] == "Black"]["part"].tolist()
    assert sorted(small) == ["test", "train", "validation"]
    for file in out.glob("trainings/*/run.json"):  # shared by all arms
        about = json.loads(file.read_text())
        assert not {name.rsplit("_", 1)[0] for name in (*about["train"], *about["validation"])} & tested


def test_an_experiment_killed_at_random_moments_ends_as_one_that_was_not(
    command: Callable[..., list[str]], whole: tuple[Path, Results], tmp_path: Path
) -> None:
    out, output = tmp_path / "out", tmp_path / "output.txt"
    wait, kills = random.Random(2), 0
    while kills < 2:
        process = start(main, output, command(out, "--jobs=2"))
        begun = len(list(out.glob("trainings/*/checkpoint.pt")))

        def one_more(process: Any = process, begun: int = begun) -> bool:
            return len(list(out.glob("trainings/*/checkpoint.pt"))) > begun or not process.is_alive()

        wait_until(one_more)
        time.sleep(wait.uniform(0.0, 1.0))
        if not process.is_alive():
            break
        process.kill()
        process.join()
        kills += 1
    assert kills
    process = start(main, output, command(out, "--jobs=2"))
    process.join()
    assert process.exitcode == 0, output.read_text()[-2000:]
    assert tables(out) == tables(whole[0])


def test_jobs_of_a_cluster_give_the_same_tables(
    plan: Plan, whole: tuple[Path, Results], tmp_path: Path
) -> None:
    once = replace(plan, seeds=1, only=ARMS[:2])
    engine = Cluster(tmp_path / "cluster", jobs=2, cluster="local")
    engine.machine = InProcess().machine
    run_experiment(once, tmp_path / "jobs", engine=engine)
    shutil.copytree(whole[0], tmp_path / "here")
    run_experiment(
        once, tmp_path / "here", engine=InProcess()
    )  # all is done: this is the report of these arms
    ours, theirs = tables(tmp_path / "here"), tables(tmp_path / "jobs")
    assert sum(name.startswith("tests/") for name in theirs) == 3  # scores of both arms, boxes of the cascade
    assert theirs == {name: text for name, text in ours.items() if name.startswith(REPORT) or name in theirs}
    assert len(theirs) > 6  # those of the report too


def test_what_is_done_is_not_done_again_and_more_can_be_asked_for(
    plan: Plan, whole: tuple[Path, Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole[0], tmp_path / "copy")
    trained: list[str] = []
    monkeypatch.setattr(
        "fairseg.experiment.tasks.train", lambda *args, **_: trained.append(str(args[1].name))
    )
    monkeypatch.setattr("fairseg.experiment.tasks.predict", lambda *_, **__: 1 / 0)
    run_experiment(plan, tmp_path / "copy", engine=InProcess())
    assert trained == []
    more = replace(plan, only=(*ARMS, "crop/oversampling", "full/reweighting", "balance/1"))
    results = run_experiment(more, tmp_path / "copy", engine=InProcess())
    assert {name.rsplit("-", 1)[0] for name in trained} == {
        "full-reweighting-seed0",
        "full-reweighting-seed1",
    }  # the crops were trained for the cascade, and balance 1 is oversampling
    # Predicting was made to fail, so what was not tested before fails; nothing else is touched.
    assert {arm.key for arm in results.failed} == {"crop/oversampling", "full/reweighting", "balance/1"}


def test_other_code_or_data_is_not_mixed_without_being_told(
    plan: Plan, whole: tuple[Path, Results], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole[0], tmp_path / "copy")
    shutil.copytree(data, tmp_path / "moved")
    moved = replace(plan, dataset=tmp_path / "moved")
    run_experiment(moved, tmp_path / "copy", engine=InProcess())  # the same files elsewhere are the same
    table = tmp_path / "moved" / "groups.csv"
    table.write_text(table.read_text() + "\n")
    with pytest.raises(ValueError, match=r"was begun with other data: .*groups\.csv"):
        run_experiment(moved, tmp_path / "copy", engine=InProcess())
    monkeypatch.setattr("fairseg.experiment.provenance._code", lambda: {"training/loop.py": "other"})
    with pytest.raises(ValueError, match=r"was begun with other .*say --mix"):
        run_experiment(plan, tmp_path / "copy", engine=InProcess())
    run_experiment(plan, tmp_path / "copy", engine=InProcess(), mix=True)
    assert "Mixed: code changed" in (tmp_path / "copy" / REPORT / "experiment.html").read_text()


def test_a_failing_arm_stops_no_other_and_stands_in_the_report(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loop.make_loss

    def broken(settings: Settings, *more: Any) -> Any:
        loss = made(settings, *more)
        if settings.loss == "group_dro":
            loss.forward_scales = lambda *_: torch.tensor(float("nan"), requires_grad=True)
        return loss

    monkeypatch.setattr(loop, "make_loss", broken)
    once = replace(plan, seeds=1)
    results = run_experiment(once, tmp_path, engine=InProcess())
    assert {arm.key for arm in results.failed} == {"full/group_dro"}
    (state,) = results.failed.values()
    assert "step 0: the loss is nan; the batch held" in state.error
    page = (tmp_path / REPORT / "experiment.html").read_text()
    assert "1 of 3 arms failed" in page
    assert "the loss is nan" in page
    assert "Table 7" in page
    monkeypatch.setattr(loop, "make_loss", made)
    assert not run_experiment(once, tmp_path, engine=InProcess()).failed  # it is tried again


def test_the_command_says_by_its_exit_code_that_an_arm_has_failed(
    copy: Path, command: Callable[..., list[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arms = ("full/baseline", "full/oversampling")
    options = command(tmp_path / "out", "--jobs=1", dataset=copy, arms=arms, seeds=1)
    study_split = make_study(Plan(copy, Settings(by=("group",), validation=0.3))).split
    tested = study_split.query("part == 'test'")["subject"].iloc[0]
    (copy / "labelsTr" / f"{tested}_ED.nii.gz").write_bytes(b"broken")
    assert main(options) == 1
    message = capfd.readouterr()
    assert "full/baseline, seed 0 failed: " in message.err
    assert f"{tested}_ED" in message.err
    assert "Report: " in message.out
    for name in ("nothing", "workers", "device", "split_seed", "sampler"):
        assert main([*options, f"--set={name}=3"]) == 2
        assert "set must name a setting that arms share" in capfd.readouterr().err
    assert main([*options, "--set=steps=many"]) == 2
    assert "steps cannot be 'many'" in capfd.readouterr().err
    assert main([*options, "--bins=height=170"]) == 2
    assert "--bins height: it is neither in --by nor in --also" in capfd.readouterr().err


def test_a_process_that_dies_is_a_failed_task(plan: Plan, tmp_path: Path) -> None:
    class Deadly(Processes):
        def start(self, root: Path, name: str) -> Any:
            started = super().start(root, name)
            if "group_dro" in name:
                started.stop()
            return started

    once = replace(plan, seeds=1, only=("full/baseline", "full/group_dro"))
    results = run_experiment(once, tmp_path, engine=Deadly.filling("cpu", jobs=2))
    assert {arm.key: state.error for arm, state in results.failed.items()} == {
        "full/group_dro": "its process was killed by signal 9"
    }


def test_external_data_groups_that_only_test_and_bad_requests(
    recipe: Settings, data: Path, other: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {
        "external": other,
        "train_groups": ("White", "Black"),
        "only": ("full/baseline", "minority/*"),
        "seeds": 1,
        "mirror": False,
    }
    results = run_experiment(Plan(data, recipe, **asked), tmp_path / "out", engine=InProcess())
    assert not results.failed
    assert results.tests == ["internal", "external"]
    assert set(results.groups("internal")) == {"White", "Black", "Asian", "Mixed"}
    assert set(results.groups("external")) == {"White", "Black"}
    split = results.study.split
    assert set(split[split["group"].isin(["Asian", "Mixed"])]["part"]) == {"test"}
    page = (tmp_path / "out" / REPORT / "experiment.html").read_text()
    assert "Not trained on, only tested: Asian, Mixed." in page
    assert "Table 8" in page
    assert results.study.minority == "Black"
    for changes, message in (
        ({"train_groups": ("Green",)}, "train_groups: group must be one of .*, got 'Green'"),
        ({"train_groups": ("White",)}, "at least two groups must train"),
        ({"only": ("full/magic",)}, "'full/magic' fits none of"),
        ({"reference": "Green"}, "'Green' is none of those that train"),
        ({"also": ("height_of_mountains",)}, "has no attribute 'height_of_mountains'"),
        ({"test_share": 0.0}, "nobody to test on"),
    ):
        with pytest.raises(ValueError, match=message):
            make_study(Plan(data, recipe, **{**asked, "train_groups": (), **changes}))


def test_an_experiment_that_is_refused_leaves_nothing(
    copy: Path, plan: Plan, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    command = ["experiment", str(copy), "--by", "group", "--arms", "full/baseline", "--device", "cpu"]
    new = tmp_path / "in" / "new"
    for options, named in (
        (["--out", str(copy)], "is read: choose another --out"),
        (["--out", str(copy / "imagesTr")], "is read: choose another --out"),
        (["--out", str(new), "--set", "patch_size=33,31"], "patch_size must be divisible"),
        (["--out", str(new), "--set", "target_spacing=1e-6,1e-6"], "spacing 1e-06"),
        (
            ["--out", str(new), "--spacing", "mm"],
            "spacing must be numbers or names of columns: the cohort must have a column 'mm'",
        ),
        (["--out", str(new), "--spacing", "mm", "--set", "spacing=mm"], "two ways to say the same"),
        (["--out", str(new), "--cluster", "slurm"], "cluster slurm: "),
    ):
        capfd.readouterr()
        assert main([*command, *options]) == 2
        assert named in capfd.readouterr().err
    with pytest.raises(ValueError, match="is read"):
        run_experiment(replace(plan, dataset=copy), copy)
    assert not new.parent.exists()
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_second_experiment_in_the_folder_is_kept_away(plan: Plan, whole: tuple[Path, Results]) -> None:
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(1, flush=True); sys.stdin.read()", str(whole[0] / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ValueError, match="another process is at work"):
            run_experiment(plan, whole[0], engine=InProcess())
        holder.kill()


def test_orphans_end_with_the_process_that_started_them(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(main, tmp_path / "output.txt", command(out, "--jobs=2", "--set=steps=2000"))
    wait_until(lambda: len(list(out.glob("trainings/*/log.jsonl"))) == 2)
    process.kill()
    process.join()
    wait_until(lambda: not _locked(out))
    assert state_of(next(out.glob("trainings/*"))).status == "open"


def _locked(out: Path) -> bool:
    import fcntl  # noqa: PLC0415

    for place in out.glob("trainings/*/.task"):
        with place.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
    return False


def test_nobody_is_in_two_parts_even_with_cases_in_several_groups(copy: Path, recipe: Settings) -> None:
    table = pd.read_csv(copy / "groups.csv", dtype=str)
    table["kind"] = ["abbacab"[number % 7] for number in range(len(table))]  # two cases, often two kinds
    table.to_csv(copy / "groups.csv", index=False)
    plan = Plan(copy, recipe.with_(by=("kind",)), train_groups=("a", "b"), only=("full/baseline",))
    study = make_study(plan)
    assert study.split["subject"].is_unique
    (test,) = (task for task in study.tasks if task.spec["kind"] == "test" and "seed0" in task.name)
    tested = {
        case.rsplit("_", 1)[0] for part in test.spec["tests"]["internal"]["parts"] for case in part["cases"]
    }
    assert tested == set(study.split[study.split["part"] == "test"]["subject"])


def test_the_table_of_cases_may_lie_elsewhere_and_call_its_columns_otherwise(
    data: Path, recipe: Settings, tmp_path: Path
) -> None:
    table = pd.read_csv(data / "groups.csv")
    moved = tmp_path / "people.csv"
    table.rename(columns={"case": "Image"}).to_csv(moved, index=False)
    plain = make_study(Plan(data, recipe))
    plan = Plan(data, recipe, table=moved, options=TableOptions(case_column="Image"))
    study = make_study(plan)
    assert study.counts == plain.counts
    assert study.splits.keys() == plain.splits.keys()
    assert {task.name for task in study.tasks} == {task.name for task in plain.tasks}
    train = next(task for task in study.tasks if task.spec["kind"] == "train")
    assert read_table(train.spec)["case"].tolist() == table["case"].tolist()
    assert data_files(plan)["data"]["groups.csv"] == moved
