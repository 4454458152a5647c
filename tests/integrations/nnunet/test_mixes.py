"""Every trainer of nnU-Net that a CPU can build, mixed with fairseg's: it keeps what it sets, or is refused.

None lies: a mix has the loss of the variant, its epochs, its optimiser and its augmentation. A minute.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

import nnunetv2.training.nnUNetTrainer as package
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from fairseg.integrations.nnunet import export_model, trainers
from fairseg.losses import NonAdditiveLossError, SoftDiceLoss

from .conftest import Dataset, loss_and_gradient

pytestmark = pytest.mark.slow

Batch = Callable[..., dict[str, Any]]
CASES = ["m0_ED", "f0_ES", "m1_ES", "f0_ED"]
LOSSES = {"nnUNetTrainerCELoss", "nnUNetTrainerDiceLoss", "nnUNetTrainerDiceCELoss_noSmooth"}
# Whose loss is no sum of losses of samples; by what the refusal says.
REFUSED = {"nnUNetTrainerTopk10Loss", "nnUNetTrainerTopk10LossLS01", "nnUNetTrainerDiceTopK10Loss"}
# With methods in the place of fairseg's, if they are named first.
HIDES = {"nnUNetTrainer_warmup": "load_checkpoint"}


def variants() -> Iterator[type]:
    """Return nnU-Net's own trainers but those that need a GPU (benchmarks), timm (Primus) or Adan."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if any(part in module.name for part in ("primus", "benchmarking", "Adan")) or module.ispkg:
            continue
        members = vars(importlib.import_module(module.name)).values()
        yield from (
            kind
            for kind in members
            if inspect.isclass(kind) and issubclass(kind, nnUNetTrainer) and kind.__module__ == module.name
        )


VARIANTS = sorted((kind for kind in variants() if kind is not nnUNetTrainer), key=lambda kind: kind.__name__)


def mix(*bases: type) -> type:
    return type("nnUNetTrainerFairMix", bases, {})


def built(dataset: Dataset, kind: type) -> Any:
    """Return an initialised trainer, the network with the same weights whatever the class."""
    trainer = dataset.trainer(kind)
    torch.manual_seed(0)
    trainer.initialize()
    trainer.network.train()
    return trainer


def settings(trainer: Any) -> dict[str, Any]:
    """Return what variants set, but for the loss."""
    rotation, dummy, patch, mirror = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    transforms = trainer.get_training_transforms(
        trainer.configuration_manager.patch_size,
        rotation,
        trainer._get_deep_supervision_scales(),
        mirror,
        dummy,
    )
    return {
        "epochs": trainer.num_epochs,
        "deep": trainer.enable_deep_supervision,
        "foreground": (trainer.probabilistic_oversampling, trainer.oversample_foreground_percent),
        "optimizer": (type(trainer.optimizer), trainer.optimizer.defaults),
        "schedule": (type(trainer.lr_scheduler), trainer.initial_lr),
        "mirror": (mirror, trainer.inference_allowed_mirroring_axes, list(patch)),
        "transforms": _described(transforms),
        "network": str(trainer.network),
    }


def _described(transform: Any) -> Any:
    """Return the classes and the plain options of a transform and of those in it."""
    parts = getattr(transform, "transforms", None) or [getattr(transform, "transform", None)]
    plain = {name: value for name, value in vars(transform).items() if isinstance(value, int | float | tuple)}
    return type(transform).__name__, str(plain), [_described(part) for part in parts if part is not None]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore:size_average and reduce args:UserWarning")  # nnU-Net's Top-K
def test_a_variant_keeps_all_that_it_sets_or_is_refused(
    dataset: Dataset, batch_of: Batch, variant: type
) -> None:
    ours, name = trainers.nnUNetTrainerFairGroupDRO, variant.__name__
    if name in REFUSED:
        for bases in ((ours, variant), (variant, ours)):
            with pytest.raises(NotImplementedError, match=f"FairMix cannot split the loss of {name}"):
                built(dataset, mix(*bases))
        return
    stock = built(dataset, variant)
    batch = batch_of([CASES[0], CASES[2]])
    if not stock.enable_deep_supervision:
        batch["target"] = batch["target"][0]
    wanted, stock_gradient = loss_and_gradient(stock, batch)
    for bases in ((ours, variant), (variant, ours)):
        if bases[0] is variant and name in HIDES:
            with pytest.raises(NotImplementedError, match=f"{name} has a {HIDES[name]} of its own"):
                built(dataset, mix(*bases))
            continue
        mixed = built(dataset, mix(*bases))
        assert settings(mixed) == settings(stock)
        # The loss of a batch of one group is the variant's (plus 1, the sign of Dice), and so its gradient.
        mixed.loss.eval()  # the plain loss, that of validation
        value, gradient = loss_and_gradient(mixed, batch)
        dice = 0 if name.startswith("nnUNetTrainerCELoss") else 1
        assert value == pytest.approx(wanted + dice, rel=1e-5)
        torch.testing.assert_close(gradient, stock_gradient, rtol=1e-3, atol=1e-6)


def test_the_variants_are_those_that_are_listed() -> None:
    names = {kind.__name__ for kind in VARIANTS}
    assert LOSSES | REFUSED | HIDES.keys() <= names
    assert len(names) > 45
    # Every variant that says the loss is one whose outcome is written down above.
    builders = {next(b for b in kind.__mro__ if "_build_loss" in vars(b)) for kind in VARIANTS}
    assert {kind.__name__ for kind in builders} == {*LOSSES, *REFUSED, "nnUNetTrainer"}


def test_a_mix_trains_with_the_loss_of_the_variant_in_each_group(dataset: Dataset, batch_of: Batch) -> None:
    from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerCELoss import (  # noqa: PLC0415
        nnUNetTrainerCELoss,
    )

    for bases in (
        (trainers.nnUNetTrainerFairGroupDRO, nnUNetTrainerCELoss),
        (nnUNetTrainerCELoss, trainers.nnUNetTrainerFairGroupDRO),
    ):
        trainer = built(dataset, mix(*bases))
        batch = batch_of(CASES)
        with torch.no_grad():
            output = trainer.network(batch["data"])[0]
            target = batch["target"][0][:, 0].long()
            each = torch.nn.functional.cross_entropy(output, target, reduction="none").mean((1, 2))
        result = trainer.train_step(batch)
        female, male = each[[1, 3]].mean(), each[[0, 2]].mean()
        assert result["group_loss"] == pytest.approx([female.item(), male.item()], rel=1e-5)


def test_the_variable_for_epochs_outweighs_a_variant_in_both_orders(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    five = next(kind for kind in VARIANTS if kind.__name__ == "nnUNetTrainer_5epochs")
    monkeypatch.setenv("FAIRSEG_EPOCHS", "3")
    for bases in ((trainers.nnUNetTrainerFairERM, five), (five, trainers.nnUNetTrainerFairERM)):
        trainer = built(dataset, mix(*bases))
        assert trainer.num_epochs == trainer.lr_scheduler.max_steps == 3


def test_what_cannot_be_kept_is_refused_by_name(dataset: Dataset, batch_of: Batch) -> None:
    ce = next(kind for kind in VARIANTS if kind.__name__ == "nnUNetTrainerCELoss")

    class Own(trainers.nnUNetTrainerFairGroupDRO):
        def make_base(self) -> torch.nn.Module:
            return SoftDiceLoss()

    with pytest.raises(
        NotImplementedError, match="both _build_loss of nnUNetTrainerCELoss and make_base of Own"
    ):
        dataset.trainer(mix(Own, ce))

    class Whole(trainers.nnUNetTrainerFairERM):
        def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {"loss": self.loss(self.network(batch["data"]), batch["target"])}

    with pytest.raises(RuntimeError, match="must call that of fairseg's trainer"):
        built(dataset, Whole).train_step(batch_of(CASES))

    class Scalar(trainers.nnUNetTrainerFairERM):
        def _build_loss(self) -> torch.nn.Module:
            class OwnLoss(torch.nn.Module):
                def forward(self, output: Any, target: Any) -> torch.Tensor:
                    return output[0].mean()

            self.enable_deep_supervision = False
            return OwnLoss()

    batch = batch_of(CASES)
    trainer = built(dataset, Scalar)
    trainer.set_deep_supervision_enabled(False)
    with pytest.raises(NonAdditiveLossError, match="of OwnLoss"):
        trainer.train_step({**batch, "target": batch["target"][0]})


def test_a_loss_that_does_not_know_the_ignore_label_is_refused(dataset: Dataset) -> None:
    dice = next(kind for kind in VARIANTS if kind.__name__ == "nnUNetTrainerDiceLoss")
    labels = {**dataset.about["labels"], "ignore": 3}
    trainer = dataset.trainer(mix(trainers.nnUNetTrainerFairERM, dice), labels=labels)
    with pytest.raises(NotImplementedError, match="SoftDiceLoss does not know the ignore label"):
        trainer.initialize()


def test_an_exported_mix_bears_the_name_of_the_trainer_that_builds_its_network(
    dataset: Dataset, batch_of: Batch
) -> None:
    norm = next(kind for kind in VARIANTS if kind.__name__ == "nnUNetTrainerBN")

    class nnUNetTrainerFairOwnNetwork(trainers.nnUNetTrainerFairERM):  # noqa: N801
        @staticmethod
        def build_network_architecture(
            plans_manager: Any, configuration_manager: Any, inputs: int, outputs: int, deep: bool = True
        ) -> Any:
            return nnUNetTrainer.build_network_architecture(
                plans_manager, configuration_manager, inputs, outputs, deep
            )

    for kind, name in (
        (mix(trainers.nnUNetTrainerFairERM, norm), "nnUNetTrainerBN"),
        (nnUNetTrainerFairOwnNetwork, ""),
    ):
        trainer = built(dataset, kind)
        trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch, trainer.num_epochs = 1, 1, 1
        trainer.run_training()
        model, out = dataset.raw.parent.parent, dataset.raw / f"out{name}"
        model = next(model.glob(f"results/*/{kind.__name__}__*"))
        if not name:
            with pytest.raises(ValueError, match="a network that nnUNetTrainerFairOwnNetwork builds itself"):
                export_model(model, out)
            continue
        export_model(model, out)
        content = torch.load(out / "fold_0" / "checkpoint_final.pth", weights_only=False)
        assert content["trainer_name"] == name
