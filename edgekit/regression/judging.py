"""Judges the evidence on one pair of files against the limits."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.documents.gate import gate_limits
from edgekit.documents.regression import FAILED, NOT_COMPARED, PASSED, UNDECIDED, Check, CheckedFile, CheckName, Outcome
from edgekit.recipe.gates import Gates
from edgekit.regression.evidence import Evidence
from edgekit.regression.pairing import Gone
from edgekit.render.text import plural
from edgekit.stats import noninferiority
from edgekit.stats.limits import judge_ratio, judge_repeats
from edgekit.stats.noninferiority import GateDecision, Verdict, judge_export
from edgekit.stats.process_ratio import MIN_ROUNDS

MEMORY_RESOLUTION = 1 << 20
"""Bytes. Smaller differences of memory are those of pages and of the allocator."""

OUTCOMES: dict[Verdict, Outcome] = {
    noninferiority.HELD: PASSED,
    noninferiority.FAILED: FAILED,
    noninferiority.UNDECIDED: UNDECIDED,
}

SAME_FILE = "the file is the same, so there is nothing to measure"
NO_FILE = "the baseline's own file is not here, and milliseconds of another session cannot be compared"


def checked_file(evidence: Evidence, limits: Gates) -> CheckedFile:
    """Every check of one pair."""
    pair = evidence.pair
    return CheckedFile(
        id=pair.id,
        run_id=pair.given.document.run_id,
        key=pair.file.key,
        sha256=pair.export.sha256,
        baseline_run_id=pair.run.run_id,
        baseline_sha256=pair.file.sha256,
        measured_together=evidence.together,
        sessions=max((len(looks) for looks in evidence.looks.values()), default=0),
        unstable=evidence.unstable,
        checks=tuple(_checks(evidence, limits)),
    )


def gone_file(gone: Gone) -> CheckedFile:
    """A file that the new run does not have any more, which is a failure."""
    run_id = gone.given.document.run_id
    return CheckedFile(
        id=f"{run_id}/{gone.file.key}",
        run_id=run_id,
        key=gone.file.key,
        sha256=None,
        baseline_run_id=gone.run.run_id,
        baseline_sha256=gone.file.sha256,
        measured_together=False,
        sessions=0,
        checks=(Check(check="exported", outcome=FAILED, reason=gone.reason),),
    )


def undecided_latency(evidence: Evidence, limits: Gates) -> list[int]:
    """The numbers of threads whose latency more measurements may decide."""
    return [
        threads
        for threads in evidence.looks
        if limits.max_latency_increase is not None and _latency(evidence, threads, limits).outcome == UNDECIDED
    ]


def _checks(evidence: Evidence, limits: Gates) -> Iterator[Check]:
    if evidence.problem is not None:
        yield Check(check="exported", outcome=FAILED, reason=f"the file does not run: {evidence.problem}")
    yield from _predictions(evidence, limits)
    yield from _size(evidence, limits)
    yield from _repeated(evidence, "memory", limits.max_memory_increase, MEMORY_RESOLUTION)
    if limits.max_latency_increase is not None:
        yield from (_latency(evidence, threads, limits) for threads in evidence.looks)
        if not evidence.looks:
            yield _without(evidence, "latency", limits.max_latency_increase)
    if evidence.energy[0] or evidence.energy[1]:
        yield from _repeated(evidence, "energy", limits.max_energy_increase, 0)


def _without(evidence: Evidence, name: CheckName, limit: float | None) -> Check:
    """A check that was not made; of the same file it has passed."""
    if evidence.pair.same_file:
        return Check(check=name, outcome=PASSED, unit="percent", change=0.0, limit=limit, reason=SAME_FILE)
    reason = evidence.reasons.get(name, "not measured")
    return Check(check=name, outcome=NOT_COMPARED, unit="percent", limit=limit, reason=reason)


def _predictions(evidence: Evidence, limits: Gates) -> Iterator[Check]:
    found = evidence.classes
    wanted = (limits.max_accuracy_drop, limits.max_class_drop, limits.min_agreement)
    if all(limit is None for limit in wanted):
        return
    if found is None:
        reason = evidence.reasons.get("accuracy", "not scored")
        yield Check(check="accuracy", outcome=NOT_COMPARED, unit="points", limit=wanted[0], reason=reason)
        return
    allowed = gate_limits(
        limits.max_accuracy_drop or 0.0,
        0.0 if limits.min_agreement is None else limits.min_agreement,
        100.0 if limits.max_class_drop is None else limits.max_class_drop,
    )
    decision = judge_export(found.baseline, found.new, found.labels, len(found.names), allowed)
    n = decision.n_images
    right = int((found.baseline == found.labels).sum()), int((found.new == found.labels).sum())
    if limits.max_accuracy_drop is not None:
        yield Check(
            check="accuracy",
            outcome=OUTCOMES[decision.loss_verdict],
            baseline=right[0] / n,
            new=right[1] / n,
            unit="points",
            change=-100 * decision.loss,
            change_interval=(-100 * decision.bounds.upper, -100 * decision.bounds.lower),
            limit=limits.max_accuracy_drop,
            reason=_about_images(decision, found.n_baseline),
        )
    if limits.max_class_drop is not None:
        yield _worst_class(decision, found.names, 100 * allowed.max_class_loss)
    if limits.min_agreement is not None:
        low, high = decision.agreement_bounds.lower, decision.agreement_bounds.upper
        yield Check(
            check="agreement",
            outcome=OUTCOMES[decision.agreement_verdict],
            new=decision.agreement,
            unit="percent",
            change=100 * decision.agreement,
            change_interval=(100 * low, 100 * high),
            limit=100 * allowed.min_agreement,
        )


def _about_images(decision: GateDecision, n_baseline: int) -> str:
    n = decision.n_images
    parts = [
        f"{decision.worse} of {plural(n, 'test image')} changed from correct to wrong and {decision.better} from wrong "
        "to correct"
    ]
    if n < n_baseline:
        parts.append(f"{n_baseline - n:,} images of the baseline are not test images of the new run")
    if decision.loss_verdict == noninferiority.UNDECIDED and decision.more_images is not None:
        parts.append(f"about {_rounded(decision.more_images):,} more would decide (80% power)")
    return "; ".join(parts)


def _rounded(n: int) -> int:
    """With two significant digits, because it is an estimate."""
    return round(n, min(0, 2 - len(str(n))))


def _worst_class(decision: GateDecision, names: tuple[str, ...], limit: float) -> Check:
    """The class that loses most. It fails or is undecided only where it is observed to lose more than its limit."""
    over = decision.classes_over_limit
    verdicts = [one.verdict for one in over]
    outcome: Outcome = FAILED if noninferiority.FAILED in verdicts else UNDECIDED if over else PASSED
    shown = max(decision.classes, key=lambda one: (one.verdict == noninferiority.FAILED and one.over_limit, one.loss))
    return Check(
        check="class accuracy",
        outcome=outcome,
        unit="points",
        change=-100 * shown.loss,
        change_interval=(-100 * shown.bounds.upper, -100 * shown.bounds.lower),
        limit=limit,
        reason=f"largest loss: class {names[shown.label]} ({plural(shown.n_images, 'image')})",
    )


def _size(evidence: Evidence, limits: Gates) -> Iterator[Check]:
    if limits.max_size_increase is None:
        return
    old, new = evidence.pair.file.size_bytes, evidence.pair.export.size_bytes
    within = new <= old * (1 + limits.max_size_increase / 100)
    yield Check(
        check="size",
        outcome=PASSED if within else FAILED,
        baseline=old,
        new=new,
        unit="percent",
        change=100 * (new / old - 1),
        limit=limits.max_size_increase,
    )


def _repeated(evidence: Evidence, name: CheckName, limit: float | None, resolution: float) -> Iterator[Check]:
    """Memory or energy: single measurements, judged by their ranges."""
    if limit is None:
        return
    new, old = evidence.memory if name == "memory" else evidence.energy
    if not new or not old or min(old) <= 0:
        yield _without(evidence, name, limit)
        return
    verdict = judge_repeats(new, old, 1 + limit / 100, resolution)
    times = f"{plural(len(new), 'measurement')} of the new file and {len(old)} of the baseline"
    yield Check(
        check=name,
        outcome=OUTCOMES[verdict],
        baseline=_middle(old),
        new=_middle(new),
        unit="percent",
        change=100 * (_middle(new) / _middle(old) - 1),
        change_interval=(100 * (min(new) / max(old) - 1), 100 * (max(new) / min(old) - 1)),
        limit=limit,
        reason=times if verdict != noninferiority.HELD else "",
    )


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _latency(evidence: Evidence, threads: int, limits: Gates) -> Check:
    found = evidence.latency(threads)
    limit = limits.max_latency_increase
    assert found is not None
    assert limit is not None
    ratio = found.ratio
    verdict = judge_ratio(ratio.low, ratio.high, found.floor, 1 + limit / 100)
    if ratio.n_rounds < MIN_ROUNDS or not ratio.covers_processes:
        verdict = noninferiority.UNDECIDED
    return Check(
        check="latency",
        threads=threads,
        outcome=OUTCOMES[verdict],
        baseline=found.baseline_ms,
        new=found.new_ms,
        unit="percent",
        change=100 * (ratio.ratio - 1),
        change_interval=(100 * (ratio.low - 1), 100 * (ratio.high - 1)),
        limit=limit,
        reason=_about_latency(evidence, threads, found.floor) if verdict == noninferiority.UNDECIDED else "",
    )


def _about_latency(evidence: Evidence, threads: int, floor: float) -> str:
    count = len(evidence.looks[threads])
    return (
        f"{plural(count, 'session')} did not decide; a file and itself differ by up to {100 * (floor - 1):.1f}% in them"
    )
