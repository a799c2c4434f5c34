"""The calibration error without its bias: networks of known calibration, simulated with fixed seeds."""

import numpy as np
import pytest

from edgekit.stats.calibration_bias import calibration_error, error_by_chance
from edgekit.stats.classification import expected_calibration_error

TRUTHS = {
    "perfect": lambda c: c,
    "overconfident": lambda c: np.clip(c - 0.05, 0, 1),
    "mixed": lambda c: np.clip(c + 0.06 * np.sin(25 * c), 0, 1),
    "temperature": lambda c: 1 / (1 + np.exp(-0.6 * np.log(c / (1 - c)))),
}


def confidences(rng, n):
    return np.clip(rng.beta(8, 1.2, n), 0.51, 0.9999)


def network(rng, n, truth):
    """Labels and probabilities of two classes, the first always the predicted one."""
    shown = confidences(rng, n)
    labels = (rng.random(n) >= truth(shown)).astype(int)
    return labels, np.stack([shown, 1 - shown], axis=1)


def true_error(truth):
    shown = confidences(np.random.default_rng(99), 400_000)
    bin_of = np.ceil(shown * 15).astype(int) - 1
    return np.abs(np.bincount(bin_of, weights=truth(shown) - shown)).sum() / len(shown)


@pytest.mark.parametrize("kind", TRUTHS)
def test_the_interval_covers_and_the_estimate_has_less_bias(kind):
    truth = TRUTHS[kind]
    rng, studies, inside, estimates, observed = np.random.default_rng(21), 150, 0, [], []
    true = true_error(truth)
    for _ in range(studies):
        found = calibration_error(*network(rng, 150, truth), resamples=200, seed=int(rng.integers(2**31)))
        inside += found.low <= true <= found.high
        estimates.append(found.estimate)
        observed.append(found.observed)
    assert inside / studies >= 0.93
    assert abs(np.mean(estimates) - true) < 0.75 * abs(np.mean(observed) - true) + 0.002


@pytest.mark.parametrize("n", [100, 300])
def test_a_perfect_network_s_error_is_that_of_chance(n):
    rng = np.random.default_rng(2)
    found = [calibration_error(*network(rng, n, TRUTHS["perfect"]), resamples=150) for _ in range(30)]
    assert np.mean([f.observed for f in found]) == pytest.approx(np.mean([f.by_chance for f in found]), rel=0.1)
    assert np.mean([f.p < 0.05 for f in found]) <= 0.13
    assert np.mean([f.low == 0 for f in found]) >= 0.9


def test_the_error_by_chance_needs_no_labels():
    labels, probabilities = network(np.random.default_rng(4), 100, TRUTHS["temperature"])
    alone = error_by_chance(probabilities, resamples=500)
    assert alone == calibration_error(labels, probabilities).by_chance
    assert alone > 0.04


def test_a_clear_miscalibration_is_found():
    found = calibration_error(*network(np.random.default_rng(3), 1311, TRUTHS["temperature"]))
    assert found.low > 0
    assert found.p < 0.01
    assert found.observed > found.by_chance_95
    assert found.low < found.estimate < found.high


def test_the_observed_error_is_the_usual_one():
    labels, probabilities = network(np.random.default_rng(4), 200, TRUTHS["mixed"])
    assert calibration_error(labels, probabilities, resamples=50).observed == expected_calibration_error(
        labels, probabilities
    )


def test_it_is_repeatable():
    labels, probabilities = network(np.random.default_rng(5), 200, TRUTHS["mixed"])
    assert calibration_error(labels, probabilities, resamples=50) == calibration_error(
        labels, probabilities, resamples=50
    )


def test_a_certain_network_that_is_always_right():
    found = calibration_error(np.zeros(50, int), np.tile([1.0, 0.0], (50, 1)), resamples=50)
    assert found.observed == 0
    assert found.estimate == 0
    assert found.low == 0


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="images"):
        calibration_error(np.zeros(0, int), np.zeros((0, 2)))
