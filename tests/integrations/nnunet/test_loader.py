"""Batches of nnU-Net's loader have their share of every group, in every worker. Half a minute."""

import os
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from fairseg.integrations.nnunet import trainers
from fairseg.integrations.nnunet.loader import GroupDataLoader, balanced_training

from .conftest import CASES, ROWS, Dataset

SEX = {row.split(",")[0]: row.split(",")[2] for row in ROWS}
GROUPS = {case: {"F": 0, "M": 1, "": -1}[sex] for case, sex in SEX.items()}
SUBJECTS = {row.split(",")[0]: row.split(",")[1] for row in ROWS}
KNOWN = {case for case, group in GROUPS.items() if group >= 0}
# What Python 3.12 says of any fork beside a thread; nnU-Net's workers are forked.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]
PATCH = {"2d": (16, 16), "3d_fullres": (8, 16, 16)}


def loader_of(
    dataset: Dataset, configuration: str = "2d", batch_size: int = 6, **more: Any
) -> GroupDataLoader:
    labels = PlansManager(dataset.plans).get_label_manager(dataset.about)
    data = nnUNetDatasetBlosc2(str(dataset.preprocessed / f"nnUNetPlans_{configuration}"), list(CASES))
    size = PATCH[configuration]
    return GroupDataLoader(
        data,
        batch_size,
        size,
        size,
        labels,
        oversample_foreground_percent=0.33,
        groups=GROUPS,
        subjects=SUBJECTS,
        **more,
    )


@pytest.mark.parametrize("configuration", list(PATCH))
def test_batches_are_nnunets_with_equal_shares_of_the_groups(dataset: Dataset, configuration: str) -> None:
    loader = loader_of(dataset, configuration)
    for _ in range(5):
        batch = next(loader)
        assert batch["data"].shape == (6, 1, *PATCH[configuration])
        assert batch["target"].shape == (6, 1, *PATCH[configuration])
        assert Counter(SEX[case] for case in batch["keys"]) == {"F": 3, "M": 3}
        for patch, case in zip(batch["data"], batch["keys"], strict=True):
            stored = np.asarray(loader._data.load_case(case)[0])
            assert np.isin(patch.numpy(), [0, *stored.ravel()]).all()  # the keys are those of the patches


def test_shares_carry_over_where_a_batch_is_odd_and_all_are_drawn_before_any_again(dataset: Dataset) -> None:
    loader = loader_of(dataset, batch_size=5)
    drawn: Counter[str] = Counter()
    for number in range(1, 25):
        drawn.update(str(case) for case in loader.get_indices())
        for sex in "FM":
            share = sum(count for case, count in drawn.items() if SEX[case] == sex)
            assert abs(share - 2.5 * number) < 1
    # 60 draws of each group: 12 of each of five men, in two cases; 30 of each of two women.
    assert set(drawn) == KNOWN
    people: Counter[str] = Counter()
    for case, count in drawn.items():
        people[SUBJECTS[case]] += count
    assert {person: people[person] for person in ("m0", "m4", "f0", "f1")} == {
        "m0": 12,
        "m4": 12,
        "f0": 30,
        "f1": 30,
    }
    assert {drawn["m0_ED"], drawn["m0_ES"]} == {6}


def test_every_group_has_its_part_of_the_forced_foreground(dataset: Dataset) -> None:
    loader = loader_of(dataset)
    forced = [place for place in range(6) if loader.get_do_oversample(place)]
    assert forced == [4, 5]
    batches = 400
    female = sum(SEX[str(case)] == "F" for _ in range(batches) for case in loader.get_indices()[forced])
    # Of 2 places in 6 of which 3 are hers: hypergeometric with mean 1 and variance 0.4.
    assert abs(female - batches) < 5 * np.sqrt(0.4 * batches)


def test_workers_draw_differently_and_each_keeps_the_shares(dataset: Dataset) -> None:
    loader = loader_of(dataset)
    next(loader)  # what was drawn before the workers are made is not theirs
    workers = NonDetMultiThreadedAugmenter(loader, None, num_processes=2, num_cached=2, wait_time=0.002)
    try:
        batches = [tuple(map(str, batch["keys"])) for batch in islice(workers, 12)]
    finally:
        workers._finish()
    for keys in batches:
        assert Counter(SEX[case] for case in keys) == {"F": 3, "M": 3}
    # Two workers with one seed would give each batch twice.
    assert len(set(batches)) > 9


def test_the_seed_of_numpy_decides(dataset: Dataset) -> None:
    draws = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002  (as nnU-Net does in its workers)
        loader = loader_of(dataset)
        draws.append([loader.get_indices().tolist() for _ in range(3)])
    assert draws[0] == draws[1] != draws[2]


def test_a_forked_copy_draws_anew(dataset: Dataset) -> None:
    loader = loader_of(dataset)
    loader.get_indices()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        np.random.seed(77)  # noqa: NPY002
        os.write(write, ",".join(loader.get_indices()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    np.random.seed(77)  # noqa: NPY002
    assert os.read(read, 1000).decode().split(",") == loader_of(dataset).get_indices().tolist()


@pytest.mark.parametrize("configuration", list(PATCH))
@pytest.mark.parametrize("balanced", [False, True])
def test_trainers_balance_the_training_batches_alone(
    dataset: Dataset, configuration: str, balanced: bool
) -> None:
    name = "nnUNetTrainerFairGroupDRO_Oversampling" if balanced else "nnUNetTrainerFairGroupDRO"
    trainer = dataset.trainer(getattr(trainers, name), configuration)
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    assert isinstance(training, SingleThreadedAugmenter)
    kinds = [type(loader.data_loader) for loader in (training, validation)]
    assert kinds == [GroupDataLoader if balanced else nnUNetDataLoader, nnUNetDataLoader]
    assert trainer_module.nnUNetDataLoader is nnUNetDataLoader
    shares = [Counter(SEX[str(case)] for case in next(training)["keys"]) for _ in range(8)]
    assert all(share == {"F": 3, "M": 3} for share in shares) == balanced
    trainer.network.train()
    trainer.train_step(next(training))  # augmented, with its deep supervision
    assert Counter(map(str, next(validation)["keys"])).keys() <= {"m4_ED", "m4_ES", "f1_ED"}


def test_a_trainer_that_makes_its_loader_otherwise_is_noticed(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="batches would not be balanced"), balanced_training({}, {}, []):
        pass
    with pytest.raises(KeyError), balanced_training({}, {}, []):
        raise KeyError
    assert trainer_module.nnUNetDataLoader is nnUNetDataLoader
