"""The reference loop beside nnU-Net v2's own trainer at equal steps: does it learn as what it names?

    python benchmarks/recipe.py [--dataset RAW --by ATTRIBUTE --subjects N --spacing MM]
                                [--seeds 6] [--steps 250 --steps 750] [--arm NAME ...]
                                [--features 8] [--batch 8]

On the phantom, or on a dataset in nnU-Net's raw layout. Both train on the same cases with the same patch,
batch, number of features, rate, momentum and loss, one thread each; epochs have 250 steps. Each network is
then asked for the same held-out cases in the same way: mean Dice of subjects, mean over labels.

Arms: what the loop draws and how its rate falls can be changed one by one (`ARMS`); "nnU-Net" is the peer,
"nnU-Net's weights" is the loop from the very weights that nnU-Net begins with in that seed.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import json
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from machine import describe
from tabulate import tabulate
from torch import nn

from fairseg.cohort.table import read_cohort
from fairseg.datasets.phantom import write_phantom
from fairseg.training import Settings, loop, train
from fairseg.training.checkpoint import CHECKPOINT, load_checkpoint
from fairseg.training.data import TrainingData, load_data
from fairseg.training.inference import Predictor, mean_of_known, subject_dice, validate
from fairseg.training.network import reference_network, strides_for
from fairseg.training.ranks import ProcessGroup
from fairseg.training.slices import Slices

NAME, EPOCH, SIZE = "Dataset001_Recipe", 250, 48


class EvenSlices(Slices):
    """Forces patches onto each slice that shows the structure alike, not by its pixels."""

    def _structures_of(self, position: int) -> Any:
        return [(codes, (pixels > 0).astype(int)) for codes, pixels in super()._structures_of(position)]


class Inside(Slices):
    """Keeps forced patches inside the slice at its upper edge, as at its lower."""

    def _box(self, mask: Any, codes: Any, random: np.random.Generator) -> Any:
        box = super()._box(mask, codes, random)
        room = [size - length for size, length in zip(mask.shape, self.patch_size, strict=True)]
        most = [
            max(free, free // 2) + length // 2 - reach // 2
            for free, length, reach in zip(room, self.patch_size, self.reach, strict=True)
        ]
        return type(box)(
            tuple(map(min, box.start, most)),
            tuple(min(low, top) + size for low, top, size in zip(box.start, most, self.reach, strict=True)),
        )


class Before(EvenSlices, Inside):
    """Both: how the loop drew until November 2026."""


ARMS: dict[str, tuple[type[Slices], dict[str, Any]]] = {
    "fairseg": (Slices, {}),
    "nnU-Net's weights": (Slices, {}),
    "even slices": (EvenSlices, {}),
    "inside": (Inside, {}),
    "even slices, inside": (Before, {}),
    "rate by step": (Slices, {"schedule": "step"}),
}
PEER = "nnU-Net"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what nnU-Net prints to itself."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def plan_nnunet(raw: Path, root: Path, data: TrainingData, settings: Settings) -> None:
    """Let nnU-Net plan and preprocess the dataset, with our patch, batch, features and split."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet  # noqa: PLC0415

    with quiet():
        nnunet.extract_fingerprints([1], num_processes=1, show_progress_bar=False)
        nnunet.plan_experiments([1])
        folder = root / "preprocessed" / NAME
        plans = json.loads((folder / "nnUNetPlans.json").read_text())
        plan = plans["configurations"]["2d"]
        plan["batch_size"], plan["patch_size"] = settings.batch_size, list(data.patch_size)
        plan["spacing"] = list(data.plan.spacing)
        arguments = plan["architecture"]["arch_kwargs"]
        strides = [list(stride) for stride in strides_for(data.patch_size)]
        stages = len(strides)
        arguments |= {
            "n_stages": stages,
            "features_per_stage": [
                min(settings.features * 2**stage, settings.most_features) for stage in range(stages)
            ],
            "kernel_sizes": [[3, 3]] * stages,
            "strides": strides,
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
        }
        (folder / "nnUNetPlans.json").write_text(json.dumps(plans))
        nnunet.preprocess_dataset(1, configurations=("2d",), num_processes=(1,), show_progress_bar=False)
        split = {
            "train": [case.name for case in data.train.cases],
            "val": [case.name for case in data.validation.cases],
        }
        (folder / "splits_final.json").write_text(json.dumps([split]))


def nnunet_trainer(root: Path, seed: int) -> Any:
    """Return nnU-Net's own trainer, which begins with the weights and draws of a seed."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: PLC0415

    folder = root / "preprocessed" / NAME
    plans = json.loads((folder / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    dataset = json.loads((folder / "dataset.json").read_text())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (nnU-Net draws from it)
    torch.manual_seed(seed)
    with quiet():
        trainer = nnUNetTrainer(plans, "2d", 0, dataset, device=torch.device("cpu"))
        trainer.initialize()
    return trainer


def run_nnunet(root: Path, seed: int, steps: int) -> nn.Module:
    """Train by nnU-Net's own loader, schedule and step, and return the network."""
    trainer = nnunet_trainer(root, seed)
    epochs = steps // EPOCH
    with quiet():
        trainer.num_epochs = epochs
        trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
        trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
        torch.set_num_threads(1)  # nnU-Net sets its own
        trainer.network.train()
        for epoch in range(epochs):
            trainer.lr_scheduler.step(epoch)
            for _ in range(EPOCH):
                trainer.train_step(next(trainer.dataloader_train))
    network: nn.Module = trainer.network
    return network


def dice_of(network: nn.Module, data: TrainingData) -> float:
    """Return the mean Dice of the held-out subjects over labels, whoever trained the network."""
    predictor = Predictor(network, data.patch_size, device=torch.device("cpu"))
    structures = data.raw.structures
    scores = validate(predictor, data.validation.cases, data.view, structures, ProcessGroup())
    per_subject = subject_dice(scores, data.validation.subjects, data.validation.groups)[0]
    return float(mean_of_known(per_subject, axis=0))


def measure(arm: str, seed: int, steps: int, raw: Path, root: Path, settings: Settings) -> float:
    """Train one arm with one seed, and return the mean Dice."""
    data = load_data(raw, settings, root / "prepared")
    if arm == PEER:
        return dice_of(run_nnunet(root, seed, steps), data)
    draws, changes = ARMS[arm]
    own = settings.with_(seed=seed, epochs=steps // EPOCH, **changes)
    network = nnunet_trainer(root, seed).network if arm == "nnU-Net's weights" else None
    torch.set_num_threads(1)
    with patch.object(loop, "Slices", draws):
        train(raw, root / "run", own, network=network, prepared=root / "prepared")
    state = load_checkpoint(root / "run" / CHECKPOINT)
    network = reference_network(state["run"], own) if network is None else network
    network.load_state_dict(state["network"])
    shutil.rmtree(root / "run")
    return dice_of(network, data)


def show(found: dict[tuple[int, str], list[float]]) -> str:
    """Return the table: Dice by arm and steps, and beside nnU-Net in the same seeds."""
    rows = []
    for (steps, arm), values in found.items():
        spread = f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
        peer = found.get((steps, PEER), [])
        beside = [own - theirs for own, theirs in zip(values, peer, strict=False)]
        if arm == PEER or not beside:
            rows.append([steps, arm, len(values), spread, "", " ".join(f"{value:.3f}" for value in values)])
            continue
        paired = f"{np.mean(beside):+.3f} ({min(beside):+.3f} to {max(beside):+.3f})"
        rows.append([steps, arm, len(values), spread, paired, " ".join(f"{value:.3f}" for value in values)])
    return tabulate(
        rows, ["steps", "arm", "seeds", "Dice: mean (range)", "beside nnU-Net", "each seed"], tablefmt="pipe"
    )


def main() -> None:
    """Train every arm with every seed, the arms of a seed in turn, and print the table after each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--by", default="group")
    parser.add_argument("--subjects", type=int, help="how many subjects of the dataset to take, the first")
    parser.add_argument("--spacing", type=float, help="mm in plane; the median by default")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--steps", type=int, action="append", help="a multiple of 250")
    parser.add_argument("--arm", choices=(PEER, *ARMS), action="append")
    parser.add_argument("--features", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for kind in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{kind}"] = str(root / kind)
        os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112
        os.environ["nnUNet_compile"] = "f"  # noqa: SIM112
        raw = root / "raw" / NAME
        if chosen.dataset is None:
            write_phantom(
                raw,
                subjects={"White": 24, "Black": 24},
                test_subjects=1,
                shape=(SIZE, SIZE),
                spacing=240 / SIZE,
            )
        else:
            copy_subjects(chosen.dataset, raw, chosen.subjects)
        settings = Settings(
            by=(chosen.by,),
            features=chosen.features,
            batch_size=chosen.batch,
            steps=EPOCH,
            validation=0.25,
            target_spacing=None if chosen.spacing is None else (chosen.spacing, chosen.spacing),
            device="cpu",
        )
        data = load_data(raw, settings, root / "prepared")
        plan_nnunet(raw, root, data, settings)
        os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112  (its data loader in this process, as ours)
        print(describe("torch", "monai", "nnunetv2"))
        print(
            f"{len(data.train.cases)} cases to train on, {len(data.validation.cases)} held out, patches of "
            f"{data.patch_size}, batches of {chosen.batch}, {chosen.features} features\n"
        )
        found: dict[tuple[int, str], list[float]] = {}
        for steps in chosen.steps or (250, 750):
            for seed in range(chosen.seeds):
                for arm in chosen.arm or (PEER, "fairseg", "nnU-Net's weights"):
                    value = measure(arm, seed, steps, raw, root, settings)
                    found.setdefault((steps, arm), []).append(value)
                print(show(found), flush=True)


def copy_subjects(dataset: Path, raw: Path, number: int | None) -> None:
    """Copy the cases of the first subjects of a raw dataset, all by default, under the name of ours."""
    raw.mkdir(parents=True)
    about = json.loads((dataset / "dataset.json").read_text())
    cohort = read_cohort(dataset / "groups.csv")
    subjects = sorted(cohort["subject"].unique())[:number]
    cases = cohort.loc[cohort["subject"].isin(subjects), "case"].tolist()
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir()
        for file in sorted((dataset / folder).iterdir()):
            if file.name.removesuffix(about["file_ending"]).removesuffix("_0000") in cases:
                shutil.copy(file, raw / folder)
    about["numTraining"] = len(list((raw / "labelsTr").iterdir()))
    (raw / "dataset.json").write_text(json.dumps(about))
    shutil.copy(dataset / "groups.csv", raw / "groups.csv")


if __name__ == "__main__":
    main()
