"""The claims of a recipe against what a study measured: which models each is about, the evidence, the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.claims import REFUTED, UNDECIDED, Evidence, More, Region, judge, overall
from edgekit.report.evidence import Subject, evidence_of
from edgekit.report.reading import RunData, Source
from edgekit.report.rows import Candidate, model_title
from edgekit.report.words import listing
from edgekit.significance import Interval, unpaired_difference

CONFIDENCE = 0.95


@dataclass(frozen=True)
class JudgedPair:
    """One pair of models of a claim. The effect is a difference in points of accuracy, or a ratio left / right."""

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
    accuracy = claim["metric"] == "accuracy"
    unit = "points" if accuracy else "ratio"
    margin = claim["margin"] if claim["margin"] is not None else (0.0 if accuracy else 1.0)
    region = Region.of(claim["relation"], margin / 100 if accuracy else math.log(margin))
    found, lacking = [], []
    for left, right in _pairs(claim, runs, candidates):
        evidence = evidence_of(claim, left, right)
        if evidence is None:
            lacking.append(f"{left.title} against {right.title}")
        else:
            found.append((left, right, evidence))
    verdicts = judge([evidence for _, _, evidence in found], region, CONFIDENCE)
    shown: Callable[[float], float] = (lambda x: 100 * x) if accuracy else math.exp
    pairs = tuple(
        _pair(claim, left, right, evidence, verdict, region, shown, reported)
        for (left, right, evidence), verdict in zip(found, verdicts)
    )
    verdict = overall(verdicts)
    if lacking and verdict != REFUTED:
        verdict = UNDECIDED
    reason = f"not measured: {listing(lacking)}" if lacking else "" if found else "this study has no such models"
    return JudgedClaim(claim["text"], verdict, reason, unit, _relation(claim["relation"], margin, unit), pairs)


def _relation(relation: str, margin: float, unit: str) -> str:
    """``difference above −2 points``, ``ratio below 0.5``: the region in words."""
    if unit == "points":
        return (
            {
                "above": f"difference above +{margin:g} points",
                "below": f"difference below −{margin:g} points",
                "not-below": f"difference above −{margin:g} points",
                "not-above": f"difference below +{margin:g} points",
                "within": f"difference within ±{margin:g} points",
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
    """The effect that the published figures have, on the scale of the evidence, and where they are from."""
    rows = [
        next((row for row in reported if (row["backbone"], row["strategy"]) == (s.backbone, s.strategy)), None)
        for s in (left, right)
    ]
    a, b = rows
    if a is None or b is None:
        return None
    if metric == "accuracy":
        counts = [(round(row["accuracy"] * row["n_samples"]), row["n_samples"]) for row in (a, b)]
        return unpaired_difference(*counts[0], *counts[1]), str(a["source"])
    key = {"train_seconds": "train_seconds", "size_bytes": "size_mb"}.get(metric)
    if key is None or not a.get(key) or not b.get(key):
        return None
    effect = math.log(a[key] / b[key])
    return Interval(effect, effect, effect, 0.0, 0), str(a["source"])


def _pairs(
    claim: dict[str, Any], runs: Sequence[RunData], candidates: Sequence[Candidate]
) -> Iterator[tuple[Subject, Subject]]:
    """Every pair of kinds of model that the claim is about, of those in the folder."""
    subjects = _subjects(claim, runs, candidates)
    left, right = claim["left"], claim["right"]
    for a in subjects:
        if not a.fits(left["backbone"], left["strategy"], left["file"]):
            continue
        for b in subjects:
            backbone = None if right["backbone"] == "others" else right["backbone"] or a.backbone
            if backbone is None and b.backbone == a.backbone:
                continue
            same = b.fits(backbone, right["strategy"] or a.strategy, right["file"] or a.file)
            if same and b is not a and b.target == a.target:
                yield a, b


def _subjects(claim: dict[str, Any], runs: Sequence[RunData], candidates: Sequence[Candidate]) -> list[Subject]:
    """Kinds of model, over all seeds: Keras models, or exported files where the claim is about files."""
    of_files = claim["metric"] in ("latency", "size_bytes") or claim["left"]["file"] is not None
    found: dict[tuple[Any, ...], Subject] = {}
    if not of_files:
        for run in runs:
            name, strategy = str(run.document["backbone"]), str(run.document["strategy"])
            title = f"{model_title(run.document)}, {strategy}"
            found.setdefault((title,), Subject(title, name, strategy, None, None)).runs.append(run)
        return list(found.values())
    several = len({candidate.target for candidate in candidates if candidate.target is not None}) > 1
    for candidate in candidates:
        target = candidate.target if claim["metric"] in ("latency", "accuracy") else None
        if claim["target"] is not None and target != claim["target"]:
            continue
        title = f"{candidate.title} on {target}" if several and target is not None else candidate.title
        subject = found.setdefault(
            (title, target), Subject(title, candidate.backbone, candidate.strategy, candidate.key, target)
        )
        if candidate.seed not in {other.seed for other in subject.files}:
            subject.files.append(candidate)
            subject.runs.append(candidate.run)
    return list(found.values())
