"""A study in MLflow: one MLflow run for every cell, with its recipe, figures, curves and files. Optional.

What is logged is read from the study's folder when it is done, so a killed or resumed study is logged once, and
logging again brings the same runs up to date.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.documents.base import read_json
from edgekit.documents.bench import run_results
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError
from edgekit.support.progress import SILENT, Progress

_BATCH = 100
"""MLflow takes at most so many parameters at a time (and a thousand metrics)."""
_LONGEST = 500


def log_study(folder: Path, uri: str, *, progress: Progress = SILENT) -> int:
    """Log every trained cell of the study in ``folder`` to the MLflow at ``uri``; how many that were.

    Raises :class:`EdgekitError` where MLflow is not installed or does not answer.
    """
    client = _client(uri)
    study = read_json(folder / "study.json")
    runs = [RunFolder(folder / cell["run"]) for cell in study["cells"] if cell["status"] in ("trained", "exported")]
    try:
        experiment = _experiment(client, str(study["name"]))
        for run in runs:
            _log_run(client, experiment, run, f"{study['created']} {run.path.name}")
    except Exception as error:  # its errors have no common base: REST, files, databases
        raise _refused(error, uri, "the study itself is complete; log it again with the same command") from error
    progress.info(f"{len(runs)} runs logged to MLflow at {uri}")
    return len(runs)


def check_mlflow(uri: str) -> None:
    """Raise what :func:`log_study` would raise, before the study begins and not after it."""
    _client(uri)


def _client(uri: str) -> Any:
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise EdgekitError(
            "--mlflow needs MLflow, which is not installed", hint='pip install "edgekit[mlflow]"'
        ) from None
    try:
        return MlflowClient(tracking_uri=uri)
    except Exception as error:
        raise _refused(error, uri, "give the address of a server or of a database: sqlite:///mlflow.db") from error


def _refused(error: Exception, uri: str, hint: str) -> EdgekitError:
    said = (str(error).splitlines() or [""])[0][:200]
    return EdgekitError(f"MLflow did not take the study: {type(error).__name__}: {said}", where=uri, hint=hint)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if found is None else found.experiment_id)


def _log_run(client: Any, experiment: str, run: RunFolder, key: str) -> None:
    from mlflow.entities import Metric, Param

    document = run.read()
    found = client.search_runs([experiment], filter_string=f"tags.`edgekit.key` = '{key}'", max_results=1)
    mlflow_run = (
        found[0]
        if found
        else client.create_run(experiment, run_name=run.path.name, tags={"edgekit.key": key, **_tags(document)})
    )
    run_id = mlflow_run.info.run_id
    params = [Param(name, value) for name, value in _flat(document["recipe"])]
    for start in range(0, len(params), _BATCH):
        client.log_batch(run_id, params=params[start : start + _BATCH])
    # Logged again, the same values have the same times, so that they replace each other.
    metrics = [Metric(name, value, 0, step) for name, value, step in _metrics(run, document) if math.isfinite(value)]
    for start in range(0, len(metrics), 10 * _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + 10 * _BATCH])
    for file in _files(run):
        client.log_artifact(run_id, str(file), str(file.parent.relative_to(run.path)).lstrip(".") or None)
    client.set_terminated(run_id)


def _tags(document: dict[str, Any]) -> dict[str, str]:
    return {f"edgekit.{name}": str(document[name]) for name in ("backbone", "strategy", "seed", "edgekit_version")}


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and texts of a recipe; what is not about one cell is left out."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if name in ("claims", "reported", "constraints", "compare"):
            continue
        if isinstance(inner, dict):
            yield from _flat(inner, f"{name}.")
        else:
            yield name, str(inner)[:_LONGEST]


def _metrics(run: RunFolder, document: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    """Name, value and step: scores, times, curves, and of every exported file size, accuracy and latency."""
    for split, scores in (document.get("metrics") or {}).items():
        for name in ("accuracy", "macro_f1", "log_loss", "ece"):
            if scores.get(name) is not None:
                yield f"{split}.{name}", float(scores[name]), 0
    for name, value in {**(document.get("timing") or {}), **(document.get("model") or {})}.items():
        if isinstance(value, int | float):
            yield name, float(value), 0
    yield from _curves(run)
    for result in run_results(run):
        about = f"{result.document['key']}.{result.document['target']}"
        yield f"{result.document['key']}.size_bytes", float(result.document["size_bytes"]), 0
        if result.document["accuracy"] is not None:
            yield f"{about}.accuracy", float(result.document["accuracy"]["accuracy"]), 0
        for latency in result.latency:
            p50 = latency.percentile_ms(50)
            if p50 is not None:
                yield f"{about}.latency_ms_p50.threads_{latency.threads}", p50, 0


def _curves(run: RunFolder) -> Iterator[tuple[str, float, int]]:
    import csv

    with run.history.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
                if row.get(name):
                    yield f"{row['stage']}.{name}", float(row[name]), int(row["epoch"])


def _files(run: RunFolder) -> list[Path]:
    """What a person would look for there: documents, curves, figures, exported files."""
    own = [run.run_json, run.labels, run.history, *sorted(run.figures.glob("*.png"))]
    exported = [file for export in run.done_exports() for file in (export.export_json, export.model())]
    return [file for file in (*own, *exported) if file.is_file()]
