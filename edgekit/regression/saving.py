"""``edgekit gate save``: puts what was measured of exported files into a baseline."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgekit import __version__
from edgekit.documents.base import Document
from edgekit.documents.bench import BenchResult, run_results
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.export import ExportDocument
from edgekit.documents.folders import RunFolder
from edgekit.documents.regression import BaselineDocument, BaselineFile, BaselineRun, SavedBaseline
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.recipe.gates import Gates
from edgekit.recipe.redaction import redact_model
from edgekit.regression.baseline import (
    FOLDER,
    LIST,
    baseline_path,
    bench_entry,
    export_entry,
    model_entry,
    predictions_entry,
    read_baseline,
    write_archive,
)
from edgekit.regression.pairing import GivenRun, given_runs
from edgekit.render.text import plural
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import SILENT, Progress

SPLIT = "test"

LARGE_BYTES = 20_000_000
"""A baseline above this size is too large to be committed without thought."""

Entries = list[tuple[str, bytes]]


def save_baseline(
    name: str,
    paths: Sequence[Path],
    *,
    folder: Path = FOLDER,
    target: str | None = None,
    recipe: Recipe | None = None,
    models: bool = False,
    replace: bool = False,
    progress: Progress = SILENT,
) -> SavedBaseline:
    """Save what was measured of the exported files of runs or studies as the baseline ``name`` in ``folder``.

    ``target``: only what was measured there. ``recipe``: its limits instead of those of the runs. ``models``: also the
    exported files themselves. ``replace``: replace an earlier baseline of this name. Raises :class:`InputError` where
    nothing was measured, and for a baseline that exists.
    """
    path = baseline_path(name, folder)
    if path.exists():
        if not replace:
            raise InputError(
                f"there is a baseline {name!r} already",
                where=str(path),
                hint="replace it: add --replace to the command",
            )
        read_baseline(name, folder)  # only a baseline is replaced
    check_writable(folder)
    given = given_runs(paths)
    runs: list[BaselineRun] = []
    entries: Entries = []
    for number, one in enumerate(given):
        run = _run(one, str(number), folder, target, models, entries, progress)
        if run.files:
            runs.append(run)
    if not runs:
        place = " ".join(str(one.folder.path) for one in given)
        on = "" if target is None else f" --target {target}"
        raise InputError(
            "nothing has been measured of these exported files" + (f" on {target}" if target else ""),
            where=place,
            hint=f"measure them first: edgekit bench {place}{on}",
        )
    document = BaselineDocument(
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgekit_version=__version__,
        limits=recipe.gates if recipe is not None else _limits(given),
        runs=tuple(runs),
    )
    write_archive(path, [(LIST, document.to_json().encode()), *entries])
    size = path.stat().st_size
    if size > LARGE_BYTES:
        progress.warn(f"{path} has {size / 1e6:.0f} MB, which is a lot for a file in a repository")
    return SavedBaseline(file=str(path), size_bytes=size, baseline=document)


def _limits(given: Sequence[GivenRun]) -> Gates:
    limits = [one.document.recipe.gates for one in given]
    if any(other != limits[0] for other in limits):
        raise InputError("the recipes of these runs have different gates", hint="name one: --recipe RECIPE")
    return limits[0]


def _run(
    one: GivenRun,
    number: str,
    folder: Path,
    target: str | None,
    models: bool,
    entries: Entries,
    progress: Progress,
) -> BaselineRun:
    document = one.document
    run = BaselineRun(
        folder=number,
        run_id=document.run_id,
        backbone=document.backbone,
        alpha=document.alpha,
        strategy=document.strategy,
        arm=document.recipe.arm,
        seed=document.seed,
        files=(),
    )
    results = run_results(one.folder, target)
    files = []
    for export in one.exports():
        described = export.read_export()
        own = _of_export(results, described)
        if not own:
            progress.warn(f"{document.run_id}/{export.key} is not in the baseline: it has no complete bench result")
            continue
        model = export.path / described.file
        file = BaselineFile(
            key=export.key,
            sha256=described.sha256,
            size_bytes=described.size_bytes,
            path=_recorded(model, folder),
            embedded=models,
            targets=tuple(result.bench.target for result in own),
        )
        files.append(file)
        entries.append((export_entry(run, file), _json(redact_model(described, [one.folder.path]))))
        if models:
            entries.append((model_entry(run, file), model.read_bytes()))
        for result in own:
            entries += _measured(run, file, result, one.folder)
    if files:
        entries.append((f"{number}/run.json", _json(redact_model(document, [one.folder.path]))))
        entries.append((f"{number}/dataset.csv", _test_images(one.folder)))
    return run.model_copy(update={"files": tuple(files)})


def _of_export(results: Sequence[BenchResult], export: ExportDocument) -> list[BenchResult]:
    """The complete result of an exported file on each target; of several runtimes, that of the default one."""
    found: dict[str, BenchResult] = {}
    for result in sorted(results, key=lambda one: one.bench.key != export.key):
        if result.bench.sha256 == export.sha256 and result.ok and not result.bench.incomplete:
            found.setdefault(result.bench.target, result)
    return list(found.values())


def _measured(
    run: BaselineRun, file: BaselineFile, result: BenchResult, folder: RunFolder
) -> Iterator[tuple[str, bytes]]:
    target = result.bench.target
    yield bench_entry(run, file, target), _json(redact_model(result.bench, [folder.path]))
    predictions = result.predictions_path()
    if predictions is not None:
        if not predictions.is_file():
            raise InputError(
                "the predictions of a bench result are missing",
                where=str(predictions),
                hint=f"measure the file again: edgekit bench {folder.path}",
            )
        yield predictions_entry(run, file, target), predictions.read_bytes()


def _recorded(model: Path, folder: Path) -> str:
    """The path of the file relative to the baseline's folder, if both are below one project; else its name alone."""
    project = folder.absolute().parent
    if model.absolute().is_relative_to(project):
        return Path(os.path.relpath(model.absolute(), folder.absolute())).as_posix()
    return model.name


def _test_images(run: RunFolder) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "class", "split", "sha256"])
    writer.writerows((r.path, r.label, r.split, r.sha256) for r in read_dataset_csv(run.dataset) if r.split == SPLIT)
    return text.getvalue().encode()


def _json(document: Document) -> bytes:
    return document.to_json().encode()


def summary(saved: SavedBaseline) -> str:
    """``4 exported files of 1 run, measured on local``."""
    files = [file for run in saved.baseline.runs for file in run.files]
    targets = ", ".join(dict.fromkeys(target for file in files for target in file.targets))
    return f"{plural(len(files), 'exported file')} of {plural(len(saved.baseline.runs), 'run')}, measured on {targets}"
