"""Claims of a recipe together: false decisions by simulation with fixed seeds, and the edges of regions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.stats.claim_families import (
    ClaimEvidence,
    decide_claims,
    deciding_level,
    p_refuted,
    p_supported,
)
from edgekit.stats.claims import REFUTED, SUPPORTED, UNDECIDED, Region
from edgekit.stats.seeds_and_images import paired_methods

RELATIONS = ("above", "below", "not-above", "not-below", "within")


def normal_evidence(estimate, error=1.0):
    from statistics import NormalDist

    def bounds(confidence):
        half = NormalDist().inv_cdf(0.5 + confidence / 2) * error
        return estimate - half, estimate + half

    return bounds


def exactly(effect):
    return lambda _: (effect, effect)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(("claims", "pairs"), [(1, 1), (5, 1), (4, 3)])
def test_false_decisions_are_at_most_five_percent(relation, claims, pairs):
    """The true effect lies on the margin: an open region is false there, a closed one true."""
    region = Region.of(relation, 2.0)
    false = REFUTED if region.closed else SUPPORTED
    on_margin = next(end for end in (region.low, region.high) if math.isfinite(end))
    rng, studies, wrong = np.random.default_rng(claims + pairs), 400, 0
    for _ in range(studies):
        family = [
            ClaimEvidence(region, tuple(normal_evidence(on_margin + rng.normal()) for _ in range(pairs)))
            for _ in range(claims)
        ]
        wrong += any(decision.verdict == false for decision in decide_claims(family))
    assert wrong / studies <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)


def test_false_decisions_of_differences_over_seeds_and_images():
    rng, studies, wrong = np.random.default_rng(1), 200, 0
    for _ in range(studies):
        family = []
        for relation in ("above", "below", "above"):
            u = rng.random((3, 300)) - rng.normal(0, 0.01, (3, 1))
            found = paired_methods(np.where(u < 0.04, 1.0, np.where(u > 0.96, -1.0, 0.0)))
            family.append(ClaimEvidence(Region.of(relation, 0.0), (lambda c, f=found: _ends(f.interval(c)),)))
        wrong += any(decision.verdict != UNDECIDED for decision in decide_claims(family))
    # "Above" and "below" 0 are both false at 0, and refuting is true: only "supported" would be wrong, yet an interval
    # on one side of 0 decides one way or the other, so that every decision counts here.
    assert wrong / studies <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)


def _ends(interval):
    return interval.low, interval.high


def test_equality_is_not_above_not_below_and_within():
    """Today exact equality is refuted by all three."""
    for relation in ("not-above", "not-below", "within"):
        claim = ClaimEvidence(Region.of(relation, 0.0), (exactly(0.0),), counted=True)
        assert decide_claims([claim])[0].verdict == SUPPORTED
    for relation in ("above", "below"):
        claim = ClaimEvidence(Region.of(relation, 0.0), (exactly(0.0),), counted=True)
        assert decide_claims([claim])[0].verdict == REFUTED


def test_the_gap_is_that_to_the_nearest_end():
    assert Region.of("within", 2.0).gap(-1.5) == 0.5
    assert Region.of("above", 2.0).gap(-1.0) == 3.0


def test_an_interval_without_width_has_no_p_value_of_zero():
    claim = ClaimEvidence(Region.of("above", 0.0), (exactly(1.0),))
    assert decide_claims([claim])[0].p > 0


def test_the_family_is_corrected_and_the_claim_alone_is_not():
    almost = ClaimEvidence(Region.of("above", 0.0), (normal_evidence(2.1),))  # p = 0.036
    nothing = ClaimEvidence(Region.of("above", 0.0), (normal_evidence(0.3),))
    assert decide_claims([almost])[0].verdict == SUPPORTED
    decision = decide_claims([almost, nothing])[0]
    assert (decision.verdict, decision.alone, decision.direction) == (UNDECIDED, SUPPORTED, SUPPORTED)
    assert decision.p_adjusted == pytest.approx(2 * decision.p)
    counted = ClaimEvidence(Region.of("below", 0.0), (exactly(-1.0),), counted=True)
    assert decide_claims([almost, counted])[0].verdict == SUPPORTED


def test_p_values_are_those_of_the_normal_test():
    region = Region.of("above", 1.0)
    level = deciding_level(normal_evidence(2.96), region, SUPPORTED)
    assert level == pytest.approx(2 * 0.025, abs=1e-3)
    assert deciding_level(normal_evidence(2.96), region, REFUTED) == 1.0


def test_support_needs_every_pair_and_refutation_one():
    region = Region.of("above", 0.0)
    good, bad = normal_evidence(4.0), normal_evidence(-4.0)
    assert decide_claims([ClaimEvidence(region, (good, good))])[0].verdict == SUPPORTED
    assert decide_claims([ClaimEvidence(region, (good, bad))])[0].verdict == REFUTED
    claim = ClaimEvidence(region, (good, bad))
    assert p_supported(claim) == 1.0
    assert p_refuted(claim) == pytest.approx(2 * deciding_level(bad, region, REFUTED))


def test_what_is_missing_makes_a_claim_undecided_unless_it_is_refuted():
    """Point 2: "supported" from three of four pairs."""
    region = Region.of("above", 0.0)
    good, bad = normal_evidence(4.0), normal_evidence(-4.0)
    found = decide_claims([ClaimEvidence(region, (good,), missing=("seed 3",))])[0]
    assert found.verdict == UNDECIDED
    assert found.missing == ("seed 3",)
    assert decide_claims([ClaimEvidence(region, (bad,), missing=("seed 3",))])[0].verdict == REFUTED
    counted = ClaimEvidence(region, (exactly(1.0),), missing=("seed 3",), counted=True)
    assert decide_claims([counted])[0].verdict == UNDECIDED
    assert decide_claims([ClaimEvidence(region, ())])[0].verdict == UNDECIDED
    assert decide_claims([ClaimEvidence(region, (lambda _: None,))])[0].verdict == UNDECIDED


@given(st.sampled_from(RELATIONS), st.floats(0, 3), st.floats(-5, 5), st.floats(0, 4))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_verdict_agrees_with_points_of_the_interval(relation, margin, start, width):
    """Slow and independent: every point of a fine grid over the interval is asked whether it fulfils the relation."""
    holds = {
        "above": lambda x: x > margin,
        "below": lambda x: x < -margin,
        "not-above": lambda x: x <= margin,
        "not-below": lambda x: x >= -margin,
        "within": lambda x: -margin <= x <= margin,
    }[relation]
    end = start + width
    ends = [edge for edge in (margin, -margin) if start <= edge <= end]
    beside = [x for edge in ends for x in (math.nextafter(edge, -9), math.nextafter(edge, 9)) if start <= x <= end]
    fulfilled = {holds(x) for x in [*np.linspace(start, end, 50).clip(start, end), *ends, *beside]}
    expected = SUPPORTED if fulfilled == {True} else REFUTED if fulfilled == {False} else UNDECIDED
    assert Region.of(relation, margin).verdict(start, end) == expected
