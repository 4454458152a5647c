"""The encoder as a reader of groups: a planted pattern is read, noise is not, and nothing else is touched."""

import numpy as np
import pytest
import torch

from fairseg.understanding import encoder
from fairseg.understanding.encoder import EncoderReader
from fairseg.understanding.readability import _Deals, read_groups

IDS = np.repeat([0, 1], [14, 10])


@pytest.fixture
def views() -> dict[str, np.ndarray]:
    """Noise with stripes of a phase that no mean of pixels knows, of group 1 the other way round."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 24, 1, 1, 8, 8))
    rows, columns = np.mgrid[:8, :8]
    phase = np.concatenate([np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (14, 10)])
    phase = rng.permuted(phase[:14]).tolist() + rng.permuted(phase[14:]).tolist()
    phase = np.reshape(phase, (24, 1, 1, 1, 1))
    across = np.where(IDS[:, None, None, None, None] == 1, rows, columns)
    stripes = 2 * np.sin(np.pi / 2 * across + phase)
    return {"stripes": stripes + 0.5 * noise[0], "noise": noise[1], "numbers": rng.normal(size=(24, 3))}


def test_stripes_that_no_linear_model_reads_are_read_and_noise_is_not(
    views: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_PASSES", 5)  # seconds
    linear = read_groups(views, IDS, ["A", "B"], permutations=20, seed=1)
    assert not any(row.shown for row in linear.rows)
    result = read_groups(views, IDS, ["A", "B"], model="cnn", permutations=20, seed=1)
    assert {row.view: row.shown for row in result.rows} == {"stripes": True, "noise": False, "numbers": False}
    assert result.rows[0].auc > 0.85
    assert min(row.p_adjusted for row in result.rows) == pytest.approx(1 / 21)  # no p can be smaller
    np.testing.assert_array_equal(result.scores["numbers"], linear.scores["numbers"])


def test_a_network_sees_no_subject_that_it_scores(views: dict[str, np.ndarray]) -> None:
    """If the groups of a fold are turned round, its own scores stay, and those of others do not."""
    deals = _Deals(IDS, 2, None, 1, seed=0)
    read = EncoderReader("stripes", views["stripes"], 2)
    ids, folds = deals.ids[:1], deals.folds[:1]
    held = folds[0, 0] == 0
    scores, turned = read(ids, folds), read(np.where(held, 1 - ids, ids), folds)
    np.testing.assert_array_equal(scores[0, held], turned[0, held])
    assert not np.allclose(scores[0, ~held], turned[0, ~held])
    np.testing.assert_allclose(scores.sum(axis=-1), 1)


def test_batches_are_balanced_and_torchs_generator_is_left_alone(
    views: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    plain = encoder.cross_entropy

    def watched(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(target.float().mean().item())
        return plain(logits, target)

    monkeypatch.setattr(encoder, "cross_entropy", watched)
    deals = _Deals(IDS, 2, None, 1, seed=0)
    state = torch.get_rng_state()
    EncoderReader("noise", views["noise"], 2)(deals.ids[:1], deals.folds[:1])
    assert torch.equal(state, torch.get_rng_state())
    assert set(seen) == {0.5}
