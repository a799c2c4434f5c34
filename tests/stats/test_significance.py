"""Every formula against published values or another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.stats import intervals, ranking, sample_size, significance

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's own example: hours of sleep gained with one drug over the other, ten patients (Biometrika 6, 1908)."""

DEMSAR = np.array(
    [
        [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
        [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
        [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.9751, 0.946],
        [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.970],
    ]
)
"""AUC of four variants of C4.5 on 14 data sets (JMLR 7, 2006, table 2), with the figures that SciPy's own test of
``friedmanchisquare`` has: 0.9751 stands for the larger of two that the paper rounds to 0.975."""


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_tail_counted_by_hand(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    below = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    assert significance.mcnemar_exact(only_a, only_b) == pytest.approx(min(1.0, 2 * below))


def test_mcnemar_small_counts() -> None:
    assert significance.mcnemar_exact(0, 0) == 1.0
    assert significance.mcnemar_exact(1, 9) == pytest.approx(22 / 1024)  # 2 * (C(10,0) + C(10,1)) / 2^10


def test_holm_as_r_adjusts() -> None:
    """``p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")`` of R, and in another order.

    On 300 drawn sets ``statsmodels.stats.multitest.multipletests(method="holm")`` of 0.15.0 gave what ours gives.
    """
    assert significance.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert significance.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert significance.holm([]) == []
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_at_most_what_alone_would_be_rejected(p_values: list[float]) -> None:
    adjusted = significance.holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values))
    assert min(adjusted) == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_the_mean_of_students_sleep() -> None:
    """R: ``t.test(extra ~ group, sleep, paired = TRUE)`` gives 1.58, 0.7001142 to 2.4598858."""
    interval = intervals.mean_interval(SLEEP)
    assert interval.estimate == pytest.approx(1.58)
    assert (interval.low, interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    with pytest.raises(ValueError, match="two values"):
        intervals.mean_interval([1.0])


@settings(max_examples=8)
@given(st.integers(0, 100))
def test_the_bootstrap_agrees_with_scipys(seed: int) -> None:
    from scipy.stats import bootstrap

    random = np.random.default_rng(seed)
    differences = random.choice([-1.0, 0.0, 1.0], 400, p=[0.05, 0.83, 0.12])
    ours = intervals.paired_bootstrap(differences)
    theirs = bootstrap((differences,), np.mean, method="percentile", n_resamples=4000, random_state=random)
    assert ours.estimate == pytest.approx(differences.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.006)
    assert ours.deviation == pytest.approx(differences.std() / 20, rel=0.06)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_of_a_mean_is_scipys(confidence: float) -> None:
    from scipy.stats import ttest_1samp

    ours, theirs = (
        intervals.mean_interval(SLEEP, confidence=confidence),
        ttest_1samp(SLEEP, 0).confidence_interval(confidence),
    )
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_the_test_over_seeds_alone_is_students() -> None:
    """Where images do not differ, only the seeds are left: SciPy's t test of their means."""
    from scipy.stats import ttest_1samp

    means = [0.01, 0.03, -0.005, 0.02]
    differences = np.repeat(np.array(means)[:, None], 50, axis=1)
    assert significance.p_over_seeds_and_images(differences) == pytest.approx(ttest_1samp(means, 0).pvalue)


@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 1000))
def test_the_test_and_the_interval_over_seeds_and_images_agree(seeds: int, images: int, seed: int) -> None:
    """p is what makes the interval touch 0."""
    differences = np.random.default_rng(seed).normal(0.3, 1, (seeds, images))
    p = significance.p_over_seeds_and_images(differences)
    interval = intervals.over_seeds_and_images(differences, confidence=1 - p)
    assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0, abs=1e-9)


def test_seeds_and_images_add_up_as_welch_adds_two_samples() -> None:
    """Two independent variances with their degrees of freedom are what SciPy's Welch test has: the same p."""
    from scipy.stats import ttest_ind

    random = np.random.default_rng(4)
    of_seeds, of_images = random.normal(0.05, 0.05, (4, 1)), random.normal(0, 0.3, (1, 40))
    of_images -= of_images.mean()
    # A sum of both parts has the seeds' means over images, and the images' means over seeds.
    differences = of_seeds + of_images
    theirs = ttest_ind(of_seeds.ravel(), of_images.ravel(), equal_var=False)
    assert significance.p_over_seeds_and_images(differences) == pytest.approx(theirs.pvalue)


def test_models_that_never_differ_are_not_proved_equal() -> None:
    """Nothing has zero variance: the interval is that of one seed, and the test that of the images."""
    same = intervals.over_seeds_and_images(np.zeros((3, 50)))
    assert (same.low, same.high) == pytest.approx(intervals.paired_difference_interval(0, 0, 50))
    assert same.low < 0 < same.high
    assert significance.p_over_seeds_and_images(np.zeros((3, 50))) == 1.0
    every_image = np.ones((2, 3))
    assert significance.p_over_seeds_and_images(every_image) == significance.mcnemar_exact(3, 0) == 0.25
    assert intervals.over_seeds_and_images(every_image).low < 1


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))))
def test_bonett_and_price_is_one_formula_for_counts_and_differences(counts: tuple[int, int, int]) -> None:
    worse, better, n = counts[0], min(counts[1], counts[2] - counts[0]), counts[2]
    differences = np.repeat([1.0, -1.0, 0.0], [worse, better, n - worse - better])
    found = intervals.paired_mean_interval(differences)
    assert (found.low, found.high) == pytest.approx(intervals.paired_difference_interval(worse, better, n))
    assert found.estimate == pytest.approx((worse - better) / n)


def test_over_seeds_and_images_covers_the_truth() -> None:
    """1,000 drawn studies with a true difference of 2 points: at least 95% of the intervals hold it."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        seeds = random.normal(0.02, 0.01, (3, 1))
        images = random.normal(0, 0.15, (1, 400))
        differences = seeds + images + random.normal(0, 0.1, (3, 400))
        interval = intervals.over_seeds_and_images(differences)
        held += interval.low <= 0.02 <= interval.high
    assert 950 <= held <= 998


def test_over_seeds_alone_it_is_students_interval() -> None:
    """Where images do not differ, only the seeds are left."""
    differences = np.repeat([[0.01], [0.03], [0.02]], 100, axis=1)
    ours, students = intervals.over_seeds_and_images(differences), intervals.mean_interval([0.01, 0.03, 0.02])
    assert (ours.low, ours.high) == pytest.approx((students.low, students.high))


def test_the_ratio_against_scipys_welch() -> None:
    from scipy.stats import ttest_ind

    a, b = [410.0, 395.0, 430.0, 402.0], [85.0, 92.0, 80.0]
    ours = intervals.log_ratio(a, b)
    theirs = ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval()
    assert ours.estimate == pytest.approx(np.log(a).mean() - np.log(b).mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    with pytest.raises(ValueError, match="two positive"):
        intervals.log_ratio([1.0], b)


def test_newcombes_examples() -> None:
    """Table II of the paper, method 10: (a) 56/70 - 48/80, (c) 6/7 - 2/7, (h) 10/10 - 0/10.

    statsmodels 0.15.0, ``confint_proportions_2indep(method="newcomb", correction=False)``, gives the same.
    """
    for counts, low, high in (
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ):
        found = intervals.unpaired_difference(*counts)
        assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_demsars_example() -> None:
    """Average ranks 3.143, 2.000, 2.893, 1.964 and critical difference 1.25 as in the paper (sections 3.2.2-3)."""
    found = ranking.rank_models(DEMSAR)
    assert found.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)
    assert found.order == [3, 1, 2, 0]
    assert found.cliques == [[3, 1, 2, 0]]


@settings(max_examples=60)
@given(st.integers(3, 7), st.integers(2, 9), st.integers(2, 30), st.integers(0, 10_000))
def test_friedmans_p_is_scipys(models: int, blocks: int, values: int, seed: int) -> None:
    """Also with many equal scores: few different values make ties."""
    from scipy.stats import friedmanchisquare

    scores = np.random.default_rng(seed).integers(0, values, (models, blocks)).astype(float)
    if all(len(set(block)) == 1 for block in scores.T):  # SciPy divides 0 by 0
        assert ranking.rank_models(scores).p == 1.0
    else:
        assert ranking.rank_models(scores).p == pytest.approx(friedmanchisquare(*scores).pvalue)


def test_friedman_of_demsars_example_is_scipys() -> None:
    from scipy.stats import friedmanchisquare

    assert ranking.rank_models(DEMSAR).p == pytest.approx(friedmanchisquare(*DEMSAR).pvalue)


def range_of_normals_below(width: float, models: int) -> float:
    """The chance that the range of so many standard normal numbers is below ``width``, by its integral."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def inside(lowest: float) -> float:
        return float(models * norm.pdf(lowest) * (norm.cdf(lowest + width) - norm.cdf(lowest)) ** (models - 1))

    return float(quad(inside, -12, 12)[0])


@pytest.mark.parametrize(
    ("models", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_nemenyis_critical_values(models: int, q: float) -> None:
    """Demsar's table 5(a), which is right to a digit in the third decimal, and the definition without any table."""
    scores = np.random.default_rng(0).normal(size=(models, 12))
    found = ranking.rank_models(scores).critical_difference / math.sqrt(models * (models + 1) / (6 * 12))
    assert found == pytest.approx(q, abs=1.5e-3)
    assert range_of_normals_below(found * math.sqrt(2), models) == pytest.approx(0.95, abs=1e-5)


def test_cliques_are_the_longest_stretches() -> None:
    apart = [[False, False, True], [False, False, False], [True, False, False]]
    assert ranking.cliques([0, 1, 2], apart) == [[0, 1], [1, 2]]
    nobody = [[False] * 3] * 3
    assert ranking.cliques([2, 0, 1], nobody) == [[2, 0, 1]]
    everybody = [[i != j for j in range(3)] for i in range(3)]
    assert ranking.cliques([0, 1, 2], everybody) == []


def test_what_is_said_to_decide_would_decide() -> None:
    needed = sample_size.images_needed(0.01, 0.008, 1311)
    assert needed is not None
    assert 1.959964 * 0.008 * math.sqrt(1311 / needed) <= 0.01
    assert 1.959964 * 0.008 * math.sqrt(1311 / (needed - 2)) > 0.01
    assert sample_size.images_needed(0.0, 0.008, 1311) is None
    seeds = sample_size.seeds_needed(0.01, 0.012, 3)
    assert (
        seeds == 9
    )  # Student's t with 8 degrees of freedom is 2.306: 2.306 * 0.012 / 3 = 0.0092; with 8 seeds 0.01003
    assert sample_size.seeds_needed(-0.01, 0.012, 3) is None
    assert sample_size.seeds_needed(1e-9, 1.0, 3, most=50) is None
