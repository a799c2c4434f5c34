"""The claims of a recipe judged by what a study measured: the models each is about, the evidence, the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.documents.report_findings import ClaimPair, JudgedClaim, MoreNeeded
from edgekit.recipe import CORRUPTED, DIFFERENCES, Claim, Reported
from edgekit.render.text import listing
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.evidence import evidence_of
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.source import RunData, Source
from edgekit.report.model.subjects import Subject, opponents
from edgekit.stats.claims import REFUTED, UNDECIDED, Evidence, Region, judge, overall
from edgekit.stats.intervals import Interval, unpaired_difference

CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Scale:
    """Converts displayed values to the scale on which 0 is no effect, and back."""

    stored: Callable[[float], float]
    shown: Callable[[float], float]


_SCALES = {
    "points": _Scale(lambda x: x / 100, lambda x: 100 * x),
    "nats": _Scale(lambda x: x, lambda x: x),
    "ratio": _Scale(math.log, math.exp),
}


def judged_claims(source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> list[JudgedClaim]:
    """Every claim of the recipe, judged; for a single run, only claims whose two sides it has."""
    if source.recipe is None:
        return []
    judged = [_judged(claim, source, files, comparisons) for claim in source.recipe.claims]
    return judged if source.study is not None else [claim for claim in judged if claim.pairs]


@dataclass(frozen=True)
class _Found:
    """A pair of models of a claim with the evidence on it."""

    left: Subject
    right: Subject
    evidence: Evidence


def _judged(claim: Claim, source: Source, files: Sequence[ExportedFile], comparisons: Comparisons) -> JudgedClaim:
    unit = DIFFERENCES.get(claim.metric, "ratio")
    margin = claim.margin if claim.margin is not None else (1.0 if unit == "ratio" else 0.0)
    region = Region.of(claim.relation, _SCALES[unit].stored(margin))
    found, lacking = [], []
    for left, right in opponents(claim, source.runs, files):
        evidence = evidence_of(claim, left, right, comparisons)
        if evidence is None:
            lacking.append(f"{left.title} against {right.title}")
        else:
            found.append(_Found(left, right, evidence))
    verdicts = judge([pair.evidence for pair in found], region, CONFIDENCE)
    reported = source.recipe.reported if source.recipe is not None else []
    pairs = [
        _pair(claim.metric, pair, verdict, region, _SCALES[unit].shown, reported)
        for pair, verdict in zip(found, verdicts)
    ]
    verdict = overall(verdicts)
    if lacking and verdict != REFUTED:
        verdict = UNDECIDED
    reason = f"not measured: {listing(lacking)}" if lacking else "" if found else _nothing(claim, source.runs)
    # The verdict and the unit come from tables, which mypy does not see; pydantic checks both.
    return JudgedClaim.model_validate(
        {
            "text": claim.text,
            "verdict": verdict,
            "reason": reason,
            "unit": unit,
            "relation": _relation(claim.relation, margin, unit),
            "pairs": pairs,
        }
    )


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
    shown: Callable[[float], float],
    reported: Sequence[Reported],
) -> ClaimPair:
    evidence = found.evidence
    interval = None if evidence.interval is None else evidence.interval(CONFIDENCE)
    more = evidence.more(region.gap(evidence.estimate)) if verdict == UNDECIDED else None
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
            "more_would_decide": None if more is None else MoreNeeded(unit=more.unit, n=more.n),
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
