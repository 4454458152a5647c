"""A trained model that stock nnU-Net predicts with, without fairseg."""

from pathlib import Path
from shutil import copyfile
from typing import Any

import torch

from fairseg.io.files import filled_folder

STOCK = "nnUNetTrainer"
OWN = "nnUNetTrainerFair"
# What the trainers add to nnU-Net's log; see `group_log`.
LOSSES, WEIGHTS, STATE = "group_losses", "group_weights", "group_loss_state"
NETWORK = "network_of"  # nnU-Net's trainer that builds the network
BEST = "group_best"  # the Dice of each group, by which the best epoch was chosen
DRAWS = "case_weights"  # the weights by which cases are drawn, by name
GROUP_LOGS = (LOSSES, WEIGHTS, STATE, NETWORK, BEST, DRAWS)
_FILES = ("plans.json", "dataset.json", "dataset_fingerprint.json")


def export_model(
    model: str | Path, out: str | Path, *, checkpoint: str = "checkpoint_final.pth"
) -> list[Path]:
    """Write a trained model under the name of nnU-Net's own trainer.

    nnU-Net looks for the class of the trainer that a checkpoint names, even to predict. The networks of
    fairseg's trainers are nnU-Net's, so the checkpoint only needs another name, that of the trainer that
    builds the network (of a mix with `nnUNetTrainerBN` this one), and loses what was logged by group.

    Args:
        model: folder of the trained model, such as `nnUNetTrainerFairGroupDRO__nnUNetPlans__2d`.
        out: folder to write, new or empty, for `nnUNetv2_predict_from_modelfolder -m`.
        checkpoint: which of each fold's checkpoints.

    Returns:
        The checkpoints that were written.

    Raises:
        ValueError: the folder is no trained model, a fold's trainer is none of fairseg's (their names begin
            with nnUNetTrainerFair) or builds a network of its own, or `out` has files in it.
    """
    source, target = Path(model), Path(out)
    if lacking := [name for name in _FILES[:2] if not (source / name).is_file()]:
        raise ValueError(f"{source} must be the folder of a trained model, has no {' and no '.join(lacking)}")
    checkpoints = sorted(source.glob(f"fold_*/{checkpoint}"))
    if not checkpoints:
        raise ValueError(f"{source} has no fold_*/{checkpoint}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"out must be a new or empty folder, got {target}")
    with filled_folder(target, "nnunet") as scratch:
        for name in _FILES:
            if (source / name).is_file():
                copyfile(source / name, scratch / name)
        for file in checkpoints:
            copy = scratch / file.relative_to(source)
            copy.parent.mkdir()
            _export(file, copy)
    return [target / file.relative_to(source) for file in checkpoints]


def _export(file: Path, copy: Path) -> None:
    try:
        # As nnU-Net loads it: its own checkpoints hold more than tensors.
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=False)
        name = content["trainer_name"]
    except Exception as error:  # whatever unpickling raises
        raise ValueError(f"{file} cannot be read as a checkpoint of nnU-Net: {error!r}") from None
    if not str(name).startswith(OWN):
        raise ValueError(f"{file} must be of a trainer of fairseg ({OWN}...), is of {name}")
    stock = content["logging"].get(NETWORK, [STOCK])[-1]
    if not stock:
        raise ValueError(
            f"{file} has a network that {name} builds itself, which nnU-Net cannot make without it"
        )
    logged = {key: value for key, value in content["logging"].items() if key not in GROUP_LOGS}
    torch.save({**content, "trainer_name": stock, "logging": logged}, copy)
