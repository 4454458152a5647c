"""Averaged weights and mixed amplitudes: by hand, and properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fairseg.training.amplitude import mix_amplitude
from fairseg.training.averaging import WeightAverage


def test_the_average_is_that_of_the_last_steps_alone() -> None:
    network = nn.Linear(1, 1)
    average = WeightAverage(network, 0.3, total=10)
    for step in range(10):
        nn.init.constant_(network.weight, 2.0**step)
        average.step(step)
        if step < 7:
            assert average.network is network
    assert average.network.weight.item() == pytest.approx((2**7 + 2**8 + 2**9) / 3)
    assert network.weight.item() == 2**9


def test_a_moving_average_forgets_with_the_share_as_its_time() -> None:
    network = nn.Linear(1, 1)
    average = WeightAverage(network, 0.5, total=6, kind="ema")
    expected = []
    for step in range(6):
        nn.init.constant_(network.weight, float(step == 0))  # how much the first weights still count
        average.step(step)
        expected.append(average.network.weight.item())
    # Of the first weights 1, then the least of exp(-1/3) = .717 and (1 + n)/(10 + n): 2/11, 3/12, 4/13, ...
    by_hand = [1, 2 / 11, 2 / 11 * 3 / 12, 2 / 11 * 3 / 12 * 4 / 13, 2 / 11 * 3 / 12 * 4 / 13 * 5 / 14]
    assert expected[:5] == pytest.approx(by_hand)
    late = WeightAverage(network, 0.5, total=6, kind="ema")
    for _ in range(50):
        late.step(0)
    nn.init.constant_(network.weight, 1.0)
    late.step(50)
    assert late.network.weight.item() == pytest.approx(1 - np.exp(-1 / 3))


@pytest.mark.parametrize("kind", ["mean", "ema"])
def test_what_does_not_change_stays_to_the_last_bit_and_a_state_goes_on(kind: str) -> None:
    network = nn.Linear(3, 3)
    before = network.weight.detach().clone()
    average, other = (WeightAverage(network, 1.0, total=7, kind=kind) for _ in range(2))
    for step in range(7):
        average.step(step)
        if step == 3:
            other.load_state_dict(average.state_dict())
        with torch.no_grad():
            network.bias += 1.0
    assert torch.equal(average.network.weight, before)
    assert int(other.state_dict()["n_averaged"]) == 4


def test_no_average_is_the_network_and_running_statistics_are_refused() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    none = WeightAverage(network, 0.0, total=5)
    none.step(4)
    assert none.network is network
    assert none.state_dict() == {}
    with pytest.raises(ValueError, match=r"running statistics \(1\.running_mean\)"):
        WeightAverage(network, 0.5, total=5)


IMAGES = np.random.default_rng(0).normal(size=(2, 1, 40, 24)).astype(np.float32)


@given(st.floats(0.0, 1.0))
def test_mixing_keeps_the_phase_and_all_but_the_low_frequencies(ratio: float) -> None:
    image, other = IMAGES
    before, after = np.fft.fft2(image), np.fft.fft2(mix_amplitude(image, other, ratio))
    theirs = np.abs(np.fft.fft2(other))
    low = np.zeros((40, 24), dtype=bool)
    low[np.ix_([0, 1, 2, 38, 39], [0, 1, 23])] = True  # 2/40 and 1/24 of a cycle a pixel
    np.testing.assert_allclose(after[0][~low], before[0][~low], atol=1e-3)
    expected = (1 - ratio) * np.abs(before) + ratio * theirs
    np.testing.assert_allclose(np.abs(after)[0][low], expected[0][low], atol=1e-3)
    turned = after * np.conj(before)
    np.testing.assert_allclose(np.angle(turned)[0][low & (expected[0] > 0.1)], 0.0, atol=2e-2)


def test_mixing_nothing_or_with_oneself_changes_nothing() -> None:
    image, other = IMAGES
    np.testing.assert_allclose(mix_amplitude(image, other, 0.0), image, atol=1e-5)
    np.testing.assert_allclose(mix_amplitude(image, image, 0.7), image, atol=1e-5)
