"""The recommendation rule: equivalence and not mere non-significance, ties by size, constraints with intervals."""

import numpy as np
import pytest

from edgekit.stats import recommendation as rec
from edgekit.stats.comparison_with_best import compare_with_best
from edgekit.stats.recommendation import Bounded, Constraint, Contender, recommend


def contender(accuracy=0.9, loss=0.0, latency=10.0, size=1000, **figures):
    return Contender(accuracy, loss, latency, size, figures)


def no_difference(count):
    return lambda a, b: False


def in_order(latencies, factor=1.05):
    return lambda a, b: latencies[a] > factor * latencies[b]


def test_the_fastest_of_those_shown_to_be_good_enough():
    files = [contender(loss=0.0, latency=30), contender(loss=0.008, latency=10), contender(loss=0.03, latency=1)]
    found = recommend(files, in_order([30, 10, 1]), 0.01)
    assert (found.chosen, found.status, found.eligible) == (1, rec.SHOWN, (0, 1))


def test_files_that_are_not_measurably_slower_are_as_fast_and_the_smallest_wins():
    files = [contender(latency=10.0, size=5000), contender(latency=10.2, size=1000), contender(latency=20, size=10)]
    found = recommend(files, in_order([10.0, 10.2, 20]), 0.01)
    assert (found.chosen, found.as_fast) == (1, (0, 1))


def test_not_significantly_worse_is_not_good_enough():
    files = [contender(accuracy=0.95, loss=0.03, latency=20), contender(accuracy=0.93, loss=0.06, latency=2)]
    found = recommend(files, in_order([20, 2]), 0.01)
    assert (found.chosen, found.status) == (0, rec.NOT_SHOWN)


def test_a_file_without_a_score_is_never_recommended():
    files = [contender(), Contender(None, None, 1.0, 1, {})]
    assert recommend(files, no_difference(2), 0.01).chosen == 0
    nothing = recommend([Contender(None, None, 1.0, 1, {})], no_difference(1), 0.01)
    assert (nothing.chosen, nothing.status, nothing.nearest) == (None, rec.NOTHING, None)


def test_without_latencies_the_smallest_is_chosen():
    files = [contender(latency=None, size=3), contender(latency=None, size=2)]
    assert recommend(files, no_difference(2), 0.01).chosen == 1


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Bounded(25, 24, 26), rec.MEETS),
        (Bounded(30, 30, 30), rec.MEETS),
        (Bounded(30, 29, 31), rec.UNDECIDED),
        (Bounded(33, 32, 34), rec.FAILS),
        (None, rec.UNDECIDED),
    ],
)
def test_a_constraint_is_judged_with_the_interval(figure, verdict):
    assert Constraint("latency_ms", 30).judge(figure) == verdict


def test_a_constraint_from_below():
    constraint = Constraint("accuracy", 0.9, at_least=True)
    assert constraint.judge(Bounded(0.95, 0.93, 0.97)) == rec.MEETS
    assert constraint.judge(Bounded(0.9, 0.88, 0.92)) == rec.UNDECIDED
    assert constraint.judge(Bounded(0.8, 0.7, 0.89)) == rec.FAILS
    assert constraint.excess(Bounded(0.81, 0.7, 0.89)) == pytest.approx(0.1)


def test_a_winner_none_with_the_nearest_or_undecided_between():
    limit = Constraint("latency_ms", 30)
    fast, slow, unclear = Bounded(10, 9, 11), Bounded(45, 44, 46), Bounded(30, 28, 32)
    files = [contender(latency_ms=fast), contender(latency_ms=slow), contender(latency_ms=unclear)]
    won = recommend(files, no_difference(3), 0.01, [limit])
    assert (won.chosen, won.undecided) == (0, (2,))
    between = recommend(files[1:], no_difference(2), 0.01, [limit])
    assert (between.chosen, between.status, between.undecided) == (None, rec.NOT_DECIDED_BETWEEN, (1,))
    slower = contender(latency_ms=Bounded(90, 89, 91))
    none = recommend([slower, files[1]], no_difference(2), 0.01, [limit])
    assert (none.chosen, none.status, none.nearest) == (None, rec.NOTHING, 1)


def test_a_file_that_loses_more_than_allowed_is_rarely_recommended():
    """The fastest file loses exactly the allowed point; with non-significance it would be taken nearly always."""
    rng, studies, wrong = np.random.default_rng(1), 200, 0
    latencies = [10.0, 20.0, 30.0, 40.0]
    for _ in range(studies):
        common = rng.random(1311) < 0.92
        rate = np.array([0.92 - 0.01 / 0.08, 0.92, 0.92, 0.92])[:, None]
        correct = np.where(rng.random((4, 1311)) < 0.08, rng.random((4, 1311)) < rate, common).astype(float)
        compared = compare_with_best(correct)
        files = [
            Contender(a, -low, latency, 1000, {})
            for a, low, latency in zip(compared.accuracies, compared.low, latencies)
        ]
        found = recommend(files, in_order(latencies), 0.01)
        wrong += found.chosen == 0 and found.status == rec.SHOWN
    assert wrong / studies <= 0.05
