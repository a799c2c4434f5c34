"""Coverage and power over seeds and images, by simulation with fixed seeds."""

import math

import numpy as np
import pytest

from edgekit.stats.deciding_sample import deciding_sample
from edgekit.stats.seeds_and_images import (
    Components,
    independent_methods,
    method_mean,
    one_network,
    paired_methods,
    two_networks,
)


def simulated_differences(rng, seeds, images, seed_deviation, mean=0.0, shared=0.03, own=0.05):
    """Differences -1, 0, 1 (seeds, images): a share of images differs with every seed, another by chance."""
    u = rng.random(images)
    always = np.where(u < shared / 2, 1.0, np.where(u < shared, -1.0, 0.0))
    shift = rng.normal(mean, seed_deviation, (seeds, 1)) / 2
    v = rng.random((seeds, images))
    won, lost = np.clip(own / 2 + shift, 0, 1), np.clip(own / 2 - shift, 0, 1)
    by_chance = np.where(v < won, 1.0, np.where(v < won + lost, -1.0, 0.0))
    return np.where(always != 0, always, by_chance)


def simulated_answers(rng, seeds, images, seed_deviation, accuracy=0.95):
    """Correct (1) or wrong (0): images are hard or easy (logit normal), seeds shift all of them."""
    hardness = rng.normal(0, 1.5, images)
    # Any strictly increasing link serves; the truth is computed from a large draw in the test.
    logits = math.log(accuracy / (1 - accuracy)) + hardness + rng.normal(0, seed_deviation, (seeds, 1))
    return (rng.random((seeds, images)) < 1 / (1 + np.exp(-logits))).astype(float)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("seed_deviation", [0.0, 0.003, 0.01, 0.02])
def test_the_interval_of_paired_methods_covers(seeds, seed_deviation):
    """Satterthwaite's covers 87% with two seeds that differ by 2 points, and 92% with three."""
    rng, studies = np.random.default_rng(100 * seeds + round(1000 * seed_deviation)), 600
    inside = 0
    for _ in range(studies):
        interval = paired_methods(simulated_differences(rng, seeds, 600, seed_deviation)).interval()
        inside += interval.low <= 0 <= interval.high
    assert inside / studies >= 0.93


@pytest.mark.parametrize(("seeds_a", "seeds_b", "deviation"), [(3, 3, 0.2), (5, 3, 0.5), (10, 10, 0.3), (2, 2, 0.4)])
def test_the_interval_of_independent_methods_covers(seeds_a, seeds_b, deviation):
    rng, studies, inside = np.random.default_rng(5), 500, 0
    for _ in range(studies):
        answers = simulated_answers(rng, seeds_a + seeds_b, 400, deviation)
        interval = independent_methods(answers[:seeds_a], answers[seeds_a:]).interval()
        inside += interval.low <= 0 <= interval.high
    assert inside / studies >= 0.93


@pytest.mark.parametrize(
    ("seeds", "images", "deviation"), [(2, 400, 0.3), (3, 180, 0.0), (5, 1311, 0.3), (10, 180, 0.2)]
)
def test_the_interval_of_one_mean_covers(seeds, images, deviation):
    truth = simulated_answers(np.random.default_rng(0), 4000, 500, deviation).mean()
    rng, studies, inside = np.random.default_rng(9), 500, 0
    for _ in range(studies):
        interval = method_mean(simulated_answers(rng, seeds, images, deviation)).interval()
        inside += interval.low <= truth <= interval.high
    assert inside / studies >= 0.93


def test_one_seed_says_nothing_about_a_method():
    differences = simulated_differences(np.random.default_rng(0), 1, 400, 0.0)
    assert paired_methods(differences) is None
    assert independent_methods(differences, np.vstack([differences] * 2)) is None
    assert method_mean(differences, "difference") is None
    assert two_networks(differences[0]).low < differences.mean() < two_networks(differences[0]).high


def test_seeds_that_agree_do_not_make_an_interval_of_width_zero():
    found = paired_methods(np.zeros((2, 400)))
    assert found.interval().low < 0 < found.interval().high
    assert found.p_value() == 1.0
    always = method_mean(np.ones((3, 180))).interval()
    assert always.estimate == 1.0
    assert always.high == 1.0
    assert always.low < 0.985
    constant = paired_methods(np.tile(np.array([1.0, 0, 0, 0]), (3, 1)))
    assert constant.p_value() > 0


def test_unbounded_figures_without_variance_have_no_interval():
    assert paired_methods(np.zeros((3, 5)), "unbounded") is None


def test_the_p_value_belongs_to_the_interval():
    found = paired_methods(simulated_differences(np.random.default_rng(4), 3, 400, 0.0, mean=0.02))
    for hypothesis in (0.0, 0.01, 0.05):
        p = found.p_value(hypothesis)
        interval = found.interval(1 - p)
        assert min(abs(interval.low - hypothesis), abs(interval.high - hypothesis)) < 1e-9


def test_the_components_are_recovered():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        table = rng.normal(0, 0.02, (10, 1)) + rng.normal(0, 0.3, (1, 200)) + rng.normal(0, 0.2, (10, 200))
        found.append(paired_methods(table, "unbounded").components)
    assert np.mean([c.seed for c in found]) == pytest.approx(0.02**2, rel=0.1)
    assert np.mean([c.image for c in found]) == pytest.approx(0.3**2, rel=0.05)
    assert np.mean([c.own for c in found]) == pytest.approx(0.2**2, rel=0.02)


def test_images_that_all_agree_give_student_s_interval_over_seeds():
    from scipy.stats import t

    of_seeds = np.array([0.1, 0.3, 0.2])
    found = paired_methods(np.tile(of_seeds[:, None], 5), "unbounded").interval()
    half = t.ppf(0.975, 2) * of_seeds.std(ddof=1) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))


@pytest.mark.parametrize(("images", "changed"), [(400, 0.005), (400, 0.01), (1311, 0.005)])
def test_the_interval_of_two_networks_covers_rare_changes(images, changed):
    """The bootstrap over images covers 80 to 92% here."""
    rng, studies = np.random.default_rng(6), 800
    draws = rng.choice([1.0, -1.0, 0.0], (studies, images), p=[0.8 * changed, 0.2 * changed, 1 - changed])
    inside = [(found := two_networks(row)).low <= 0.6 * changed <= found.high for row in draws]
    assert np.mean(inside) >= 0.93


def test_a_network_alone_has_wilson_s_interval():
    found = one_network(np.array([1.0] * 9 + [0.0]))
    assert found.estimate == 0.9
    assert 0 < found.low < 0.9 < found.high < 1


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((3, 1))])
def test_tables_that_are_not_seeds_by_images_are_refused(bad):
    with pytest.raises(ValueError, match="seeds, images"):
        paired_methods(bad)


def test_images_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="pair"):
        independent_methods(np.zeros((2, 4)), np.zeros((2, 5)))


def decided(rng, sample, components, gap):
    table = (
        gap
        + rng.normal(0, math.sqrt(components.seed), (sample.seeds, 1))
        + rng.normal(0, math.sqrt(components.image), (1, sample.images))
        + rng.normal(0, math.sqrt(components.own), (sample.seeds, sample.images))
    )
    return paired_methods(table, "unbounded").interval().low > 0


@pytest.mark.parametrize(
    ("components", "gap", "seeds", "images"),
    [
        (Components(0.008**2, 0.02, 0.04), 0.01, 3, 800),
        (Components(0.003**2, 0.03, 0.05), 0.015, 2, 300),
        (Components(0.010**2, 0.01, 0.03), 0.02, 3, 400),
    ],
)
def test_the_sample_decides_with_eighty_percent_power(components, gap, seeds, images):
    found = deciding_sample(components, gap, seeds, images)
    rng = np.random.default_rng(11)
    for sample in filter(None, (found.by_seeds, found.by_images, found.by_both)):
        power = np.mean([decided(rng, sample, components, gap) for _ in range(300)])
        assert 0.72 <= power <= 0.93, (sample, power)


def test_more_seeds_are_no_answer_where_the_images_do_not_carry_it():
    found = deciding_sample(Components(0.005**2, 0.05, 0.02), 0.01, 3, 400)
    assert found.by_seeds is None
    assert found.by_both.images > 400


def test_more_images_are_no_answer_where_the_seeds_do_not_carry_it():
    found = deciding_sample(Components(0.02**2, 0.02, 0.02), 0.01, 3, 1311)
    assert found.by_images is None
    assert found.by_seeds is None or found.by_seeds.seeds > 20


def test_the_smaller_the_gap_the_more_is_needed():
    """Today: "1 more seed", whatever the gap."""
    needed = [deciding_sample(Components(0.01**2, 0.01, 0.03), gap, 1, 5000).by_both for gap in (0.05, 0.02, 0.01)]
    assert all(sample.seeds >= 2 for sample in needed)
    sizes = [sample.seeds * sample.images for sample in needed]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_nothing_decides_where_the_estimate_lies_on_the_margin():
    assert deciding_sample(Components(0.01, 0.01, 0.01), 0.0, 3, 400) is None


def test_negative_variances_are_refused():
    with pytest.raises(ValueError, match="variances"):
        deciding_sample(Components(-1, 0, 0), 0.1, 3, 10)
