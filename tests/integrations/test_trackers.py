"""What MLflow and Weights & Biases take: by their published rules, and by the packages where installed."""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseg import audit
from fairseg.integrations.trackers import log_audit, log_keys

# mlflow.utils.validation, on Windows; and its rule that a key must be a path in its plainest form.
MLFLOW = re.compile(r"[/\w.\- ]+")
# docs.wandb.ai, "Metric naming constraints", for names of ASCII letters.
WANDB = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
NAMES = [
    *("F", "age<50", "50<=age<65", "age>=65", "sex=F, site=A", "65+", "-10<=x<0", "10<=x<0"),
    *("a/b", "a//b", "../a", "a b", "a_b", "A_B", "x:y", "?", "!", "女", "男", "n/a", "1.5<=x"),
]


@given(st.lists(st.text(min_size=1), unique=True, max_size=8))
def test_all_names_make_keys_that_are_taken_and_differ(names: list[str]) -> None:
    keys = log_keys(names)
    assert len({key.casefold() for key in keys}) == len(names)
    for name, key in zip(names, keys, strict=True):
        logged = f"val_dice_{key}"
        assert MLFLOW.fullmatch(logged)
        assert posixpath.normpath(logged) == logged
        assert "/" not in logged
        if name.isascii():
            assert WANDB.fullmatch(logged)


def test_names_stay_where_they_can() -> None:
    assert log_keys(["a b", "a_b", "A_B", "女"]) == ("a_b_3", "a_b", "A_B_2", "女")
    assert log_keys(["-10<=x<0", "10<=x<0", "65+", "65"]) == (
        *("minus_10_le_x_lt_0", "10_le_x_lt_0", "65_plus", "65"),
    )
    assert log_keys(["age≥50", "age≤50", "age 50", "\u22125≤x"]) == (
        *("age_ge_50", "age_le_50", "age_50", "minus_5_le_x"),
    )


@pytest.fixture
def result() -> Any:
    dice = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95] * 3
    return audit([*dice, *(score - 0.2 for score in dice)], groups=["age<50"] * 18 + ["age>=50"] * 18)


def test_an_audit_in_mlflow(result: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        log_audit(result, run)
    tags = mlflow.MlflowClient().get_run(run.info.run_id).data.tags
    assert (tags["fairseg.verdict"], tags["fairseg.sentence"]) == (result.verdict.label, result.sentence)
    (file,) = tmp_path.rglob("groups.json")
    assert [row[1:3] for row in json.loads(file.read_text())["data"]] == [["age<50", 18], ["age>=50", 18]]


def test_an_audit_in_wandb(result: Any, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    with wandb.init(mode="offline", dir=tmp_path) as run:
        log_audit(result, run)
        run.log({f"val_dice_{key}": 0.5 for key in log_keys(NAMES)})
        assert run.summary["fairseg/verdict"] == result.verdict.label
    (file,) = tmp_path.rglob("findings_*.table.json")
    assert "age>=50" in file.read_text()


def test_mlflow_takes_the_keys() -> None:
    validation = pytest.importorskip("mlflow.utils.validation")
    for key in log_keys(NAMES):
        validation._validate_metric_name(f"val_dice_{key}/dataloader_idx_0")
