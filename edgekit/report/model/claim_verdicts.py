"""The claims of a recipe against what a study measured: which models each is about, the evidence, the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.recipe import CORRUPTED, DIFFERENCES
from edgekit.render.text import listing
from edgekit.report.model.evidence import evidence_of
from edgekit.report.model.reading import RunData, Source
from edgekit.report.model.rows import Candidate
from edgekit.report.model.subjects import Subject, opponents
from edgekit.stats.claims import REFUTED, UNDECIDED, Evidence, More, Region, judge, overall
from edgekit.stats.intervals import Interval, unpaired_difference

CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Scale:
    """From what a person reads to the scale on which 0 is no effect, and back."""

    stored: Callable[[float], float]
    shown: Callable[[float], float]


_SCALES = {
    "points": _Scale(lambda x: x / 100, lambda x: 100 * x),
    "nats": _Scale(lambda x: x, lambda x: x),
    "ratio": _Scale(math.log, math.exp),
}


@dataclass(frozen=True)
class JudgedPair:
    """One pair of models of a claim. The effect: a difference in points or nats, or a ratio left / right."""

    left: str
    right: str
    verdict: str
    effect: float
    ci95: tuple[float, float] | None
    basis: str
    more: More | None
    remark: str
    reported: float | None
    reported_ci95: tuple[float, float] | None
    reported_source: str

    def document(self) -> dict[str, Any]:
        return {
            "left": self.left,
            "right": self.right,
            "verdict": self.verdict,
            "effect": self.effect,
            "effect_ci95": self.ci95 and list(self.ci95),
            "basis": self.basis,
            "more_would_decide": self.more and {"unit": self.more.unit, "n": self.more.n},
            "remark": self.remark,
            "reported_effect": self.reported,
            "reported_effect_ci95": self.reported_ci95 and list(self.reported_ci95),
            "reported_source": self.reported_source,
        }


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its verdict; without ``pairs`` nothing of it was measured, and ``reason`` says so."""

    text: str
    verdict: str
    reason: str
    unit: str
    relation: str
    pairs: tuple[JudgedPair, ...]

    def document(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "verdict": self.verdict,
            "reason": self.reason,
            "unit": self.unit,
            "relation": self.relation,
            "pairs": [pair.document() for pair in self.pairs],
        }


def judged_claims(source: Source, candidates: Sequence[Candidate]) -> list[JudgedClaim]:
    """Every claim of the recipe, judged on what is in the folder; of a single run only what it has both sides of."""
    recipe = recipe_of(source)
    judged = [_judged(c, source.runs, candidates, recipe.get("reported", [])) for c in recipe.get("claims", [])]
    return judged if source.study is not None else [claim for claim in judged if claim.pairs]


def recipe_of(source: Source) -> dict[str, Any]:
    """The recipe of a study or a run; empty where only its name is known."""
    document = source.study if source.study is not None else source.runs[0].document if source.runs else {}
    recipe = document.get("recipe")
    return recipe if isinstance(recipe, dict) else {}


def _judged(
    claim: dict[str, Any], runs: Sequence[RunData], candidates: Sequence[Candidate], reported: Sequence[dict[str, Any]]
) -> JudgedClaim:
    unit = DIFFERENCES.get(claim["metric"], "ratio")
    margin = claim["margin"] if claim["margin"] is not None else (1.0 if unit == "ratio" else 0.0)
    region = Region.of(claim["relation"], _SCALES[unit].stored(margin))
    found, lacking = [], []
    for left, right in opponents(claim, runs, candidates):
        evidence = evidence_of(claim, left, right)
        if evidence is None:
            lacking.append(f"{left.title} against {right.title}")
        else:
            found.append((left, right, evidence))
    verdicts = judge([evidence for _, _, evidence in found], region, CONFIDENCE)
    pairs = tuple(
        _pair(claim, left, right, evidence, verdict, region, _SCALES[unit].shown, reported)
        for (left, right, evidence), verdict in zip(found, verdicts)
    )
    verdict = overall(verdicts)
    if lacking and verdict != REFUTED:
        verdict = UNDECIDED
    reason = f"not measured: {listing(lacking)}" if lacking else "" if found else _nothing(claim, runs)
    return JudgedClaim(claim["text"], verdict, reason, unit, _relation(claim["relation"], margin, unit), pairs)


def _nothing(claim: dict[str, Any], runs: Sequence[RunData]) -> str:
    if claim["metric"] in CORRUPTED and not any(run.corrupted for run in runs):
        return "no model was shown corrupted images yet"
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
    claim: dict[str, Any],
    left: Subject,
    right: Subject,
    evidence: Evidence,
    verdict: str,
    region: Region,
    shown: Callable[[float], float],
    reported: Sequence[dict[str, Any]],
) -> JudgedPair:
    interval = None if evidence.interval is None else evidence.interval(CONFIDENCE)
    published, source = _published(claim["metric"], left, right, reported) or (None, "")
    return JudgedPair(
        left=left.title,
        right=right.title,
        verdict=verdict,
        effect=shown(evidence.estimate),
        ci95=None if interval is None else (shown(interval.low), shown(interval.high)),
        basis=evidence.basis,
        more=evidence.more(region.gap(evidence.estimate)) if verdict == UNDECIDED else None,
        remark=evidence.remark,
        reported=None if published is None else shown(published.estimate),
        reported_ci95=(shown(published.low), shown(published.high)) if published is not None and published.n else None,
        reported_source=source,
    )


def _published(
    metric: str, left: Subject, right: Subject, reported: Sequence[dict[str, Any]]
) -> tuple[Interval, str] | None:
    """The effect that the published figures have, on the scale of the evidence, and where they are from.

    Where the source gives no figure of test images, the one of its validation images, which says so.
    """
    a, b = (
        next((row for row in reported if (row["backbone"], row["strategy"], row.get("arm")) == side.kind), None)
        for side in (left, right)
    )
    if a is None or b is None:
        return None
    for key, remark in _PUBLISHED.get(metric, ()):
        if a.get(key) and b.get(key):
            return _effect(metric, key, a, b), f"{a['source']}{remark}"
    return None


_PUBLISHED = {
    "accuracy": (("accuracy", ""), ("val_accuracy", ", validation")),
    "loss": (("loss", ""), ("val_loss", ", validation")),
    "train_seconds": (("train_seconds", ""),),
    "size_bytes": (("size_mb", ""),),
}
"""By metric: the keys of a reported row that hold it, and what is to be said of each."""


def _effect(metric: str, key: str, a: dict[str, Any], b: dict[str, Any]) -> Interval:
    """Of the figure ``key`` of two reported rows; with an interval (``n`` above 0) where they are counts."""
    if metric == "accuracy":
        counts = [(round(row[key] * row["n_samples"]), row["n_samples"]) for row in (a, b)]
        return unpaired_difference(*counts[0], *counts[1])
    effect = a[key] - b[key] if metric in DIFFERENCES else math.log(a[key] / b[key])
    return Interval(effect, effect, effect, 0.0, 0)
