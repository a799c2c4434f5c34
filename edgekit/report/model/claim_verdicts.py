"""Judges the claims of a recipe on a study's measurements: the models of each claim, the evidence, the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.documents.report_findings import ClaimPair, JudgedClaim, MoreNeeded
from edgekit.recipe import CORRUPTED, DIFFERENCES, Claim, Reported
from edgekit.render.text import listing, plural
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.evidence import evidence_of
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.source import RunData, Source
from edgekit.report.model.subjects import Subject, opponents
from edgekit.stats.claim_families import ClaimDecision, ClaimEvidence, decide_claims
from edgekit.stats.claims import UNDECIDED, Evidence, Region, Verdict, judge
from edgekit.stats.intervals import Interval, unpaired_difference

CONFIDENCE = 0.95

ONE_SEED = "one seed decides nothing about a method"

COUNTED_METRICS = ("parameters", "macs", "size_bytes")
"""Metrics that are known exactly, so that they cannot be decided falsely."""


@dataclass(frozen=True)
class _Scale:
    """Converts displayed values to the scale on which 0 is no effect, and back."""

    stored: Callable[[float], float]
    shown: Callable[[float], float]


_SCALES = {
    "points": _Scale(lambda x: x / 100, lambda x: 100 * x),
    "nats": _Scale(lambda x: x, lambda x: x),
    "ratio": _Scale(math.log, lambda x: math.exp(min(x, 700.0))),
}


def judged_claims(source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> list[JudgedClaim]:
    """Every claim of the recipe, judged by what is in the folder; for a single run only claims it has both sides of.

    The claims are a family: together they have no more false decisions than one claim may have (Holm). Claims that
    were written before the first result are a family of their own, which later ones cannot weaken; those of them that
    the recipe no longer has still count. Later claims are judged among all.
    """
    if source.recipe is None:
        return []
    family = [_gathered(claim, source, files, comparisons) for claim in source.recipe.claims]
    judged = [_judged(one, decision, size, source) for one, (decision, size) in zip(family, _decided(family, source))]
    return judged if source.study is not None else [claim for claim in judged if claim.pairs]


def _decided(family: Sequence[_Gathered], source: Source) -> list[tuple[ClaimDecision, int]]:
    """The decision on each claim, and the number of claims that it is corrected for."""
    removed = 0
    if source.planned_claims is not None:
        removed = len(source.planned_claims - {one.claim.digest() for one in family})
    gone = [ClaimEvidence(Region.of("above", 0.0), (), missing=("removed from the recipe",))] * removed
    evidence = [one.for_decision() for one in family]
    planned = [i for i, one in enumerate(family) if not _is_later(one.claim, source)]
    among_all = decide_claims([*evidence, *gone])
    among_planned = dict(zip(planned, decide_claims([*(evidence[i] for i in planned), *gone])))
    return [
        (among_planned[i], len(planned) + removed) if i in among_planned else (among_all[i], len(family) + removed)
        for i in range(len(family))
    ]


def _is_later(claim: Claim, source: Source) -> bool:
    """Whether a claim is known to have been written after the first result."""
    return source.planned_claims is not None and claim.digest() not in source.planned_claims


@dataclass(frozen=True)
class _Found:
    """A pair of models of a claim with the evidence on it."""

    left: Subject
    right: Subject
    evidence: Evidence

    @property
    def missing(self) -> list[str]:
        return [*self.left.missing, *self.right.missing]

    def bounds(self, confidence: float) -> tuple[float, float] | None:
        if self.evidence.interval is None:
            return None
        interval = self.evidence.interval(confidence)
        return interval.low, interval.high


@dataclass(frozen=True)
class _Gathered:
    """A claim with the evidence on each of its pairs. ``missing``: what was planned and not measured, by name."""

    claim: Claim
    unit: str
    margin: float
    region: Region
    found: tuple[_Found, ...]
    missing: tuple[str, ...]

    @property
    def one_seed(self) -> bool:
        """Whether the claim is about methods and one seed is all there is of a pair."""
        return self.claim.about == "methods" and any(pair.evidence.one_seed for pair in self.found)

    def verdict_of(self, pair: _Found, alone: Verdict, decision: ClaimDecision) -> Verdict:
        """Of one pair: that of the claim where it is the only one, and undecided where it may not decide."""
        if len(self.found) == 1 and not self.missing:
            return decision.verdict
        return alone if self._decides(pair) else UNDECIDED

    def _decides(self, pair: _Found) -> bool:
        return not pair.missing and not (pair.evidence.one_seed and self.claim.about == "methods")

    def for_decision(self) -> ClaimEvidence:
        """What decides the claim: pairs with nothing missing, of several seeds where it is about methods."""
        deciding = [pair for pair in self.found if self._decides(pair)]
        return ClaimEvidence(
            self.region,
            tuple(pair.bounds for pair in deciding),
            missing=(*self.missing, *([ONE_SEED] if self.one_seed else [])),
            counted=self.claim.metric in COUNTED_METRICS,
        )


def _gathered(claim: Claim, source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> _Gathered:
    unit = DIFFERENCES.get(claim.metric, "ratio")
    margin = claim.margin if claim.margin is not None else (1.0 if unit == "ratio" else 0.0)
    found: list[_Found] = []
    missing: list[str] = []
    for left, right in opponents(claim, source, files):
        evidence = evidence_of(claim, left, right, comparisons)
        planned = [*left.missing, *right.missing]
        if evidence is not None:
            found.append(_Found(left, right, evidence))
        elif not planned:
            planned = [f"{left.title} against {right.title}"]
        missing += planned
    region = Region.of(claim.relation, _SCALES[unit].stored(margin))
    return _Gathered(claim, unit, margin, region, tuple(found), tuple(dict.fromkeys(missing)))


def _judged(gathered: _Gathered, decision: ClaimDecision, n_claims: int, source: Source) -> JudgedClaim:
    claim, region, unit = gathered.claim, gathered.region, gathered.unit
    alone = judge([pair.evidence for pair in gathered.found], region, CONFIDENCE)
    confidence = CONFIDENCE
    if decision.verdict != decision.alone:
        confidence = 1 - (1 - CONFIDENCE) / n_claims
    reported = source.recipe.reported if source.recipe is not None else []
    pairs = [
        _pair(claim.metric, pair, gathered.verdict_of(pair, verdict, decision), region, confidence, unit, reported)
        for pair, verdict in zip(gathered.found, alone)
    ]
    # The verdict and the unit come from tables, which mypy does not see; pydantic checks both.
    return JudgedClaim.model_validate(
        {
            "text": claim.text,
            "verdict": decision.verdict,
            "reason": _reason(gathered, decision, alone, n_claims, source.runs),
            "unit": unit,
            "relation": _relation(claim.relation, gathered.margin, unit),
            "pairs": pairs,
            "about": claim.about,
            "missing": gathered.missing,
            "p": decision.p,
            "p_holm": decision.p_adjusted,
            "after_the_fact": _is_later(claim, source),
        }
    )


def _reason(
    gathered: _Gathered, decision: ClaimDecision, alone: Sequence[Verdict], n_claims: int, runs: Sequence[RunData]
) -> str:
    """Why nothing, or not everything, could be judged, or why a verdict does not hold for the whole recipe."""
    parts = [f"not measured: {listing(gathered.missing, 6)}"] if gathered.missing else []
    if not gathered.found and not parts:
        parts.append(_nothing(gathered.claim, runs))
    if gathered.one_seed and decision.verdict == UNDECIDED:
        decided = [verdict for verdict in dict.fromkeys(alone) if verdict != UNDECIDED]
        networks = f"; of these trained networks it is {decided[0]}" if len(decided) == 1 == len(set(alone)) else ""
        parts.append(f"{ONE_SEED}{networks}")
    if decision.verdict != decision.alone and decision.p_adjusted is not None:
        parts.append(
            f"{decision.alone} on its own, but not among the {plural(n_claims, 'claim')} of this recipe "
            f"(p = {decision.p:.2g}, corrected by Holm {decision.p_adjusted:.2g})"
        )
    return "; ".join(parts)


def _nothing(claim: Claim, runs: Sequence[RunData]) -> str:
    if claim.metric in CORRUPTED and not any(run.corrupted for run in runs):
        return "no model has been evaluated on corrupted images yet"
    return "this study has no such models"


def _relation(relation: str, margin: float, unit: str) -> str:
    """``difference above −2 points``, ``ratio below 0.5``: the region in words."""
    if unit != "ratio":
        return (
            {
                "above": f"difference above +{margin:g} {unit}",
                "below": f"difference below −{margin:g} {unit}",
                "not-below": f"difference above −{margin:g} {unit}",
                "not-above": f"difference below +{margin:g} {unit}",
                "within": f"difference within ±{margin:g} {unit}",
            }[relation]
            .replace("+0 ", "0 ")
            .replace("−0 ", "0 ")
        )
    return {
        "above": f"ratio above {margin:g}",
        "below": f"ratio below {1 / margin:.3g}",
        "not-below": f"ratio above {1 / margin:.3g}",
        "not-above": f"ratio below {margin:g}",
        "within": f"ratio between {1 / margin:.3g} and {margin:g}",
    }[relation]


def _pair(
    metric: str,
    found: _Found,
    verdict: str,
    region: Region,
    confidence: float,
    unit: str,
    reported: Sequence[Reported],
) -> ClaimPair:
    evidence, shown = found.evidence, _SCALES[unit].shown
    interval = None if evidence.interval is None else evidence.interval(CONFIDENCE)
    more = evidence.more(region.gap(evidence.estimate), confidence) if verdict == UNDECIDED else None
    published, source = _published(metric, found.left, found.right, reported) or (None, "")
    known = published if published is not None and published.n > 0 else None
    return ClaimPair.model_validate(
        {
            "left": found.left.title,
            "right": found.right.title,
            "verdict": verdict,
            "effect": shown(evidence.estimate),
            "effect_ci95": None if interval is None else (shown(interval.low), shown(interval.high)),
            "basis": evidence.basis,
            "more_would_decide": None if more is None else MoreNeeded(**vars(more)),
            "remark": evidence.remark,
            "reported_effect": None if published is None else shown(published.estimate),
            "reported_effect_ci95": None if known is None else (shown(known.low), shown(known.high)),
            "reported_source": source,
        }
    )


def _published(metric: str, left: Subject, right: Subject, reported: Sequence[Reported]) -> tuple[Interval, str] | None:
    """The effect in the published figures, on the scale of the evidence, and their source.

    Where the source gives no figure for test images, the one for its validation images, and the source says so.
    """
    a, b = (
        next((row for row in reported if (row.backbone, row.strategy, row.arm) == side.kind), None)
        for side in (left, right)
    )
    if a is None or b is None:
        return None
    for of, remark in _PUBLISHED.get(metric, ()):
        x, y = of(a), of(b)
        if x and y:
            return _effect(metric, (x, a.n_samples), (y, b.n_samples)), f"{a.source}{remark}"
    return None


_PUBLISHED: dict[str, tuple[tuple[Callable[[Reported], float | None], str], ...]] = {
    "accuracy": ((lambda row: row.accuracy, ""), (lambda row: row.val_accuracy, ", validation")),
    "loss": ((lambda row: row.loss, ""), (lambda row: row.val_loss, ", validation")),
    "train_seconds": ((lambda row: row.train_seconds, ""),),
    "size_bytes": ((lambda row: row.size_mb, ""),),
}
"""By metric: the published figures that hold it, the best first, and what to add to the source."""


def _effect(metric: str, a: tuple[float, int], b: tuple[float, int]) -> Interval:
    """Of two figures, each with its number of images; with an interval (``n`` above 0) where they are counts."""
    (x, n_a), (y, n_b) = a, b
    if metric == "accuracy":
        return unpaired_difference(round(x * n_a), n_a, round(y * n_b), n_b)
    effect = x - y if metric in DIFFERENCES else math.log(x / y)
    return Interval(effect, effect, effect, 0.0, 0)
