"""A network of MONAI trained by MONAI's engine on patches of cached images, with groups. Thirty seconds."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, SmartCacheDataset, decollate_batch
from monai.data.utils import list_data_collate
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import CheckpointLoader, CheckpointSaver, from_engine
from monai.losses import DiceCELoss as MonaiDiceCELoss
from monai.metrics import DiceMetric
from monai.networks.nets import UNet
from monai.transforms import AsDiscreted, Compose, EnsureTyped, RandCropByPosNegLabeld
from torch import nn
from torch.nn import functional

import fairseg
from fairseg.integrations.loaders import check_loader
from fairseg.integrations.monai import (
    FairnessGapMetric,
    GroupDiceMetric,
    GroupLossFunction,
    GroupMetricHandler,
    LogGroupLoss,
    PrepareGroupBatch,
    SkewedErrorRatioMetric,
    WorstGroupDiceMetric,
    with_groups,
)
from fairseg.losses import (
    BalancedGroupLoss,
    DeepSupervision,
    FairErrorBoundLoss,
    GroupDROLoss,
    NonAdditiveLossError,
)
from fairseg.metrics import by_group, dice, fairness_gap, skewed_error_ratio
from fairseg.samplers import GroupBatchSampler
from tests.integrations.monai_ranks import main, make_masks, make_metric
from tests.ranks import run_ranks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*monai.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.cuda.amp.*:FutureWarning"),
]

NAMES = ("A", "B", "C")
GROUPS = np.repeat([0, 1, 2], [9, 4, 2])


def make_data() -> list[dict[str, Any]]:
    """Return images with a disc, whose second channel says the group, and masks as MONAI reads them."""
    random = np.random.default_rng(0)
    size, grid = 24, np.indices((24, 24))
    data = []
    for number, group in enumerate(GROUPS):
        centre, radius = random.integers(8, size - 8, 2), random.integers(3, 7)
        mask = (np.hypot(*(grid - centre[:, None, None])) < radius).astype(np.float32)
        image = mask * (1.0, 0.6, 0.4)[group] + 0.2 * random.standard_normal(mask.shape)
        channels = np.stack([image, np.full_like(mask, group)]).astype(np.float32)
        data.append({"image": channels, "label": mask[None], "subject": number // 2})
    return with_groups(data, GROUPS)


def make_loader(sampler: GroupBatchSampler, *, patches: int = 2, num_workers: int = 0) -> Any:
    """Return a loader of patches of cached images."""
    keys = ("image", "label")
    crop = RandCropByPosNegLabeld(keys, "label", spatial_size=(16, 16), num_samples=patches)
    dataset = CacheDataset(make_data(), Compose([EnsureTyped(keys), crop]), progress=False)
    dataset.transform.set_random_state(seed=0)
    return DataLoader(dataset, batch_sampler=sampler, num_workers=num_workers)


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return UNet(2, in_channels=2, out_channels=2, channels=(4, 8, 16), strides=(2, 2), num_res_units=1)


def make_trainer(
    loader: Any, network: nn.Module, loss: nn.Module, *, max_epochs: int = 1, handlers: Any = ()
) -> Any:
    loss_function = loss if isinstance(loss, GroupLossFunction) else GroupLossFunction(loss)
    return SupervisedTrainer(
        device="cpu",
        max_epochs=max_epochs,
        train_data_loader=loader,
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=0.01),
        loss_function=loss_function,
        prepare_batch=PrepareGroupBatch(loss_function),
        decollate=False,
        train_handlers=list(handlers),
    )


class Watch:
    """Keeps what the engine had in each iteration."""

    def __init__(self, loss: Any) -> None:
        self.loss, self.steps = loss, list[dict[str, Any]]()

    def attach(self, engine: Any) -> None:
        from ignite.engine import Events  # noqa: PLC0415

        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note)

    def note(self, engine: Any) -> None:
        output = {name: engine.state.output[name] for name in ("image", "label", "pred", "loss")}
        state = {
            name: getattr(self.loss, name).clone() for name in ("group_loss", "group_count", "group_weight")
        }
        self.steps.append({**output, **state})


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_on_patches_gives_each_patch_the_group_of_its_image(num_workers: int) -> None:
    loss = GroupDROLoss(3, step_size=0.05)
    loss_function = GroupLossFunction(loss)
    watch, log = Watch(loss), LogGroupLoss(loss_function, NAMES)
    loader = make_loader(GroupBatchSampler(GROUPS, 6, num_batches=5), num_workers=num_workers)
    trainer = make_trainer(loader, make_network(), loss_function, max_epochs=6, handlers=[log, watch])
    trainer.run()
    assert len(watch.steps) == 30
    for step in watch.steps:
        of_patch = step["image"].as_tensor()[:, 1].amax((1, 2)).round().long()  # what the image says
        assert of_patch.bincount().tolist() == [4, 4, 4]  # 2 images of each group, 2 patches of each
        assert step["group_count"].tolist() == [4, 4, 4]
        each = functional.cross_entropy(
            step["pred"].as_tensor().detach(), step["label"].as_tensor()[:, 0].long(), reduction="none"
        ).mean((1, 2))
        means = torch.stack([each[of_patch == group].mean() for group in range(3)])
        assert torch.allclose(step["group_loss"], means, rtol=1e-4)
        assert step["loss"].item() == pytest.approx(float((step["group_weight"] * means).sum()), rel=1e-4)
    first, last = (
        torch.stack([s["loss"] for s in part]).mean() for part in (watch.steps[:5], watch.steps[-5:])
    )
    assert last < 0.7 * first  # it learns
    logged, steps = trainer.state.metrics, watch.steps[-5:]
    for group, name in enumerate(NAMES):
        for key in ("loss", "weight"):
            mean = np.mean([float(step[f"group_{key}"][group]) for step in steps])
            assert logged[f"{key}_{name}"] == pytest.approx(mean, rel=1e-5)
        assert logged[f"samples_{name}"] == 20


def test_the_engine_trains_as_a_plain_loop() -> None:
    network = make_network()
    loader = make_loader(GroupBatchSampler(GROUPS, 6), patches=1)
    make_trainer(loader, network, BalancedGroupLoss(3)).run()
    plain, loss = make_network(), BalancedGroupLoss(3)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    loader = make_loader(GroupBatchSampler(GROUPS, 6), patches=1)
    for batch in loader:
        optimizer.zero_grad()
        logits = plain(batch["image"].as_tensor())
        loss(logits, batch["label"].as_tensor().long(), batch["group"]).backward()
        optimizer.step()
    for got, expected in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(got, expected, atol=1e-6)


def test_deep_supervision_takes_a_list() -> None:
    loss_function = GroupLossFunction(DeepSupervision(BalancedGroupLoss(2), (2 / 3, 1 / 3)))
    LogGroupLoss(loss_function, ("A", "B"))
    loss_function.groups = torch.tensor([0, 1])
    outputs = [torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 4, 4)]
    assert loss_function(outputs, torch.zeros(2, 1, 8, 8)).item() == pytest.approx(np.log(3))


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def make(max_epochs: int, *handlers: Any, load: Path | None = None) -> tuple[Any, dict[str, Any]]:
        loss, network = GroupLossFunction(GroupDROLoss(3, step_size=0.1)), make_network()
        sampler = GroupBatchSampler(GROUPS, 4, num_batches=4)
        dataset = CacheDataset(make_data(), EnsureTyped(("image", "label")), progress=False)
        loader = DataLoader(dataset, batch_sampler=sampler)
        trainer = make_trainer(loader, network, loss, max_epochs=max_epochs, handlers=handlers)
        parts = {"network": network, "loss": loss, "sampler": sampler, "optimizer": trainer.optimizer}
        if load is None:
            CheckpointSaver(str(tmp_path), parts | {"trainer": trainer}, save_interval=2).attach(trainer)
        else:
            CheckpointLoader(str(load), parts | {"trainer": trainer}).attach(trainer)
        return trainer, parts

    whole, expected = make(4)
    whole.run()
    resumed, parts = make(4, load=tmp_path / "checkpoint_epoch=2.pt")
    resumed.run()
    assert resumed.state.iteration == 16
    for name in ("network", "loss"):
        for key, value in expected[name].state_dict().items():
            assert torch.allclose(parts[name].state_dict()[key], value, atol=1e-6), (name, key)
    assert not torch.allclose(expected["loss"].loss.group_weight, torch.full((3,), 1 / 3).double(), atol=1e-4)


def test_an_evaluator_reports_the_dice_of_the_audit() -> None:
    network, keys = make_network(), ("image", "label")
    loader = DataLoader(CacheDataset(make_data(), EnsureTyped(keys), progress=False), batch_size=4)
    output = from_engine(["pred", "label"])
    discrete = Compose([AsDiscreted("pred", argmax=True, to_onehot=2), AsDiscreted("label", to_onehot=2)])
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=loader,
        network=network,
        postprocessing=discrete,
        key_val_metric={
            "worst": GroupMetricHandler(WorstGroupDiceMetric(3, [1]), output, subject_key="subject")
        },
        additional_metrics={
            "dice": GroupMetricHandler(GroupDiceMetric(3, {"disc": 1}), output, names=NAMES),
            "gap": GroupMetricHandler(FairnessGapMetric(3, [1], reference=1), output),
            "ser": GroupMetricHandler(SkewedErrorRatioMetric(3, [1], statistic="mean"), output),
        },
    )
    evaluator.run()
    data = make_data()
    with torch.no_grad():
        predicted = network.eval()(torch.from_numpy(np.stack([d["image"] for d in data]))).argmax(1)
    each = [float(dice(predicted[i], d["label"][0].astype(int), [1])[0]) for i, d in enumerate(data)]
    medians, _ = by_group(each, GROUPS, 3)
    means, _ = by_group(each, GROUPS, 3, "mean")
    got = evaluator.state.metrics
    assert [got[f"dice_{name}"] for name in NAMES] == pytest.approx(medians.tolist(), rel=1e-9)
    assert got["gap"] == pytest.approx(fairness_gap(medians, 1))
    assert got["ser"] == pytest.approx(skewed_error_ratio(means))
    subjects = sorted({(number // 2, int(group)) for number, group in enumerate(GROUPS)})
    of_subject = [
        np.mean([each[i] for i in range(15) if (i // 2, GROUPS[i]) == subject]) for subject in subjects
    ]
    assert got["worst"] == pytest.approx(np.min(by_group(of_subject, [g for _, g in subjects], 3)[0]))
    assert evaluator.state.best_metric == got["worst"]


def test_a_missed_structure_counts_as_nothing_found() -> None:
    """MONAI leaves a distance out where a structure was missed; here the miss has a Dice of 0."""
    reference = torch.zeros(2, 1, 4, 4)
    reference[:, :, 1:3, 1:3] = 1
    prediction = reference.clone()
    prediction[1] = 0
    metric = GroupDiceMetric(2, [1])
    metric(prediction, reference, groups=torch.tensor([0, 1]))
    assert metric.aggregate().tolist() == [1.0, 0.0]
    empty = GroupDiceMetric(2, [1])
    empty(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), groups=torch.tensor([0, -1]))
    assert empty.aggregate().isnan().all()
    assert {k: v.tolist() for k, v in empty.counts().items()} == {
        "subjects": [0, 0],
        "unknown_group": 1,
        "empty_masks": 1,
    }
    assert GroupDiceMetric(2, [1]).aggregate().isnan().all()


def test_two_processes_have_the_metric_of_one(tmp_path: Path) -> None:
    """The samples of subjects 0 and 1 lie in both."""
    metric, (prediction, reference, groups, subjects) = make_metric(), make_masks()
    metric(prediction, reference, groups=groups, subjects=subjects)
    for rank in run_ranks(main, tmp_path):
        assert torch.equal(rank["dice"], metric.aggregate())
        assert rank["subjects"].tolist() == [2, 2]
        assert rank["unknown_group"].item() == 1


def test_lists_batches_and_one_hot_masks_are_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 3, 5, 5, generator=generator)
    truth = torch.randint(0, 3, (6, 1, 5, 5), generator=generator)
    masks = logits.argmax(1, keepdim=True)
    one_hot = functional.one_hot(masks[:, 0], 3).movedim(-1, 1).float()
    one_hot_truth = functional.one_hot(truth[:, 0], 3).movedim(-1, 1).float()
    groups = torch.tensor([0, 1, 1, -1, 0, 1])
    values = []
    for prediction, reference in (
        (logits, truth),
        (masks, truth.float()),
        (one_hot, one_hot_truth),
        (list(one_hot), list(one_hot_truth)),
        (list(masks), decollate_batch(truth)),
    ):
        metric = GroupDiceMetric(2, [1, 2], statistic="mean")
        for part in (slice(0, 4), slice(4, 6)):
            metric(prediction[part], reference[part], groups=groups[part])
        values.append(metric.aggregate())
        metric.reset()
        assert metric.aggregate().isnan().all()
    monai = DiceMetric(include_background=False, reduction="none")
    each = monai(one_hot, one_hot_truth).mean(1)
    expected = torch.stack([each[groups == group].mean() for group in range(2)]).double()
    for value in values:
        assert torch.allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("prediction", "reference", "ids", "message"),
    [
        (torch.ones(2, 3, 4), torch.zeros(2, 1, 4), {}, "groups must be the ids of the samples, got none"),
        (
            torch.full((2, 3, 4), 0.5),
            torch.zeros(2, 1, 4),
            {"groups": torch.tensor([0])},
            "groups must be 2 integer",
        ),
        (
            torch.full((2, 3, 4), 0.5),
            torch.zeros(2, 1, 4),
            {"groups": torch.tensor([0, 2])},
            "between -1 and 1, got 2",
        ),
        (
            torch.ones(2, 1, 4),
            torch.ones(2, 1, 4),
            {"groups": torch.tensor([0, 1]), "subjects": torch.tensor([2**60, 2**60 + 1])},
            f"subjects must be between 0 and {2**53 - 1}, got {2**60 + 1}",
        ),
        (torch.ones(2, 3, 4), torch.zeros(2, 1, 4), {"groups": torch.tensor([0, 1])}, "y_pred of 3 channels"),
        (
            torch.ones(2, 1, 4),
            torch.zeros(2, 2, 4),
            {"groups": torch.tensor([0, 1])},
            "y of 2 channels must be",
        ),
        (
            torch.ones(2, 1, 4),
            torch.full((2, 1, 4), 0.5),
            {"groups": torch.tensor([0, 1])},
            "whole numbers, got 0.5",
        ),
        (
            list(torch.ones(2, 1, 4)),
            list(torch.ones(2, 1, 4)),
            {"groups": [0]},
            r"2 integer ids, got shape \(1,\)",
        ),
        (
            list(torch.ones(2, 1, 4)),
            list(torch.ones(1, 1, 4)),
            {"groups": [0, 1]},
            "as many masks as y_pred, 2",
        ),
    ],
)
def test_what_a_metric_can_not_use_is_named(prediction: Any, reference: Any, ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupDiceMetric(2, [1])(prediction, reference, **ids)


def test_groups_that_got_lost_are_named() -> None:
    loader = make_loader(GroupBatchSampler(GROUPS, 6))
    network, loss_function = make_network(), GroupLossFunction(BalancedGroupLoss(3))
    trainer = make_trainer(loader, network, loss_function)
    trainer.prepare_batch = PrepareGroupBatch(loss_function, group_key="sex")
    with pytest.raises(ValueError, match=r"the batch has no 'sex' for the groups: it has \['group', 'image'"):
        trainer.run()
    trainer = make_trainer(loader, network, loss_function)
    trainer.prepare_batch = PrepareGroupBatch(GroupLossFunction(BalancedGroupLoss(3)))  # of another loss
    with pytest.raises(ValueError, match="prepare_batch=PrepareGroupBatch"):
        trainer.run()

    def keep_one_group_an_image(batch: list[list[dict[str, Any]]]) -> dict[str, Any]:
        patches = list_data_collate(batch)
        return {**patches, "group": torch.tensor([image[0]["group"] for image in batch])}

    loader.collate_fn = keep_one_group_an_image
    trainer = make_trainer(loader, network, loss_function)
    with pytest.raises(ValueError, match=r"each of the 12 samples of the batch, got .*list_data_collate"):
        trainer.run()


def test_labels_that_were_interpolated_are_named() -> None:
    loss_function = GroupLossFunction(BalancedGroupLoss(2))
    loss_function.groups = torch.tensor([0])
    with pytest.raises(ValueError, match=r"label must hold whole numbers, got 0.25: .* nearest"):
        loss_function(torch.zeros(1, 2, 4, 4), torch.full((1, 1, 4, 4), 0.25))
    loss_function.groups = torch.tensor([0])
    loss_function(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="groups of this batch are not known"):  # those of one batch only
        loss_function(torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4))


def test_wrong_arguments_are_named() -> None:
    data: list[dict[str, Any]] = [{"image": 1}, {"image": 2}]
    with pytest.raises(ValueError, match="groups must be 2 integer ids"):
        with_groups(data, [0])
    with pytest.raises(ValueError, match="entry 0 has"):
        with_groups(data, [0, 1], key="image")
    with pytest.raises(ValueError, match="must be a GroupLossFunction"):
        PrepareGroupBatch(BalancedGroupLoss(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="names must be the names of 2 groups"):
        LogGroupLoss(GroupLossFunction(BalancedGroupLoss(2)), NAMES)
    with pytest.raises(ValueError, match="must hold a group loss of fairseg, got CrossEntropyLoss"):
        LogGroupLoss(GroupLossFunction(nn.CrossEntropyLoss()), NAMES)
    with pytest.raises(ValueError, match="names must be the names of 2 groups"):
        GroupMetricHandler(GroupDiceMetric(2, [1]), from_engine(["pred", "label"]), names=NAMES)
    with pytest.raises(ValueError, match="must be a group metric of fairseg, got DiceMetric"):
        GroupMetricHandler(DiceMetric(), from_engine(["pred", "label"]))  # type: ignore[arg-type]


def test_the_bundle_of_the_docs_trains(tmp_path: Path) -> None:
    """In a process that has imported nothing else."""
    page = Path(__file__).parents[2] / "docs" / "monai.md"
    (config,) = re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    random, cases = np.random.default_rng(0), []
    for number in range(8):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 4 + number % 3 : 12] = 1
        case = {"case": f"p{number}"}
        for kind, values in (("image", mask + random.normal(0, 0.3, mask.shape)), ("label", mask)):
            case[kind] = str(tmp_path / f"{kind}{number}.nii.gz")
            sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.float32)), case[kind])
        cases.append(case)
    (tmp_path / "dataset.json").write_text(json.dumps(cases))
    (tmp_path / "train.json").write_text(config)
    rows = "".join(f"p{number},{'F' if number < 2 else 'M'}\n" for number in range(8))
    (tmp_path / "groups.csv").write_text(f"case,sex\n{rows}")
    code = "from monai.bundle import run; run(config_file='train.json')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "['loss_F', 'loss_M', 'samples_F', 'samples_M', 'weight_F', 'weight_M']" in done.stdout, (
        done.stderr
    )


def test_a_dataset_whose_indices_move_is_refused() -> None:
    dataset = SmartCacheDataset(make_data(), replace_rate=0.5, cache_num=8, progress=False)
    loader = DataLoader(dataset, batch_sampler=GroupBatchSampler(GROUPS[:8], batch_size=4))
    with pytest.raises(ValueError, match="the dataset is a SmartCacheDataset of MONAI"):
        check_loader(loader)
    few = torch.utils.data.Subset(dataset, range(4))
    for wrapped in (few, torch.utils.data.ConcatDataset([few, make_data()]), Dataset(Dataset(dataset), len)):
        loader = DataLoader(wrapped, batch_sampler=GroupBatchSampler([0, 1] * (len(wrapped) // 2), 2))
        with pytest.raises(ValueError, match="the dataset is made of a SmartCacheDataset of MONAI"):
            check_loader(loader)
    still = torch.utils.data.Subset(CacheDataset(make_data(), progress=False), range(4))
    check_loader(DataLoader(still, batch_sampler=GroupBatchSampler([0, 1] * 2, 2)))


def test_losses_take_what_a_plain_loop_has_and_give_a_plain_scalar() -> None:
    torch.manual_seed(0)
    logits, labels = (
        MetaTensor(torch.randn(4, 3, 8, 8)),
        MetaTensor(torch.randint(0, 3, (4, 1, 8, 8)).float()),
    )
    groups = torch.tensor([0, 1, 1, 0])
    for base in (fairseg.losses.DiceCELoss(), fairseg.losses.DiceCELoss(pool="group")):
        value = GroupDROLoss(2, base)(logits, labels, groups)
        assert type(value) is torch.Tensor
        assert value == GroupDROLoss(2, base)(logits.as_tensor(), labels.as_tensor().long(), groups)
    assert type(FairErrorBoundLoss(2)(logits, labels, groups)) is torch.Tensor
    deep = DeepSupervision(GroupDROLoss(2), [1.0, 0.5])
    assert type(deep([logits, logits[..., ::2, ::2]], labels, groups)) is torch.Tensor
    for background in (True, False):
        theirs = MonaiDiceCELoss(to_onehot_y=True, softmax=True, include_background=background)
        ours = "include_background=True" if background else ""
        with pytest.raises(NonAdditiveLossError, match=rf"fairseg\.losses\.DiceCELoss\({ours}\)"):
            GroupDROLoss(2, theirs)(logits, labels, groups)
        stand_in = fairseg.losses.DiceCELoss(include_background=background)
        same = GroupDROLoss(1, stand_in)(logits, labels, torch.zeros(4, dtype=torch.long))
        assert same.item() == pytest.approx(theirs(logits, labels).item(), abs=1e-3)
    for loss in (GroupDROLoss(2), FairErrorBoundLoss(2)):
        with pytest.raises(ValueError, match="DeepSupervision"):
            loss([logits, logits], labels, groups)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="DiceBCELoss"):
            loss(logits, torch.ones(4, 3, 8, 8), groups)
