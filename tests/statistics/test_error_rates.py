"""How often a page errs, on few pages; `benchmarks/verdicts.py` has the same on thousands."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from fairseg.metrics.fairness import Floats
from fairseg.statistics.findings import Grouping, PageJudgement
from fairseg.statistics.judge_options import JudgeOptions
from fairseg.statistics.judgement import judge_page
from fairseg.statistics.verdicts import Endpoint, Verdict

OPTIONS = JudgeOptions(permutations=199)
NAMES = ("Overall", "LV", "RV")


def draw(rng: np.random.Generator, size: int, structures: int = 2) -> Floats:
    """Draw skewed scores of related structures with 6% of failures."""
    latent = 0.8 * rng.standard_normal((size, 1)) + 0.6 * rng.standard_normal((size, structures))
    u = ndtr(latent)
    return np.where(u < 0.06, 0.2 + 4 * u, 1 - 0.1 * np.exp(-0.6 * ndtri(u)))


def judge(
    rng: np.random.Generator,
    scores: Floats,
    sizes: tuple[int, int],
    attributes: int = 1,
    strata: object = None,
) -> PageJudgement:
    ids = np.repeat([0, 1], sizes)
    groupings = [Grouping("first", ("A", "B"), ids, 0)]
    groupings += [Grouping(str(n), ("A", "B"), rng.permutation(ids), 0) for n in range(1, attributes)]
    whole = np.column_stack([scores.mean(1), scores]) if scores.shape[1] > 1 else scores
    names = NAMES[: whole.shape[1]]
    return judge_page(whole, groupings, structures=names, strata=strata, options=OPTIONS)


def pages(
    count: int,
    sizes: tuple[int, int],
    change: Callable[[np.random.Generator, Floats], Floats] = lambda rng, scores: scores,
    *,
    structures: int = 2,
    attributes: int = 1,
    strata: int = 0,
) -> Iterator[PageJudgement]:
    for seed in range(count):
        rng = np.random.default_rng(seed)
        scores = draw(rng, sum(sizes), structures)
        scores[sizes[0] :] = change(rng, scores[sizes[0] :])
        among = rng.integers(0, strata, sum(sizes)) if strata else None
        yield judge(rng, scores.clip(0, 1), sizes, attributes, among)


def any_shown(page: PageJudgement) -> bool:
    return any(row.shown for row in page.findings)


@pytest.mark.parametrize(("sizes", "strata"), [((54, 30), 0), ((200, 12), 0), ((60, 50), 2)])
def test_gaps_shown_where_there_are_none(sizes: tuple[int, int], strata: int) -> None:
    found = [any_shown(page) for page in pages(50, sizes, attributes=2, strata=strata)]
    assert np.mean(found) <= 0.14  # 0.05 + 3 standard errors


def test_typical_cases_of_unequal_spread_and_equal_median() -> None:
    found = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        scores = rng.normal(0.8, np.repeat([0.02, 0.06], [54, 20])[:, None], (74, 2))
        page = judge(rng, scores.clip(0, 1), (54, 20))
        found += any(row.shown and row.endpoint is Endpoint.TYPICAL for row in page.findings)
    assert found <= 7


def failing(rng: np.random.Generator, scores: Floats) -> Floats:
    return np.where(rng.random((len(scores), 1)) < 0.2, 0.3, scores)


def one_lower(rng: np.random.Generator, scores: Floats) -> Floats:
    return scores - np.array([0.0, 0.08])


@pytest.mark.parametrize(("change", "least"), [(failing, 0.4), (one_lower, 0.75)])
def test_gaps_are_found(change: Callable[[np.random.Generator, Floats], Floats], least: float) -> None:
    assert np.mean([page.verdict is Verdict.GAP for page in pages(20, (54, 30), change)]) >= least


def test_green_where_groups_are_alike_and_never_where_one_fails() -> None:
    alike = [page.verdict for page in pages(12, (800, 800), structures=1)]
    assert alike.count(Verdict.NO_GAP) >= 9
    tails = [page.verdict for page in pages(12, (400, 400), failing, structures=1)]
    assert Verdict.NO_GAP not in tails


def test_green_at_the_margin_is_rare() -> None:
    """A true difference of the margin is called irrelevant in at most 5% of pages."""
    found = [page.verdict for page in pages(30, (400, 400), lambda _, scores: scores - 0.02, structures=1)]
    assert found.count(Verdict.NO_GAP) <= 5
