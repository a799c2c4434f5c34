"""What `edgekit bench` prints for each target: files, latency by thread count, and optional measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.cli.render.agreement import agreement_text
from edgekit.cli.render.energy import energy_text, sustained_text
from edgekit.cli.render.operator_profile import profiles_text
from edgekit.cli.render.tables import fitted_table, wrapped
from edgekit.cli.render.targets_table import targets_text
from edgekit.cli.render.tuning import tuning_text
from edgekit.documents.bench import BenchResult
from edgekit.documents.bench_summary import UNSTABLE, BenchRow, BenchSummary, ComparisonRecord
from edgekit.render.gate import outcome_text
from edgekit.render.numbers import NONE, megabytes, milliseconds, number, percent
from edgekit.render.text import clipped, listing, plural
from edgekit.report.model.sessions import bench_summary, no_benefit_text
from edgekit.report.model.validity import violated
from edgekit.stats.process_ratio import FASTER, SLOWER

NAME_WIDTH = 33
FIGURES = (1, 2, 3, 4)
"""Columns of figures, which are right-aligned."""

EMULATED = "emulated: the times are those of the emulator, not of a device; the predictions are real"

SIMULATED = "the times of {} are those of its build for this machine, not of a microcontroller"

Names = Mapping[str, str]
"""A short name for each model, by its id."""


def bench_text(results: Sequence[BenchResult], summary: BenchSummary) -> str:
    """Tables of at most 80 columns: for each target, and across targets where there are several."""
    names = short_names(results)
    targets = list(dict.fromkeys(result.bench.target for result in results))
    if len(targets) == 1:
        return _target_text(results, summary, names)
    parts = []
    for target in targets:
        own = [result for result in results if result.bench.target == target]
        parts.append(f"== {target}\n\n{_target_text(own, bench_summary(own), names)}")
    return "\n\n".join([*parts, "== all targets", targets_text(summary, names, targets)])


def short_names(results: Sequence[BenchResult]) -> dict[str, str]:
    """A name for each model by its id: the backbone, what else differs between the runs, and the export."""
    runs = [result.bench for result in results if result.bench.run_id is not None]
    several_strategies = len({run.strategy for run in runs}) > 1
    several_seeds = len({run.seed for run in runs}) > 1
    names = {}
    for result in results:
        bench = result.bench
        parts = [bench.backbone, several_strategies and bench.strategy, several_seeds and str(bench.seed), bench.key]
        names[result.id] = result.id if bench.run_id is None else " ".join(part for part in parts if part)
    used = list(names.values())
    return {key: clipped(key if used.count(name) > 1 else name, NAME_WIDTH, middle=True) for key, name in names.items()}


def _target_text(results: Sequence[BenchResult], summary: BenchSummary, names: Names) -> str:
    counts = sorted({row.threads for row in summary.results if row.threads is not None})
    parts = [
        _files_table(results, names),
        _gate_text(results, names),
        _arena_text(results, names),
        *(_latency_table(threads, summary, names) for threads in counts),
        _unstable_text(summary),
        _validity_text(summary, names),
        _no_benefit_section(summary, names),
        tuning_text(results, names),
        profiles_text(results, names),
        sustained_text(results, names),
        energy_text(results, names),
        agreement_text(results, names),
        _emulated_text(results, names),
        "results: " + "\n         ".join(sorted({str(result.path.parent) for result in results})),
    ]
    return "\n\n".join(part for part in parts if part)


def _emulated_text(results: Sequence[BenchResult], names: Names) -> str:
    if all(result.bench.emulated for result in results):
        return wrapped(EMULATED)
    simulated = [names[result.id] for result in results if result.bench.emulated]
    return wrapped(SIMULATED.format(listing(simulated, 3))) if simulated else ""


def _files_table(results: Sequence[BenchResult], names: Names) -> str:
    rows = []
    for result in results:
        accuracy, memory, interval = result.bench.accuracy, result.bench.memory, result.accuracy_ci95
        rows.append(
            [
                names[result.id],
                NONE
                if accuracy is None or interval is None
                else f"{percent(accuracy.accuracy)}% [{percent(interval[0])}%, {percent(interval[1])}%]",
                megabytes(result.bench.size_bytes),
                megabytes(result.bench.gzip_bytes),
                megabytes(None if memory is None else memory.peak_rss_bytes, 1),
            ]
        )
    return fitted_table(["file", "accuracy [95%]", "MB", "gzip MB", "RSS MB"], rows, right=FIGURES)


def _gate_text(results: Sequence[BenchResult], names: Names) -> str:
    gated = [(names[result.id], result.bench.gate) for result in results if result.bench.gate is not None]
    if not gated:
        return ""
    lines = [wrapped(f"{name}: {outcome_text(gate)}", "  ") for name, gate in gated]
    return "\n".join(["accuracy gate against the Keras model, on the test split:", *lines])


MICRO_RAM_BYTES = 512_000
"""What a large microcontroller has, such as an STM32H7 or an ESP32-S3 without external memory."""


def _arena_text(results: Sequence[BenchResult], names: Names) -> str:
    """Working memory on a microcontroller, of files that TensorFlow Lite Micro ran."""
    lines = []
    for result in results:
        arena = None if result.bench.memory is None else result.bench.memory.arena_bytes
        if arena is not None:
            fits = "yes" if arena <= MICRO_RAM_BYTES else "no"
            lines.append(f"  {names[result.id]}: {arena / 1000:,.0f} kB; fits {MICRO_RAM_BYTES / 1000:.0f} kB: {fits}")
    return "\n".join(["working memory on a microcontroller (arena):", *lines]) if lines else ""


def _latency_table(threads: int, summary: BenchSummary, names: Names) -> str:
    measured = [row for row in summary.results if row.threads == threads]
    emulated = ", emulated" * all(row.emulated for row in measured)
    title = f"{plural(threads, 'thread')}{emulated}"
    if all(row.latency_ms_p50 is None for row in measured):
        runs = min(len(row.latency_ns) for row in measured)
        return wrapped(
            f"{title}: each file ran {plural(runs, 'time')}, too few for a percentile (use --protocol quick or longer)"
        )
    against = {entry.model: entry for entry in summary.comparisons if entry.threads == threads}
    rows = [
        [
            names[row.id],
            *(milliseconds(value) for value in (row.latency_ms_p50, row.latency_ms_p90, row.latency_ms_p99)),
            _ratio(row, against.get(row.id)),
        ]
        for row in measured
    ]
    headers = ["file", "p50 ms", "p90 ms", "p99 ms", "x fastest [95%]"]
    if any(row.unstable for row in measured):
        headers.append("!")
        rows = [[*cells, "!" if row.unstable else ""] for cells, row in zip(rows, measured)]
    table = fitted_table(headers, rows, right=FIGURES)
    return f"{title}\n{table}{_control_note(threads, summary, names)}"


def _control_note(threads: int, summary: BenchSummary, names: Names) -> str:
    control = summary.noise_floor.get(str(threads))
    if control is None:
        return ""
    low, high = control.floor
    twice = len(control.controls)
    which = f"A/A control {names[control.controls[0].model]}" if twice == 1 else f"{twice} A/A controls"
    return f"\n{which}: ratios in [{number(low, 3)}, {number(high, 3)}] are noise (=)"


def _ratio(row: BenchRow, comparison: ComparisonRecord | None) -> str:
    """The ratio to the fastest model, whose own is 1; a dash for a model that is not compared."""
    if comparison is None:
        return NONE if row.latency_ms_p50 is None or row.emulated else "1"
    low, high = comparison.ratio_ci95
    same = "" if comparison.verdict in (FASTER, SLOWER, UNSTABLE) else "= "
    return f"{same}{number(comparison.ratio, 2)} [{number(low, 2)}, {number(high, 2)}]"


def _unstable_text(summary: BenchSummary) -> str:
    reasons = sorted({reason for row in summary.results for reason in row.unstable})
    return "\n".join(["unstable (marked !; cannot win a comparison):", *(f"  {r}" for r in reasons)]) if reasons else ""


def _validity_text(summary: BenchSummary, names: Names) -> str:
    """The validity flags that do not hold, each with its files; what makes a file unstable is told already."""
    about: dict[str, list[str]] = {}
    for row in summary.results:
        for flag in violated(row.validity):
            if flag.detail not in row.unstable:
                files = about.setdefault(f"{flag.name}: {flag.detail}, with {plural(row.threads or 1, 'thread')}", [])
                files.append(names[row.id])
    if not about:
        return ""
    lines = [wrapped(f"{text} ({listing(files, 3)})", "  ") for text, files in about.items()]
    return "\n".join(["not valid as a published latency:", *lines])


def _no_benefit_section(summary: BenchSummary, names: Names) -> str:
    if not summary.not_worth_it:
        return ""
    parts = []
    for decided, title in ((True, "conversions with no measurable benefit:"), (False, "too noisy to say:")):
        entries = [entry for entry in summary.not_worth_it if entry.decided == decided]
        lines = [wrapped(f"{names[entry.model]}: {no_benefit_text(entry)}", "  ") for entry in entries]
        parts += [title, *lines] if lines else []
    return "\n".join(parts)
