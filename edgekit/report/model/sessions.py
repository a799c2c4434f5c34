"""Comparisons within one benchmark session: noise floors, ratios per round, conversions with no measurable benefit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.documents.bench import BenchResult
from edgekit.documents.bench_summary import (
    UNSTABLE,
    BenchRow,
    BenchSummary,
    ComparisonRecord,
    NoBenefit,
    bench_rows,
    tuned_row,
)
from edgekit.documents.profile import DELEGATE
from edgekit.render.numbers import ratio as ratio_text
from edgekit.render.text import plural
from edgekit.report.model.latency_comparison import USEFUL_GAIN, LatencyComparison, Sessions, sessions
from edgekit.report.model.validity import validity
from edgekit.stats.process_ratio import FASTER, ONE_PROCESS, SLOWER, TOO_FEW_ROUNDS

SMALLER = 0.99
"""A file with more than this share of another file's bytes is as large."""


def comparisons(results: Sequence[BenchResult], known: Sessions | None = None) -> list[ComparisonRecord]:
    """Every model against the fastest stable one of its session and thread count: ratio, interval, verdict.

    Only models that were measured interleaved can be compared. Where no measurement was stable, the fastest of all
    is the reference and every verdict is ``unstable``. ``known`` are the :func:`sessions`, if they are.
    """
    found = []
    for (session, threads), noise in (sessions(results) if known is None else known).items():
        members = [
            (result, latency)
            for result in results
            if result.bench.session_id == session and (latency := result.with_threads(threads)) is not None
        ]
        if all(latency.percentile_ms(50) is None for _, latency in members):
            continue  # too few runs to say which is the fastest
        stable = [member for member in members if not member[1].unstable] or members
        reference, fastest = stable[noise.fastest([latency for _, latency in stable])]
        for result, latency in members:
            compared = None if result is reference else noise.compare(latency, fastest)
            if compared is not None:
                found.append(_record(result, reference, threads, compared))
    return found


def _record(result: BenchResult, reference: BenchResult, threads: int, compared: LatencyComparison) -> ComparisonRecord:
    return ComparisonRecord(
        session_id=result.bench.session_id,
        threads=threads,
        model=result.id,
        against=reference.id,
        ratio=compared.ratio.ratio,
        ratio_ci95=(compared.ratio.low, compared.ratio.high),
        n_processes=compared.ratio.n_processes,
        n_rounds=compared.ratio.n_rounds,
        verdict=compared.verdict,
    )


def without_benefit(results: Sequence[BenchResult], known: Sessions | None = None) -> list[NoBenefit]:
    """Conversions that are no faster, or no smaller, than the fp32 file of the same run and format.

    One entry per model and thread count (None: about the size). Only models of one session, on a quiet machine, are
    compared. ``fell_back`` has possible reasons; see :func:`fell_back`.
    """
    known = sessions(results) if known is None else known
    found = []
    counterparts = {_kind(other): other for other in reversed(results) if other.bench.scheme == "fp32"}
    for result in results:
        fp32 = None if result.bench.scheme == "fp32" else counterparts.get(_kind(result))
        if fp32 is not None and result.bench.run_id is not None:
            found += [*_no_smaller(result, fp32), *_no_faster(result, fp32, known)]
    return found


def _no_smaller(result: BenchResult, fp32: BenchResult) -> list[NoBenefit]:
    if result.bench.size_bytes <= SMALLER * fp32.bench.size_bytes:
        return []
    reason = f"no smaller than its fp32 file{_packed(result, fp32)}"
    return [NoBenefit(model=result.id, fp32=fp32.id, reason=reason, fell_back=fell_back(result))]


def _no_faster(result: BenchResult, fp32: BenchResult, known: Sessions) -> list[NoBenefit]:
    found = []
    for latency in result.latency:
        noise, its = known.get((result.bench.session_id, latency.threads)), fp32.with_threads(latency.threads)
        compared = None if noise is None or its is None else noise.compare(latency, its)
        if noise is None or compared is None or compared.verdict in (FASTER, UNSTABLE, TOO_FEW_ROUNDS, ONE_PROCESS):
            continue
        slower = compared.verdict == SLOWER
        ratio = compared.ratio
        # Noise may hide a gain: there is none only where the interval, widened by the noise, leaves no room for one.
        decided = slower or ratio.low / noise.floor > 1 / (1 + USEFUL_GAIN)
        reason = f"{'slower' if slower else 'no faster'} than its fp32 file"
        unknown = f"latency against its fp32 file is not measurable in this session (noise floor {noise.floor - 1:.1%})"
        found.append(
            NoBenefit(
                model=result.id,
                fp32=fp32.id,
                reason=reason if decided else unknown,
                threads=latency.threads,
                ratio=ratio.ratio,
                ratio_ci95=(ratio.low, ratio.high),
                fell_back=fell_back(result),
                decided=decided,
            )
        )
    return found


def _packed(result: BenchResult, fp32: BenchResult) -> str:
    """`` (compressed with gzip: 12.0 of 54.7 MB)`` where a file as large as its fp32 file compresses better."""
    mine, its = result.bench.gzip_bytes, fp32.bench.gzip_bytes
    return f" (compressed with gzip: {mine / 1e6:.1f} of {its / 1e6:.1f} MB)" if mine <= SMALLER * its else ""


def _kind(result: BenchResult) -> tuple[str | None, ...]:
    """What a file has in common with the fp32 file that it is compared with."""
    bench = result.bench
    return bench.run_id, bench.format, bench.target, bench.session_id, bench.key.removeprefix(bench.export_key)


def fell_back(result: BenchResult) -> tuple[str, ...]:
    """The parts of a model that do not run as intended: float operators in int8, operators outside the delegate.

    The latter is known where the model was profiled, or where the runtime used no delegate at all.
    """
    bench, phrases = result.bench, []
    floats = bench.operators.float if bench.operators is not None else None
    if bench.scheme.startswith("int8") and floats:
        phrases.append(f"computes in float: {_counted(floats)}")
    if bench.runtime is not None and bench.runtime.delegate == "none":
        phrases.append(f"runs without {DELEGATE}")
    outside = [] if bench.profile is None else bench.profile.by_operator().beside_delegate
    if outside:
        names = ", ".join(f"{row.operator} ({row.share:.1%} of the time)" for row in outside)
        phrases.append(f"not run by {DELEGATE}: {names}")
    return tuple(phrases)


def _counted(operators: Mapping[str, int]) -> str:
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in operators.items())


def no_benefit_text(entry: NoBenefit) -> str:
    """``slower than its fp32 file with 1 thread: 1.35 times (95% interval 1.31 to 1.40); runs without XNNPACK``."""
    why = "".join(f"; {phrase}" for phrase in entry.fell_back)
    if entry.threads is None or entry.ratio is None or entry.ratio_ci95 is None:
        return f"{entry.reason}{why}"
    times = ratio_text(entry.ratio, *entry.ratio_ci95)
    return f"{entry.reason} with {plural(entry.threads, 'thread')}: {times}{why}"


def _with_validity(row: BenchRow, result: BenchResult, known: Sessions) -> BenchRow:
    latency = None if row.threads is None else result.with_threads(row.threads)
    if latency is None:
        return row
    noise = known.get((row.session_id, latency.threads))
    return row.model_copy(update={"validity": validity(result.bench, latency, noise)})


def bench_summary(results: Sequence[BenchResult], errors: Mapping[str, str] | None = None) -> BenchSummary:
    """What `edgekit bench --json` prints. ``errors``: why a target gave no results, by its name."""
    target_of = {result.bench.session_id: result.bench.target for result in results}
    several = len(set(target_of.values())) > 1
    known = sessions(results)
    return BenchSummary(
        results=tuple(_with_validity(row, result, known) for result in results for row in bench_rows(result)),
        noise_floor={
            f"{target_of[session]}/{threads}" if several else str(threads): noise.record()
            for (session, threads), noise in known.items()
        },
        comparisons=tuple(comparisons(results, known)),
        not_worth_it=tuple(without_benefit(results, known)),
        tuned=tuple(row for result in results if (row := tuned_row(result)) is not None),
        errors=dict(errors or {}),
    )
