"""The exported files as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io

from edgekit.documents.report import ReportDocument

COLUMNS = (
    "number", "run_id", "backbone", "strategy", "seed", "format", "scheme", "status", "accuracy", "n_samples",
    "accuracy_low", "accuracy_high", "accuracy_drop", "size_bytes", "gzip_bytes", "model_rss_bytes", "target",
    "joules_per_inference", "runtime", "threads", "n_runs",
    "latency_ms_p50", "latency_ms_p90", "latency_ms_p95", "latency_ms_p99",
    "on_pareto_front", "marks", "sha256",
)  # fmt: skip


def exported_files_csv(document: ReportDocument) -> str:
    """One line per exported file, target and thread count; empty cells were not measured."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for file in document.candidates:
        low, high = file.accuracy_ci95 or (None, None)
        own = {**file.model_dump(), "accuracy_low": low, "accuracy_high": high, "marks": " ".join(file.marks)}
        for latency in file.latency or [None]:
            writer.writerow({**own, **({} if latency is None else latency.model_dump())})
    return stream.getvalue()
