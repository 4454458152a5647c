"""nnU-Net's trainer with group losses and balanced batches, under the names that `nnUNetv2_train -tr` takes.

All but the objective and who is drawn into a batch is nnU-Net's own: plans, augmentation, schedule and
validation.
"""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from fairseg.integrations.nnunet import group_log
from fairseg.integrations.nnunet.cases import CaseGroups, group_cases, table_of
from fairseg.integrations.nnunet.environment import read_environment
from fairseg.integrations.nnunet.loader import balanced_training
from fairseg.io.sentences import counted
from fairseg.losses import DeepSupervision, DiceCELoss, GroupDROLoss, ReweightedLoss
from fairseg.losses.erm import ERMLoss
from fairseg.losses.group_loss import GroupLoss

_CUDA = torch.device("cuda")


class FairTrainer(nnUNetTrainer):  # type: ignore[misc]
    """What the trainers share. One of your own overrides `make_loss`, `balanced`, or both.

    The groups are those of the training cases of the fold, by `groups.csv` beside the raw dataset and the
    variables of `fairseg.integrations.nnunet.environment`. The validation loss is the plain one, `ERMLoss`,
    whatever the objective: comparable between trainers.

    Attributes:
        balanced: draw all groups evenly into the training batches.
        uses_groups: read groups.csv.
        case_groups: the groups, once `initialize` was called.
        group_loss: the objective, likewise.

    Raises:
        ValueError: groups.csv or a variable is not as it must be; the message names the file and the case.
        NotImplementedError: the dataset has regions, or several processes train.
    """

    balanced = False
    uses_groups = True

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = _CUDA,
    ) -> None:
        # nnU-Net keeps the arguments by their names: they must be these.
        _refuse(plans, dataset_json)
        environment = read_environment()
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.case_groups: CaseGroups | None = None
        self.group_loss: GroupLoss | None = None
        self._training_data: list[Any] = []
        if environment.epochs:
            self.num_epochs = environment.epochs

    def make_base(self) -> nn.Module:
        """Return the loss of samples: Dice + CE, pooled inside each group if the plans want batch Dice."""
        pool: Any = "group" if self.configuration_manager.batch_dice else "sample"
        return DiceCELoss(pool=pool, ignore_index=self.label_manager.ignore_label)

    def make_loss(self, base: nn.Module, counts: tuple[int, ...]) -> GroupLoss:
        """Return the objective, the plain loss unless a subclass says otherwise.

        Args:
            base: what `make_base` returned.
            counts: training cases of each group, (G,).
        """
        return ERMLoss(base)

    def _build_loss(self) -> nn.Module:
        stock = super()._build_loss()  # for the weights of the outputs
        scales = stock.weight_factors if isinstance(stock, DeepSupervisionWrapper) else None
        counts: tuple[int, ...] = ()
        if self.uses_groups:
            self.case_groups = self._find_groups()
            counts = self.case_groups.counts
            self.print_to_log_file(f"fairseg: {self.case_groups}")
        self.group_loss = self.make_loss(self.make_base(), counts)
        return _BatchLoss(self.group_loss, ERMLoss(self.make_base()), scales).to(self.device)

    def _find_groups(self) -> CaseGroups:
        environment = read_environment()
        training, validation = self.do_split()
        file = environment.table or table_of(self.plans_manager.dataset_name)
        return group_cases(file, list(training), list(validation), by=environment.by, bins=environment.bins)

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """Make both datasets, as nnU-Net does; the first is kept to know its loader by."""
        training, validation = super().get_tr_and_val_datasets()
        self._training_data.append(training)
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Make both loaders, that of the training data balanced if need be."""
        self._training_data.clear()
        if not self.balanced:
            return super().get_dataloaders()  # type: ignore[no-any-return]
        assert self.case_groups is not None
        with balanced_training(self.case_groups.ids, self.case_groups.subjects, self._training_data):
            return super().get_dataloaders()  # type: ignore[no-any-return]

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take nnU-Net's step; the result also has the loss and the samples of each group, (G,) and (G,).

        The control's loss has one group. The loss of an absent group is NaN.
        """
        self.loss.train()
        self.loss.groups = self._ids(batch)
        outputs: dict[str, Any] = super().train_step(batch)
        assert self.group_loss is not None
        outputs["group_loss"] = self.group_loss.group_loss.cpu().numpy().copy()
        outputs["group_count"] = self.group_loss.group_count.cpu().numpy().copy()
        return outputs

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take nnU-Net's validation step, with the plain loss."""
        self.loss.eval()
        self.loss.groups = torch.zeros(len(batch["keys"]), dtype=torch.int64, device=self.device)
        outputs: dict[str, Any] = super().validation_step(batch)
        return outputs

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the mean loss and the weight of each group besides nnU-Net's figures.

        A step whose samples are all of unknown group has no loss, so the mean leaves it out. NaN if all are.
        """
        known = [output for output in train_outputs if output["group_count"].sum() > 0]
        super().on_train_epoch_end(known or [{**train_outputs[0], "loss": np.array(np.nan)}])
        if len(known) < len(train_outputs):
            self.print_to_log_file(
                f"fairseg: {len(train_outputs) - len(known)} of {counted(len(train_outputs), 'step')} had no"
                " sample of known group; the training loss leaves them out"
            )
        if self.case_groups is None:
            return
        assert self.group_loss is not None
        group_log.keep(self.logger, self.current_epoch, self.group_loss, self.case_groups)
        if self._logs_groups:
            losses, counts = ([o[key] for o in train_outputs] for key in ("group_loss", "group_count"))
            groups = self.case_groups.groups
            line = group_log.write(self.logger, self.current_epoch, self.group_loss, groups, losses, counts)
            self.print_to_log_file(line)

    def load_checkpoint(self, filename_or_checkpoint: dict[str, Any] | str) -> None:
        """Load what nnU-Net loads and, to go on with training, the state of the objective.

        Raises:
            ValueError: to go on, when the groups or the training cases are not those of the checkpoint.
        """
        super().load_checkpoint(filename_or_checkpoint)
        if not self.logger.resume or self.case_groups is None:
            return
        assert self.group_loss is not None
        group_log.restore(self.logger, self.group_loss, self.case_groups)
        if self._logs_groups:
            self.print_to_log_file(f"fairseg: resumed with {group_log.weights_text(self.logger)}")

    @property
    def _logs_groups(self) -> bool:
        return self.case_groups is not None and not isinstance(self.group_loss, ERMLoss)

    def _ids(self, batch: dict[str, Any]) -> torch.Tensor:
        """Return the group of each sample, (B,); without groups, all are of one.

        A sample without a voxel to learn from, all under the ignore label, is -1: it would count as solved.
        """
        known = {} if self.case_groups is None else self.case_groups.ids
        ids = [known[str(case)] if known else 0 for case in batch["keys"]]
        ignored = self.label_manager.ignore_label
        if ignored is not None:
            target = batch["target"]
            first = target[0] if isinstance(target, list) else target
            valid = (first != ignored).flatten(1).any(1).tolist()
            ids = [number if counts else -1 for number, counts in zip(ids, valid, strict=True)]
        return torch.tensor(ids, dtype=torch.int64, device=self.device)


class nnUNetTrainerFairERM(FairTrainer):  # noqa: N801  (nnU-Net's names)
    """The control: nnU-Net's own training, with its loss as fairseg computes it. Needs no groups.csv."""

    uses_groups = False


class nnUNetTrainerFairOversampling(FairTrainer):  # noqa: N801
    """Every group has an equal share of each batch (section 4.3 of Lee et al. 2025)."""

    balanced = True


class nnUNetTrainerFairReweighting(FairTrainer):  # noqa: N801
    """Each sample weighs inversely to the size of its group (section 4.4, Eq. 1-2)."""

    def make_loss(self, base: nn.Module, counts: tuple[int, ...]) -> GroupLoss:
        """Return the weighted loss; the weights are those of the training cases."""
        return ReweightedLoss(counts, base)


class nnUNetTrainerFairGroupDRO(FairTrainer):  # noqa: N801
    """Group DRO (Sagawa et al. 2020; section 4.5) on batches as nnU-Net draws them."""

    def make_loss(self, base: nn.Module, counts: tuple[int, ...]) -> GroupLoss:
        """Return the loss that weighs groups by how badly they do."""
        return GroupDROLoss(len(counts), base)


class nnUNetTrainerFairGroupDRO_Oversampling(nnUNetTrainerFairGroupDRO):  # noqa: N801
    """Group DRO on batches in which every group has an equal share: Algorithm 1 of Sagawa et al. (2020)."""

    balanced = True


class _BatchLoss(nn.Module):
    """nnU-Net calls `loss(output, target)`; the groups of the batch are set before."""

    def __init__(self, training: GroupLoss, validation: GroupLoss, scales: Any) -> None:
        super().__init__()
        both = (training, validation)
        deep = both if scales is None else tuple(DeepSupervision(loss, scales) for loss in both)
        self.of_training: nn.Module = deep[0]
        self.of_validation: nn.Module = deep[1]
        self.groups: torch.Tensor | None = None

    def forward(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of the batch, that of training or of validation by the module's mode."""
        loss = self.of_training if self.training else self.of_validation
        value: torch.Tensor = loss(output, target, self.groups)
        return value


def _refuse(plans: dict[str, Any], dataset_json: dict[str, Any]) -> None:
    """Raise a NotImplementedError for what these trainers cannot do, before nnU-Net makes any folder."""
    if PlansManager(plans).get_label_manager(dataset_json).has_regions:
        raise NotImplementedError(
            "fairseg's trainers take labels, one for each voxel, and this dataset.json has regions; train it"
            " with nnU-Net's own trainer, or write the regions as labels"
        )
    if dist.is_available() and dist.is_initialized():
        raise NotImplementedError(
            "fairseg's trainers train in one process under nnU-Net, which gives each GPU another share of the"
            " batch and of the forced foreground; leave out -num_gpus"
        )
