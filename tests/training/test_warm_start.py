"""Start from a trained network: by hand, what is frozen stays to the last bit, and so after a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairseg.training import Settings, inference, train
from fairseg.training.checkpoint import load_checkpoint, weights_to_use
from fairseg.training.network import make_network
from fairseg.training.warm_start import freeze, frozen_parts, set_training
from tests.training.test_loop import Plain, equal


@pytest.fixture(scope="module")
def first(dataset: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    train(dataset, folder, tiny_settings(), prepared=prepared)
    return folder


def tiny_settings() -> Settings:
    return Settings(
        **{"by": ("group",), "features": 4, "most_features": 8, "epochs": 1, "steps": 3, "batch_size": 4},
        **{"patch_size": (32, 32), "learning_rate": 0.1, "momentum": 0.9, "device": "cpu"},
    )


def trained(folder: Path) -> dict[str, Tensor]:
    return weights_to_use(load_checkpoint(folder / "checkpoint.pt"))


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_the_weights_are_those_of_the_other_run(
    dataset: Path, prepared: Path, first: Path, tmp_path: Path
) -> None:
    still = tiny_settings().with_(learning_rate=1e-12, weight_decay=0.0, momentum=0.0)
    train(dataset, tmp_path / "run", still, prepared=prepared, init=first)
    before, after = trained(first), trained(tmp_path / "run")
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-8)


@pytest.mark.parametrize("part", ["encoder", "all-but-head"])
def test_what_is_frozen_stays_to_the_last_bit_and_the_rest_learns(
    part: str, dataset: Path, prepared: Path, first: Path, tmp_path: Path
) -> None:
    settings = tiny_settings().with_(freeze=part, weight_decay=0.1, sampler="oversampling")
    train(dataset, tmp_path / "run", settings, prepared=prepared, init=first)
    result = changed(trained(first), trained(tmp_path / "run"))
    heads = {"output_block"} if part == "all-but-head" else {"upsamples", "output_block"}
    # `skip_layers` are the same modules once more, as a tree.
    assert heads <= result <= heads | {"skip_layers", "deep_supervision_heads"}
    assert not result & {"input_block", "downsamples", "bottleneck"}


def test_a_frozen_run_that_was_stopped_ends_as_one_that_was_not(
    dataset: Path, prepared: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings().with_(freeze="encoder", epochs=2)
    train(dataset, tmp_path / "whole", settings, prepared=prepared, init=first)
    with monkeypatch.context() as patch:
        patch.setattr("fairseg.training.loop.validate", stop_at(2))
        with pytest.raises(KeyboardInterrupt):
            train(dataset, tmp_path / "killed", settings, prepared=prepared, init=first)
    train(dataset, tmp_path / "killed", settings, prepared=prepared, init=first, resume=True)
    whole, killed = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "killed"))
    assert equal(whole["network"], killed["network"])
    assert equal(whole["optimizer"], killed["optimizer"])
    assert not changed(trained(first), whole["network"]) & {"input_block", "downsamples", "bottleneck"}
    with pytest.raises(ValueError, match="began with other weights"):
        train(
            dataset,
            tmp_path / "killed",
            settings.with_(),
            prepared=prepared,
            init=tmp_path / "whole",
            resume=True,
        )


def stop_at(call: int) -> Callable[..., Any]:
    """Return a validation that is interrupted at one of its calls."""
    calls = 0

    def validate(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return inference.validate(*arguments)

    return validate


class WithNorm(nn.Module):
    """Somebody else's network, whose norm keeps statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4, affine=False), nn.Dropout(0.9)
        )
        self.out = nn.Conv2d(4, 4, 1)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.out(self.down(image))
        return out

    def encoder(self) -> list[nn.Module]:
        return [self.down]

    def last_layers(self) -> list[nn.Module]:
        return [self.out]


def test_statistics_of_frozen_norms_stay_and_frozen_dropout_is_off(
    dataset: Path, prepared: Path, tmp_path: Path
) -> None:
    network = WithNorm()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = tiny_settings().with_(
        freeze="encoder", epochs=2
    )  # validation puts it into training mode again
    train(dataset, tmp_path / "run", settings, prepared=prepared, network=network)
    assert changed(before, network.state_dict()) == {"out"}
    set_training(network)
    image = torch.randn(2, 1, 8, 8)
    assert torch.equal(network.down(image), network.down(image))
    assert (network.training, network.out.training, network.down.training) == (True, True, False)


def test_a_part_in_which_something_learns_is_not_frozen() -> None:
    network = make_network(1, 4, (32, 32), features=4, most_features=8)
    assert list(frozen_parts(network)) == []
    freeze(network, "all-but-head")
    learning = {name.split(".")[0] for name, one in network.named_parameters() if one.requires_grad}
    assert learning <= {"output_block", "deep_supervision_heads", "skip_layers"}
    assert network.input_block in list(frozen_parts(network))


def test_another_network_other_labels_and_nothing_to_start_from_are_clear_errors(
    dataset: Path, prepared: Path, first: Path, tmp_path: Path
) -> None:
    def refused(match: str, settings: Settings, **arguments: object) -> None:
        with pytest.raises(ValueError, match=match):
            train(dataset, tmp_path / "run", settings, prepared=prepared, **arguments)  # type: ignore[arg-type]
        assert not (tmp_path / "run" / "checkpoint.pt").exists()

    refused(
        "init: the run in .* was trained with another network", tiny_settings().with_(features=2), init=first
    )
    refused("no checkpoint was written yet", tiny_settings(), init=tmp_path / "nowhere")
    refused("needs init", tiny_settings().with_(freeze="encoder"))
    refused(
        r"Plain must have the methods encoder\(\)", tiny_settings().with_(freeze="encoder"), network=Plain()
    )
    saved = load_checkpoint(first / "checkpoint.pt")
    saved["run"]["labels"] = {"liver": 1}
    (tmp_path / "liver").mkdir()
    torch.save(saved, tmp_path / "liver" / "checkpoint.pt")
    refused(r"has labels \{'liver': 1\}, the data has", tiny_settings(), init=tmp_path / "liver")
