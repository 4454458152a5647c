"""nnU-Net's trainer with group losses and balanced batches, under the names that `nnUNetv2_train -tr` takes.

Everything but the objective and the draw of cases is nnU-Net's own: plans, augmentation, schedule and
validation.
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from fairseg.integrations.nnunet import best as best_epoch
from fairseg.integrations.nnunet import group_log
from fairseg.integrations.nnunet.bases import NoSampleLossError, per_sample
from fairseg.integrations.nnunet.batch_loss import BatchLoss
from fairseg.integrations.nnunet.cases import CaseGroups, group_cases, read_weights, table_of
from fairseg.integrations.nnunet.environment import Environment, read_environment
from fairseg.integrations.nnunet.export import BEST
from fairseg.integrations.nnunet.loader import CaseDraws, drawn_training
from fairseg.io.sentences import counted
from fairseg.losses import GroupDROLoss, ReweightedLoss
from fairseg.losses.erm import ERMLoss
from fairseg.losses.group_loss import GroupLoss

_CUDA = torch.device("cuda")


class FairTrainer(nnUNetTrainer):  # type: ignore[misc]
    """The base of the trainers. One of your own overrides `make_loss`, `balanced`, `weighted`, or several.

    It may also have one of nnU-Net's variants as a second base. The loss of samples is that which nnU-Net's
    `_build_loss` returns there, so a variant that sets the loss keeps it; one whose loss or whose methods
    cannot be kept is refused by name.

    The groups are those of the training cases of the fold, by `groups.csv` beside the raw dataset and the
    variables of `fairseg.integrations.nnunet.environment`. The validation loss is the plain one, `ERMLoss`,
    whatever the objective: comparable between trainers.

    Attributes:
        balanced: draw all groups evenly into the training batches.
        weighted: draw the training cases by their weights, the column FAIRSEG_WEIGHT or else `weight`.
        uses_groups: make groups of groups.csv.
        case_groups: the groups, once `initialize` was called; of all trainers if FAIRSEG_BEST is by group.
        group_loss: the objective, likewise.

    Raises:
        ValueError: groups.csv or a variable is not as it must be; the message names the file and the case.
        NotImplementedError: several processes would train without GPUs, or a base cannot be mixed in.
    """

    balanced = False
    weighted = False
    uses_groups = True
    group_loss: GroupLoss  # from `initialize` on
    # nnU-Net's own
    num_epochs: int
    loss: Any
    _best_ema: float | None

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = _CUDA,
    ) -> None:
        # nnU-Net keeps the arguments by their names: they must be these.
        _check_processes()
        _check_bases(type(self))
        read_environment()
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.case_groups: CaseGroups | None = None
        self._draws: CaseDraws | None = None
        self._best: best_epoch.BestByGroup | None = None
        self._training_data: list[Any] = []

    def initialize(self) -> None:
        """Do what nnU-Net does, and let the loss that it builds know groups."""
        environment = read_environment()
        # Not earlier: a variant sets its own epochs when it is made, and the variable is the later word.
        self.num_epochs = environment.epochs or self.num_epochs
        if environment.steps:
            self.num_iterations_per_epoch = environment.steps
            self.num_val_iterations_per_epoch = -(-environment.steps // 5)  # as 50 are of nnU-Net's 250
        self._read_table(environment)
        super().initialize()
        scales = self.loss.weight_factors if isinstance(self.loss, DeepSupervisionWrapper) else None
        counts = self.case_groups.counts if self.uses_groups and self.case_groups is not None else ()
        self.group_loss = self.make_loss(self.make_base(), counts)
        rule = self._best or "nnU-Net's rule, the pseudo Dice over all cases"
        names = " of ".join(type(part).__name__ for part in (self.group_loss, self.group_loss.base))
        self.print_to_log_file(f"fairseg: {names}; checkpoint_best by {rule}")
        count = None if self._best is None else partial(best_epoch.hard_counts, labels=self.label_manager)
        self.loss = BatchLoss(self.group_loss, ERMLoss(self.make_base()), scales, count).to(self.device)

    def make_base(self) -> nn.Module:
        """Return the loss of samples: that of `_build_loss`, with Dice of a batch pooled in each group.

        Raises:
            NotImplementedError: it has no loss of samples.
        """
        try:
            labels = self.label_manager
            channel = labels.num_segmentation_heads if labels.has_regions else labels.ignore_label
            return per_sample(self.loss, channel if labels.has_ignore_label else None)
        except NoSampleLossError as error:
            builder = _owner(type(self), "_build_loss")
            raise NotImplementedError(
                f"{type(self).__name__} cannot split the loss of {builder.__name__} by group: {error}"
            ) from None

    def make_loss(self, base: nn.Module, counts: tuple[int, ...]) -> GroupLoss:
        """Return the objective, the plain loss unless a subclass says otherwise.

        Args:
            base: what `make_base` returned.
            counts: training cases of each group, (G,).
        """
        return ERMLoss(base)

    def _read_table(self, environment: Environment) -> None:
        """Read the parts of groups.csv that the trainer needs: the groups, the weights, or nothing."""
        column = environment.weight or ("weight" if self.weighted else "")
        draws = self.balanced or self.weighted
        if column and not draws:
            if self.uses_groups:
                raise ValueError(
                    f"FAIRSEG_WEIGHT is for trainers that draw the cases, {type(self).__name__} leaves that"
                    " to nnU-Net: take nnUNetTrainerFairWeightedSampling, or one of Oversampling"
                )
            self.print_to_log_file("fairseg: this trainer draws cases as nnU-Net does, not by FAIRSEG_WEIGHT")
        by_group = self.uses_groups or self.balanced or environment.best != "nnunet"
        if not (by_group or draws):
            return
        training, validation = (list(cases) for cases in self.do_split())
        file = environment.table or table_of(self.plans_manager.dataset_name)
        groups: Mapping[str, int] = dict.fromkeys(training, 0)
        subjects, weights = None, None
        if by_group:
            self.case_groups = cases = group_cases(
                file, training, validation, by=environment.by, bins=environment.bins, weight=column
            )
            self.print_to_log_file(f"fairseg: {cases}")
            if environment.best != "nnunet":
                self._best = self._by_group(environment.best, cases)
            if self.balanced:
                groups, subjects = cases.ids, cases.subjects
        if column and draws:
            weights = read_weights(file, training, column)
            weightless = set(groups.values()) - {groups[case] for case, weight in weights.items() if weight}
            if self.case_groups is not None and (absent := sorted(weightless - {-1})):
                names = " and ".join(self.case_groups.groups.name(number) for number in absent)
                raise ValueError(f"{file}: {column} must be above 0 for a training case of {names}")
            low, high = min(weights.values()), max(weights.values())
            never = sum(not weight for weight in weights.values())
            self.print_to_log_file(
                f"fairseg: training cases are drawn by {column}{', within their group' * self.balanced}:"
                f" {low:g} to {high:g}, {never} of {counted(len(weights), 'case')} never"
            )
        if draws:
            self._draws = CaseDraws(groups, None if weights else subjects, weights)

    def _by_group(self, rule: Literal["mean", "worst"], cases: CaseGroups) -> best_epoch.BestByGroup:
        validated = set(cases.validation_ids.values())
        if absent := [name for number, name in enumerate(cases.groups.names) if number not in validated]:
            raise ValueError(
                f"FAIRSEG_BEST={rule} needs a case of every group to validate on, fold {self.fold} has none"
                f" of {' and '.join(absent)}: fairseg nnunet splits puts each group into each fold, if it can"
            )
        return best_epoch.BestByGroup(rule, cases.groups)

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """Make both datasets, as nnU-Net does; the first is kept to know its loader by."""
        training, validation = super().get_tr_and_val_datasets()
        self._training_data.append(training)
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """Make both loaders; that of the training data draws by group or by weight if need be."""
        self._training_data.clear()
        if self._draws is None:
            return super().get_dataloaders()  # type: ignore[no-any-return]
        with drawn_training(self._draws, self._training_data) as loaded:
            loaders: tuple[Any, Any] = super().get_dataloaders()
        if loaders[0] is not None and not loaded:  # none is made by nnU-Net's benchmark without data
            raise RuntimeError(
                "this version of nnU-Net makes its data loaders in another way, so cases would be drawn as in"
                " nnU-Net"
            )
        return loaders

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take nnU-Net's step; the result also has the loss and the samples of each group, (G,) and (G,).

        The control's loss has one group. The loss of an absent group is NaN.
        """
        self.loss.train()
        with self.loss.of_groups(self._ids(batch)):
            outputs: dict[str, Any] = super().train_step(batch)
        outputs["group_loss"] = self.group_loss.group_loss.cpu().numpy().copy()
        outputs["group_count"] = self.group_loss.group_count.cpu().numpy().copy()
        return outputs

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take nnU-Net's validation step, with the plain loss.

        Where the best epoch is chosen by group, the result also has the voxels counted in each, (G, L, 3).
        """
        self.loss.eval()
        with self.loss.of_groups(torch.zeros(len(batch["data"]), dtype=torch.int64, device=self.device)):
            outputs: dict[str, Any] = super().validation_step(batch)
        if self._best is not None:
            assert self.case_groups is not None
            counts = self.loss.counted.cpu().numpy().astype(np.float64)
            ids = np.array([self.case_groups.validation_ids[str(case)] for case in batch["keys"]])
            outputs["group_hard"] = np.zeros((len(self.case_groups.groups), *counts.shape[1:]))
            np.add.at(outputs["group_hard"], ids[ids >= 0], counts[ids >= 0])
        return outputs

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Do what nnU-Net does, and log the Dice of each group if they decide on the best epoch."""
        super().on_validation_epoch_end(val_outputs)
        if self._best is None:
            return
        counts = sum(output["group_hard"] for output in val_outputs)
        if self.is_ddp:
            of_ranks: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(of_ranks, counts)
            counts = sum(of_ranks)
        line = self._best.end_epoch(self.logger, self.current_epoch, counts)
        self.print_to_log_file(f"fairseg: {line}")

    def on_epoch_end(self) -> None:
        """Do what nnU-Net does, but for the choice of the best epoch, if that is by group."""
        if self._best is None:
            super().on_epoch_end()
            return
        is_best = self._best.improves()  # first, for a checkpoint_latest that knows of it
        self._best_ema = math.inf  # so that nnU-Net's own rule finds no epoch better
        super().on_epoch_end()
        if is_best:
            self.print_to_log_file(f"fairseg: the best epoch so far by {self._best}: {self._best.best:.4f}")
            self.current_epoch -= 1  # nnU-Net counted it already
            self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_best.pth"))
            self.current_epoch += 1

    def save_checkpoint(self, filename: str) -> None:
        """Save what nnU-Net saves; the best figure so far is that of the rule."""
        if self._best is not None:
            logged = self.logger.local_logger.my_fantastic_logging
            if logged.get(BEST):
                logged[BEST][-1]["best"] = self._best.best
            before, self._best_ema = self._best_ema, self._best.best
            super().save_checkpoint(filename)
            self._best_ema = before
        else:
            super().save_checkpoint(filename)

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Log the mean loss and the weight of each group besides nnU-Net's figures.

        A step whose samples are all of unknown group has no loss, so the mean leaves it out. NaN if all are.
        """
        builder = _owner(type(self), "build_network_architecture")
        group_log.keep_network(self.logger, self.current_epoch, builder)
        group_log.keep_draws(self.logger, self.current_epoch, self._case_weights)
        with_group = [output for output in train_outputs if output["group_count"].sum() > 0]
        super().on_train_epoch_end(with_group or [{**train_outputs[0], "loss": np.array(np.nan)}])
        if len(with_group) < len(train_outputs):
            without = len(train_outputs) - len(with_group)
            self.print_to_log_file(
                f"fairseg: {without} of {counted(len(train_outputs), 'step')} had no sample of known group;"
                " the training loss leaves them out"
            )
        if self.case_groups is None:
            return
        group_log.keep(self.logger, self.current_epoch, self.group_loss, self.case_groups)
        if self._logs_groups:
            losses, counts = ([o[key] for o in train_outputs] for key in ("group_loss", "group_count"))
            groups = self.case_groups.groups
            line = group_log.write(self.logger, self.current_epoch, self.group_loss, groups, losses, counts)
            self.print_to_log_file(line)

    def load_checkpoint(self, filename_or_checkpoint: dict[str, Any] | str) -> None:
        """Load what nnU-Net loads and, to go on with training, the state of the objective.

        Raises:
            ValueError: to go on, when the groups, the training cases or their weights are not those of the
                checkpoint.
        """
        super().load_checkpoint(filename_or_checkpoint)
        if not self.logger.resume:
            return
        group_log.check_draws(self.logger, self._case_weights)
        best_epoch.restore(self._best, self.logger.local_logger.my_fantastic_logging)
        if self.case_groups is None:
            return
        group_log.restore(self.logger, self.group_loss, self.case_groups)
        if self._logs_groups:
            self.print_to_log_file(f"fairseg: resumed with {group_log.weights_text(self.logger)}")

    @property
    def _case_weights(self) -> Mapping[str, float] | None:
        return None if self._draws is None else self._draws.weights

    @property
    def _logs_groups(self) -> bool:
        return self.case_groups is not None and not isinstance(self.group_loss, ERMLoss)

    def _ids(self, batch: dict[str, Any]) -> torch.Tensor:
        """Return the group of each sample, (B,); without groups, all are of one.

        (A sample all of whose voxels are ignored has no loss, which the group loss sees by itself.)
        """
        if self.case_groups is None:
            ids = [0] * len(batch["data"])
        elif "keys" in batch:
            ids = [self.case_groups.ids[str(case)] for case in batch["keys"]]
        else:  # of no case: nnU-Net's benchmark without data
            ids = [index % len(self.case_groups.groups) for index in range(len(batch["data"]))]
        return torch.tensor(ids, dtype=torch.int64, device=self.device)


class nnUNetTrainerFairERM(FairTrainer):  # noqa: N801  (nnU-Net's names)
    """The control: nnU-Net's own training, with its loss as fairseg computes it. Needs no groups.csv."""

    uses_groups = False


class nnUNetTrainerFairOversampling(FairTrainer):  # noqa: N801
    """Every group has an equal share of each batch (section 4.3 of Lee et al. 2025)."""

    balanced = True


class nnUNetTrainerFairWeightedSampling(FairTrainer):  # noqa: N801
    """Cases are drawn in proportion to their weights, a column of groups.csv. Needs no groups."""

    weighted = True
    uses_groups = False


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


def _owner(kind: type, name: str) -> type:
    """Return the class from which a class has an attribute."""
    return next(base for base in kind.__mro__ if name in vars(base))


def _check_bases(kind: type) -> None:
    """Raise a NotImplementedError where a variant of nnU-Net, mixed in, would take the place of what is here.

    Or where it would lose its own: two bases that both say the loss.
    """
    overridden = {
        name for name in vars(FairTrainer) if hasattr(nnUNetTrainer, name) and not name.startswith("__")
    }
    for base in kind.__mro__[: kind.__mro__.index(FairTrainer)]:
        is_variant = issubclass(base, nnUNetTrainer) and not issubclass(base, FairTrainer)
        if is_variant and (hidden := sorted(overridden & vars(base).keys())):
            raise NotImplementedError(
                f"{kind.__name__}: {base.__name__} has a {hidden[0]} of its own, which would take the place"
                " of fairseg's; name the trainer of fairseg before it"
            )
    builder, maker = _owner(kind, "_build_loss"), _owner(kind, "make_base")
    if builder is not nnUNetTrainer and maker is not FairTrainer:
        raise NotImplementedError(
            f"{kind.__name__}: both _build_loss of {builder.__name__} and make_base of {maker.__name__} say"
            " the loss of samples; keep one of them"
        )


def _check_processes() -> None:
    """Raise a NotImplementedError where nnU-Net would take a GPU that is not there."""
    if dist.is_available() and dist.is_initialized() and not torch.cuda.is_available():
        raise NotImplementedError(
            "nnU-Net trains in several processes (-num_gpus) on GPUs alone, and torch finds none here; leave"
            " out -num_gpus"
        )
