"""A training with an attribute head: the same network at the start, a term in the loss, resumed like any."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fairseg.training import Settings, train
from fairseg.training import loop as training_loop
from fairseg.training.attribute import _shares

HEADS = ["multitask", "adversarial"]


class StoppedError(Exception):
    """In place of a signal that ends the process."""


def run(dataset: Path, out: Path, settings: Settings, prepared: Path, **more: Any) -> list[dict[str, Any]]:
    return train(dataset, out, settings, prepared=prepared, **more)


def weights(folder: Path) -> dict[str, Any]:
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    return {"network": saved["network"], "head": saved["head"]}


@pytest.mark.parametrize("kind", HEADS)
def test_a_run_with_a_head_that_was_stopped_goes_on_to_the_same_bits(
    kind: Any, dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.with_(attribute_head=kind, head_weight=1.0)
    lines = run(dataset, tmp_path / "whole", settings, prepared)
    assert all(set(line["head_accuracy"]) == {"Black", "White"} for line in lines)
    validate, epochs = training_loop.validate, iter(range(2))

    def stop(*arguments: Any) -> Any:
        if next(epochs):
            raise StoppedError
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "validate", stop)
        with pytest.raises(StoppedError):
            run(dataset, tmp_path / "parts", settings, prepared)
    run(dataset, tmp_path / "parts", settings, prepared, resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for part, expected in whole.items():
        assert expected.keys() == parts[part].keys()
        for name, value in expected.items():
            assert torch.equal(value, parts[part][name]), name
    assert whole["head"]["head.steps_taken"] == 6


def test_the_network_begins_as_without_a_head_and_is_left_without_a_hook(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, starts = training_loop.reference_network, []

    def keep(*arguments: Any) -> Any:
        network = made(*arguments)
        starts.append((network, {name: value.clone() for name, value in network.state_dict().items()}))
        return network

    monkeypatch.setattr(training_loop, "reference_network", keep)
    short = tiny.with_(epochs=1, steps=2)
    ends = []
    for kind in ("none", "multitask"):
        run(dataset, tmp_path / kind, short.with_(attribute_head=kind), prepared)
        ends.append(weights(tmp_path / kind)["network"])
    assert all(torch.equal(value, starts[1][1][name]) for name, value in starts[0][1].items())
    assert any(not torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    assert not any(module._forward_hooks for module in starts[1][0].modules())


def test_shares_are_those_of_the_batches() -> None:
    settings = Settings(by=("sex",))
    assert _shares(settings, [30, 10]) == [30, 10]
    balanced = settings.with_(sampler="oversampling")
    assert _shares(balanced, [30, 10]) == [0.5, 0.5]
    assert _shares(balanced.with_(balance=0.5), [30, 10]) == [0.625, 0.375]


def test_the_head_weighs_groups_by_how_often_balanced_batches_have_them(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    short = tiny.with_(attribute_head="multitask", sampler="oversampling", epochs=1, steps=1)
    run(dataset, tmp_path, short, prepared)
    (counts,) = (value for name, value in weights(tmp_path)["head"].items() if name.endswith("group_counts"))
    assert counts.tolist() == [0.5, 0.5]


def test_a_layer_that_is_not_there_and_a_single_group_are_named(
    dataset: Path, prepared: Path, tiny: Settings, tmp_path: Path
) -> None:
    short = tiny.with_(attribute_head="multitask", epochs=1, steps=1)
    with pytest.raises(ValueError, match=r"such as input_block.*got 'deepest'"):
        run(dataset, tmp_path / "layer", short.with_(head_layer="deepest"), prepared)
    split = tmp_path / "split.csv"
    table = (dataset / "groups.csv").read_text().splitlines()
    names = table[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in table[1:]]
    white = sorted({row["subject"] for row in rows if row["group"] == "White"})
    split.write_text("subject,part\n" + "".join(f"{subject},train\n" for subject in white))
    with pytest.raises(ValueError, match="attribute_head needs two groups to train, got White"):
        run(dataset, tmp_path / "group", short, prepared, split=split)
