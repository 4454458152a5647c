"""A group sampler for a Lightning trainer: its ranks, its place after a restart, and a guard over it."""

from typing import Any

import numpy.typing as npt
from lightning.pytorch import Callback, LightningModule, Trainer

from fairseg.integrations.loaders import check_loader, go_to
from fairseg.samplers import GroupBatchSampler


def sampler_for(
    trainer: Trainer, groups: npt.ArrayLike, batch_size: int, **options: Any
) -> GroupBatchSampler:
    """Make the batch sampler of a trainer; call it in `train_dataloader`, of the module or of its data.

    It deals the draws to the trainer's processes, and after a restart from a checkpoint it stands where the
    checkpoint was saved, in the middle of an epoch too: Lightning restores its own counters, but not the
    draws of a sampler, and would begin with those of the first epoch again. Use a plain `DataLoader`, with
    any number of workers, and `KeepGroupSampler` beside it.

    In several processes, the trainer needs `use_distributed_sampler=False`; without, Lightning raises a
    TypeError that says so.

    Args:
        trainer: `self.trainer` of the module or data module.
        groups: group ids, integer (N,); -1 is unknown and never drawn.
        batch_size: samples of a batch, on each process.
        options: the others of `GroupBatchSampler`: `balance`, `subjects`, `num_batches`, `seed`.

    Raises:
        ValueError: an argument is none that `GroupBatchSampler` takes.

    >>> trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    >>> sampler_for(trainer, [0, 0, 0, 0, 1, 1], batch_size=2).shares
    array([0.5, 0.5])
    """
    sampler = GroupBatchSampler(
        groups, batch_size, **options, num_replicas=trainer.world_size, rank=trainer.global_rank
    )
    loop = trainer.fit_loop
    epochs: Any = loop.epoch_progress.current
    batches: Any = loop.epoch_loop.batch_progress
    epoch, step = epochs.processed, batches.current.processed
    if epochs.ready <= epoch:  # between two epochs
        step = 0
    elif batches.is_last_batch or step >= len(sampler):  # saved in an epoch, but after all of its batches
        epoch, step = epoch + 1, 0
    go_to(sampler, epoch, step)
    return sampler


class KeepGroupSampler(Callback):
    """Stops a training whose loader does not, or no longer, draw by a group sampler as it should.

    Lightning may replace samplers: `use_distributed_sampler=True` (its default) puts its own around a
    `GroupWeightedSampler` in several processes, `overfit_batches` puts a sequential one in its place. The
    training would go on without a word, or with a warning. With this callback it raises a ValueError when it
    starts. It also gives the sampler the number of each epoch, as Lightning does only for samplers of single
    indices, so that an epoch has the same draws whether there was a restart or not.

    Of several training loaders, each must draw by a group sampler. One that keeps its own state (torchdata's)
    is checked and left alone.

    >>> trainer = Trainer(callbacks=[KeepGroupSampler()], logger=False, enable_checkpointing=False)
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the loaders.

        Raises:
            ValueError: see `fairseg.integrations.loaders.check_loader`.
        """
        for loader in _loaders(trainer):
            check_loader(loader)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the samplers the number of the epoch."""
        for loader in _loaders(trainer):
            sampler = check_loader(loader)
            if not hasattr(loader, "state_dict"):
                sampler.set_epoch(trainer.current_epoch)


def _loaders(trainer: Trainer) -> list[Any]:
    combined = trainer.fit_loop._combined_loader  # what it iterates; its public view unpacks nothing
    return [] if combined is None else list(combined.flattened)
