"""The evidence on two kinds of model: paired predictions, interleaved rounds, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from edgekit.recipe import DIFFERENCES, Claim
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.paired import POWER, paired_evidence
from edgekit.report.model.source import RunData
from edgekit.report.model.subjects import Subject
from edgekit.stats.claims import Evidence, More
from edgekit.stats.deciding_sample import deciding_number
from edgekit.stats.intervals import Interval, log_ratio
from edgekit.stats.latency import compare_rounds

COUNTED = "counted"

FEWEST_ROUNDS = 6
"""Fewer rounds give no verdict: whatever is computed from them, an interval covers less than 95%."""


def evidence_of(claim: Claim, left: Subject, right: Subject, comparisons: Comparisons) -> Evidence | None:
    """The evidence on the claim's metric; None if one side was not measured."""
    metric = claim.metric
    if metric in DIFFERENCES:
        return paired_evidence(claim, left, right)
    if metric == "latency":
        return _latency(left, right, claim.threads, comparisons)
    if metric == "train_seconds":
        return _times(*([run.train_seconds for run in side.runs] for side in (left, right)), unit="seeds")
    if metric == "epoch_seconds":
        return _times(*([_epoch_seconds(run) for run in side.runs] for side in (left, right)), unit="seeds")
    return _exact(_count(metric, left), _count(metric, right))


def _latency(left: Subject, right: Subject, threads: int, comparisons: Comparisons) -> Evidence | None:
    """The ratio per round of the first pair of files that one quiet session measured interleaved.

    Networks of different seeds differ in their weights only, not in what is computed: one pair is enough.
    """
    for a in left.files:
        for b in right.files:
            mine, its = _rounds(a, threads), _rounds(b, threads)
            control = comparisons.control_of(a, threads)
            if not mine or len(mine) != len(its) or control is None:
                continue
            if comparisons.control_of(b, threads) is control:
                return _of_rounds(mine, its, control.floor.high)
    return None


def _rounds(file: ExportedFile, threads: int) -> Sequence[Sequence[int]]:
    """The rounds of a file that may be compared; empty if it was not measured, or the machine was not quiet."""
    if file.bench is None or file.emulated or file.failed:
        return ()
    latency = file.bench.with_threads(threads)
    return () if latency is None or latency.unstable else latency.rounds


def _of_rounds(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], floor: float) -> Evidence:
    """``floor``: ratios up to this are noise (A/A control); the interval is widened by it on both sides."""
    noise = math.log(floor)
    basis = f"{len(a)} rounds, interleaved"
    if len(a) < FEWEST_ROUNDS:
        estimate = math.log(compare_rounds(a, b).median)
        needed = More("rounds", FEWEST_ROUNDS - len(a))
        return Evidence(estimate, None, basis, lambda *_: needed, f"fewer than {FEWEST_ROUNDS} rounds have no interval")

    def interval(confidence: float) -> Interval:
        ratio = compare_rounds(a, b, confidence=confidence)
        low, high = math.log(ratio.low), math.log(ratio.high)
        return Interval(math.log(ratio.median), low - noise, high + noise, (high - low) / 3.92, ratio.n_rounds)

    def bounded(confidence: float) -> Interval:
        # A median of n rounds lies within their range with 1 - 2 * 0.5 ** n; no interval of rounds is surer than that.
        if 1 - confidence < 2 * 0.5 ** len(a):
            return Interval(interval(0.95).estimate, -math.inf, math.inf, math.inf, len(a))
        return interval(confidence)

    def more(gap: float, confidence: float) -> More | None:
        needed = deciding_number(interval(0.95).deviation, gap - noise, len(a), power=POWER, confidence=confidence)
        return None if needed is None or needed <= len(a) else More("rounds", needed - len(a), power=POWER)

    remark = f"interval widened by the A/A noise floor, {100 * (floor - 1):.1f}%"
    return Evidence(interval(0.95).estimate, bounded, basis, more, remark)


def _times(left: Sequence[float | None], right: Sequence[float | None], *, unit: str) -> Evidence | None:
    a, b = ([value for value in side if value] for side in (left, right))
    if not a or not b:
        return None
    estimate = float(np.log(a).mean() - np.log(b).mean())
    fewest = min(len(a), len(b))
    if fewest < 2:
        return Evidence(estimate, None, f"1 {unit[:-1]}", lambda *_: None, "a time measured once has no interval")
    if log_ratio(a, b).deviation == 0:
        remark = "the times of all seeds are equal, which says nothing about other seeds"
        return Evidence(estimate, None, f"{fewest} {unit}", lambda *_: None, remark)

    def more(gap: float, confidence: float) -> More | None:
        deviation = log_ratio(a, b).deviation
        enough = deciding_number(deviation, gap, fewest, power=POWER, confidence=confidence)
        return None if enough is None or enough <= fewest else More(unit, enough - fewest, power=POWER)

    def interval(confidence: float) -> Interval:
        return log_ratio(a, b, confidence=confidence)

    return Evidence(estimate, interval, f"{fewest} {unit}", more)


def _epoch_seconds(run: RunData) -> float | None:
    """Median seconds of the epochs of the last phase, without the first, in which everything is compiled.

    One figure for each network: epochs of one training share the machine's state, so they are no replicates.
    """
    phase = run.history[-1].stage if run.history else None
    seconds = [row.seconds for row in run.history if row.stage == phase][1:]
    return median(seconds) if seconds else None


def _count(metric: str, side: Subject) -> float | None:
    """A number that is known exactly and does not depend on the seed."""
    if not side.runs:
        return None
    if metric == "parameters":
        return side.runs[0].size.parameters
    if metric == "macs":
        return side.runs[0].size.macs
    assert metric == "size_bytes"
    sizes = [file.export.size_bytes for file in side.files if not file.failed]
    return median(sizes) if sizes else None


def _exact(left: float | None, right: float | None) -> Evidence | None:
    if not left or not right:
        return None
    effect = math.log(left / right)
    exact = Interval(effect, effect, effect, 0.0, 1)
    return Evidence(effect, lambda _: exact, COUNTED, lambda *_: None)
