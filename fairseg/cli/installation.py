"""The packages, the device and the variables of nnU-Net that fairseg finds on this machine.

`fairseg doctor` shows them. Nothing here needs the packages that it looks for, so it also works if one of
them is missing or broken.
"""

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import fairseg
from fairseg.io.parallel import cores

NNUNET_VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_extTrainer")
_OF_DEVELOPERS = {"test", "lint", "bench", "docs", "notebooks"}  # extras that users do not need


def describe() -> dict[str, Any]:
    """Return what is installed, and the devices to compute on, in values of JSON.

    Returns:
        `fairseg`, `python`, `platform`: versions and where they are; `packages`: a list with name,
        wanted range, installed version or None, `extra` that brings it (None: always needed) and
        `ok`; `torch`: devices and threads, or its error; `variables`: nnU-Net's, "not set", "a folder" or
        "no such folder"; `problems`: what must be mended, one line each.

    >>> about = describe()
    >>> about["fairseg"]["version"] == fairseg.__version__, about["problems"]
    (True, [])
    """
    packages, torch = _packages(), _torch()
    return {
        "fairseg": {"version": fairseg.__version__, "place": str(Path(fairseg.__file__).parent)},
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "platform": platform.platform(),
        "cores": cores(),
        "packages": packages,
        "torch": torch,
        "variables": {name: _folder_state(os.environ.get(name)) for name in NNUNET_VARIABLES},
        "problems": _problems(packages, torch),
    }


def _packages() -> list[dict[str, Any]]:
    """Return the packages that fairseg's own metadata names: those always needed first, then by extra."""
    try:
        make_requirement = import_module("packaging.requirements").Requirement
    except ImportError:
        return [{"name": "packaging", "wanted": "", "installed": None, "extra": None, "ok": False}]
    try:
        requirements = [make_requirement(line) for line in requires("fairseg") or []]
    except PackageNotFoundError:
        return []
    packages = []
    for requirement in requirements:
        _, has_extra, extra = str(requirement.marker or "").partition('extra == "')
        extra = extra.split('"')[0]
        other_platform = requirement.marker and not requirement.marker.evaluate({"extra": extra})
        if extra in _OF_DEVELOPERS or requirement.name == "fairseg" or other_platform:
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = None
        packages.append(
            {
                "name": requirement.name,
                "wanted": str(requirement.specifier),
                "installed": installed,
                "extra": extra if has_extra else None,
                "ok": installed is not None and requirement.specifier.contains(installed, prereleases=True),
            }
        )
    return sorted(packages, key=lambda package: (package["extra"] or "", package["name"].lower()))


def _torch() -> dict[str, Any]:
    try:
        torch = import_module("torch")
    except Exception as error:  # the user must see what a broken library raises
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    devices = [
        {
            "name": f"cuda:{number}",
            "card": torch.cuda.get_device_name(number),
            "memory_gib": round(torch.cuda.get_device_properties(number).total_memory / 2**30, 1),
        }
        for number in range(torch.cuda.device_count())
    ]
    threads = torch.get_num_threads()
    return {"version": torch.__version__, "cuda": torch.version.cuda, "devices": devices, "threads": threads}


def _folder_state(value: str | None) -> str:
    """Say whether a variable names a folder, but not which: people paste this in public."""
    if not value:
        return "not set"
    return "a folder" if os.path.isdir(value) else "no such folder"  # noqa: PTH112  (takes any text)


def _problems(packages: list[dict[str, Any]], torch: dict[str, Any]) -> list[str]:
    problems = []
    if not packages:
        problems.append("fairseg is not installed, only found as files: pip install it to have its packages")
    for package in packages:
        name, wanted, installed = (package[key] for key in ("name", "wanted", "installed"))
        if installed is None and package["extra"] is None:
            problems.append(f"{name} is missing: pip install '{name}{wanted}'")
        elif installed is not None and not package["ok"]:
            problems.append(f"{name} {installed} is outside {wanted}: pip install '{name}{wanted}'")
    if "error" in torch:
        problems.append(f"torch cannot be loaded: {torch['error']}")
    return problems
