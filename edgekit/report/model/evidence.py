"""The evidence on two kinds of model: paired predictions, interleaved rounds, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from edgekit.documents.latency import Latency
from edgekit.recipe import DIFFERENCES, Claim
from edgekit.render.text import plural
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.latency_comparison import SessionNoise
from edgekit.report.model.paired import POWER, paired_evidence
from edgekit.report.model.source import RunData
from edgekit.report.model.subjects import Subject
from edgekit.stats.claims import Evidence, More
from edgekit.stats.deciding_sample import deciding_number
from edgekit.stats.intervals import Interval, log_ratio
from edgekit.stats.process_ratio import MIN_ROUNDS, MeasuredRatio, processes_needed

COUNTED = "counted"


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
    """The ratio of the first pair of files that one quiet session measured interleaved.

    Networks of different seeds differ in their weights only, not in what is computed: one pair is enough.
    """
    for a in left.files:
        for b in right.files:
            mine, its, session = _quiet(a, threads), _quiet(b, threads), comparisons.session_of(a, threads)
            if mine is None or its is None or session is None or comparisons.session_of(b, threads) is not session:
                continue
            if (ratio := session.ratio(mine, its)) is not None:
                return _of_ratio(mine, its, ratio, session)
    return None


def _quiet(file: ExportedFile, threads: int) -> Latency | None:
    """The latency of a file if it may be compared; None if it was not measured, or the machine was not quiet."""
    if file.bench is None or file.emulated or file.failed:
        return None
    latency = file.bench.with_threads(threads)
    return None if latency is None or latency.unstable else latency


def _of_ratio(a: Latency, b: Latency, measured: MeasuredRatio, session: SessionNoise) -> Evidence:
    """Over processes, then rounds; the interval is widened by the noise floor of the A/A controls on both sides."""
    estimate, noise = math.log(measured.ratio), math.log(session.floor)
    processes = plural(measured.n_processes, "process", "processes")
    basis = f"{measured.n_rounds} rounds in {processes}, interleaved"
    if measured.n_rounds < MIN_ROUNDS:
        needed = More("rounds", MIN_ROUNDS - measured.n_rounds)
        return Evidence(estimate, None, basis, lambda *_: needed, f"fewer than {MIN_ROUNDS} rounds give no interval")
    if not measured.covers_processes:
        remark = "a single process does not show how much processes vary"
        return Evidence(estimate, None, basis, lambda *_: More("processes", 1), remark)

    def interval(confidence: float) -> Interval:
        ratio = session.ratio(a, b, confidence=confidence)
        assert ratio is not None
        low, high = math.log(ratio.low), math.log(ratio.high)
        return Interval(estimate, low - noise, high + noise, (high - low) / 3.92, ratio.n_processes)

    def more(gap: float, confidence: float) -> More | None:
        if session.variation is None or gap <= noise:
            return None
        needed = processes_needed(gap - noise, session.variation, power=POWER, confidence=confidence)
        extra = None if needed is None else needed - measured.n_processes
        return None if extra is None or extra <= 0 else More("processes", extra, power=POWER)

    remark = f"interval widened by the A/A noise floor, {100 * (session.floor - 1):.1f}%"
    return Evidence(estimate, interval, basis, more, remark)


def _times(left: Sequence[float | None], right: Sequence[float | None], *, unit: str) -> Evidence | None:
    a, b = ([value for value in side if value] for side in (left, right))
    if not a or not b:
        return None
    estimate = float(np.log(a).mean() - np.log(b).mean())
    fewest = min(len(a), len(b))
    if fewest < 2:
        return Evidence(
            estimate, None, f"1 {unit[:-1]}", lambda *_: None, "a time that was measured once has no interval"
        )
    if log_ratio(a, b).deviation == 0:
        remark = "the times of all seeds are equal, so their spread is unknown"
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
