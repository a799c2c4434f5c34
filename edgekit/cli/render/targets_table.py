"""The table of several targets: a row for each file, a column for each target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.cli.output import table


def describe_targets(document: dict[str, Any], names: dict[str, str], targets: Sequence[str]) -> str:
    """p50 latency by thread count, and accuracy. ``e``: emulated, ``!``: unstable; both say nothing about speed."""
    rows = document["results"]
    parts = []
    for threads in sorted({row["threads"] for row in rows if row["threads"] is not None}):
        body = [
            [names[key], *(_latency(_find(rows, key, target, threads)) for target in targets)]
            for key in dict.fromkeys(row["id"] for row in rows)
        ]
        parts.append(_table(f"p50 ms, {threads} thread{'s' * (threads > 1)}", targets, body))
    body = [
        [names[key], *(_accuracy(_find(rows, key, target, None)) for target in targets)]
        for key in dict.fromkeys(row["id"] for row in rows)
    ]
    parts.append(_table("accuracy %", targets, body))
    marks = [("e", any(row["emulated"] for row in rows)), ("!", any(row["unstable"] for row in rows))]
    meaning = {"e": "e: emulated, its times are no device's", "!": "!: unstable, cannot win a comparison"}
    used = [meaning[mark] for mark, seen in marks if seen]
    return "\n\n".join([*parts, *(["   ".join(used)] if used else [])])


def _table(title: str, targets: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table([title, *targets], rows, right=tuple(range(1, len(targets) + 1)))


def _find(rows: Sequence[dict[str, Any]], key: str, target: str, threads: int | None) -> dict[str, Any] | None:
    return next(
        (r for r in rows if r["id"] == key and r["target"] == target and threads in (None, r["threads"])),
        None,
    )


def _latency(row: dict[str, Any] | None) -> str:
    if row is None or row["latency_ms_p50"] is None:
        return "-"
    value = row["latency_ms_p50"]
    number = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return number + " e" * bool(row["emulated"]) + " !" * bool(row["unstable"])


def _accuracy(row: dict[str, Any] | None) -> str:
    return "-" if row is None or row["accuracy"] is None else f"{100 * row['accuracy']:.1f}"
