"""Comparisons within one benchmark session: noise floors, ratios per round, conversions with no measurable benefit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from edgekit.documents.bench import BenchResult
from edgekit.documents.bench_summary import BenchSummary, ComparisonRecord, NoBenefit, NoiseFloorRecord, bench_rows
from edgekit.documents.latency import ControlRecord, Latency, paired_rounds
from edgekit.documents.profile import DELEGATE
from edgekit.render.numbers import ratio as ratio_text
from edgekit.render.text import plural
from edgekit.stats.latency import NO_DIFFERENCE, NoiseFloor, Ratio, compare_rounds, noise_floor

SMALLER = 0.99
"""A file with more than this share of another file's bytes is as large."""

USEFUL_GAIN = 1.05
"""How many times as fast a file must be for the gain to be of use."""


class Control(NamedTuple):
    """The A/A control of a session and thread count: the model measured twice, its ratio, and the noise floor."""

    model: str
    ratio: Ratio
    floor: NoiseFloor


Controls = Mapping[tuple[str, int], Control]
"""A/A controls by session and thread count."""


def noise_floors(results: Iterable[BenchResult]) -> dict[tuple[str, int], Control]:
    """The A/A controls by session and thread count.

    Emulated times are not those of a device, so they are not compared.
    """
    floors: dict[tuple[str, int], Control] = {}
    for result in results:
        if result.bench.emulated:
            continue
        for control in result.bench.control:
            key = (result.bench.session_id, control.threads)
            if key not in floors:
                ratio = _control_ratio(control)
                floors[key] = Control(control.model, ratio, noise_floor(ratio))
    return floors


def _control_ratio(control: ControlRecord) -> Ratio:
    first, second = paired_rounds(control.first, control.second)
    return compare_rounds([block for process in first for block in process], [b for p in second for b in p])


def comparisons(results: Sequence[BenchResult], controls: Controls | None = None) -> list[ComparisonRecord]:
    """Every model against the fastest stable one of its session and thread count: ratio per round, interval, verdict.

    Only models that were measured interleaved can be compared. Where no measurement was stable, the fastest of all
    is the reference and every verdict is ``unstable``. ``controls`` are the :func:`noise_floors`, if they are known.
    """
    found = []
    for (session, threads), control in (noise_floors(results) if controls is None else controls).items():
        members = [
            (result, latency)
            for result in results
            if result.bench.session_id == session and (latency := result.with_threads(threads)) is not None
        ]
        if all(latency.percentile_ms(50) is None for _, latency in members):
            continue  # too few runs to say which is the fastest
        stable = [member for member in members if not member[1].unstable]
        reference, fastest = min(stable or members, key=_p50)
        found += [
            _comparison(result, latency, reference, fastest, control)
            for result, latency in members
            if result is not reference and len(latency.rounds) == len(fastest.rounds)
        ]
    return found


def _p50(member: tuple[BenchResult, Latency]) -> float:
    return member[1].percentile_ms(50) or float("inf")


def _comparison(
    result: BenchResult, latency: Latency, reference: BenchResult, fastest: Latency, control: Control
) -> ComparisonRecord:
    ratio = compare_rounds(latency.rounds, fastest.rounds)
    return ComparisonRecord(
        session_id=result.bench.session_id,
        threads=latency.threads,
        model=result.id,
        against=reference.id,
        ratio=ratio.median,
        ratio_ci95=(ratio.low, ratio.high),
        n_rounds=ratio.n_rounds,
        verdict="unstable" if latency.unstable or fastest.unstable else control.floor.verdict(ratio),
    )


def without_benefit(results: Sequence[BenchResult], controls: Controls | None = None) -> list[NoBenefit]:
    """Conversions that are no faster, or no smaller, than the fp32 file of the same run and format.

    One entry per model and thread count (None: about the size). Only models of one session, on a quiet machine, are
    compared. ``fell_back`` has possible reasons; see :func:`fell_back`.
    """
    controls = noise_floors(results) if controls is None else controls
    found = []
    for result in results:
        fp32 = next((other for other in results if _is_fp32_counterpart(other, result)), None)
        if fp32 is not None:
            found += [*_no_smaller(result, fp32), *_no_faster(result, fp32, controls)]
    return found


def _no_smaller(result: BenchResult, fp32: BenchResult) -> list[NoBenefit]:
    if result.bench.size_bytes <= SMALLER * fp32.bench.size_bytes:
        return []
    reason = f"no smaller than its fp32 file{_packed(result, fp32)}"
    return [NoBenefit(model=result.id, fp32=fp32.id, reason=reason, fell_back=fell_back(result))]


def _no_faster(result: BenchResult, fp32: BenchResult, controls: Controls) -> list[NoBenefit]:
    found = []
    for entry in comparisons([fp32, result], controls):
        slower = entry.verdict == "slower" and entry.model == result.id
        if not slower and entry.verdict != NO_DIFFERENCE:
            continue
        low, high = entry.ratio_ci95
        inverted = entry.model != result.id
        low, high = (1 / high, 1 / low) if inverted else (low, high)
        floor = controls[entry.session_id, entry.threads].floor
        # Noise may hide a gain: there is none only where the interval, widened by the noise, leaves no room for one.
        decided = slower or low * floor.low > 1 / USEFUL_GAIN
        reason = f"{'slower' if slower else 'no faster'} than its fp32 file"
        noise = f"latency against its fp32 file is not measurable in this session (noise floor {floor.high - 1:.1%})"
        found.append(
            NoBenefit(
                model=result.id,
                fp32=fp32.id,
                reason=reason if decided else noise,
                threads=entry.threads,
                ratio=1 / entry.ratio if inverted else entry.ratio,
                ratio_ci95=(low, high),
                fell_back=fell_back(result),
                decided=decided,
            )
        )
    return found


def _packed(result: BenchResult, fp32: BenchResult) -> str:
    """`` (compressed with gzip: 12.0 of 54.7 MB)`` where a file as large as its fp32 file compresses better."""
    mine, its = result.bench.gzip_bytes, fp32.bench.gzip_bytes
    return f" (compressed with gzip: {mine / 1e6:.1f} of {its / 1e6:.1f} MB)" if mine <= SMALLER * its else ""


def _is_fp32_counterpart(other: BenchResult, result: BenchResult) -> bool:
    mine, its = result.bench, other.bench
    return (
        mine.run_id is not None
        and its.scheme == "fp32" != mine.scheme
        and (mine.run_id, mine.format, mine.target, mine.session_id)
        == (its.run_id, its.format, its.target, its.session_id)
    )


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


def bench_summary(results: Sequence[BenchResult], errors: Mapping[str, str] | None = None) -> BenchSummary:
    """What `edgekit bench --json` prints. ``errors``: why a target gave no results, by its name."""
    target_of = {result.bench.session_id: result.bench.target for result in results}
    several = len(set(target_of.values())) > 1
    return BenchSummary(
        results=tuple(row for result in results for row in bench_rows(result)),
        noise_floor={
            f"{target_of[session]}/{threads}" if several else str(threads): _floor_record(control)
            for (session, threads), control in noise_floors(results).items()
        },
        comparisons=tuple(comparisons(results)),
        not_worth_it=tuple(without_benefit(results)),
        errors=dict(errors or {}),
    )


def _floor_record(control: Control) -> NoiseFloorRecord:
    model, ratio, floor = control
    return NoiseFloorRecord(
        model=model,
        ratio=ratio.median,
        ratio_ci95=(ratio.low, ratio.high),
        n_rounds=ratio.n_rounds,
        floor=(floor.low, floor.high),
    )
