"""Corruption errors and the verdict "as robust as", on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.stats import robustness
from edgekit.stats.intervals import paired_difference_interval


def losses(worse: int, better: int, n: int) -> np.ndarray:
    return np.repeat([1.0, -1.0, 0.0], [worse, better, n - worse - better])


def test_errors_are_averaged_over_severities_then_over_corruptions() -> None:
    assert robustness.mean_over_corruptions([[0.2, 0.4], [0.1, 0.1, 0.1]]) == pytest.approx(0.2)
    assert robustness.mean_over_corruptions([]) is None


def test_one_condition_and_no_clean_loss_is_a_paired_difference_of_proportions() -> None:
    found = robustness.paired_loss(np.zeros(400), losses(30, 5, 400)[np.newaxis])
    assert (found.extra.low, found.extra.high) == pytest.approx(paired_difference_interval(30, 5, 400))
    assert (found.clean, found.corrupted, found.n_images) == (0.0, pytest.approx(25 / 400), 400)


@pytest.mark.parametrize(
    ("worse", "n", "verdict"),
    [(0, 4000, "supported"), (200, 4000, "refuted"), (40, 4000, "undecided"), (0, 50, "undecided")],
)
def test_the_verdict_is_that_of_the_whole_interval(worse: int, n: int, verdict: str) -> None:
    assert robustness.paired_loss(np.zeros(n), losses(worse, 0, n)[np.newaxis]).verdict == verdict


def test_a_loss_that_is_there_on_clean_images_too_is_not_extra() -> None:
    lost = losses(40, 0, 4000)
    found = robustness.paired_loss(lost, np.stack([lost, lost]))
    assert found.clean == found.corrupted == pytest.approx(0.01)
    assert found.extra.estimate == 0
    assert found.verdict == "supported"


def test_an_interval_that_ends_at_the_margin_counts_as_equally_robust() -> None:
    assert robustness.AS_ROBUST.verdict(-0.01, robustness.MARGIN) == "supported"
    assert robustness.AS_ROBUST.verdict(robustness.MARGIN, 0.02) == "undecided"


def test_a_condition_is_scored_with_its_interval_and_calibration() -> None:
    probabilities = np.tile(np.array([[0.7, 0.3]], np.float32), (10, 1))
    score = robustness.condition_score(np.array([0] * 8 + [1] * 2, np.int32), probabilities)
    assert score.accuracy == 0.8
    assert score.accuracy_ci95[0] < 0.8 < score.accuracy_ci95[1]
    assert score.ece == pytest.approx(0.1, abs=1e-6)
