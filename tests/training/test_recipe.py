"""The recipe is followed: every number that the docs name has its effect, and faults do not slip through."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseg.cli.training import train as train_command
from fairseg.crop import Cascade
from fairseg.losses import CrossEntropyLoss
from fairseg.training import Settings, loop, predict, train
from fairseg.training.checkpoint import load_checkpoint
from fairseg.training.data import load_data
from fairseg.training.inference import subject_dice
from fairseg.training.machine import pick_device
from fairseg.training.methods import BASES, LOSSES, METHODS, ERMLoss, make_loss, make_sampler
from fairseg.training.network import make_network
from fairseg.training.settings import Settings as AllSettings


class Line(nn.Module):
    """A small network that remembers what came in and went out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 4, 3, padding=1)
        self.seen: list[Tensor] = []
        self.kinds: set[torch.dtype] = set()

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.layer(image)
        self.seen.append(image.detach())
        self.kinds.add(out.dtype)
        return out


class Bright(nn.Module):
    """Finds what is bright, as label 1; nothing to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image.detach())
        return torch.cat([1.5 - image + self.bias, image - 1.5, image - 99, image - 99], dim=1)


class Recorder(torch.optim.SGD):
    """Remembers what each step was made with."""

    steps: list[dict[str, Any]]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        Recorder.steps = []

    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        norms = torch.stack([p.grad.norm() for p in group["params"] if p.grad is not None])
        Recorder.steps.append({**group, "norm": float(norms.norm())})
        return super().step(closure)


@pytest.mark.parametrize(
    ("schedule", "done"),
    [("epoch", [0, 0, 0, 1 / 2, 1 / 2, 1 / 2]), ("step", [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])],
)
def test_rate_momentum_decay_and_clipping_are_those_of_the_settings(
    dataset: Path,
    prepared: Path,
    tiny: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    schedule: Any,
    done: list[float],
) -> None:
    """nnU-Net's rate falls after each epoch (`PolyLRScheduler.step(epoch)`), by the share that is done."""
    monkeypatch.setattr(torch.optim, "SGD", Recorder)
    rates = {"learning_rate": 0.02, "momentum": 0.8, "weight_decay": 0.001, "clip": 0.05}
    train(dataset, tmp_path, tiny.with_(**rates, schedule=schedule), network=Line(), prepared=prepared)
    steps = Recorder.steps
    assert len(steps) == 6
    for share, step in zip(done, steps, strict=True):
        assert step["lr"] == pytest.approx(0.02 * (1 - share) ** 0.9, rel=1e-12)
        assert (step["momentum"], step["nesterov"], step["weight_decay"]) == (0.8, True, 0.001)
        assert step["norm"] <= 0.05 * (1 + 1e-5)
    assert max(step["norm"] for step in steps) == pytest.approx(0.05, rel=1e-4)


def test_outputs_at_several_scales_weigh_half_as_much_each_time() -> None:
    torch.manual_seed(0)
    outputs = [torch.randn(2, 3, size, size) for size in (16, 8, 4)]
    target, groups = torch.randint(0, 3, (2, 16, 16)), torch.zeros(2, dtype=torch.int64)
    result = loop.loss_of(ERMLoss(CrossEntropyLoss()), outputs, target, groups)
    expected = sum(
        weight * F.cross_entropy(output, target[:, step // 2 :: step, step // 2 :: step])
        for weight, step, output in zip((4 / 7, 2 / 7, 1 / 7), (1, 2, 4), outputs, strict=True)
    )
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_network_runs_in_the_precision_asked_for(
    precision: Any, dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    network = Line()
    line = train(dataset, tmp_path, tiny.with_(precision=precision), network=network, prepared=prepared)[-1]
    assert network.kinds == {getattr(torch, precision)}
    assert np.isfinite(line["loss"])
    assert (load_checkpoint(tmp_path / "checkpoint.pt")["scaler"] != {}) == (precision == "float16")


def test_the_network_is_compiled_if_asked(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network: compiled.append(network) or network)
    network = Line()
    train(dataset, tmp_path, tiny.with_(epochs=1, compile=True), network=network, prepared=prepared)
    assert compiled == [network]


def test_the_methods_of_the_paper_are_their_losses_and_samplers() -> None:
    kinds = {
        name: type(make_loss(Settings(by=("g",), **one), [6, 2])).__name__ for name, one in METHODS.items()
    }
    assert kinds == {
        "baseline": "ERMLoss",
        "oversampling": "ERMLoss",
        "reweighting": "ReweightedLoss",
        "group_dro": "GroupDROLoss",
        "oversampling+reweighting": "ReweightedLoss",
        "oversampling+group_dro": "GroupDROLoss",
        "reweighting+group_dro": "GroupDROLoss",
    }
    ids, subjects = [0] * 30 + [1] * 6, [f"s{n}" for n in range(36)]
    for name, one in METHODS.items():
        settings = Settings(by=("g",), **one, batch_size=12, steps=5)
        drawn = [ids[index] for batch in make_sampler(settings, ids, subjects) for index in batch]
        assert (sum(drawn) == 30) == name.startswith("oversampling"), name
        loss = make_loss(settings, [30, 6])
        base = "CrossEntropyLoss" if "group_dro" in name else "DiceCELoss"
        assert type(loss.base).__name__ == base
        if name == "reweighting+group_dro":
            assert loss.group_factor is not None
            assert loss.group_factor.tolist() == pytest.approx([6 / 36, 30 / 36], abs=1e-6)


def test_every_setting_is_an_option_and_every_loss_and_base_a_choice() -> None:
    options = {option.name: option for option in train_command.params}
    for field in dataclasses.fields(Settings):
        assert field.name in options
        if field.name not in ("by", "bins"):
            assert options[field.name].default == field.default
    assert options["loss"].type.choices == ("erm", *LOSSES)
    assert options["base"].type.choices == tuple(BASES)


# --- cascades


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of a bright square on dark ground, with something bright and smaller elsewhere."""
    folder = tmp_path_factory.mktemp("square")
    random = np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir()
    rows = ["case,subject,group"]
    for number in range(6):
        image, mask = random.normal(0.0, 0.02, (2, 48, 48)), np.zeros((2, 48, 48), dtype=np.uint8)
        y, x = 10 + 2 * number, 20 - 2 * number
        mask[:, y : y + 8, x : x + 12] = 1
        image[mask > 0] += 1.0
        image[:, 40:43, 40:43] += 1.0
        for array, name in (
            (image.astype(np.float32), f"imagesTr/c{number}_0000"),
            (mask, f"labelsTr/c{number}"),
        ):
            file = sitk.GetImageFromArray(array)
            file.SetSpacing((1.0, 1.0, 8.0))
            sitk.WriteImage(file, str(folder / f"{name}.nii.gz"))
        rows.append(f"c{number},c{number},{'AB'[number % 2]}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n")
    labels = {"background": 0, "one": 1, "two": 2, "three": 3}
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "x"}, "labels": labels}))
    return folder


def test_a_cascade_of_two_spacings_finds_the_place_and_standardises_the_crop(
    square: Path, tmp_path: Path
) -> None:
    still = AllSettings(
        by=("group",), epochs=1, steps=1, batch_size=2, learning_rate=1e-12, augment=False, device="cpu"
    )
    train(square, tmp_path / "whole", still.with_(target_spacing=(2.0, 2.0)), network=Bright())
    train(square, tmp_path / "crop", still.with_(crop="reference"), network=Bright())
    first, second = Bright(), Bright()
    done = predict(
        tmp_path / "crop",
        square / "imagesTr",
        tmp_path / "out",
        cascade=tmp_path / "whole",
        network=second,
        first_network=first,
        mirror=False,
        device="cpu",
    )
    assert done == {"cases": 6, "fallbacks": 0, "cut": 0}
    boxes = json.loads((tmp_path / "out" / "boxes.json").read_text())
    for number in range(6):
        (top, left), (bottom, right) = boxes[f"c{number}"]["found"]
        y, x = 10 + 2 * number, 20 - 2 * number
        assert max(abs(top - y), abs(left - x), abs(bottom - y - 8), abs(right - x - 12)) <= 2
        (top, left), (bottom, right) = boxes[f"c{number}"]["crop"]
        assert (bottom - top, right - left) == (18, 22)  # the square and 5 pixels on every side
        assert top <= y <= y + 8 <= bottom
    assert {image.shape[2:] for image in first.seen} == {torch.Size([24, 24])}
    for image in second.seen:  # tiles of one case, padded with the mean
        assert abs(float(image.sum()) / (2 * 18 * 22)) < 1e-5
        assert float(image.square().sum()) / (2 * 18 * 22) == pytest.approx(1.0, abs=1e-4)


def test_what_a_cascade_did_not_find_or_could_not_hold_is_counted_and_named(
    square: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    still = AllSettings(
        by=("group",), epochs=1, steps=1, batch_size=2, learning_rate=1e-12, augment=False, device="cpu"
    )

    class All(Bright):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([self.bias - image * 0 - 9, image * 0, image * 0 - 99, image * 0 - 99], dim=1)

    class Nothing(All):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([self.bias - image * 0 + 9, image * 0, image * 0, image * 0], dim=1)

    train(square, tmp_path / "crop", still.with_(crop="reference"), network=Bright())
    for kind, fallbacks, cut in ((All, 0, 6), (Nothing, 6, 0)):
        run = tmp_path / kind.__name__
        train(square, run, still, network=kind(), prepared=tmp_path / "prepared")
        asked: dict[str, Any] = {
            "network": Bright(),
            "first_network": kind(),
            "device": "cpu",
            "cascade": run,
        }
        done = predict(tmp_path / "crop", square / "imagesTr", tmp_path / f"{run}-out", **asked)
        assert done == {"cases": 6, "fallbacks": fallbacks, "cut": cut}
    assert "nothing was found, so the middle was cropped, in c0, c1" in caplog.text
    assert "more was found than fits into the crop in c0, c1" in caplog.text


def test_the_reference_network_can_be_copied_and_cascaded_while_it_trains() -> None:
    network = make_network(1, 4, (64, 64), features=4, most_features=8)
    sum(output.mean() for output in network(torch.zeros(2, 1, 64, 64))).backward()
    again = copy.deepcopy(network)
    cascade = Cascade(network.train(), again.train(), (64, 64))
    assert cascade(torch.randn(1, 1, 64, 64)).shape == (1, 4, 64, 64)


# --- faults


class Spoilt(torch.autograd.Function):
    """Passes on, and gives a gradient of NaN."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * float("nan")


class Failing(Line):
    """Its gradient is not finite in one step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.count = step, 0

    def forward(self, image: Tensor) -> Tensor:
        out = super().forward(image)
        self.count += self.training
        return Spoilt.apply(out) if self.training and self.count == self.step + 1 else out  # type: ignore[no-untyped-call,no-any-return]


@pytest.mark.parametrize("step", [2, 5])  # the last of an epoch
def test_a_gradient_that_is_not_finite_stops_before_it_reaches_a_checkpoint(
    step: int, dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    with pytest.raises(
        RuntimeError, match=rf"step {step}: the norm of the gradient is nan; the batch held train_"
    ):
        train(dataset, tmp_path, tiny, network=Failing(step), prepared=prepared)
    if step == 5:
        weights = load_checkpoint(tmp_path / "checkpoint.pt")["network"]
        assert all(bool(weight.isfinite().all()) for weight in weights.values())


def test_a_run_is_resumed_only_on_its_own_data_and_network_and_by_one_process(
    dataset: Path, other: Path, tiny: Settings, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(dataset, run, tiny.with_(epochs=1))
    with pytest.raises(ValueError, match=r"was of other data, its data was \w+, now it is \w+"):
        train(other, run, tiny.with_(epochs=1), resume=True)
    with pytest.raises(ValueError, match="trained with another network"):
        train(dataset, run, tiny.with_(epochs=1), network=Line(), resume=True)
    (run / ".123.part-checkpoint.pt").write_bytes(b"left by a run that was killed")
    (run / "log.jsonl").unlink()
    lines = train(dataset, run, tiny.with_(epochs=1), resume=True)  # the checkpoint has the log
    assert len(lines) == 1
    assert not list(run.glob(".*.part-*"))
    assert len((run / "log.jsonl").read_text().splitlines()) == 1

    class Intruder(Line):
        def forward(self, image: Tensor) -> Tensor:
            if not self.seen:
                with pytest.raises(ValueError, match="another process is at work in this folder"):
                    train(dataset, tmp_path / "busy", tiny.with_(epochs=1), network=Line())
            return super().forward(image)

    train(dataset, tmp_path / "busy", tiny.with_(epochs=1), network=Intruder())


def test_prepared_arrays_of_other_spacings_lie_beside_each_other_and_damage_is_named(
    dataset: Path, tiny: Settings, tmp_path: Path
) -> None:
    fine = load_data(dataset, tiny, tmp_path)
    coarse = load_data(dataset, tiny.with_(target_spacing=(12.0, 12.0)), tmp_path)
    assert fine.train.cases[0].mask().shape == fine.train.cases[0].shape == (2, 32, 32)
    assert coarse.train.cases[0].mask().shape == coarse.train.cases[0].shape == (2, 16, 16)
    case = fine.train.cases[0]
    (case.folder / f"{case.name}.image.npy").write_bytes(b"short")
    with pytest.raises(ValueError, match=rf"{case.name}\.image\.npy is gone or damaged, delete"):
        case.image()
    (case.folder / f"{case.name}.mask.npy").unlink()
    (case.folder / f"{fine.train.cases[1].name}.json").write_text("[]")
    again = load_data(dataset, tiny, tmp_path)  # what is missing is made again
    assert again.digest == fine.digest


def test_subjects_with_cases_in_several_groups_count_in_each() -> None:
    scores = np.array([[0.8], [0.2], [0.6], [0.4]])
    overall, by_label, groups = subject_dice(scores, ["a", "a", "b", "b"], np.array([0, 1, 0, 1]))
    assert sorted(zip(overall, groups, strict=True)) == [(0.2, 1), (0.4, 1), (0.6, 0), (0.8, 0)]
    np.testing.assert_allclose(by_label[:, 0], overall)


def test_a_group_whose_subjects_are_all_held_out_is_named_and_is_no_group(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "groups.csv"
    rows = (dataset / "groups.csv").read_text().splitlines()[1:]
    cells = [row.split(",") for row in rows if row.startswith("train")]
    rare = cells[1][0]  # the second case of a subject whose first is of the other group
    lines = [f"{case},{subject},{'rare' if case == rare else 'usual'}" for case, subject, *_ in cells]
    lines[2] = lines[2].replace("usual", "other")
    table.write_text("case,subject,kind\n" + "\n".join(lines) + "\n")
    settings = tiny.with_(by=("kind",), validation=0.5, epochs=1, reweight="mean")
    for seed in range(20):
        caplog.clear()
        data = load_data(dataset, settings.with_(split_seed=seed), prepared, table=table)
        assert min(data.counts) > 0
        if "rare: all subjects are held out" in caplog.text:
            assert "rare" not in data.groups.names
            train(dataset, tmp_path / "run", settings.with_(split_seed=seed), table=table, prepared=prepared)
            return
    pytest.fail("no split held the group out")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by": "group"}, "by must be the names of attributes"),
        ({"by": (), "sampler": "oversampling"}, "by must name the attributes .* for sampler oversampling"),
        ({"by": (), "loss": "group_dro"}, "by must name the attributes .* for loss group_dro"),
        ({"patch_size": (32.5, 32)}, "patch_size must be two integers"),
        ({"target_spacing": (float("inf"), 1.0)}, "target_spacing must be two positive numbers"),
        ({"spacing": (0.14, "mm")}, "spacing must be a tuple of positive numbers, or of names"),
        ({"spacing": "mm"}, "spacing must be a tuple of positive numbers, or of names"),
        ({"deep_supervision": "no"}, "deep_supervision must be True or False"),
        ({"workers": -1}, "workers must be an integer of at least 0"),
    ],
)
def test_settings_are_checked_where_they_are_made(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(**{"by": ("group",), **changes})


def test_a_device_that_is_none_is_named() -> None:
    for name in ("tpu", "meta", "gpu"):
        with pytest.raises(ValueError, match="device must be auto, cpu, cuda, cuda:N or mps"):
            pick_device(name)


def test_the_loss_of_a_group_can_be_that_of_its_worst_samples() -> None:
    settings = Settings(by=("g",), loss="balanced", base="ce", within_group="cvar", alpha=0.5)
    margins = torch.tensor([0.0, 1.0, 2.0, 3.0])
    logits = torch.stack([margins, torch.zeros(4)], dim=1)  # all are of class 0: the lowest are the worst
    loss = torch.nn.functional.softplus(-margins)
    result = make_loss(settings, [2, 2])(logits, torch.zeros(4, dtype=torch.long), torch.tensor([0, 0, 1, 1]))
    torch.testing.assert_close(result, (loss[0] + loss[2]) / 2)
    with pytest.raises(ValueError, match="pooled"):
        make_loss(settings.with_(base="dice_ce"), [2, 2])
