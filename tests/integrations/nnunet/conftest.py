"""A small dataset as nnU-Net preprocesses it: real files in its own format, plans written by hand."""

import json
import multiprocessing
import multiprocessing.dummy
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAME = "Dataset901_Small"
STUBS = Path(__file__).parent / "stubs"
# case, subject, sex: 10 cases of the majority, 3 of the minority, and one of unknown group.
ROWS = (
    *(f"m{number}_{frame},m{number},M" for number in range(5) for frame in ("ED", "ES")),
    *("f0_ED,f0,F", "f0_ES,f0,F", "f1_ED,f1,F", "u0_ED,u0,"),
)
CASES = tuple(row.split(",")[0] for row in ROWS)


@dataclass(frozen=True)
class Dataset:
    """Folders of nnU-Net with one dataset in them."""

    raw: Path
    preprocessed: Path
    plans: dict[str, Any]
    about: dict[str, Any]

    @property
    def table(self) -> Path:
        return self.raw / "groups.csv"

    def add_column(self, name: str, values: dict[str, str] | None = None) -> None:
        """Add a column to groups.csv, "1" where nothing else is said of a case."""
        first, *lines = self.table.read_text().splitlines()
        rows = [f"{line},{(values or {}).get(line.split(',')[0], '1')}" for line in lines]
        self.table.write_text("\n".join([f"{first},{name}", *rows]) + "\n")

    def trainer(self, kind: type, configuration: str = "2d", *, resume: bool = False, **about: Any) -> Any:
        """Return a trainer of fold 0, as `nnUNetv2_train` makes it."""
        import torch  # noqa: PLC0415  (the tests that need nnU-Net skip without it)

        plans = {**json.loads(json.dumps(self.plans)), "continue_training": resume}
        return kind(
            plans=plans,
            configuration=configuration,
            fold=0,
            dataset_json={**self.about, **about},
            device=torch.device("cpu"),
        )


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Return a dataset that 2d and 3d_fullres can be trained on; fold 0 validates on m4 and f1."""
    for variable in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{variable}", str(tmp_path / variable))
    for variable in [name for name in os.environ if name.startswith("FAIRSEG_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    raw, preprocessed = tmp_path / "raw" / NAME, tmp_path / "preprocessed" / NAME
    (raw / "labelsTr").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    for case in CASES:
        (raw / "labelsTr" / f"{case}.nii.gz").touch()
    (raw / "groups.csv").write_text("case,subject,sex\n" + "\n".join(ROWS) + "\n")
    about = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "LVM": 1, "LVBP": 2},
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
    }
    plans = {
        "dataset_name": NAME,
        "plans_name": "nnUNetPlans",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "configurations": {"2d": _configuration(2), "3d_fullres": _configuration(3)},
    }
    preprocessed.mkdir(parents=True)
    for name, content in (
        ("dataset.json", about),
        ("nnUNetPlans.json", plans),
        ("dataset_fingerprint.json", {}),
    ):
        (preprocessed / name).write_text(json.dumps(content))
    validated = ("m4_ED", "m4_ES", "f1_ED")
    split = {"train": [case for case in CASES if case not in validated], "val": list(validated)}
    (preprocessed / "splits_final.json").write_text(json.dumps([split]))
    for configuration in plans["configurations"]:
        _save_cases(preprocessed / f"nnUNetPlans_{configuration}")
    return Dataset(raw, preprocessed, plans, about)


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Return a function that runs a command of nnU-Net in this process, and returns what it prints.

    Its pools are threads. The real commands, in processes that import torch each, are those of test_pipeline.
    """
    of_kind: Callable[..., Any] = multiprocessing.get_context

    def get_context(kind: str | None = None) -> Any:
        return multiprocessing.dummy if kind == "spawn" else of_kind(kind)

    monkeypatch.setattr(multiprocessing, "get_context", get_context)
    # They ask for a thread a core, which the tests that come after would have too.
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    monkeypatch.syspath_prepend(str(STUBS))

    def run(name: str, *arguments: str) -> str:
        (script,) = entry_points(group="console_scripts", name=name)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.setenv("nnUNet_n_proc_DA", "0" if name == "nnUNetv2_train" else "1")
        capfd.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # nnU-Net walks over them, and what loads when it is touched would then add to them.
            for module in list(sys.modules.values()):
                getattr(module, "__file__", None)
            script.load()()
        return capfd.readouterr().out

    yield run
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        del sys.modules[name]


def make_small(plans: Path) -> dict[str, Any]:
    """Give the networks of nnU-Net's plans four channels and batches of two; return the plans."""
    about: dict[str, Any] = json.loads(plans.read_text())
    for one in about["configurations"].values():
        if "architecture" in one:
            network = one["architecture"]["arch_kwargs"]
            network["features_per_stage"] = [4] * network["n_stages"]
            one["batch_size"] = 2
    plans.write_text(json.dumps(about))
    return about


@pytest.fixture
def batch_of() -> Callable[..., dict[str, Any]]:
    """Return a function that makes a random batch of these cases, as nnU-Net's loaders do."""
    return make_batch


def make_batch(
    keys: list[str], shape: tuple[int, ...] = (16, 16), seed: int = 0, labels: int = 3
) -> dict[str, Any]:
    """Return a random batch of these cases."""
    import torch  # noqa: PLC0415

    random = torch.Generator().manual_seed(seed)
    target = torch.randint(0, labels, (len(keys), 1, *shape), generator=random, dtype=torch.int16)
    small = target[(slice(None), slice(None), *(slice(None, None, 2) for _ in shape))]
    data = torch.randn(len(keys), 1, *shape, generator=random)
    return {"data": data, "target": [target, small], "keys": np.array(keys)}


def loss_and_gradient(trainer: Any, batch: dict[str, Any]) -> tuple[float, Any]:
    """Return the loss of a batch as of one group, and its gradient, of any trainer."""
    import torch  # noqa: PLC0415

    groups = torch.zeros(len(batch["data"]), dtype=torch.int64)
    with trainer.loss.of_groups(groups) if hasattr(trainer.loss, "of_groups") else nullcontext():
        value = trainer.loss(trainer.network(batch["data"]), batch["target"])
    value.backward()
    gradients = [p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]
    return value.item(), torch.cat(gradients)


def _configuration(axes: int) -> dict[str, Any]:
    torch_names = {"conv_op": f"torch.nn.modules.conv.Conv{axes}d"}
    torch_names["norm_op"] = f"torch.nn.modules.instancenorm.InstanceNorm{axes}d"
    network = {
        "n_stages": 3,
        "features_per_stage": [4, 8, 8],
        **torch_names,
        "kernel_sizes": [[3] * axes] * 3,
        "strides": [[1] * axes, [2] * axes, [2] * axes],
        "n_conv_per_stage": [1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1],
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = "2d" if axes == 2 else "3d_fullres"
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 6,
        "patch_size": [16, 16] if axes == 2 else [8, 16, 16],
        "spacing": [1.0] * axes,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": axes == 2,  # as nnU-Net plans it
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": network,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }


def _save_cases(folder: Path) -> None:
    """Write the cases by nnU-Net's own class; foreground fills one corner of each."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2  # noqa: PLC0415

    folder.mkdir()
    random = np.random.default_rng(3)
    for case in CASES:
        data = random.normal(size=(1, 8, 24, 24)).astype(np.float32)
        seg = np.zeros((1, 8, 24, 24), np.int16)
        seg[:, 2:6, :6, :6], seg[:, 3:5, 1:4, 1:4] = 1, 2
        places: dict[Any, Any] = {label: np.argwhere(seg == label) for label in (1, 2)}
        places[-1, 0, 1, 2] = np.argwhere(seg >= 0)[::7]  # what is annotated, where there is an ignore label
        about = {"class_locations": places}
        nnUNetDatasetBlosc2.save_case(
            data, seg, about, str(folder / case), chunks=data.shape, blocks=data.shape
        )
