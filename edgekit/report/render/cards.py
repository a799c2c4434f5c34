"""Model cards: a Markdown page for every exported file, with the measurements of this file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from edgekit.documents.bench import BenchDocument
from edgekit.render.markdown import bullets, escaped, table
from edgekit.render.numbers import megabytes, percent, percent_range, points, significant
from edgekit.render.text import plural
from edgekit.report.model.exported_files import ExportedFile, Timing
from edgekit.report.model.report import Report
from edgekit.report.model.source import Score


def model_cards(report: Report) -> dict[str, str]:
    """By file name: a card for every exported file."""
    by_file: dict[tuple[str, str], list[ExportedFile]] = {}
    for file in report.files:
        by_file.setdefault((file.run.id, file.export.key), []).append(file)
    return {
        f"{re.sub(r'[^A-Za-z0-9._-]+', '-', run_id)}-{key}.md": "\n\n".join(_card(report, members)) + "\n"
        for (run_id, key), members in by_file.items()
    }


def _card(report: Report, members: Sequence[ExportedFile]) -> Iterator[str]:
    """``members``: the file on each target and with each runtime."""
    first = members[0]
    run = first.run.document
    data = run.dataset
    yield f"# {escaped(first.title)}, seed {first.seed}"
    classes = escaped(", ".join(data.classes))
    yield f"An image classifier for {plural(len(data.classes), 'class', 'classes')}: {classes}."
    yield table(["", ""], _facts(first))
    yield "## Measured"
    measured = [row for file in members if file.bench is not None for row in _measured(file, file.bench)]
    yield table(["", ""], measured) if measured else "This file has not been measured yet."
    yield "## Training data"
    counts = ", ".join(f"{sum(by_class.values()):,} {split}" for split, by_class in data.counts.items())
    yield (
        f"{escaped(data.name)}, fingerprint `{data.fingerprint}`: {counts} images. "
        f"Strategy: {escaped(first.strategy)}; weights: {escaped(run.weights.source)}."
    )
    if first.run.score is not None:
        yield f"Accuracy of the Keras model before export: {_of_images(first.run.score)}."
    if report.limits:
        yield "## What these numbers do not prove"
        yield bullets(map(escaped, report.limits))


def _facts(file: ExportedFile) -> Iterator[tuple[str, str]]:
    export = file.export
    shape = "x".join(map(str, file.run.size.input_shape))
    yield "file", f"{export.file}, {export.size_bytes:,} bytes"
    yield "SHA-256", export.sha256
    yield "input", f"RGB, 0-255, {shape}, resized by {export.resize}"
    yield "scheme", f"{export.scheme}; float operators: {file.float_operators or 'all'}"
    yield "converter", f"{export.converter.name} {export.converter.version}"
    yield "checks", "; ".join([file.status, *file.problems])


def _of_images(score: Score) -> str:
    """``79.9% of 1,311 test images (95% interval 77.7 to 82.0%)``."""
    interval = percent_range(score.ci95)
    return f"{percent(score.accuracy)}% of {score.n_samples:,} test images (95% interval {interval}%)"


def _measured(file: ExportedFile, bench: BenchDocument) -> Iterator[tuple[str, str]]:
    where = bench.target
    if file.score is not None:
        drop = "" if file.drop is None else f"; drop from the Keras model: {points(file.drop)} points"
        yield f"accuracy, {where}", f"{_of_images(file.score)}{drop}"
    for timing in file.timings:
        yield f"latency, {where}, {plural(timing.threads, 'thread')}", _latency(file, timing)
    if file.model_rss_bytes is not None:
        yield f"memory, {where}", f"{megabytes(file.model_rss_bytes, 1)} MB"
    energy = file.energy
    reported = "not measured" if energy is None else f"{significant(1000 * energy.joules)} mJ a run ({energy.source})"
    yield f"energy, {where}", reported
    yield f"runtime, {where}", f"{file.runtime_text} on {bench.environment.before.cpu or 'an unknown CPU'}"


def _latency(file: ExportedFile, timing: Timing) -> str:
    """``p50 4.51 ms, p90 4.80 ms (unstable)``."""
    known = [(name, value) for name, value in (("p50", timing.p50), ("p90", timing.p90)) if value is not None]
    shown = ", ".join(f"{name} {significant(value)} ms" for name, value in known) or "too few runs"
    return shown + (f" ({', '.join(file.marks())})" if file.marks() else "")
