"""Which epoch is kept: rules by hand, groups that are too small, and the same after a stop."""

import json
import logging
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fairseg.datasets.phantom import write_phantom
from fairseg.training import Settings, train
from fairseg.training.checkpoint import load_checkpoint, weights_to_use
from fairseg.training.prediction import load_run
from fairseg.training.selection import CheckpointRule
from tests.training.test_loop import equal
from tests.training.test_warm_start import stop_at

# Medians of F, M and of the two of X, over three epochs.
EPOCHS = [(0.70, 0.90, 0.1), (0.80, 0.82, 0.9), (0.76, 0.87, 0.9)]
SUBJECTS = {"F": 5, "M": 15, "X": 2}


def kept(rule: str, epochs: list[tuple[float, ...]], subjects: dict[str, int]) -> int:
    chosen = CheckpointRule(rule, subjects)
    network = nn.Linear(1, 1, bias=False)
    groups = np.repeat(np.arange(len(subjects)), list(subjects.values()))
    for number, medians in enumerate(epochs, start=1):
        nn.init.constant_(network.weight, float(number))
        chosen.end_epoch(number, chosen.score(np.array(medians)[groups], groups), network)
    assert chosen.kept["network"]["weight"].item() == chosen.kept["epoch"]  # those of then
    return int(chosen.kept["epoch"])


@pytest.mark.parametrize(
    ("rule", "epoch"),
    [
        ("last", 3),
        ("best-mean", 1),  # (5 * .70 + 15 * .90) / 20 = .85, then .815, .8425
        ("best-worst-group", 2),  # .70, .80, .76
        ("distance-to-optimum", 2),  # .316, .269, .273
    ],
)
def test_each_rule_keeps_its_epoch(rule: str, epoch: int) -> None:
    assert kept(rule, EPOCHS, SUBJECTS) == epoch


@pytest.mark.parametrize("rule", ["best-mean", "best-worst-group", "distance-to-optimum"])
def test_the_choice_is_that_of_all_epochs_in_any_order_and_the_first_of_equals(rule: str) -> None:
    for order in permutations(range(3)):
        epochs = [EPOCHS[number] for number in order]
        assert order[kept(rule, epochs, SUBJECTS) - 1] == kept(rule, EPOCHS, SUBJECTS) - 1
        assert kept(rule, [*epochs, *epochs], SUBJECTS) == kept(rule, epochs, SUBJECTS)


def test_a_small_group_chooses_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    worse = [(*epoch[:2], 1.0 - epoch[2]) for epoch in EPOCHS]
    for rule in ("best-mean", "best-worst-group", "distance-to-optimum"):
        assert kept(rule, worse, SUBJECTS) == kept(rule, EPOCHS, SUBJECTS)
    assert "X (2)" in caplog.text
    assert "F (" not in caplog.text
    caplog.clear()
    assert kept("best-mean", EPOCHS, {"F": 4, "M": 1, "X": 0}) == 3
    assert "the last is kept" in caplog.text


def test_an_epoch_without_a_figure_of_a_group_that_chooses_is_not_chosen() -> None:
    assert kept("best-worst-group", [(0.5, 0.5), (np.nan, 0.9), (0.6, 0.6)], {"F": 5, "M": 5}) == 3
    assert kept("best-worst-group", [(np.nan, 0.9), (0.2, 0.3), (0.1, 0.3)], {"F": 5, "M": 5}) == 2


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A phantom with five and four subjects to validate on, and who they are."""
    folder = tmp_path_factory.mktemp("many")
    counts = {"White": 7, "Black": 6}
    write_phantom(folder / "data", subjects=counts, test_subjects=1, shape=(32, 32), spacing=6.0, slices=2)
    rows = [line.split(",") for line in (folder / "data" / "groups.csv").read_text().splitlines()[1:]]
    left = {"White": 5, "Black": 4}
    lines = ["subject,part"]
    for subject in dict.fromkeys(row[1] for row in rows):
        group = next(name for row in rows for name in left if row[1] == subject and name in row)
        left[group] -= 1
        lines.append(f"{subject},{'validation' if left[group] >= 0 else 'train'}")
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return folder / "data", folder / "split.csv"


def test_a_run_predicts_with_what_it_keeps_and_keeps_the_same_after_a_stop(
    many: tuple[Path, Path], prepared: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, split = many
    settings = tiny.with_(epochs=4, keep="best-worst-group", average=0.4, amplitude_mix=0.5)
    lines = train(data, tmp_path / "whole", settings, prepared=prepared, split=split)
    with monkeypatch.context() as patch:
        patch.setattr("fairseg.training.loop.validate", stop_at(4))
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "killed", settings, prepared=prepared, split=split)
    train(data, tmp_path / "killed", settings, prepared=prepared, split=split, resume=True)
    whole, killed = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "killed"))
    for part in ("network", "average", "kept", "optimizer", "sampler", "epoch"):
        assert equal(whole[part], killed[part]), part
    dice = [line["dice"]["White"] for line in lines]  # Black has four
    best = [dice.index(max(dice[: number + 1])) + 1 for number in range(4)]
    assert [line["kept"] for line in lines] == best
    run = load_run(tmp_path / "whole", device="cpu")
    assert equal(dict(run.predictor.network.state_dict()), weights_to_use(whole))


def test_the_log_holds_the_loss_and_the_weight_of_each_group(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    one = tiny.with_(epochs=1, steps=1)
    (plain,) = train(dataset, tmp_path / "erm", one.with_(base="dice_ce_sample"), prepared=prepared)
    weights, losses = plain["group_weight"], plain["group_loss"]
    known = [name for name in losses if losses[name] is not None]
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-5)
    # The loss of a batch is that of its groups, each by its share: of every scale.
    joint = sum(weights[name] * losses[name] for name in known)
    assert joint == pytest.approx(plain["loss"], abs=1e-5)
    even = one.with_(sampler="oversampling", loss="group_dro", steps=3)
    (dro,) = train(dataset, tmp_path / "dro", even, prepared=prepared)
    assert set(dro["group_loss"]) == {"White", "Black"}
    assert sum(dro["group_weight"].values()) == pytest.approx(1.0, abs=1e-5)
    state = torch.load(tmp_path / "dro" / "checkpoint.pt", weights_only=True)
    assert json.loads((tmp_path / "dro" / "log.jsonl").read_text()) == dro
    assert state["log"] == [dro]
