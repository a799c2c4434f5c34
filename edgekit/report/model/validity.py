"""Validity flags: whether a latency was measured for long enough, on a quiet machine, with correct predictions."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.documents.bench import BenchDocument
from edgekit.documents.latency import Latency
from edgekit.documents.report_rows import ValidityFlag
from edgekit.render.text import plural
from edgekit.report.model.latency_comparison import USEFUL_GAIN, SessionNoise
from edgekit.stats.process_ratio import FASTER, MIN_ROUNDS, SLOWER

MIN_PROCESSES = 2
THROTTLING = ("the firmware reported", "the clock dropped")
OTHER_LOAD = ("other programs used", "the load average was")
"""How reasons for an unstable measurement begin."""


def validity(bench: BenchDocument, latency: Latency, noise: SessionNoise | None) -> tuple[ValidityFlag, ...]:
    """Every flag of one thread setting of one file; ``noise`` is what its session can tell apart, if that is known."""
    flags = (*_of_duration(bench, latency), *_of_machine(bench, latency), *_of_inputs(bench, latency, noise))
    return (*flags, _of_noise(noise))


def violated(flags: tuple[ValidityFlag, ...]) -> list[ValidityFlag]:
    """The flags that do not hold."""
    return [flag for flag in flags if flag.holds is False]


def _of_duration(bench: BenchDocument, latency: Latency) -> Iterator[ValidityFlag]:
    protocol, samples = bench.protocol, latency.samples_ns
    period = 0 if protocol.rate_hz is None else 1e9 / protocol.rate_hz
    seconds, least = sum(max(ns, period) for ns in samples) / 1e9, protocol.total_ns / 1e9
    # The period is rounded to whole nanoseconds where it is kept.
    yield _flag("minimum duration", seconds >= least - 1e-3, f"{seconds:.3g} s of at least {least:g} s")
    runs = protocol.total_runs
    yield _flag("minimum runs", len(samples) >= runs, f"{len(samples):,} runs of at least {runs:,}")
    processes = sum(bool(process.valid_blocks) for process in latency.processes)
    yield _flag(
        "processes and rounds",
        processes >= MIN_PROCESSES and len(latency.rounds) >= MIN_ROUNDS,
        f"{plural(processes, 'process', 'processes')}, {plural(len(latency.rounds), 'round')} "
        f"(at least {MIN_PROCESSES} and {MIN_ROUNDS})",
    )
    yield _flag("one sitting", latency.sittings == 1, f"measured in {plural(latency.sittings, 'sitting')}")


def _of_machine(bench: BenchDocument, latency: Latency) -> Iterator[ValidityFlag]:
    before = bench.environment.before
    known = before.throttled is not None or before.frequency_khz is not None
    yield _reported("throttling", latency, THROTTLING, known=known)
    yield _reported(
        "other load", latency, OTHER_LOAD, known=before.others_cores is not None or before.load_average is not None
    )
    if not bench.protocol.pin:
        yield _flag("pinning", None, "processes may move between cores (no --pin)")
    elif latency.pinned is None:
        yield _flag("pinning", False, "the target does not allow it")
    else:
        yield _flag("pinning", True, f"cores {', '.join(map(str, latency.pinned))}")


def _reported(name: str, latency: Latency, beginnings: tuple[str, ...], *, known: bool) -> ValidityFlag:
    reasons = [reason for reason in latency.unstable if reason.startswith(beginnings)]
    if reasons:
        return _flag(name, False, "; ".join(reasons))
    return _flag(name, True, "none") if known else _flag(name, None, "the target does not report it")


def _of_inputs(bench: BenchDocument, latency: Latency, noise: SessionNoise | None) -> Iterator[ValidityFlag]:
    if latency.n_images:
        yield _flag("varied inputs", True, plural(latency.n_images, "image"))
    else:
        yield _flag("varied inputs", None, "no test images: noise, or one image in results of older versions")
    if latency.n_answers:
        wrong = plural(latency.n_invalid, "block")
        yield _flag("correct predictions", not latency.n_invalid, f"{latency.n_answers:,} checked, {wrong} left out")
    else:
        yield _flag("correct predictions", None, "not checked")
    tested = None if noise is None else noise.cache_test(bench, latency.threads)
    if tested is not None:
        ratio = tested.ratio
        yield _flag(
            "cache test",
            tested.verdict not in (FASTER, SLOWER),
            f"varied images take {ratio.ratio:.3g} times as long as one image ({ratio.low:.3g} to {ratio.high:.3g})",
        )


def _of_noise(noise: SessionNoise | None) -> ValidityFlag:
    if noise is None:
        return _flag("noise floor", None, "no A/A control")
    return _flag("noise floor", noise.floor <= 1 + USEFUL_GAIN, f"{100 * (noise.floor - 1):.2g}%")


def _flag(name: str, holds: bool | None, detail: str) -> ValidityFlag:
    return ValidityFlag(name=name, holds=holds, detail=detail)
