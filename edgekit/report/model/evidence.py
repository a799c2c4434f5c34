"""What was measured of two kinds of model: paired answers, interleaved rounds, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.recipe import DIFFERENCES
from edgekit.report.model.paired import paired_evidence
from edgekit.report.model.reading import RunData
from edgekit.report.model.rows import Candidate
from edgekit.report.model.sessions import noise_floors
from edgekit.report.model.subjects import Subject
from edgekit.stats.claims import Evidence, More
from edgekit.stats.intervals import Interval, log_ratio
from edgekit.stats.latency import compare_rounds
from edgekit.stats.sample_size import images_needed


def evidence_of(claim: Mapping[str, Any], left: Subject, right: Subject) -> Evidence | None:
    """The evidence on the claim's metric; None where one side was not measured."""
    metric = claim["metric"]
    if metric in DIFFERENCES:
        return paired_evidence(claim, left, right)
    if metric == "latency":
        return _latency(left, right, claim["threads"])
    if metric == "train_seconds":
        return _times(*([_train_seconds(run) for run in side.runs] for side in (left, right)), unit="seeds")
    if metric == "epoch_seconds":
        return _times(*([s for run in side.runs for s in _epochs(run)] for side in (left, right)), unit="epochs")
    return _exact(_count(metric, left), _count(metric, right))


def _latency(left: Subject, right: Subject, threads: int) -> Evidence | None:
    """The ratio per round of the first pair of files that one quiet session measured interleaved.

    Networks of different seeds differ in their numbers only, not in what is computed: one pair says it all.
    """
    floors = noise_floors([c.result for c in (*left.files, *right.files) if c.result is not None])
    for a in left.files:
        for b in right.files:
            mine, its = _rounds(a, threads), _rounds(b, threads)
            if a.result is None or b.result is None or not mine or len(mine) != len(its):
                continue
            session = a.result.document["session_id"]
            floor = floors.get((session, threads))
            if session == b.result.document["session_id"] and floor is not None:
                return _of_rounds(mine, its, floor[2].high)
    return None


def _rounds(candidate: Candidate, threads: int) -> Sequence[Sequence[int]]:
    """The rounds of a file that may be compared; empty where it was not measured, or the machine was not quiet."""
    if candidate.result is None or candidate.emulated or candidate.failed:
        return ()
    latency = candidate.result.with_threads(threads)
    return () if latency is None or latency.unstable else latency.rounds


def _of_rounds(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], floor: float) -> Evidence:
    """``floor``: a ratio up to so much says nothing (A/A control); the interval is wider by it on both sides."""
    noise = math.log(floor)

    def interval(confidence: float) -> Interval:
        ratio = compare_rounds(a, b, confidence=confidence)
        low, high = math.log(ratio.low), math.log(ratio.high)
        return Interval(math.log(ratio.median), low - noise, high + noise, (high - low) / 3.92, ratio.n_rounds)

    def more(gap: float) -> More | None:
        needed = images_needed(gap - noise, interval(0.95).deviation, len(a))
        return None if needed is None or needed <= len(a) else More("rounds", needed - len(a))

    remark = f"interval widened by the A/A noise, {100 * (floor - 1):.1f}%"
    return Evidence(interval(0.95).estimate, interval, f"{len(a)} rounds, interleaved", more, remark)


def _times(left: Sequence[float | None], right: Sequence[float | None], *, unit: str) -> Evidence | None:
    a, b = ([value for value in side if value] for side in (left, right))
    if not a or not b:
        return None
    estimate = float(np.log(a).mean() - np.log(b).mean())
    fewest = min(len(a), len(b))
    if fewest < 2:
        needed = More(unit, 2 - fewest)
        return Evidence(estimate, None, f"1 {unit[:-1]}", lambda _: needed, "a time measured once has no interval")

    def more(gap: float) -> More | None:
        found = log_ratio(a, b)
        enough = images_needed(gap, found.deviation, fewest)
        return None if enough is None or enough <= fewest else More(unit, enough - fewest)

    def interval(confidence: float) -> Interval:
        found = log_ratio(a, b, confidence=confidence)
        return Interval(estimate, math.log(found.low), math.log(found.high), found.deviation, fewest)

    return Evidence(estimate, interval, f"{fewest} {unit}", more)


def _train_seconds(run: RunData) -> float | None:
    return (run.document.get("timing") or {}).get("train_seconds")


def _epochs(run: RunData) -> list[float]:
    """Seconds of the epochs of the last stage, without the first, in which everything is compiled."""
    stage = run.history[-1]["stage"] if run.history else None
    return [float(row["seconds"]) for row in run.history if row["stage"] == stage and row.get("seconds")][1:]


def _count(metric: str, side: Subject) -> float | None:
    """A number that is known exactly and does not depend on the seed."""
    if metric in ("parameters", "macs"):
        return (side.runs[0].document.get("model") or {}).get(metric)
    return side.files[0].export.get(metric)


def _exact(left: float | None, right: float | None) -> Evidence | None:
    if not left or not right:
        return None
    effect = math.log(left / right)
    exact = Interval(effect, effect, effect, 0.0, 1)
    return Evidence(effect, lambda _: exact, "counted", lambda _: None)
