"""The table of several targets: a row for each model, a column for each target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.cli.output import table
from edgekit.documents.bench_summary import BenchRow, BenchSummary
from edgekit.render.numbers import NONE, milliseconds, percent
from edgekit.render.text import plural


def targets_text(summary: BenchSummary, names: Mapping[str, str], targets: Sequence[str]) -> str:
    """p50 latency by thread count, and accuracy. Emulated (``e``) and unstable (``!``) latencies are marked."""
    rows = summary.results
    parts = []
    for threads in sorted({row.threads for row in rows if row.threads is not None}):
        body = [
            [names[key], *(_latency(_find(rows, key, target, threads)) for target in targets)]
            for key in dict.fromkeys(row.id for row in rows)
        ]
        parts.append(_table(f"p50 ms, {plural(threads, 'thread')}", targets, body))
    body = [
        [names[key], *(_accuracy(_find(rows, key, target, None)) for target in targets)]
        for key in dict.fromkeys(row.id for row in rows)
    ]
    parts.append(_table("accuracy %", targets, body))
    legend = [
        text
        for text, seen in (
            ("e: emulated, not the latency of a device", any(row.emulated for row in rows)),
            ("!: unstable, cannot win a comparison", any(row.unstable for row in rows)),
        )
        if seen
    ]
    return "\n\n".join([*parts, *(["\n".join(legend)] if legend else [])])


def _table(title: str, targets: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table([title, *targets], rows, right=tuple(range(1, len(targets) + 1)))


def _find(rows: Sequence[BenchRow], key: str, target: str, threads: int | None) -> BenchRow | None:
    return next((r for r in rows if r.id == key and r.target == target and threads in (None, r.threads)), None)


def _latency(row: BenchRow | None) -> str:
    if row is None or row.latency_ms_p50 is None:
        return NONE
    return milliseconds(row.latency_ms_p50) + " e" * row.emulated + " !" * bool(row.unstable)


def _accuracy(row: BenchRow | None) -> str:
    return percent(None if row is None else row.accuracy)
