"""Names where ids were: of groups in the loss and in its calls, and of counts."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fairseg import Groups
from fairseg.losses import (
    BalancedGroupLoss,
    CVaRGroupLoss,
    DeepSupervision,
    DiceCELoss,
    FairErrorBoundLoss,
    GroupDROLoss,
    GroupLoss,
    ReweightedLoss,
    WorstGroupLoss,
    group_weights,
)
from fairseg.losses.erm import ERMLoss

LOGITS = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(0, 3, (4, 5), generator=torch.Generator().manual_seed(1))
IDS = torch.tensor([0, 1, -1, 1])
NAMES = {
    "list": ["F", "M", None, "M"],
    "tuple": ("F", "M", "", "M"),
    "Series": pd.Series(["F", "M", None, "M"], index=[4, 3, 2, 1]),
    "category": pd.Series(["F", "M", None, "M"], dtype="category"),
    "array": np.array(["F", "M", "", "M"]),
    "list of ids": [0, 1, -1, 1],
    "array of ids": IDS.numpy().astype(np.int8),
    "nullable ids": pd.Series([0, 1, None, 1], dtype="Int64"),
}


@pytest.mark.parametrize("groups", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", [GroupDROLoss, WorstGroupLoss, CVaRGroupLoss, FairErrorBoundLoss])
def test_names_and_ids_give_the_same_loss(kind: type[GroupLoss], groups: Any) -> None:
    expected = kind(2)(LOGITS, TARGET, IDS)
    for known in (Groups(["F", "M"]), ["F", "M"], Groups.from_values(["M", "F", "F"])):
        loss = kind(known)
        assert (loss.names, loss.num_groups) == (("F", "M"), 2)
        assert torch.equal(loss(LOGITS, TARGET, groups), expected)
        assert torch.equal(kind(known)(LOGITS, TARGET, IDS), expected)


def test_names_pass_through_deep_supervision_and_the_plain_loss() -> None:
    loss = DeepSupervision(GroupDROLoss(["F", "M"]), (1.0, 0.5))
    named = loss([LOGITS, LOGITS], [TARGET, TARGET], NAMES["list"])
    other = DeepSupervision(GroupDROLoss(2), (1.0, 0.5))
    assert torch.equal(named, other([LOGITS, LOGITS], [TARGET, TARGET], IDS))
    plain = ERMLoss(DiceCELoss())
    assert torch.equal(plain(LOGITS, TARGET, NAMES["list"]), plain(LOGITS, TARGET, IDS))


def test_a_loss_with_names_still_compiles_to_one_graph_and_saves_no_names() -> None:
    loss = GroupDROLoss(["F", "M"])
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(LOGITS, TARGET, IDS), GroupDROLoss(2)(LOGITS, TARGET, IDS))
    GroupDROLoss(2).load_state_dict(loss.state_dict())


COUNTS = {
    "list": [1, 3],
    "array": np.array([1, 3]),
    "tensor": torch.tensor([1, 3]),
    "mapping": {"M": 3, "F": 1},
    "Counter": Counter("MMMF"),
    "mapping of ids": {1: 3, 0: 1},
    "value_counts": pd.Series(["M", "F", "M", "M"]).value_counts(),
    "value_counts of ids": pd.Series([1, 0, 1, 1]).value_counts(),
    "values": pd.Series(["M", "F", "M", None, "M"]),
    "category": pd.Series(["M", "F", "M", "M"], dtype="category"),
    "list of names": ["M", "F", "M", "M"],
}


@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
def test_counts_of_every_kind_give_the_weights_of_the_ids(counts: Any) -> None:
    expected = torch.tensor([0.75, 0.25])
    weights = group_weights(counts)
    if isinstance(weights, pd.Series):  # names in, names out
        weights = torch.tensor([weights[name] for name in sorted(weights.index)], dtype=torch.float32)
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(ReweightedLoss(counts).weight, expected.double())
    named = ReweightedLoss(counts, groups=["M", "F"]) if not isinstance(counts, list | np.ndarray) else None
    if named is not None and not isinstance(counts, torch.Tensor):
        of_ids = {0, 1} >= set(getattr(counts, "index", counts))  # ids are ids, whatever they are called
        torch.testing.assert_close(
            named.weight, expected.double().flip(0) if not of_ids else expected.double()
        )
        assert named.names == ("M", "F")
    other = GroupDROLoss(["F", "M"], adjustment=1.0, group_counts=counts, group_weights={"F": 2.0, "M": 4.0})
    assert other.group_counts is not None
    assert other.group_factor is not None
    assert (other.group_counts.tolist(), other.group_factor.tolist()) == ([1.0, 3.0], [2.0, 4.0])


@pytest.mark.parametrize(
    "kind", ["mapping", "Counter", "mapping of ids", "value_counts", "value_counts of ids"]
)
def test_weights_of_named_counts_are_named_in_the_order_of_the_counts(kind: str) -> None:
    counts = COUNTS[kind]
    weights = group_weights(counts)
    keys = list(getattr(counts, "index", counts))
    assert list(weights.index) == keys
    expected = {"F": 0.75, "M": 0.25, 0: 0.75, 1: 0.25}
    np.testing.assert_allclose(weights.to_numpy(), [expected[key] for key in keys], rtol=1e-5)
    loss = GroupDROLoss(["F", "M"], group_weights=weights)
    assert loss.group_factor is not None
    np.testing.assert_allclose(loss.group_factor.numpy(), [0.75, 0.25], rtol=1e-5)


def test_weights_of_samples_are_named_in_the_order_of_the_ids() -> None:
    weights = group_weights(COUNTS["values"])
    assert weights.round(6).to_dict() == {"F": 0.75, "M": 0.25}
    assert isinstance(group_weights(COUNTS["tensor"]), torch.Tensor)


def test_reweighting_by_names_is_that_by_ids() -> None:
    cohort = pd.Series(["M"] * 300 + ["F"] * 100)
    by_name = ReweightedLoss(cohort)
    assert by_name.names == ("F", "M")
    expected = ReweightedLoss([100, 300])(LOGITS, TARGET, IDS)
    assert torch.equal(by_name(LOGITS, TARGET, NAMES["list"]), expected)
    assert torch.equal(
        ReweightedLoss([100, 300], groups=Groups(["F", "M"]))(LOGITS, TARGET, ["F", "M", None, "M"]), expected
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReweightedLoss({"F": 1, "M": 0}), "group_counts must be positive, got 0 for group M"),
        (lambda: GroupDROLoss(["F", "M"], group_counts={"F": 1}), "one number for each of F; M, got F"),
        (lambda: GroupDROLoss(["F", "M"], group_counts={"F": 1, "X": 2}), "one number for each of F; M"),
        (lambda: ReweightedLoss({0: 1, 2: 2}), "one number for each of its groups, got 0, 2"),
        (lambda: ReweightedLoss([1, 2, 3], groups=["F", "M"]), "group_counts must have one entry a group, 2"),
        (lambda: group_weights(Groups(["F"])), "counts must be numbers of samples, got Groups"),
        (lambda: BalancedGroupLoss([]), "names must be a list"),
        (lambda: BalancedGroupLoss("FM"), "names must be a list"),
        (lambda: BalancedGroupLoss(["F", "F"]), "'F' twice"),
        (lambda: BalancedGroupLoss(2.0), "num_groups must be an integer"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_weights_of_kamiran_and_calders_by_hand() -> None:
    """Their example of 2012, Table 2: sex by class of 10 applicants. P(g) P(y) / P(g, y)."""
    table = pd.crosstab(
        pd.Series(list("MMMMMFFFFF")), pd.Series(list("++++-++---"))
    )  # rows F, M; columns +, -
    weight = group_weights(table.to_numpy(), method="kamiran_calders")
    named = group_weights(table, method="kamiran_calders")
    assert (named.index.tolist(), named.columns.tolist()) == (["F", "M"], ["+", "-"])
    np.testing.assert_allclose(named.to_numpy(), weight.numpy(), rtol=1e-6)
    torch.testing.assert_close(
        weight, torch.tensor([[0.5 * 0.6 / 0.2, 0.5 * 0.4 / 0.3], [0.5 * 0.6 / 0.4, 0.5 * 0.4 / 0.1]])
    )
    weighted = weight * torch.tensor(table.to_numpy())
    torch.testing.assert_close(weighted.sum(), torch.tensor(10.0))
    # Under the weights, the outcome does not depend on the group.
    torch.testing.assert_close(weighted[:, 0] / weighted.sum(1), torch.tensor([0.6, 0.6]))
    assert group_weights([[4, 0], [2, 2]], method="kamiran_calders")[0, 1] == 0
    for wrong in ([1, 2], [[1, -1]], [[0, 0], [1, 1]]):
        with pytest.raises(ValueError, match="counts must be"):
            group_weights(wrong, method="kamiran_calders")
    with pytest.raises(ValueError, match="method must be"):
        group_weights([1, 2], method="other")  # type: ignore[arg-type]


@pytest.mark.parametrize("normalize", ["sum", "mean", "samples"])
def test_weights_in_the_place_of_counts_are_no_counts(normalize: str) -> None:
    """Taken for counts they would be turned round: F, of 12 beside 90, would weigh 0.118 and M 0.882."""
    weights = group_weights({"M": 90, "F": 12}, normalize=normalize)
    for values in (weights, weights.to_dict(), torch.tensor(weights.to_numpy())):
        with pytest.raises(ValueError, match=r"group_counts must be whole numbers.*group_weights="):
            ReweightedLoss(values)
        with pytest.raises(ValueError, match="counts must be whole numbers"):
            group_weights(values)
    loss = GroupDROLoss(["M", "F"], group_weights=weights)
    assert loss.group_factor is not None
    assert loss.group_factor.tolist() == weights.tolist()


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, pd.Series])
@pytest.mark.parametrize("values", [[1] * 90 + [2] * 12, [0] * 30 + [1] * 10, [3, 1, 2, 4] * 5])
def test_ids_of_samples_are_no_counts(kind: Any, values: list[int]) -> None:
    """A column of 1 and 2 for sex was 102 groups of one or two samples, and so no reweighting at all."""
    with pytest.raises(ValueError, match=r"got \d+ numbers, each one of .*np\.bincount\(ids\)"):
        ReweightedLoss(kind(values))
    with pytest.raises(ValueError, match=r"values\.astype\(str\)"):
        group_weights(kind(values))


@pytest.mark.parametrize("counts", [[7] * 12, [1, 1, 2, 2], [9, 9, 9, 9, 30, 9, 9, 9], range(1, 13)])
def test_counts_of_many_small_groups_are_counts(counts: list[int]) -> None:
    assert ReweightedLoss(list(counts)).num_groups == len(counts)
    assert ReweightedLoss({f"g{row:02}": count for row, count in enumerate(counts)}).num_groups == len(counts)
    assert GroupDROLoss(8, group_weights=[1.0, 2.0] * 4).num_groups == 8
