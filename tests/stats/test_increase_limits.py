"""Verdicts on increases: ratios with intervals, single measurements, and several looks at growing data."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.stats.limits import judge_ratio, judge_repeats, look_confidence


@pytest.mark.parametrize(
    ("low", "high", "floor", "verdict"),
    [
        (0.98, 1.04, 1.01, "held"),
        (0.98, 1.06, 1.01, "undecided"),
        (1.06, 1.12, 1.01, "failed"),
        (1.06, 1.12, 1.08, "undecided"),  # a file and itself differ as much
        (0.98, 1.04, 1.08, "undecided"),  # the session could not have seen it
        (0.70, 0.80, 1.08, "held"),  # faster than noise explains
        (1.02, 1.05, 1.00, "held"),  # exactly the limit is allowed
    ],
)
def test_a_ratio_is_judged_by_its_bounds_and_the_noise(low, high, floor, verdict):
    assert judge_ratio(low, high, floor, 1.05) == verdict


@pytest.mark.parametrize(
    ("new", "baseline", "verdict"),
    [
        ([100, 101, 99], [100, 100, 101], "held"),
        ([120, 121, 122], [100, 101, 102], "failed"),
        ([112, 113, 114], [100, 104, 103], "undecided"),  # 10% above 104 is 114.4
        ([120], [100], "undecided"),
        ([120, 121, 122], [100], "undecided"),
        ([108], [100], "held"),
    ],
)
def test_repeats_are_judged_by_their_ranges(new, baseline, verdict):
    assert judge_repeats(new, baseline, 1.1) == verdict


def test_differences_below_the_resolution_are_none():
    assert judge_repeats([30, 31, 32], [10, 11, 12], 1.1, resolution=25) == "held"
    assert judge_repeats([130, 131, 132], [10, 11, 12], 1.1, resolution=25) == "failed"


def test_equal_memory_rarely_fails():
    """Three values each, drawn from one distribution, with no allowance at all: at most one in twenty."""
    random = np.random.default_rng(0)
    failed = sum(judge_repeats(*random.lognormal(size=(2, 3)).tolist(), 1.0) == "failed" for _ in range(4000))
    assert failed / 4000 < 0.06


def test_all_looks_together_err_in_at_most_five_percent():
    errors = [(1 - look_confidence(look)) / 2 for look in range(1, 30)]
    assert errors[0] == pytest.approx(0.025)
    assert sum(errors) <= 0.05
    with pytest.raises(ValueError, match="no look 0"):
        look_confidence(0)
