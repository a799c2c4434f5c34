"""``edgekit evaluate --corruptions``: which models are shown corrupted images, and what is printed of it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from edgekit.cli.output import Output, table
from edgekit.documents.corruptions import KERAS, Plan
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.report.model.corruption_figures import robustness_document
from edgekit.support.progress import Progress


def evaluate_corrupted(
    run: RunFolder, plan: Plan, models: str | None, target: str, data: Path | None, out: Output
) -> None:
    """Measure what is missing and print everything that is stored."""
    measure_corrupted(run, plan, models, target, data, out)
    document = robustness_document(run)
    out.result({"schema_version": 1, "run_dir": str(run.path), **document}, _text(document))


def measure_corrupted(
    run: RunFolder, plan: Plan, models: str | None, target: str, data: Path | None, progress: Progress
) -> None:
    """Measure what is missing."""
    run.read_finished()
    exports = [export.key for export in run.done_exports() if export.read().get("status", "ok") == "ok"]
    chosen = _models(models, exports, run)
    files = [name for name in chosen if name != KERAS]
    if files:
        from edgekit.bench.corrupted_images import evaluate_files

        evaluate_files(run, plan, keys=files, target=target, data=data, progress=progress)
    if KERAS in chosen:
        from edgekit.train.corrupted_images import evaluate_keras

        evaluate_keras(run, plan, data_root=None if data is None else str(data), progress=progress)


def _models(models: str | None, exports: list[str], run: RunFolder) -> list[str]:
    if models is None:
        return [KERAS, *exports]
    chosen = [name.strip() for name in models.split(",")]
    unknown = [name for name in chosen if name not in (KERAS, *exports)]
    if unknown:
        raise InputError(
            f"this run has no sound model called {', '.join(unknown)}",
            where=str(run.path),
            hint=f"it has: {', '.join((KERAS, *exports))}",
        )
    return list(dict.fromkeys(chosen))


def _text(document: dict[str, Any]) -> str:
    """Accuracy in percent under each corruption, and each file against its fp32 twin; at most 80 columns wide."""
    lines: list[str] = []
    for entry in document["models"]:
        severities = sorted({one["severity"] for rows in entry["corruptions"].values() for one in rows})
        rows = []
        for name, under in entry["corruptions"].items():
            by_severity = {one["severity"]: 100 * one["accuracy"] for one in under}
            calibration = sum(one["ece"] for one in under) / len(under)
            mean = sum(by_severity.values()) / len(by_severity)
            cells = [f"{by_severity[s]:.1f}" if s in by_severity else "-" for s in severities]
            rows.append([name, *cells, f"{mean:.1f}", f"{calibration:.3f}"])
        clean = entry["clean"]
        low, high = (100 * bound for bound in clean["accuracy_ci95"])
        place = "" if entry["target"] == "local" else f" on {entry['target']}"
        lines += [
            f"{entry['model']}{place}: accuracy in % by severity, n = {entry['n_samples']}",
            "",
            table(["", *map(str, severities), "mean", "ECE"], rows, right=range(1, len(severities) + 3)),
            "",
            f"clean {100 * clean['accuracy']:.1f} ({low:.1f} to {high:.1f}), ECE {clean['ece']:.3f}",
        ]
        if entry["mean_corruption_error"] is not None:
            lines.append(
                f"mean corruption error {100 * entry['mean_corruption_error']:.1f} %, "
                f"{100 * entry['relative_corruption_error']:+.1f} points against clean"
            )
        lines.append("")
    for pair in document["paired"]:
        low, high = (100 * bound for bound in pair["extra_loss_ci95"])
        text = (
            f"{pair['model']} against {pair['reference']}: loses {100 * pair['clean_loss']:.2f} points on clean images "
            f"and {100 * pair['corrupted_loss']:.2f} on corrupted ones, so {100 * pair['extra_loss']:.2f} more "
            f"({low:.2f} to {high:.2f}). As robust, at most {100 * pair['margin']:g} point more: {pair['verdict']}"
        )
        lines.append(textwrap.fill(text, width=79, subsequent_indent="  "))
    return "\n".join(lines)
