"""A group sampler for a Lightning trainer: its ranks, its place after a restart, and a guard over it."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils._pytree import keystr, tree_flatten_with_path  # that of Lightning's CombinedLoader

from fairseg.integrations.loaders import check_loader, go_to
from fairseg.samplers import GroupBatchSampler
from fairseg.samplers.sampler import GroupSampler


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
    go_to(sampler, *_position(trainer, len(sampler)))
    return sampler


class KeepGroupSampler(Callback):
    """Stops a training whose loader does not, or no longer, draw by a group sampler as it should.

    Lightning may replace samplers: `use_distributed_sampler=True` (its default) puts its own around a
    `GroupWeightedSampler` in several processes, `overfit_batches` puts a sequential one in its place. The
    training would go on without a word, or with a warning. With this callback it raises a ValueError when it
    starts, which names the loader by its place among several. It also gives the sampler the number of each
    epoch, as Lightning does only for samplers of single indices, so that an epoch has the same draws whether
    there was a restart or not. After a restart from a checkpoint, in the middle of an epoch too, it sets a
    sampler that was made by hand to where the checkpoint was saved, as `sampler_for` does. What the
    sampler draws from is saved with the checkpoint: a restart with another cohort, batch size, balance or
    seed is a ValueError.

    Of several training loaders, each must draw by a group sampler, but for those in `unchecked`, such as one
    of images without labels or groups. One that keeps its own state (torchdata's) is checked and left alone.

    Args:
        unchecked: training loaders that are neither checked nor moved: their keys, or places in a list.

    >>> trainer = Trainer(callbacks=[KeepGroupSampler()], logger=False, enable_checkpointing=False)
    """

    def __init__(self, unchecked: Sequence[str | int] = ()) -> None:
        if isinstance(unchecked, str):
            raise ValueError(f"unchecked must be a list of keys or places, got {unchecked!r}")
        self.unchecked = tuple(unchecked)
        self._identities: list[dict[str, Any]] = []
        self._saved: list[dict[str, Any]] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the cohorts and options of the samplers, in plain numbers and text; none before training."""
        return {"samplers": self._identities} if self._identities else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the cohorts and options of the checkpoint's samplers, to compare when the training starts."""
        self._saved = state_dict.get("samplers")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the samplers of another checkpoint.

        Raises:
            ValueError: `overfit_batches` is set.
        """
        self._saved = None
        overfit = vars(trainer).get("overfit_batches")  # Lightning sets it where no type checker sees it
        if stage == "fit" and overfit:  # now, before it fails to build a batch sampler anew
            raise ValueError(
                f"overfit_batches={overfit} puts a sequential sampler in the place of the group"
                " sampler of every training loader: leave it out, and give the loader few samples,"
                " a torch.utils.data.Subset with a group sampler of their groups"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the loaders, and set their samplers to where the training starts.

        Raises:
            ValueError: see `fairseg.integrations.loaders.check_loader`; a loader in `unchecked` is not there,
                or none is left; or, after a restart, a sampler is
                not that of the checkpoint, or it can not be set to where the checkpoint was saved.
        """
        all_loaders = _loaders(trainer)
        for name in self.unchecked:
            if not any(_is_at(path, name) for path in all_loaders):
                loaders = ", ".join(all_loaders) or "one alone"
                raise ValueError(f"unchecked has {name!r}, the training loaders are {loaders}")
        checked = self._checked(trainer)
        samplers = _check(checked)
        self._identities = [sampler._identity() for sampler in samplers]
        _compare(self._saved, self._identities)
        position = _position(trainer, trainer.num_training_batches)
        moved = [
            loader
            for loader, sampler in zip(checked.values(), samplers, strict=True)
            if not _keeps_state(loader) and _move(loader, sampler, *position)
        ]
        if any(getattr(loader, "num_workers", 0) for loader in moved):  # they have fetched ahead already
            if any(map(_keeps_state, all_loaders.values())):
                raise ValueError(
                    "a restart with a loader that keeps its own state beside one with workers that keeps none"
                    " would lose the position of the first: give both the same kind, or the second"
                    " num_workers=0"
                )
            iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the samplers the number of the epoch; Lightning leaves this out within a restarted epoch."""
        loaders = self._checked(trainer)
        for loader, sampler in zip(loaders.values(), _check(loaders), strict=True):
            if not _keeps_state(loader):
                sampler.set_epoch(trainer.current_epoch)

    def _checked(self, trainer: Trainer) -> dict[str, Any]:
        """Return the training loaders that must draw by a group sampler, by their places."""
        loaders = _loaders(trainer)
        checked = {
            path: loader
            for path, loader in loaders.items()
            if not any(_is_at(path, name) for name in self.unchecked)
        }
        if loaders and not checked:
            raise ValueError("unchecked has all training loaders: leave out KeepGroupSampler")
        return checked


def _loaders(trainer: Trainer) -> dict[str, Any]:
    """Return the training loaders by their places, such as `['left'][0]`; "" if there is one alone."""
    combined = trainer.fit_loop._combined_loader  # what it iterates; its public view unpacks nothing
    if combined is None:
        return {}
    paths, _ = tree_flatten_with_path(combined.iterables)
    return {keystr(path): loader for path, loader in paths}


def _is_at(path: str, name: str | int) -> bool:
    """Whether a loader's place, such as `['left'][0]`, is at a key or place of the outermost level."""
    return path.startswith(f"[{name!r}]")


def _check(loaders: dict[str, Any]) -> list[GroupSampler[Any]]:
    """Return the group sampler of each loader, or raise a ValueError that names the loader."""
    samplers = []
    for path, loader in loaders.items():
        try:
            samplers.append(check_loader(loader))
        except ValueError as error:
            if not path:
                raise
            hint = "(one that needs no groups goes into KeepGroupSampler(unchecked=[...]))"
            raise ValueError(f"training loader {path}: {error} {hint}") from None
    return samplers


def _keeps_state(loader: Any) -> bool:
    return hasattr(loader, "state_dict")


def _position(trainer: Trainer, length: float) -> tuple[int, int]:
    """Return the epoch in which a trainer stands, and its batches that are done, of `length`."""
    loop = trainer.fit_loop
    epochs: Any = loop.epoch_progress.current
    batches: Any = loop.epoch_loop.batch_progress
    epoch, step = epochs.processed, batches.current.processed
    if epochs.ready <= epoch:  # between two epochs
        return epoch, 0
    if batches.is_last_batch or step >= length:  # saved in an epoch, but after all of its batches
        return epoch + 1, 0
    return epoch, step


def _move(loader: Any, sampler: GroupSampler[Any], epoch: int, batches: int) -> bool:
    """Set the sampler of a loader to a position, and return whether it may have stood elsewhere."""
    ahead = epoch and getattr(loader, "num_workers", 0)  # it has fetched, maybe a whole short epoch
    if not batches and sampler.epoch == epoch and not ahead:
        return False
    size: Any = 1
    if not isinstance(sampler, GroupBatchSampler) and getattr(loader, "batch_sampler", None) is not None:
        size = getattr(loader.batch_sampler, "batch_size", None)
        if batches and not isinstance(size, int):
            raise ValueError(
                f"a restart at batch {batches} of an epoch: {type(loader.batch_sampler).__name__} has no"
                f" batch_size, so how many draws of {type(sampler).__name__} are done is not known; restart"
                " from a checkpoint of an epoch's end"
            )
    if batches and batches > -(-len(sampler) // size):
        raise ValueError(
            f"a restart at batch {batches} of an epoch: {type(sampler).__name__} has only {len(sampler)}"
            f" draws of it, {size} a batch, and began again beside a longer loader; restart from a checkpoint"
            " of an epoch's end"
        )
    go_to(sampler, epoch, min(batches * size, len(sampler)) if batches else 0)
    return True


def _compare(saved: list[dict[str, Any]] | None, here: list[dict[str, Any]]) -> None:
    """Raise a ValueError unless the samplers of a checkpoint, if it has any, are those of the training."""
    if saved is None:
        return
    if len(saved) != len(here):
        raise ValueError(
            f"the checkpoint is of {len(saved)} loaders with a group sampler, here are {len(here)}"
        )
    for before, now in zip(saved, here, strict=True):
        if changed := [name for name, value in now.items() if before.get(name) != value]:
            name = changed[0]
            raise ValueError(
                f"the checkpoint is of another sampler: its {name} is {before.get(name)}, here it is"
                f" {now[name]}; make it as it was, or load the weights alone and fit without ckpt_path"
            )
