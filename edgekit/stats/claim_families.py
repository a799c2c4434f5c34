"""Decides all claims of a recipe at once, with the false-decision rate that a single claim may have.

A claim says that an effect lies in a region. It is supported where the whole interval lies inside, refuted where all of
it lies outside. The level at which an interval just decides is the claim's p-value, and Holm's procedure says which
decisions hold for the whole family of claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.stats.claims import REFUTED, SUPPORTED, UNDECIDED, Region, Verdict
from edgekit.stats.significance import holm

Bounds = tuple[float, float]
ConfidenceFunction = Callable[[float], Bounds | None]
"""From a confidence, 0 to 1, to the interval of the effect; None where too little was measured for one."""

SMALLEST_P = 1e-12
"""No estimated effect decides with a smaller p-value."""


@dataclass(frozen=True)
class ClaimEvidence:
    """One claim: the region, and a confidence function for each pair of models that it has to hold for.

    ``missing`` names what was planned and not measured. ``counted``: the effects are known exactly (bytes,
    parameters), so that they cannot be decided falsely and take no part in the correction.
    """

    region: Region
    pairs: tuple[ConfidenceFunction, ...]
    missing: tuple[str, ...] = ()
    counted: bool = False


@dataclass(frozen=True)
class ClaimDecision:
    """``verdict`` holds for the whole family of claims, ``alone`` without the others. ``direction``: what the p-values
    are about, ``supported`` or ``refuted``; ``p_adjusted`` is Holm's. p-values are None for counted effects and where
    nothing could be decided.
    """

    verdict: Verdict
    alone: Verdict
    direction: Verdict | None
    p: float | None
    p_adjusted: float | None
    missing: tuple[str, ...]


def decide_claims(claims: Sequence[ClaimEvidence], *, alpha: float = 0.05) -> list[ClaimDecision]:
    """Decide all claims of a recipe, with a chance of at most ``alpha`` for any false decision among them.

    Each claim has the p-value of the direction its evidence points to; two-sided intervals share alpha between the two
    directions, so that one p-value per claim is enough. The p-values are corrected by S. Holm's procedure, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979). A claim with something
    missing is never supported, and a claim without pairs is undecided; both still count in the family, because the
    family is what the recipe says and not what was measured.
    """
    found = [_direction(claim) for claim in claims]
    tested = [i for i, claim in enumerate(claims) if not claim.counted]
    adjusted = dict(zip(tested, holm([found[i][1] for i in tested])))
    decisions = []
    for i, claim in enumerate(claims):
        direction, p = found[i]
        if claim.counted:
            decisions.append(ClaimDecision(direction, direction, direction, None, None, claim.missing))
            continue
        decided = direction if direction != UNDECIDED else None
        decisions.append(
            ClaimDecision(
                verdict=direction if adjusted[i] < alpha else UNDECIDED,
                alone=direction if p < alpha else UNDECIDED,
                direction=decided,
                p=None if decided is None else p,
                p_adjusted=None if decided is None else adjusted[i],
                missing=claim.missing,
            )
        )
    return decisions


def _direction(claim: ClaimEvidence) -> tuple[Verdict, float]:
    """The direction of the evidence, and the p-value of deciding for it; 1 if it has no direction."""
    if claim.counted:
        return _of_counted(claim), 1.0
    refuted = p_refuted(claim)
    supported = p_supported(claim)
    if min(refuted, supported) >= 1:
        return UNDECIDED, 1.0
    return (SUPPORTED, supported) if supported < refuted else (REFUTED, refuted)


def _of_counted(claim: ClaimEvidence) -> Verdict:
    bounds = [pair(0.95) for pair in claim.pairs]
    verdicts = [UNDECIDED if b is None else claim.region.verdict(*b) for b in bounds]
    if REFUTED in verdicts:
        return REFUTED
    whole = bool(verdicts) and not claim.missing and all(verdict == SUPPORTED for verdict in verdicts)
    return SUPPORTED if whole else UNDECIDED


def p_supported(claim: ClaimEvidence) -> float:
    """The level at which every pair supports the claim: the largest of theirs (intersection-union test)."""
    if claim.missing or not claim.pairs:
        return 1.0
    return max(deciding_level(pair, claim.region, SUPPORTED) for pair in claim.pairs)


def p_refuted(claim: ClaimEvidence) -> float:
    """The level at which one pair refutes the claim: the smallest of theirs, times their number (Bonferroni)."""
    if not claim.pairs:
        return 1.0
    return min(1.0, len(claim.pairs) * min(deciding_level(pair, claim.region, REFUTED) for pair in claim.pairs))


def deciding_level(pair: ConfidenceFunction, region: Region, verdict: Verdict) -> float:
    """1 less the highest confidence at which the interval still gives ``verdict``: 1e-12 to 1, 1 where none does.

    Intervals must become wider with the confidence. Not below 1e-12, even for an interval without any width.
    """

    def gives(level: float) -> bool:
        bounds = pair(1 - level)
        return bounds is not None and region.verdict(*bounds) == verdict

    low, high = SMALLEST_P, 1 - 1e-9
    if not gives(high):
        return 1.0
    if gives(low):
        return low
    for _ in range(50):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gives(middle) else (middle, high)
    return high
