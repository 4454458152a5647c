"""The folder in which nnU-Net finds the trainers: one small file that imports them."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from fairseg.io.files import write_files

VARIABLE = "nnUNet_extTrainer"
FILE = "fairseg_trainers.py"
TRAINERS = (
    "nnUNetTrainerFairERM",
    "nnUNetTrainerFairOversampling",
    "nnUNetTrainerFairWeightedSampling",
    "nnUNetTrainerFairReweighting",
    "nnUNetTrainerFairGroupDRO",
    "nnUNetTrainerFairGroupDRO_Oversampling",
)
_PACKAGES = ("site-packages", "dist-packages")
_FIRST = (2, 8)  # version of nnU-Net that finds trainers outside of itself


def missing() -> list[str]:
    """Return the obstacles to training with the written file, one line each; nothing is imported.

    Raises:
        ValueError: the installed nnU-Net finds no trainers outside of itself.
    """
    try:
        installed = version("nnunetv2")
    except PackageNotFoundError:
        return ["nnU-Net is not installed in this Python: pip install 'fairseg[nnunet]'"]
    if tuple(int(part) for part in installed.split(".")[:2] if part.isdecimal()) < _FIRST:
        raise ValueError(
            f"nnU-Net {installed} is installed, which finds no trainer outside of itself; 2.8 or newer is"
            " needed: pip install -U 'nnunetv2>=2.8,<3'"
        )
    if find_spec("timm") is None:
        return ["timm is not installed; without it nnU-Net finds no trainer but its own: pip install timm"]
    return []


def write_trainers(folder: str | Path) -> Path:
    """Write the file in which nnU-Net finds the trainers; the variable nnUNet_extTrainer names its folder.

    nnU-Net imports every module of that folder and forgets them all again, so it must never be the one that
    packages are installed in; the trainers themselves stay in this package.

    Args:
        folder: made if needed; other files in it are left alone.

    Returns:
        The folder, absolute.

    Raises:
        ValueError: packages are installed there, or it cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     sorted(file.name for file in write_trainers(folder).glob("*.py"))
    ['fairseg_trainers.py']
    """
    target = Path(folder).absolute()
    if target.name in _PACKAGES:
        raise ValueError(
            f"folder must be one for trainers alone, since nnU-Net imports all that is in it, got {target}"
        )
    names = "".join(f"    {name},\n" for name in TRAINERS)
    text = (
        '"""Written by `fairseg nnunet install`; the trainers themselves are in fairseg."""\n\n'
        f"from fairseg.integrations.nnunet.trainers import (  # noqa: F401\n{names})\n"
    )
    write_files(target, {FILE: text}, "nnunet")
    return target
