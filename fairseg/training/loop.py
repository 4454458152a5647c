"""The training loop, from top to bottom: data, network, loss, then epochs of steps, validation by group.

Functions named after their results make everything before the loop; the loop itself is all here.
"""

import logging
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from fairseg.cohort.ids import as_ids
from fairseg.io.lock import alone_in
from fairseg.io.outputs import check_writable, claim, reading, undone_if_refused
from fairseg.losses import ParetoMinimaxLoss
from fairseg.metrics import by_group, fairness_gap
from fairseg.training.attribute import AttributeTerm
from fairseg.training.averaging import WeightAverage
from fairseg.training.case_weights import case_weights, worst_cases
from fairseg.training.checkpoint import (
    CHECKPOINT,
    load_whole_run,
    random_state,
    restore_random_state,
    save_checkpoint,
    seed_generators,
    without_names,
)
from fairseg.training.data import TrainingData, choose_cases, parts_of, prepare_cases
from fairseg.training.description import check_same_data, check_same_settings, describe
from fairseg.training.finite_check import FiniteCheck
from fairseg.training.group_losses import GroupLosses
from fairseg.training.inference import Predictor, subject_dice, validate
from fairseg.training.logger import CURVES, LOG, RUN, TrainingLogger, by_name
from fairseg.training.machine import pick_device, pick_precision, pick_workers
from fairseg.training.methods import loss_of, make_loss, make_sampler
from fairseg.training.network import load_weights, reference_network
from fairseg.training.prepare import IGNORED
from fairseg.training.ranks import find_processes
from fairseg.training.selection import CheckpointRule
from fairseg.training.settings import Settings
from fairseg.training.slices import NumberedBatches, Slices
from fairseg.training.warm_start import begin, read_start, set_training

logger = logging.getLogger(__name__)


def train(
    dataset: str | Path,
    out: str | Path,
    settings: Settings,
    *,
    table: str | Path | pd.DataFrame | None = None,
    split: str | Path | None = None,
    network: nn.Module | None = None,
    prepared: str | Path | None = None,
    init: str | Path | None = None,
    weights: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Train a network on a dataset in nnU-Net's raw layout, and validate it by group every epoch.

    The run's folder holds `run.json` (settings, groups, split, plan), `checkpoint.pt`, `log.jsonl` with a
    line an epoch, and at the end `curves.png`. A run that was stopped goes on from its last checkpoint; on
    the CPU its weights are then those of a run that was not, bit for bit.

    Where torch.distributed is initialised (`torchrun -m fairseg train`), all processes call this
    together, and share each batch: the weights are those of one process, up to rounding.

    Args:
        dataset: folder with dataset.json, imagesTr, labelsTr and groups.csv.
        out: folder of the run.
        settings: what to train and how.
        table: of the cases, or its path; default: groups.csv in the dataset.
        split: table of subjects, with columns subject and part: train or validation, others are left out;
            default: a share of each group's subjects is held out, as the settings say. Without `settings.by`
            all subjects are one group, and a dataset needs no table.
        network: any network from (B, C, y, x) to logits (B, K, y, x), or to a list of them from full
            resolution down, in training mode; K are background and the labels, or the structures where these
            are regions; default: the reference U-Net.
        prepared: folder for the prepared arrays, which several runs can share; default: in `out`.
        init: folder of a run whose network this one starts from; `settings.freeze` keeps parts of it.
        weights: scores of the training cases, by which the worst are drawn more often (`worst_cases`).
        resume: go on with the run in `out`, if there is one; `split`, `init` and `weights` need not be given
            again.
        progress: show bars on stderr if it is a terminal.

    Returns:
        The lines of the log.

    Raises:
        ValueError: the dataset or a setting is not usable, `out` holds a run and `resume` is False, or
            the run there is another one.
        RuntimeError: the loss, its gradient or a weight is not finite, with the step, the cases and their
            groups; or a checkpoint could not be written.
    """
    out, processes = Path(out), find_processes()
    if settings.batch_size < processes.world:
        raise ValueError(
            f"batch_size must be at least the {processes.world} processes, got {settings.batch_size}"
        )
    check_writable(out)
    saved = load_whole_run(out / CHECKPOINT) if (out / CHECKPOINT).exists() else None
    if saved is not None:
        check_same_settings(saved["run"], settings, out, resume=resume)
    elif settings.freeze != "none" and init is None and network is None:
        raise ValueError("freeze keeps what a network has learned, so it needs init")
    before = {} if saved is None else saved["run"]  # arguments that are not given again stay as they were
    # Checks that need no file written: the subjects, their groups, and those held out.
    chosen = choose_cases(dataset, settings, table=table, split=split or parts_of(before))
    start = read_start(init, chosen, settings, network)
    names = chosen.train["case"].tolist()
    upweighted = worst_cases(weights, names, settings.worst_share, before)
    weight_of = case_weights(names, upweighted, settings.upweight)
    device = pick_device(settings.device)
    with ExitStack() as begun:
        if processes.is_first:
            # Alone in its folder; one that is refused leaves nothing in a folder that was empty.
            begun.enter_context(alone_in(out))
            begun.enter_context(undone_if_refused(out))
            # A checkpoint of fairseg says that the run is fairseg's too.
            read = (dataset, None if isinstance(table, pd.DataFrame) else table, split, init, weights)
            with reading(*read, overwrite=saved is not None):
                claim(out, (CHECKPOINT, RUN, LOG, CURVES), "run")
        with processes.first_alone():  # it prepares the cases, and the others find them
            data = prepare_cases(chosen, settings, Path(prepared or out / "prepared"), progress=progress)
        run = describe(
            settings, data, start, upweighted, split=split is not None or bool(before.get("split"))
        )
        if saved is not None:
            run["init"] = before.get("init") if init is None else run["init"]
            check_same_data(without_names(saved["run"]), without_names(run), out)
        torch.backends.cudnn.benchmark = device.type == "cuda"  # all batches are of one size
        slices = Slices(
            data.train.cases,
            data.train.groups,
            data.view,
            data.patch_size,
            seed=settings.seed,
            augment=settings.augment,
            elastic=settings.elastic,
            mirrored_axes=settings.mirrored_axes,
            structures=data.raw.structures.values(),
            amplitude_mix=settings.amplitude_mix,
        )
        sampler = make_sampler(
            settings,
            slices.group,
            [data.train.subjects[case] for case in slices.case],
            None if weight_of is None else weight_of[slices.case],
        )
        workers = pick_workers(settings.workers, device)
        loader = DataLoader(
            slices,
            batch_sampler=NumberedBatches(sampler, settings.foreground, processes),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # so that it leaves the global one alone
        )

        # The network, the loss of its outputs, the optimiser.
        seed_generators(settings.seed)
        network = reference_network(run, settings) if network is None else network
        network = begin(network, start, settings.freeze).to(device)
        average = WeightAverage(
            network, settings.average, settings.epochs * settings.steps, settings.averaging
        )
        head = AttributeTerm(network, settings, data, processes, device)
        seed_generators(settings.seed + processes.rank)  # dropout, if there is any, is another on each rank
        joint: Any = network if processes.world == 1 else DistributedDataParallel(network)
        forward: Any = torch.compile(joint) if settings.compile else joint
        ignored = None if data.raw.ignore is None else IGNORED
        structures, order = data.raw.structures, data.raw.order
        regions = None if order is None else tuple(structures.values())
        loss = make_loss(settings, data.counts, ignored, regions).to(device)
        loss.check = False  # FiniteCheck does it, which knows the names of cases
        group_losses = GroupLosses(loss, data.groups.names, processes)
        trained = [one for one in (*network.parameters(), *head.parameters()) if one.requires_grad]
        optimizer = torch.optim.SGD(
            trained,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        autocast = pick_precision(settings.precision, device)
        scaler = torch.amp.GradScaler(device.type, enabled=autocast == torch.float16)
        predictor = Predictor(network, data.patch_size, device=device, autocast=autocast, order=order)

    # Where to begin, and which weights to keep.
    first, total = 0, settings.epochs * settings.steps
    rule = CheckpointRule(settings.keep, data.validation_subjects)
    if saved is not None:
        load_weights(network, saved["network"], f"the run in {out}")
        loss.load_state_dict(saved["loss"])
        head.load_state_dict(saved["head"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        sampler.load_state_dict(saved["sampler"])
        average.load_state_dict(saved["average"])
        rule.kept = saved["kept"]
        if len(saved["random"]) == processes.world:
            restore_random_state(saved["random"][processes.rank])
        first = saved["epoch"]
    lines = [] if saved is None else saved["log"]
    check = FiniteCheck(data, processes, device, scaled=scaler.is_enabled())
    folder = out if processes.is_first else None
    with TrainingLogger(folder, lines, total=total, progress=progress) as training_log, head:
        training_log.write_description(run)
        for epoch in range(first, settings.epochs):
            began = time.perf_counter()
            set_training(network)
            steps_before = epoch * settings.steps
            for step, (*batch, case) in enumerate(loader, start=steps_before):
                fraction = (steps_before if settings.schedule == "epoch" else step) / total
                rate = settings.learning_rate * (1.0 - fraction) ** settings.poly_power
                for parameters in optimizer.param_groups:
                    parameters["lr"] = rate
                image, target, group = (part.to(device, non_blocking=True) for part in batch)
                with torch.autocast(device.type, autocast, enabled=autocast is not None):
                    outputs = forward(image)
                value = head(loss_of(loss, outputs, target, group), group)
                group_losses.step(outputs, target, group)
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(value).backward()
                scaler.unscale_(optimizer)
                norm = nn.utils.clip_grad_norm_(trained, settings.clip)
                scaler.step(optimizer)
                scaler.update()
                average.step(step)

                check.step(step, value, norm, case, loss.group_count)
                training_log.step()
            mean_loss = check.end_epoch(network)

            # Validation by group, on whole cases of held-out subjects.
            predictor.network = average.network
            held_out = data.validation.cases
            scores = validate(predictor, held_out, data.view, structures, processes, ignored, order)
            dice = subject_dice(scores, data.validation.subjects, data.validation.groups)
            rule.end_epoch(epoch + 1, rule.score(dice[0], dice[2]), average.network)
            line = {
                "epoch": epoch + 1,
                "step": (epoch + 1) * settings.steps,
                "learning_rate": rate,
                "loss": mean_loss,
                **group_losses.end_epoch(),
                **_validation_dice(*dice, data),
                **head.end_epoch(),
                "kept": rule.kept["epoch"],
                "seconds": round(time.perf_counter() - began, 3),
            }
            if isinstance(loss, ParetoMinimaxLoss):
                _update_pareto(loss, line["dice"])
            training_log.epoch(line)  # before the checkpoint: a resumed run drops lines beyond it
            state = {
                "epoch": epoch + 1,
                "run": without_names(run),
                "network": network.state_dict(),
                "average": average.state_dict(),
                "kept": rule.kept,
                "loss": loss.state_dict(),
                "head": head.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "sampler": sampler.state_dict(),
                "random": processes.gather(random_state()),
                "log": training_log.lines,
            }
            if processes.is_first:
                save_checkpoint(out / CHECKPOINT, state)
        training_log.draw(data.groups.names)
    return training_log.lines


def _validation_dice(
    overall: npt.NDArray[np.float64],
    by_label: npt.NDArray[np.float64],
    group_of: npt.NDArray[np.int64],
    data: TrainingData,
) -> dict[str, Any]:
    """Return the median Dice of each group, overall and by label, and the gap, `None` where there is none."""
    names, labels = data.groups.names, data.raw.structures if len(overall) else ()
    ids = as_ids(group_of, known=len(names))
    medians, *of_labels = (by_group(values, ids)[0] for values in (overall, *by_label.T))
    known = medians[~np.isnan(medians)]
    return {
        "dice": by_name(names, medians),
        "dice_by_label": {
            label: by_name(names, values) for label, values in zip(labels, of_labels, strict=True)
        },
        "gap": round(float(fairness_gap(known)), 6) if known.size > 1 else None,
    }


def _update_pareto(loss: ParetoMinimaxLoss, dice: dict[str, float | None]) -> None:
    risks = [1.0 - value for value in dice.values() if value is not None]
    if len(risks) == len(dice):
        loss.update(risks)
    else:
        logger.warning("the weights stay: not every group has a validation subject")
