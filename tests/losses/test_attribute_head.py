"""AttributeHead by hand and against torch, hooks that leave nothing behind, and loops that are not ours."""

import copy
import io
import math
import pickle
from itertools import pairwise
from typing import Any

import pytest
import torch
from monai.engines import SupervisedTrainer
from monai.networks.nets import UNet
from torch import Tensor, nn

from fairseg.integrations.monai import GroupLossFunction, PrepareGroupBatch
from fairseg.losses import (
    AttributeHead,
    CrossEntropyLoss,
    DeepSupervision,
    DiceCELoss,
    GroupDROLoss,
    HookedFeatures,
    LossWithAttributeHead,
)

IDS = torch.tensor([0, 1, -1, 1, 2, -1])


def make_head(**options: Any) -> AttributeHead:
    torch.manual_seed(0)
    return AttributeHead(3, 4, **options)


def features_of(*size: int) -> Tensor:
    return torch.randn(len(IDS), 4, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()


def gradients(value: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, of)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_linear_head_by_hand(reverse: bool) -> None:
    """Logits (f, 0): p = sigmoid(f). Of -log p the derivative by f is p - 1, of -log(1 - p) it is p."""
    head = AttributeHead(2, 1, hidden=None, reverse=reverse, strength=0.5)
    with torch.no_grad():
        head.classifier[0].weight.copy_(torch.tensor([[1.0], [0.0]]))  # type: ignore[operator]
        head.classifier[0].bias.zero_()  # type: ignore[operator]
    features = torch.tensor([[0.0], [math.log(3)], [7.0]], requires_grad=True)  # p = 1/2, 3/4; and unknown
    value = head(features, torch.tensor([0, 1, -1]))
    assert value.item() == pytest.approx((math.log(2) + math.log(4)) / 2)
    to_features, to_weight = gradients(value, features, head.classifier[0].weight)  # type: ignore[arg-type]
    sign = -0.5 if reverse else 0.5
    assert to_features.flatten().tolist() == pytest.approx([sign * -0.25, sign * 0.375, 0.0])
    assert to_weight[0].item() == pytest.approx(0.75 * math.log(3) / 2)  # whatever the sign and strength
    assert head.group_loss.tolist() == pytest.approx([math.log(2), math.log(4)])
    assert head.group_count.tolist() == [1, 1]
    assert head.group_accuracy.tolist() == [1, 0]  # of two equal logits the first is taken


@pytest.mark.parametrize("size", [(), (5,), (3, 5), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("counts", [None, [30, 6, 2]], ids=["even", "by counts"])
def test_it_is_torchs_cross_entropy_of_pooled_features(size: tuple[int, ...], counts: Any) -> None:
    head, features = make_head(group_counts=counts), features_of(*size)
    value = head(features, IDS)
    known = IDS >= 0
    pooled = features[known].flatten(2).mean(dim=2) if size else features[known]
    each = nn.functional.cross_entropy(head.classifier(pooled), IDS[known], reduction="none")
    weight = torch.ones(3) if counts is None else 38 / (3 * torch.tensor([30.0, 6.0, 2.0]))
    expected = (weight[IDS[known]] * each).mean()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(gradients(one, features)[0] for one in (value, expected)))


def test_with_counts_a_batch_like_the_cohort_weighs_groups_alike() -> None:
    head = AttributeHead(2, 4, group_counts=[3, 1])
    value = head(torch.randn(4, 4), torch.tensor([0, 0, 1, 0]))
    torch.testing.assert_close(value.detach(), head.group_loss.mean())


def test_tokens_have_their_channels_last() -> None:
    features = features_of(3, 5)
    tokens = features.flatten(2).transpose(1, 2)
    torch.testing.assert_close(make_head(channel_axis=-1)(tokens, IDS), make_head()(features, IDS))


def test_unknown_samples_have_no_part_not_even_nan() -> None:
    known = IDS >= 0
    features = features_of(5).detach()
    head, alone = make_head(), make_head()
    clean = gradients(alone(features[known], IDS[known]), *alone.parameters())
    features[~known] = math.nan
    result = gradients(head(features, IDS), *head.parameters())
    for actual, expected in zip(result, clean, strict=True):
        torch.testing.assert_close(actual, expected)
    value = head(features, torch.full_like(IDS, -1))
    assert value == 0
    assert all((gradient == 0).all() for gradient in gradients(value, *head.parameters()))


def test_names_and_bad_input() -> None:
    head = AttributeHead(["F", "M"], 4)
    head(torch.zeros(3, 4), ["M", None, "M"])
    assert head.names == ("F", "M")
    assert head.group_count.tolist() == [0, 2]
    assert head.group_accuracy.isnan().tolist() == [True, False]
    for shape in ((3, 5), (4,), (3, 5, 4)):
        with pytest.raises(ValueError, match="features must have 4 channels on axis 1"):
            head(torch.zeros(shape), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="groups must lie between -1 and 1, got 2"):
        head(torch.zeros(1, 4), torch.tensor([2]))
    with pytest.raises(ValueError, match=r"groups must have one id a sample, shape \(3,\)"):
        head(torch.zeros(3, 4), torch.tensor([1]))
    for options, message in (
        ({"num_groups": 1, "channels": 4}, "num_groups must be 2 or more"),
        ({"num_groups": 2, "channels": 0}, "channels must be 1 or more"),
        ({"num_groups": 2, "channels": 4, "hidden": 0}, "hidden"),
        ({"num_groups": 2, "channels": 4, "strength": -1.0}, "strength"),
        ({"num_groups": 2, "channels": 4, "warm_up": -1}, "warm_up"),
        ({"num_groups": 2, "channels": 4, "channel_axis": 0}, "channel_axis must be 1 or -1"),
        ({"num_groups": 2, "channels": 4, "group_counts": [1, 0]}, "group_counts must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            AttributeHead(**options)  # type: ignore[arg-type]


def test_the_warm_up_is_a_part_of_the_state_and_moves_in_training_steps_only() -> None:
    head, features = make_head(reverse=True, warm_up=4), features_of()
    (full,) = gradients(make_head()(features, IDS), features)

    def factor(head: AttributeHead) -> float:
        (gradient,) = gradients(head(features, IDS), features)
        return float(gradient[0, 0] / full[0, 0])

    assert [factor(head) for _ in range(3)] == pytest.approx([-math.tanh(5 * n / 4) for n in range(3)])
    with torch.no_grad():
        head(features, IDS)
    head.eval()
    head(features, IDS)
    saved = io.BytesIO()
    torch.save(head.state_dict(), saved)
    saved.seek(0)
    other = make_head(reverse=True, warm_up=4)
    other.load_state_dict(torch.load(saved, weights_only=True))
    later = [factor(other) for _ in range(40)]
    assert later[0] == pytest.approx(-math.tanh(15 / 4))
    assert later[-1] == pytest.approx(-1.0)
    assert all(after <= before for before, after in pairwise(later))


def test_under_torch_func_it_is_a_pure_function() -> None:
    head, features = make_head(reverse=True, warm_up=2), features_of(5)
    head(features, IDS)
    expected = gradients(copy.deepcopy(head)(features, IDS), features)[0]
    result = torch.func.grad(lambda given: head(given, IDS))(features.detach())
    torch.testing.assert_close(result, expected)
    assert head.steps_taken == 1


def train_on_two_directions(**options: Any) -> tuple[float, float, float]:
    """The task is in the first direction of the input, the group in the second.

    Returns the loss of the task, the accuracy of the head, and that of a linear probe by least squares.
    """
    torch.manual_seed(0)
    inputs = torch.randn(64, 2)
    target, groups = (inputs[:, 0] > 0).long(), (inputs[:, 1] > 0).long()
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2))
    head = AttributeHead(2, 4, hidden=None, **options)
    optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.1)
    with HookedFeatures(network, "0") as features:
        for _ in range(150):
            task = nn.functional.cross_entropy(network(inputs), target)
            optimizer.zero_grad()
            (task + head(features.take(), groups)).backward()
            optimizer.step()
        network(inputs)
        seen = nn.functional.pad(features.take().detach(), (0, 1), value=1.0)
    answer = seen @ torch.linalg.lstsq(seen, groups.float().unsqueeze(1)).solution
    probed = ((answer.squeeze(1) > 0.5).long() == groups).float().mean()
    return task.item(), head.group_accuracy.mean().item(), probed.item()


def test_a_reversed_gradient_fools_the_head_and_still_another_can_read_the_group() -> None:
    only_measured, reversed_gradient = (
        train_on_two_directions(**options)
        for options in ({"strength": 0.0}, {"reverse": True, "strength": 3.0})
    )
    assert max(only_measured[0], reversed_gradient[0]) < 0.12  # both learn the task
    assert only_measured[1] > 0.9
    assert reversed_gradient[1] < 0.6  # a guess is 0.5
    assert reversed_gradient[2] > 0.9  # of which the docs warn


def make_network(dimensions: int = 2) -> nn.Module:
    torch.manual_seed(0)
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    parts = {"encoder": nn.Sequential(conv(1, 4, 3, padding=1), nn.ReLU()), "decoder": conv(4, 2, 1)}
    return nn.Sequential(*parts.values()) if dimensions == 1 else nn.ModuleDict(parts)


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_layers_are_found_by_name_and_as_modules_through_wrappers_and_the_hooks_go_again() -> None:
    network = make_network(1)
    image = torch.randn(2, 1, 8)
    expected = network[0](image)  # type: ignore[index]
    compiled = torch.compile(network, backend="eager")
    for whole in (network, nn.DataParallel(network), compiled):
        for layer in ("0.1", network[0][1], "0"):  # type: ignore[index]
            with HookedFeatures(whole, layer) as features:  # type: ignore[arg-type]
                network(image)
                torch.testing.assert_close(features.take(), expected)
                with pytest.raises(ValueError, match=r"no features of layer '0.*run the network before each"):
                    features.take()
                network(image)
            assert hooks(network) == 0
            with pytest.raises(ValueError, match="no features"):
                features.take()
    with pytest.raises(ValueError, match=r"such as 0, 1; got 'encoder'"):
        HookedFeatures(network, "encoder")
    with pytest.raises(ValueError, match="this Linear is none"):
        HookedFeatures(network, nn.Linear(1, 1))


def test_a_layer_that_gives_no_tensor_is_named() -> None:
    network = nn.Sequential(nn.LSTM(3, 2))
    with HookedFeatures(network, "0") as features:
        network(torch.zeros(1, 4, 3))
        with pytest.raises(ValueError, match="layer '0' must give a tensor, got tuple"):
            features.take()


@pytest.mark.filterwarnings(
    "ignore:You are using `torch.load`:FutureWarning"
)  # torch 2.4 on unpickling a tensor
def test_copies_of_a_hooked_network_are_free_of_it() -> None:
    network, image = make_network(1), torch.randn(2, 1, 8)
    with HookedFeatures(network, "0") as features:
        network(image)
        for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            other(torch.zeros(1, 1, 8))
        assert features.take().shape[0] == 2
        torch.save(network.state_dict(), io.BytesIO())
        loss = LossWithAttributeHead(CrossEntropyLoss(), make_head(), features)
        network(image)
        with pytest.raises(ValueError, match="must be hooked first"):
            copy.deepcopy(loss).features.take()


def test_copies_on_several_gpus_are_refused() -> None:
    network = make_network(1)
    with HookedFeatures(network, "0"):
        replica = network[0]._replicate_for_data_parallel()  # type: ignore[index]
        with pytest.raises(ValueError, match=r"use DistributedDataParallel in place of nn.DataParallel"):
            replica(torch.zeros(1, 1, 8))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch itself looks
def test_compiled_networks_give_features_with_their_gradient() -> None:
    image = torch.randn(2, 1, 8)
    groups = torch.tensor([0, 1])
    results = []
    for compile_it in (False, True):
        network, head = make_network(1), make_head(reverse=True, warm_up=2)
        with HookedFeatures(network, "0") as features:
            forward: Any = torch.compile(network, backend="aot_eager") if compile_it else network
            term: Any = torch.compile(head, backend="aot_eager", fullgraph=True) if compile_it else head
            for _ in range(3):
                network.zero_grad()
                (forward(image).mean() + term(features.take(), groups)).backward()
                results.append([parameter.grad.clone() for parameter in network.parameters()])  # type: ignore[union-attr]
    for plain, compiled in zip(results[:3], results[3:], strict=True):
        for actual, expected in zip(plain, compiled, strict=True):
            torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_is_one_more_term_beside_a_loss_at_several_scales_as_in_nnunet(dimensions: int) -> None:
    """Outputs and targets are lists, batches are of two, one optimiser has both, the norm is clipped."""
    network = make_network(dimensions)
    inner = GroupDROLoss(3, DiceCELoss(pool="group"))
    head = make_head(reverse=True)
    with HookedFeatures(network, "encoder") as features:
        loss = LossWithAttributeHead(DeepSupervision(inner, (2 / 3, 1 / 3)), head, features, weight=0.3)
        parameters = [*network.parameters(), *loss.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.99, nesterov=True)
        before = [parameter.detach().clone() for parameter in parameters]
        for step in range(3):
            generator = torch.Generator().manual_seed(step)
            image = torch.randn(2, 1, *(8,) * dimensions, generator=generator)
            target = torch.randint(0, 2, (2, 1, *(8,) * dimensions), generator=generator)
            groups = torch.tensor([step % 3, (step + 1) % 3])
            outputs = [network["decoder"](network["encoder"](image))]  # type: ignore[index]
            outputs.append(nn.functional.avg_pool2d(outputs[0], 2) if dimensions == 2 else outputs[0])
            targets = [target, target[..., ::2, ::2] if dimensions == 2 else target]
            value = loss(outputs, targets, groups)
            kept = copy.deepcopy(inner)
            kept.eval()
            plain = DeepSupervision(kept, (2 / 3, 1 / 3))(outputs, targets, groups)
            probe = copy.deepcopy(head).eval()(network["encoder"](image), groups)  # type: ignore[index]
            torch.testing.assert_close(value, plain + 0.3 * probe)
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 12)
            optimizer.step()
        assert all(not torch.equal(new, old) for new, old in zip(parameters, before, strict=True))
        loss.eval()
        assert not torch.equal(loss(outputs, targets, groups), value)
        torch.testing.assert_close(loss(outputs, targets, groups), loss.loss(outputs, targets, groups))  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore:.*monai.*:FutureWarning")
def test_monais_trainer_takes_it_as_its_loss() -> None:
    torch.manual_seed(0)
    network = UNet(3, in_channels=1, out_channels=2, channels=(4, 8), strides=(2,))
    batches = [
        {"image": torch.randn(2, 1, 8, 8, 8), "label": torch.ones(2, 1, 8, 8, 8), "group": torch.tensor(ids)}
        for ids in ([0, 1], [2, -1], [1, 1])
    ]
    bottleneck = dict(network.named_modules())["model.1.submodule"]
    with HookedFeatures(network, bottleneck) as features:
        head = AttributeHead(3, 8, reverse=True)
        loss = GroupLossFunction(LossWithAttributeHead(GroupDROLoss(3), head, features, weight=0.1))
        before = head.classifier[0].weight.detach().clone()  # type: ignore[operator]
        trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=2,
            train_data_loader=batches,
            epoch_length=len(batches),
            network=network,
            optimizer=torch.optim.SGD([*network.parameters(), *loss.parameters()], lr=0.1),
            loss_function=loss,
            prepare_batch=PrepareGroupBatch(loss),
        )
        trainer.run()
    assert not torch.equal(head.classifier[0].weight, before)
    assert head.group_count.tolist() == [0, 2, 0]
    assert head.steps_taken == 6
