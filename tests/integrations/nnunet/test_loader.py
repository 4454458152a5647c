"""Batches of nnU-Net's loader have their share of every group, in every worker. Half a minute."""

import os
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: make test does it")

from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from fairseg.integrations.nnunet import trainers
from fairseg.integrations.nnunet.loader import CaseDraws, GroupDataLoader

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
    dataset: Dataset,
    configuration: str = "2d",
    batch_size: int = 6,
    draws: CaseDraws = CaseDraws(GROUPS, SUBJECTS),  # noqa: B008
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
        draws=draws,
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
    workers = NonDetMultiThreadedAugmenter(
        loader,
        # The names alone: tensors lie in memory that ends with their worker, and a batch that comes out of
        # the queue as the workers end is then an error in a thread.
        lambda **batch: tuple(map(str, batch["keys"])),
        num_processes=2,
        num_cached=2,
        wait_time=0.002,
    )
    try:
        batches = list(islice(workers, 12))
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


def test_a_trainer_that_makes_its_loader_otherwise_is_noticed(dataset: Dataset) -> None:
    class Base(nnUNetTrainer):  # type: ignore[misc]
        def get_dataloaders(self) -> tuple[Any, Any]:
            return iter(()), iter(())

    class Mix(trainers.nnUNetTrainerFairOversampling, Base):
        pass

    trainer = dataset.trainer(Mix)
    trainer.initialize()
    with pytest.raises(RuntimeError, match="cases would be drawn as in nnU-Net"):
        trainer.get_dataloaders()
    assert trainer_module.nnUNetDataLoader is nnUNetDataLoader


def test_cases_are_drawn_in_proportion_to_their_weights_within_their_group(dataset: Dataset) -> None:
    women = {"f0_ED": 1.0, "f0_ES": 2.0, "f1_ED": 0.0}
    loader = loader_of(dataset, draws=CaseDraws(GROUPS, None, {case: women.get(case, 0.5) for case in CASES}))
    drawn = Counter(str(case) for _ in range(60) for case in loader.get_indices())
    # Of 360 draws half are hers, 1 to 2; his ten cases are alike. After c cycles a case is off by less than
    # log2(c) + 1 draws: 60 of three cases, 27 of fourteen below.
    assert {case: drawn[case] for case in women} == pytest.approx(
        {"f0_ED": 60, "f0_ES": 120, "f1_ED": 0}, abs=7
    )
    assert {drawn[case] for case in CASES if SEX[case] == "M"} == {18}
    # Without groups, a weight is all that counts.
    weights = {case: 3.0 if SEX[case] == "" else 1.0 for case in CASES}
    loader = loader_of(dataset, draws=CaseDraws(dict.fromkeys(CASES, 0), None, weights))
    drawn = Counter(str(case) for _ in range(64) for case in loader.get_indices())
    assert drawn["u0_ED"] == pytest.approx(3 * 384 / 16, abs=6)
    assert all(drawn[case] == pytest.approx(384 / 16, abs=6) for case in CASES if case != "u0_ED")


def test_the_trainer_of_weights_needs_no_groups(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset.add_column("weight", {"f0_ED": "8", "f0_ES": "0", "u0_ED": "8"})
    trainer = dataset.trainer(trainers.nnUNetTrainerFairWeightedSampling)
    trainer.initialize()
    assert trainer.case_groups is None
    training, validation = trainer.get_dataloaders()
    assert [type(loader.data_loader) for loader in (training, validation)] == [
        GroupDataLoader,
        nnUNetDataLoader,
    ]
    drawn = Counter(str(case) for _ in range(25) for case in training.data_loader.get_indices())
    # Of 11 training cases two weigh 8, one nothing, eight 1: 24 in all, of 150 draws in 14 cycles.
    assert drawn["f0_ED"] == pytest.approx(50, abs=5)
    assert drawn["u0_ED"] == pytest.approx(50, abs=5)
    assert drawn["f0_ES"] == 0
    assert drawn["m0_ED"] == pytest.approx(6.25, abs=5)
    # Beside groups, by the variable: within each of them.
    monkeypatch.setenv("FAIRSEG_WEIGHT", "weight")
    trainer = dataset.trainer(trainers.nnUNetTrainerFairGroupDRO_Oversampling)
    trainer.initialize()
    assert trainer.case_groups.groups.attributes == ("sex",)  # the weights are no attribute
    loader = trainer.get_dataloaders()[0].data_loader
    drawn = Counter(SEX[str(case)] for _ in range(10) for case in loader.get_indices())
    assert drawn == {"F": 30, "M": 30}


def test_weights_say_what_is_wrong(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    weighted = trainers.nnUNetTrainerFairWeightedSampling

    def refused(message: str, kind: type = weighted) -> None:
        with pytest.raises(ValueError, match=message):
            dataset.trainer(kind).initialize()

    refused(r"groups\.csv has no column 'weight' to draw cases by, it has sex: name one by .* FAIRSEG_WEIGHT")
    good = dataset.table.read_text()
    dataset.add_column("often", {"m0_ED": "", "m1_ED": "-1"})
    monkeypatch.setenv("FAIRSEG_WEIGHT", "often")
    refused(r"often must be a number of 0 or more, is not for 2 cases: m0_ED, m1_ED")
    dataset.table.write_text(good)
    dataset.add_column("often", {"m0_ED": "much"})
    refused(r"column often: must be a number, got 'much'")
    dataset.table.write_text(good)
    dataset.add_column("often", dict.fromkeys(CASES, "0"))
    refused("often must be above 0 for a training case, is 0 for all")
    dataset.table.write_text(good)
    dataset.add_column("often", {"f0_ED": "0", "f0_ES": "0"})  # f1 is validated on
    refused("often must be above 0 for a training case of F", trainers.nnUNetTrainerFairOversampling)
    refused("FAIRSEG_WEIGHT is for trainers that draw the cases", trainers.nnUNetTrainerFairGroupDRO)
    dataset.trainer(trainers.nnUNetTrainerFairERM).initialize()  # says that it does not use them
