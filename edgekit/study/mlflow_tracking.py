"""Logging a study to MLflow (optional): one MLflow run per cell, with its recipe, metrics, curves and files.

Everything is read from the finished study folder, so a study that was killed and resumed is logged once. Logging it
again updates the same MLflow runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.documents.bench import RUNTIME_MARK, run_results
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.documents.study import read_study
from edgekit.errors import EdgekitError
from edgekit.render.text import plural
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_BATCH = 100
"""MLflow accepts at most this many parameters at a time (and ten times as many metrics)."""
_LONGEST = 500


def log_study(folder: Path, uri: str, *, progress: Progress = SILENT) -> int:
    """Log every trained cell of the study in ``folder`` to the MLflow server at ``uri``; return how many.

    Raises :class:`EdgekitError` if MLflow is not installed or does not respond.
    """
    client = _client(uri)
    study = read_study(folder)
    runs = [RunFolder(folder / cell.run) for cell in study.cells if cell.status in ("trained", "exported")]
    try:
        experiment = _experiment(client, study.name)
        for run in runs:
            _log_run(client, experiment, run, f"{study.created} {run.path.name}")
    except Exception as error:  # its errors have no common base: REST, files, databases
        raise _refused(error, uri, "the study itself is complete; rerun this command to log it again") from error
    progress.info(f"{plural(len(runs), 'run')} logged to MLflow at {uri}")
    return len(runs)


def check_mlflow(uri: str) -> None:
    """Raise what :func:`log_study` would raise, before the study starts and not after it."""
    _client(uri)


def _client(uri: str) -> MlflowClient:
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise EdgekitError(
            "--mlflow needs MLflow, which is not installed", hint='pip install "edgekit[mlflow]"'
        ) from None
    try:
        return MlflowClient(tracking_uri=uri)
    except Exception as error:
        raise _refused(error, uri, "pass the address of a server or of a database, e.g. sqlite:///mlflow.db") from error


def _refused(error: Exception, uri: str, hint: str) -> EdgekitError:
    said = (str(error).splitlines() or [""])[0][:200]
    return EdgekitError(f"MLflow did not accept the study: {type(error).__name__}: {said}", where=uri, hint=hint)


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _log_run(client: MlflowClient, experiment: str, run: RunFolder, key: str) -> None:
    from mlflow.entities import Metric, Param

    document = run.read_run()
    found = client.search_runs([experiment], filter_string=f"tags.`edgekit.key` = '{key}'", max_results=1)
    mlflow_run = (
        found[0]
        if found
        else client.create_run(experiment, run_name=run.path.name, tags={"edgekit.key": key, **_tags(document)})
    )
    run_id = mlflow_run.info.run_id
    params = [Param(name, value) for name, value in _flat(document.recipe.document())]
    for start in range(0, len(params), _BATCH):
        client.log_batch(run_id, params=params[start : start + _BATCH])
    # Values that are logged again have the same timestamps, so that they replace each other.
    metrics = [Metric(name, value, 0, step) for name, value, step in _metrics(run, document) if math.isfinite(value)]
    for start in range(0, len(metrics), 10 * _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + 10 * _BATCH])
    for file in _files(run):
        client.log_artifact(run_id, str(file), str(file.parent.relative_to(run.path)).lstrip(".") or None)
    client.set_terminated(run_id)


def _tags(document: RunDocument) -> dict[str, str]:
    return {
        "edgekit.backbone": document.backbone,
        "edgekit.strategy": document.strategy,
        "edgekit.seed": str(document.seed),
        "edgekit.edgekit_version": document.edgekit_version,
    }


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and texts of a recipe, without the sections that concern the whole study."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if name in ("claims", "reported", "constraints", "compare"):
            continue
        if isinstance(inner, dict):
            yield from _flat(inner, f"{name}.")
        else:
            yield name, str(inner)[:_LONGEST]


def _metrics(run: RunFolder, document: RunDocument) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of scores, times, curves, and each exported file's size, accuracy and latency."""
    for split, scores in document.metrics.items():
        yield f"{split}.accuracy", scores.accuracy, 0
        yield f"{split}.macro_f1", scores.macro_f1, 0
        yield f"{split}.log_loss", scores.log_loss, 0
        yield f"{split}.ece", scores.ece, 0
    for name, value in [*document.timing, *document.model]:
        if isinstance(value, int | float):
            yield name, float(value), 0
    yield from _curves(run)
    for result in (stored.bench for stored in run_results(run)):
        # MLflow allows neither @ nor + in the name of a metric.
        subject = f"{result.key.replace(RUNTIME_MARK, '.')}.{result.target}"
        yield f"{result.export_key}.size_bytes", float(result.size_bytes), 0
        if result.accuracy is not None:
            yield f"{subject}.accuracy", result.accuracy.accuracy, 0
        for latency in result.latency:
            p50 = latency.percentile_ms(50)
            if p50 is not None:
                yield f"{subject}.latency_ms_p50.threads_{latency.threads}", p50, 0


def _curves(run: RunFolder) -> Iterator[tuple[str, float, int]]:
    import csv

    with run.history.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
                if row.get(name):
                    yield f"{row['stage']}.{name}", float(row[name]), int(row["epoch"])


def _files(run: RunFolder) -> list[Path]:
    """The files worth looking at in MLflow: documents, curves, figures and exported files."""
    own = [run.run_json, run.labels, run.history, *sorted(run.figures.glob("*.png"))]
    exported = [file for export in run.done_exports() for file in (export.export_json, export.model())]
    return [file for file in (*own, *exported) if file.is_file()]
