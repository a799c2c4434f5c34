"""The accuracy gate as a non-inferiority test: error rates by exact enumeration and by simulation with fixed seeds."""

import numpy as np
import pytest

from edgekit.stats.image_halves import split_into_halves
from edgekit.stats.noninferiority import (
    FAILED,
    HELD,
    UNDECIDED,
    Bounds,
    GateLimits,
    images_to_decide,
    judge_export,
    judge_loss,
    paired_loss_bounds,
    score_bounds,
    verdict_rates,
)


@pytest.mark.parametrize("n", [180, 400, 1141, 1311])
@pytest.mark.parametrize("change_rate", [0.03, 0.06, 0.10])
def test_a_file_that_loses_exactly_the_limit_is_rarely_accepted_and_rarely_failed(n, change_rate):
    """Today's gate accepts 41 to 89% of files that lose *twice* the limit."""
    for limit in (0.005, 0.01, 0.02):
        held, failed = verdict_rates(n, change_rate, limit, limit)
        assert held <= 0.05, (limit, held)
        assert failed <= 0.05, (limit, failed)


@pytest.mark.parametrize(
    ("n", "change_rate", "limit"),
    [
        (457, 0.03, 0.01),  # 5.06% before
        (135, 0.02, 0.02),  # 6.5%: every change is a loss, and there may be none
        (149, 0.03, 0.03),
        (584, 0.03, 0.01),
        (232, 0.15, 0.03),
        (166, 0.10, 0.03),
        (2957, 0.15, 0.005),
    ],
)
def test_the_worst_of_three_thousand_cases_keep_to_five_percent(n, change_rate, limit):
    held, failed = verdict_rates(n, change_rate, limit, limit)
    assert held <= 0.05
    assert failed <= 0.05


def test_a_file_that_loses_twice_the_limit_is_almost_never_accepted():
    for change_rate in (0.03, 0.06, 0.10):
        assert verdict_rates(400, change_rate, 0.02, 0.01)[0] <= 0.012


def test_the_enumeration_agrees_with_a_simulation():
    draws = np.random.default_rng(1).multinomial(400, [0.035, 0.025, 0.94], 4000)
    verdicts = [judge_loss(paired_loss_bounds(int(worse), int(better), 400), 0.01) for worse, better, _ in draws]
    held, failed = verdict_rates(400, 0.06, 0.01, 0.01)
    assert verdicts.count(HELD) / 4000 == pytest.approx(held, abs=0.012)
    assert verdicts.count(FAILED) / 4000 == pytest.approx(failed, abs=0.012)


def test_score_bounds_without_discordant_pairs_are_the_published_ones():
    # Without discordant pairs Tango's 95% interval is +-z^2 / (n + z^2): Newcombe, Statistics in Medicine 17 (1998).
    bounds = score_bounds(0, 0, 44, 0.025)
    expected = 1.959964**2 / (44 + 1.959964**2)
    assert bounds.upper == pytest.approx(expected, abs=1e-6)
    assert bounds.lower == pytest.approx(-expected, abs=1e-6)


def test_score_bounds_solve_the_test_by_a_slow_independent_likelihood():
    """The restricted maximum likelihood estimate by a grid instead of Tango's closed form."""
    worse, better, n, alpha = 12, 5, 150, 0.05
    bounds = score_bounds(worse, better, n, alpha)
    for difference, sign in ((bounds.upper, -1), (bounds.lower, 1)):
        won = np.linspace(max(0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9, 2_000_001)
        lost = won + difference
        inside = (lost > 0) & (lost + won < 1)
        won, lost = won[inside], lost[inside]
        likelihood = worse * np.log(lost) + better * np.log(won) + (n - worse - better) * np.log(1 - lost - won)
        at = int(np.argmax(likelihood))
        statistic = (worse - better - n * difference) / np.sqrt(n * (lost[at] + won[at] - difference**2))
        assert statistic == pytest.approx(sign * 1.6449, abs=2e-3)


def test_no_changed_prediction_is_no_interval_of_width_zero():
    bounds = paired_loss_bounds(0, 0, 400)
    assert bounds.lower < 0 < bounds.upper
    assert judge_loss(bounds, 0.01) == HELD
    assert judge_loss(paired_loss_bounds(0, 0, 100), 0.01) == UNDECIDED


def test_a_bound_at_the_limit_is_allowed():
    assert judge_loss(Bounds(0.0, 0.01), 0.01) == HELD
    assert judge_loss(Bounds(0.01, 0.02), 0.01) == UNDECIDED
    assert judge_loss(Bounds(0.0101, 0.02), 0.01) == FAILED


@pytest.mark.parametrize("counts", [(3, 0, 2), (-1, 0, 2), (0, 0, 0)])
def test_counts_that_do_not_fit_are_refused(counts):
    with pytest.raises(ValueError, match="discordant"):
        paired_loss_bounds(*counts)
    with pytest.raises(ValueError, match="discordant"):
        images_to_decide(*counts, 0.01)


@pytest.mark.parametrize(
    ("worse", "better", "n", "limit"), [(8, 8, 400, 0.01), (12, 10, 400, 0.02), (16, 4, 400, 0.01)]
)
def test_so_many_images_decide_with_eighty_percent_power(worse, better, n, limit):
    images = images_to_decide(worse, better, n, limit)
    assert images is not None
    expected = HELD if (worse - better) / n < limit else FAILED
    changed = (worse + better + 2) / (n + 2)
    loss = (worse - better) / n
    share = [(changed + loss) / 2, (changed - loss) / 2, 1 - changed]
    draws = np.random.default_rng(2).multinomial(images, share, 1500)
    verdicts = [judge_loss(paired_loss_bounds(int(a), int(b), images), limit) for a, b, _ in draws]
    assert 0.77 <= verdicts.count(expected) / 1500 <= 0.84


def test_no_number_of_images_decides_a_loss_that_equals_the_limit():
    assert images_to_decide(4, 0, 400, 0.01) is None


def test_the_gate_names_the_classes_and_their_points():
    labels = np.repeat([0, 1, 2], 200)
    exported = labels.copy()
    exported[200:240] = 2  # class 1 loses 20 points
    found = judge_export(labels, exported, labels, 3, GateLimits(0.10, 0.90, 0.05))
    assert found.loss_verdict == HELD
    assert found.verdict == FAILED
    assert [(c.label, round(c.loss, 6)) for c in found.classes_over_limit] == [(1, 0.2)]


def test_classes_that_move_against_each_other_fail_the_agreement_floor():
    labels = np.repeat([0, 1], 300)
    keras, exported = labels.copy(), labels.copy()
    keras[:100], exported[300:400] = 1, 0  # accuracy is the same, 67% of the predictions are
    found = judge_export(keras, exported, labels, 2, GateLimits(0.05, 0.90, 1.0))
    assert found.loss == 0
    assert found.agreement_verdict == FAILED
    assert found.verdict == FAILED
    assert found.classes[0].loss == pytest.approx(-1 / 3)


def test_an_undecided_gate_tells_how_many_more_images_would_decide():
    labels = np.zeros(400, dtype=int)
    exported = labels.copy()
    exported[:3] = 1
    found = judge_export(labels, exported, labels, 1, GateLimits(0.01))
    assert found.verdict == UNDECIDED
    assert found.more_images is not None
    assert found.more_images == found.images_needed - 400 > 1000


def test_predictions_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="pair"):
        judge_export(np.zeros(2, int), np.zeros(3, int), np.zeros(3, int), 1, GateLimits(0.01))


def test_the_halves_are_even_in_every_class_and_seeded():
    labels = np.array([0] * 101 + [1] * 50 + [2] * 3 + [3])
    halves = split_into_halves(labels, 7)
    assert sorted([*halves.choose, *halves.judge]) == list(range(len(labels)))
    for label in range(4):
        chosen, judged = ((labels[half] == label).sum() for half in (halves.choose, halves.judge))
        assert abs(int(chosen) - int(judged)) <= 1
    assert abs(len(halves.choose) - len(halves.judge)) <= 1
    assert np.array_equal(halves.judge, split_into_halves(labels, 7).judge)
    assert not np.array_equal(halves.judge, split_into_halves(labels, 8).judge)


def test_no_group_of_duplicates_is_divided():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 300), rng.integers(0, 60, 300)
    halves = split_into_halves(labels, 1, groups.tolist())
    assert not set(groups[halves.choose]) & set(groups[halves.judge])
    assert abs(len(halves.choose) - len(halves.judge)) < 30


def test_one_group_has_no_halves():
    with pytest.raises(ValueError, match="two"):
        split_into_halves(np.zeros(3, int), 0, ["a"] * 3)


def test_the_best_of_eight_repairs_is_not_accepted_by_luck():
    """Eight repairs that all lose the limit: chosen on one half, judged on the other."""
    rng = np.random.default_rng(3)
    n, limit, repairs, studies = 400, 0.01, 8, 400
    labels = np.arange(n) % 4
    half = split_into_halves(labels, 0)
    accepted_other = accepted_same = 0
    for _ in range(studies):
        change = rng.choice([1, -1, 0], (repairs, n), p=[0.035, 0.025, 0.94])
        best = int(np.argmin(change[:, half.choose].sum(axis=1)))
        judged = change[best, half.judge]
        bounds = paired_loss_bounds(int((judged > 0).sum()), int((judged < 0).sum()), len(judged))
        accepted_other += judge_loss(bounds, limit) == HELD
        easiest = change[int(np.argmin(change.sum(axis=1)))]
        bounds = paired_loss_bounds(int((easiest > 0).sum()), int((easiest < 0).sum()), n)
        accepted_same += judge_loss(bounds, limit) == HELD
    assert accepted_other / studies <= 0.07
    assert accepted_same / studies > 0.15
