"""Statistics against values known from elsewhere, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.stats import intervals, latency


def test_wilson_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29
    for successes, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert intervals.wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert intervals.wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_scipys(pair, confidence):
    from scipy.stats import binomtest

    theirs = binomtest(*pair).proportion_ci(confidence, method="wilson")
    assert intervals.wilson_interval(*pair, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion(pair):
    successes, n = pair
    low, high = intervals.wilson_interval(successes, n)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_refuses_nonsense():
    for successes, n in ((1, 0), (3, 2), (-1, 5)):
        with pytest.raises(ValueError, match="proportion"):
            intervals.wilson_interval(successes, n)


def test_paired_difference_against_a_worked_example():
    # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), airway data: 7 and 1 discordant of 21
    assert intervals.paired_difference_interval(7, 1, 21) == pytest.approx((0.0134, 0.5084), abs=1e-4)
    assert intervals.paired_difference_interval(1, 7, 21) == pytest.approx((-0.5084, -0.0134), abs=1e-4)


def test_paired_difference_covers_the_truth():
    """95% of the time, where Wald's own interval fails: few images, few changes."""
    random = np.random.default_rng(0)
    changes = random.multinomial(100, [0.04, 0.02, 0.94], 4000)
    inside = [
        low <= 0.02 <= high for low, high in (intervals.paired_difference_interval(w, b, 100) for w, b, _ in changes)
    ]
    assert 0.935 < np.mean(inside) <= 1


def test_paired_difference_refuses_nonsense():
    for counts in ((1, 0, 0), (-1, 0, 5), (3, 3, 5)):
        with pytest.raises(ValueError, match="discordant"):
            intervals.paired_difference_interval(*counts)


@pytest.mark.parametrize(("p", "runs"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_a_percentile_needs_its_runs(p, runs):
    assert latency.percentile(range(runs - 1), p) is None
    assert latency.percentile(range(runs), p) == pytest.approx((runs - 1) * p / 100)


def rounds(scale: float, seed: int, count: int = 16) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [(random.lognormal(0, 0.05, 8) * scale).astype(int).tolist() for _ in range(count)]


def test_ratio_of_rounds():
    slow, fast = rounds(3e6, 1), rounds(1e6, 2)
    ratio = latency.compare_rounds(slow, fast)
    assert ratio.low < 3 < ratio.high
    assert ratio.high - ratio.low < 0.2
    back = latency.compare_rounds(fast, slow)
    assert back.median == pytest.approx(1 / ratio.median, rel=0.01)
    assert latency.compare_rounds(slow, fast) == ratio, "the interval is reproducible"


def test_what_slows_both_models_cancels():
    a, b = rounds(2e6, 1), rounds(1e6, 2)
    load = [1, 3, 1, 5, 1, 1, 2, 8] * 2
    slowed = latency.compare_rounds(
        [[s * f for s in block] for block, f in zip(a, load)], [[s * f for s in block] for block, f in zip(b, load)]
    )
    assert slowed == latency.compare_rounds(a, b)


def test_few_rounds_give_their_whole_range():
    ratio = latency.compare_rounds([[2], [4], [6]], [[2], [2], [2]])
    assert (ratio.low, ratio.median, ratio.high, ratio.n_rounds) == (1, 2, 3, 3)


def test_rounds_that_do_not_pair_are_refused():
    for a, b in (([], []), ([[1]], [[1], [2]])):
        with pytest.raises(ValueError, match="pair"):
            latency.ratio_per_round(a, b)


def test_an_interval_covers_the_true_ratio():
    hits = 0
    for seed in range(100):
        ratio = latency.compare_rounds(rounds(1e6, 2 * seed), rounds(1e6, 2 * seed + 1), resamples=500)
        hits += ratio.low <= 1 <= ratio.high
    assert hits >= 85
