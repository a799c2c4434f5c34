"""Leaked against clean images: another class mix is no difference, and the interval covers."""

import numpy as np
import pytest

from edgekit.stats import class_standardised as cs

# The brain-MRI test split of the committed studies: clean images of each class, and all of them.
CLEAN, ALL = (288, 194, 13, 221), (300, 306, 405, 300)


def split():
    labels = np.repeat(np.arange(4), ALL)
    leaked = np.concatenate([np.arange(total) >= clean for clean, total in zip(CLEAN, ALL)])
    return labels, leaked


def test_another_class_mix_is_no_difference():
    """Point 3: with the same accuracy in every class, 3 points of plain accuracy are lost without the leaked images."""
    labels, leaked = split()
    accuracy = np.array([0.85, 0.82, 0.99, 0.97])
    correct = np.zeros(len(labels))
    for label in range(4):
        for kind in (True, False):
            where = np.flatnonzero((labels == label) & (leaked == kind))
            correct[where[: round(accuracy[label] * len(where))]] = 1
    assert correct.mean() - correct[~leaked].mean() > 0.02
    found = cs.compare_leaked(correct, labels, leaked)
    assert abs(found.difference.estimate) < 0.01
    assert found.verdict == cs.MAY_BE_TOO_HIGH
    assert found.difference.low < 0 < found.difference.high
    assert found.covered == 1.0


@pytest.mark.parametrize("accuracy", [(0.85, 0.80, 0.99, 0.97), (0.98, 0.98, 0.98, 0.98), (0.92, 0.92, 0.92, 0.92)])
@pytest.mark.parametrize("leak_gain", [0.0, 0.5])
def test_the_interval_of_the_difference_covers(accuracy, leak_gain):
    labels, leaked = split()
    # A leaked image is wrong less often by the share ``leak_gain``.
    wrong = 1 - np.array(accuracy)
    truth = float(np.dot(np.array(ALL) / sum(ALL), wrong * leak_gain))
    rate = 1 - wrong[labels] * np.where(leaked, 1 - leak_gain, 1)
    rng, inside, of_clean, studies = np.random.default_rng(1), 0, 0, 400
    clean_truth = float(1 - np.dot(np.array(ALL) / sum(ALL), wrong))
    for _ in range(studies):
        found = cs.compare_leaked((rng.random(len(labels)) < rate).astype(float), labels, leaked)
        inside += found.difference.low <= truth <= found.difference.high
        of_clean += found.clean.low <= clean_truth <= found.clean.high
    assert inside / studies >= 0.93
    assert of_clean / studies >= 0.93


@pytest.mark.parametrize("same", [1.0, 0.5])
def test_the_interval_covers_with_duplicates(same):
    """Groups of one to six test images; ``same``: how often a duplicate repeats the prediction of the first."""
    rng, inside, plain, studies = np.random.default_rng(2), 0, 0, 400
    sizes = np.resize([1, 2, 6], 150)
    groups = np.repeat(np.arange(150), sizes)
    labels = np.repeat(np.arange(150) % 3, sizes)
    leaked = np.repeat(np.arange(150) // 3 % 2 == 0, sizes)
    for _ in range(studies):
        of_group = (rng.random(150) < 0.9).astype(float)[groups]
        correct = np.where(rng.random(len(groups)) < same**0.5, of_group, rng.random(len(groups)) < 0.9)
        found = cs.compare_leaked(correct, labels, leaked, groups.tolist()).difference
        inside += found.low <= 0 <= found.high
        careless = cs.compare_leaked(correct, labels, leaked).difference
        plain += careless.low <= 0 <= careless.high
    assert inside / studies >= 0.93
    assert plain < inside


def test_the_interval_is_about_that_of_a_bootstrap_over_groups():
    rng = np.random.default_rng(3)
    sizes = np.resize([1, 2, 3], 600)
    groups, labels = np.repeat(np.arange(600), sizes), np.repeat(np.arange(600) % 2, sizes)
    leaked = np.repeat(np.arange(600) // 2 % 2 == 0, sizes)
    correct = (rng.random(600) < 0.8).astype(float)[groups]
    found = cs.compare_leaked(correct, labels, leaked, groups.tolist()).difference
    members = [np.flatnonzero(groups == group) for group in range(600)]
    draws = []
    for _ in range(300):
        drawn = np.concatenate([members[i] for i in rng.integers(0, 600, 600)])
        draws.append(cs.compare_leaked(correct[drawn], labels[drawn], leaked[drawn]).difference.estimate)
    low, high = np.percentile(draws, [2.5, 97.5])
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)


def test_a_class_with_images_of_one_kind_is_left_out_and_named():
    labels = np.array([0, 0, 0, 0, 1, 1])
    leaked = np.array([True, True, False, False, False, False])
    found = cs.compare_leaked(np.ones(6), labels, leaked)
    assert found.left_out == (1,)
    assert found.covered == pytest.approx(4 / 6)
    assert found.classes[1].leaked is None
    assert found.difference.low < 0 < found.difference.high  # all correct is no width of zero


def test_nothing_to_compare():
    found = cs.compare_leaked(np.ones(4), np.zeros(4, int), np.zeros(4, bool))
    assert found.difference is None
    assert found.verdict == cs.NOT_COMPARABLE


def test_a_clear_leak_is_said():
    labels, leaked = split()
    rng = np.random.default_rng(4)
    found = cs.compare_leaked((rng.random(len(labels)) < np.where(leaked, 0.99, 0.80)).astype(float), labels, leaked)
    assert found.verdict == cs.HIGHER_ON_LEAKED
    turned = cs.compare_leaked((rng.random(len(labels)) < np.where(leaked, 0.80, 0.99)).astype(float), labels, leaked)
    assert turned.verdict == cs.LOWER_ON_LEAKED


def test_arrays_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="pair"):
        cs.compare_leaked(np.ones(3), np.zeros(4, int), np.zeros(4, bool))


def test_the_effective_number_of_images():
    assert cs.effective_number(["a", "b", "c"], 1.0) == 3
    assert cs.effective_number(["a", "a", "b", "b"], 1.0) == 2
    assert cs.effective_number(["a", "a", "b", "b"], 0.0) == 4


def test_accuracy_with_duplicates_covers():
    rng, inside = np.random.default_rng(5), 0
    groups = np.repeat(np.arange(120), 3)
    for _ in range(500):
        correct = (rng.random(120) < 0.9).astype(float)[groups]
        found = cs.accuracy_with_duplicates(correct, groups.tolist())
        inside += found.low <= 0.9 <= found.high
    assert inside / 500 >= 0.93
