"""A claim about two models as an interval against a region: supported, refuted or undecided, and what would decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edgekit.stats.intervals import Interval

Verdict = Literal["supported", "refuted", "undecided"]

SUPPORTED: Final = "supported"
REFUTED: Final = "refuted"
UNDECIDED: Final = "undecided"


@dataclass(frozen=True)
class Region:
    """Where an effect has to lie for the claim to hold: between ``low`` and ``high``.

    The ends belong to a ``closed`` region: equality counts as "not above" and "not below".
    """

    low: float
    high: float
    closed: bool

    @classmethod
    def of(cls, relation: str, margin: float) -> Region:
        """``margin`` on a scale where 0 is no effect: a difference, or the logarithm of a ratio."""
        return {
            "above": cls(margin, math.inf, closed=False),
            "below": cls(-math.inf, -margin, closed=False),
            "not-below": cls(-margin, math.inf, closed=True),
            "not-above": cls(-math.inf, margin, closed=True),
            "within": cls(-margin, margin, closed=True),
        }[relation]

    def verdict(self, low: float, high: float) -> Verdict:
        """Supported where the whole interval lies inside, refuted where all of it lies outside."""
        if self.closed:
            inside = self.low <= low and high <= self.high
            outside = high < self.low or low > self.high
        else:
            inside = self.low < low and high < self.high
            outside = high <= self.low or low >= self.high
        return SUPPORTED if inside else REFUTED if outside else UNDECIDED

    def gap(self, estimate: float) -> float:
        """How far the estimate is from the nearest end: what half the interval must stay below to decide."""
        return min(abs(estimate - end) for end in (self.low, self.high) if math.isfinite(end))


@dataclass(frozen=True)
class More:
    """What would decide a claim: ``n`` more of ``unit`` (seeds, images, rounds), if the estimate stays as it is.

    ``images``: so many more test images as well. ``power``: the chance that it is decided then; None where no number
    is enough for sure.
    """

    unit: str
    n: int
    images: int = 0
    power: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What was measured of one pair of models.

    ``interval`` gives the effect at a confidence, on a scale where 0 is no effect; None if too little was measured for
    an interval, and only ``estimate`` is known. ``more`` returns what would decide, given the gap and a confidence.
    ``one_seed``: the evidence is about two trained networks only, so it decides nothing about methods.
    """

    estimate: float
    interval: Callable[[float], Interval] | None
    basis: str
    more: Callable[[float, float], More | None]
    remark: str = ""
    one_seed: bool = False


def judge(evidence: Sequence[Evidence], region: Region, confidence: float = 0.95) -> list[Verdict]:
    """The verdict on each pair of a claim that holds only if it holds for every pair.

    Support needs no correction for the number of pairs, because all have to be supported (intersection-union test);
    one refuted pair refutes the claim, so a pair is refuted only at Bonferroni's confidence 1 - alpha / pairs.
    """
    strict = 1 - (1 - confidence) / max(1, len(evidence))
    verdicts: list[Verdict] = []
    for one in evidence:
        if one.interval is None:
            verdicts.append(UNDECIDED)
            continue
        usual, wide = one.interval(confidence), one.interval(strict)
        verdict = region.verdict(usual.low, usual.high)
        if verdict == REFUTED and region.verdict(wide.low, wide.high) != REFUTED:
            verdict = UNDECIDED
        verdicts.append(verdict)
    return verdicts
