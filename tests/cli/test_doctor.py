"""`fairseg doctor` shows what is there, names what is missing, and never fails itself. Three seconds."""

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fairseg
from fairseg.cli import installation, main


def doctor(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_versions_device_and_packages_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    out = doctor(capsys)
    assert out.startswith(
        f"fairseg   {fairseg.__version__}, in {Path(fairseg.__file__).parent}\npython    3."
    )
    assert f"  {'numpy':<22}{np.__version__}\n" in out
    assert ("device    cpu" in out) == (not torch.cuda.is_available())
    assert "\nExtra torchmetrics:\n" in out  # all of it is installed where tests run, so nothing is offered
    assert "Extra test" not in out
    assert out.endswith("No problem found.\n")


def test_json_holds_the_same_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["torch"]["version"] == torch.__version__
    assert about["torch"]["threads"] == torch.get_num_threads()
    installed = {package["name"]: package["installed"] for package in about["packages"]}
    assert installed["numpy"] == np.__version__
    assert about["problems"] == []


def with_versions(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    real = installation.version

    def version(name: str) -> str:
        result = versions.get(name.replace("-", "_"), real(name))
        if result is None:
            raise PackageNotFoundError(name)
        return result

    monkeypatch.setattr(installation, "version", version)


def test_a_package_outside_its_range_or_missing_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_versions(monkeypatch, numpy="1.20.0", scikit_image=None)
    out = doctor(capsys)
    assert "  numpy                 1.20.0  outside <3,>=1.26\n" in out
    assert "PROBLEM: numpy 1.20.0 is outside <3,>=1.26: pip install 'numpy<3,>=1.26'\n" in out
    assert "PROBLEM: scikit-image is missing: pip install 'scikit-image<1,>=0.22'\n" in out
    assert "No problem" not in out


def test_what_an_extra_would_bring_is_said_and_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_versions(monkeypatch, submitit=None)
    out = doctor(capsys)
    assert "Extra cluster: pip install 'fairseg[cluster]' brings what is missing\n  submitit" in out
    assert out.endswith("No problem found.\n")


def test_a_torch_that_does_not_load_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what `import torch` then raises is an ImportError
    out = doctor(capsys)
    assert "device    unknown" in out
    assert "PROBLEM: torch cannot be loaded: ModuleNotFoundError: " in out


def test_a_copy_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def requires(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "requires", requires)
    assert "PROBLEM: fairseg is not installed, only found as files" in doctor(capsys)


def test_a_graphics_card_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = {"name": "cuda:0", "card": "Card", "memory_gib": 79.6}
    result = {"version": "2.13.0", "cuda": "12.8", "devices": [card], "threads": 4}
    monkeypatch.setattr(installation, "_torch", lambda: result)
    assert "device    cuda:0 Card, 79.6 GiB (CUDA 12.8)\nthreads   torch uses 4 of " in doctor(capsys)


def test_nnunet_variables_are_looked_at_and_their_values_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in installation.NNUNET_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert "nnU-Net's variables: none is set" in doctor(capsys)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "nowhere"))
    out = doctor(capsys)
    assert "  nnUNet_raw            a folder\n" in out
    assert "  nnUNet_results        no such folder\n" in out
    assert "  nnUNet_preprocessed   not set\n" in out
    assert str(tmp_path) not in out
