"""Comparison with the best: coverage and false winners by simulation with fixed seeds."""

import numpy as np
import pytest

from edgekit.stats.comparison_with_best import accuracy_of_chosen, compare_with_best


def correlated_files(rng, files, images, accuracy=0.92, change=0.06, shortfall=None, seeds=None, seed_deviation=0.0):
    """Correct (1) or wrong (0): every file agrees with a common network except on a share of images of its own."""
    shape = (files, images) if seeds is None else (files, seeds, images)
    common = rng.random(images) < accuracy
    # A changed prediction is correct as often as the common ones are, less the shortfall of the file.
    rate = np.full(files, accuracy) - (0 if shortfall is None else np.asarray(shortfall) / change)
    rate = rate.reshape(-1, *[1] * (len(shape) - 1))
    if seeds is not None:
        rate = rate + rng.normal(0, seed_deviation, (files, seeds, 1)) / change
    changed = rng.random(shape) < change
    return np.where(changed, rng.random(shape) < rate, common).astype(float)


def test_twelve_equal_files_have_no_winner():
    """Point 9: the highest of 12 equal accuracies is no winner."""
    rng = np.random.default_rng(1)
    named = sum(compare_with_best(correlated_files(rng, 12, 400)).winner is not None for _ in range(100))
    assert named <= 5


@pytest.mark.parametrize(
    ("files", "images", "change"), [(3, 180, 0.01), (3, 180, 0.05), (6, 400, 0.03), (10, 800, 0.10)]
)
def test_the_best_is_among_the_candidates(files, images, change):
    """All equal is the worst case: every file is a best one, and each must be kept in 95% of studies."""
    rng, studies = np.random.default_rng(2), 200
    kept = np.zeros(files)
    for _ in range(studies):
        kept[list(compare_with_best(correlated_files(rng, files, images, change=change)).candidates)] += 1
    assert kept.mean() / studies >= 0.945


def test_the_intervals_cover_all_at_once():
    rng, studies = np.random.default_rng(3), 400
    shortfall = np.array([0.0, 0.0, 0.005, 0.01, 0.03])
    true = np.array([-shortfall[i] + np.delete(shortfall, i).min() for i in range(5)])
    inside = 0
    for _ in range(studies):
        found = compare_with_best(correlated_files(rng, 5, 500, change=0.08, shortfall=shortfall))
        inside += all(low <= t <= high for low, t, high in zip(found.low, true, found.high))
    assert inside / studies >= 0.93


@pytest.mark.parametrize("seeds", [None, 3])
def test_what_a_file_loses_at_least_is_not_overstated(seeds):
    """For each file by itself, in at least 95% of studies; and a file that loses much is shown to."""
    rng, studies = np.random.default_rng(5), 200
    true = np.array([0.0, 0.0, 0.01, 0.03])
    over, shown = np.zeros(4), 0
    for _ in range(studies):
        table = correlated_files(rng, 4, 600, change=0.08, shortfall=true, seeds=seeds, seed_deviation=0.003)
        found = compare_with_best(table)
        over += np.array(found.shortfall) > true + 1e-9
        shown += found.shortfall[3] > 0
    assert (over / studies <= 0.06).all()
    assert shown > 0.5 * studies if seeds is None else shown > 0.2 * studies


def test_a_file_far_behind_the_best_is_shown_to_lose_more_than_a_point():
    rng = np.random.default_rng(6)
    table = correlated_files(rng, 4, 1311, accuracy=0.97, change=0.08, shortfall=[0, 0, 0.001, 0.06], seeds=3)
    found = compare_with_best(table)
    assert found.shortfall[3] > 0.01
    assert found.shortfall[:3] == (0.0, 0.0, 0.0)
    assert found.high[3] == 0


@pytest.mark.parametrize("seed_deviation", [0.0, 0.008])
def test_the_best_of_methods_over_seeds_is_among_the_candidates(seed_deviation):
    rng, studies, files = np.random.default_rng(4), 300, 5
    kept = np.zeros(files)
    named = 0
    for _ in range(studies):
        table = correlated_files(rng, files, 400, change=0.1, seeds=3, seed_deviation=seed_deviation)
        found = compare_with_best(table)
        kept[list(found.candidates)] += 1
        named += found.winner is not None
    assert kept.mean() / studies >= 0.945
    assert named / studies <= 0.05


def test_a_clear_winner_is_named():
    rng = np.random.default_rng(5)
    found = compare_with_best(correlated_files(rng, 4, 1311, change=0.2, shortfall=[0, 0.06, 0.06, 0.10]))
    assert found.winner == 0
    assert found.low[0] == 0
    assert found.high[0] > 0
    assert found.high[3] == 0
    assert found.low[3] < -0.06
    assert 3 not in found.within(0.05)


def test_the_files_within_an_allowed_loss_really_are():
    """One file loses exactly what is allowed: it may be called within it in at most 5% of studies."""
    rng, studies, wrong = np.random.default_rng(6), 400, 0
    for _ in range(studies):
        found = compare_with_best(correlated_files(rng, 4, 900, change=0.08, shortfall=[0, 0.02, 0.02, 0.0]))
        wrong += bool({1, 2} & set(found.within(0.02)))
    assert wrong / studies <= 0.07


def test_equal_predictions_are_not_told_apart():
    one = (np.arange(100) < 90).astype(float)
    found = compare_with_best(np.stack([one, one]))
    assert found.candidates == (0, 1)
    assert found.low[0] < 0 < found.high[0]
    assert not found.of_methods


def test_one_file_is_the_best():
    found = compare_with_best(np.ones((1, 10)))
    assert found.winner == 0


@pytest.mark.parametrize("shape", [(3,), (2, 1), (0, 10), (2, 2, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="files"):
        compare_with_best(np.zeros(shape))


@pytest.mark.parametrize("awful", [0, 3])
def test_the_accuracy_of_the_chosen_one_is_not_too_high(awful):
    """12 equal files: the highest accuracy is 0.9 points and more too high, and Wilson's interval about it misses."""
    rng, studies = np.random.default_rng(7), 120
    shortfall = [0.0] * 12 + [0.1] * awful
    observed, estimated, inside = [], [], 0
    for _ in range(studies):
        table = correlated_files(rng, 12 + awful, 360, change=0.2, shortfall=shortfall)
        found = accuracy_of_chosen(table)
        # What all equal files have in common in this draw of the images is no optimism.
        common = table[:12].mean()
        observed.append(found.observed - common)
        estimated.append(found.accuracy.estimate - common)
        inside += found.accuracy.low <= 0.92 <= found.accuracy.high
    assert np.mean(observed) > 0.009
    assert abs(np.mean(estimated)) < 0.003
    assert inside / studies >= 0.93


def test_the_accuracy_of_a_clear_winner_stays_as_it_is():
    rng = np.random.default_rng(8)
    found = accuracy_of_chosen(correlated_files(rng, 3, 1000, change=0.3, shortfall=[0, 0.1, 0.1]))
    assert found.position == 0
    assert found.optimism == pytest.approx(0, abs=1e-9)
    assert found.chosen_in[0] > 0.999


def test_the_accuracy_of_a_chosen_method_covers_over_seeds():
    rng, studies, inside = np.random.default_rng(9), 200, 0
    for _ in range(studies):
        table = correlated_files(rng, 6, 300, change=0.2, seeds=3, seed_deviation=0.01)
        found = accuracy_of_chosen(table)
        inside += found.accuracy.low <= 0.92 <= found.accuracy.high
        assert sum(found.chosen_in) == pytest.approx(1)
    assert inside / studies >= 0.93
