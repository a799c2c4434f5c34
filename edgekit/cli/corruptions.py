"""``edgekit evaluate --corruptions``: which models classify the corrupted images, and what is printed."""

from __future__ import annotations

from pathlib import Path

from edgekit.cli.output import Output
from edgekit.cli.render.corruptions import robustness_text
from edgekit.documents.corruptions import KERAS, Plan
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.report.model.corruption_figures import robustness_summary
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import Progress


def evaluate_corrupted(
    run: RunFolder, plan: Plan, models: str | None, target: str, data: Path | None, out: Output
) -> None:
    """Measure what is missing and print everything that is stored."""
    measure_corrupted(run, plan, models, target, data, out)
    summary = robustness_summary(run)
    out.result(summary.to_dict(), robustness_text(summary))


def measure_corrupted(
    run: RunFolder, plan: Plan, models: str | None, target: str, data: Path | None, progress: Progress
) -> None:
    """Measure what is missing."""
    run.read_finished_run()
    check_writable(run.corruptions)
    exports = [export.key for export in run.done_exports() if export.read_export().ok]
    chosen = _models(models, exports, run)
    files = [name for name in chosen if name != KERAS]
    if files:
        from edgekit.bench.corrupted_images import evaluate_files

        evaluate_files(run, plan, keys=files, target=target, data=data, progress=progress)
    if KERAS in chosen:
        from edgekit.train.evaluate_corrupted import evaluate_keras

        evaluate_keras(run, plan, data_root=data, progress=progress)


def _models(models: str | None, exports: list[str], run: RunFolder) -> list[str]:
    known = (KERAS, *exports)
    if models is None:
        return list(known)
    chosen = [name.strip() for name in models.split(",")]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InputError(
            f"this run has no model named {', '.join(unknown)} that passed its check",
            where=str(run.path),
            hint=f"choose among: {', '.join(known)}",
        )
    return list(dict.fromkeys(chosen))
