"""The study, step by step: audit, train and export every cell, then measure all files in one interleaved session.

Every step is a command of its own that reads and writes files, so a killed study goes on where it stopped. Cells are
trained one after another or several at once; the files of a trained cell are made while others train: conversion uses
one core and training rarely both.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from edgekit.documents.base import read_json
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import Recipe
from edgekit.registry import get_scheme
from edgekit.study.benchmarking import measure, warn_of_absent
from edgekit.study.cells import Cell, Study, study_lock
from edgekit.study.executors import Executor, open_executor
from edgekit.study.job_runner import StepFailed, end_commands, run_command
from edgekit.study.leak_audit import audit_study
from edgekit.study.mlflow_tracking import check_mlflow, log_study
from edgekit.support.files import temporaries, write_text
from edgekit.support.frameworks import need_model_optimization
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def run_study(
    recipe: Recipe,
    out: Path,
    *,
    targets: Sequence[str] = (LOCAL,),
    jobs: int = 1,
    retries: int = 1,
    executor: str = "local",
    mlflow: str | None = None,
    quiet: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Run or go on with the study of ``recipe`` in ``out``; returns its ``study.json``.

    Beside what the file holds, ``target_errors`` says why a target has no measurement, by its name; the next call
    measures on it.

    ``jobs`` cells are trained at once, by threads of this machine or by Ray. A cell that fails is tried ``retries``
    times more, then noted; it does not stop the others, and the next call tries it again. ``mlflow`` is the address of
    an MLflow that gets every cell at the end. Raises
    :class:`EdgekitError` where no cell succeeded, :class:`InputError` where another process works on this study,
    :class:`TargetError` before anything is trained where a target is not known.
    """
    for target in targets:
        get_target(target)
    if mlflow is not None:
        check_mlflow(mlflow)
    if any(get_scheme(key).training for key in recipe.export.files):
        need_model_optimization()
    study = Study.open(out, recipe)
    with study_lock(study.path):
        _remove_temporaries(study.path)
        study.save()  # the claims may be new
        warn_of_absent(study, targets, progress)
        audit_study(recipe, study.path, progress)
        with open_executor(executor, jobs) as pool:
            _Cells(study, pool, jobs, retries, quiet=quiet, progress=progress).run()
        exported = [cell for cell in study.cells if cell.status == "exported"]
        if not exported:
            raise EdgekitError("no cell of the study succeeded", where=str(study.file), hint=study.cells[0].error)
        away = measure(study, exported, list(dict.fromkeys(targets)), quiet=quiet, progress=progress)
        _show_corrupted(study, exported, quiet, progress)
        if mlflow is not None:
            run_command(["report", str(study.path)], quiet=True)
            log_study(study.path, mlflow, progress=progress)
    return read_json(study.file) | {"target_errors": away}


class _Cells:
    """Training and exporting all cells: ``jobs`` trainings and as many conversions at a time."""

    def __init__(
        self, study: Study, pool: Executor, jobs: int, retries: int, *, quiet: bool, progress: Progress
    ) -> None:
        self._study, self._pool, self._jobs, self._retries = study, pool, jobs, retries
        self._quiet, self._progress = quiet, progress
        self._left = [cell.run for cell in study.cells]
        self._running: dict[Future[Any], tuple[str, float]] = {}

    def run(self) -> None:
        exports: list[Future[None]] = []
        with ThreadPoolExecutor(max_workers=self._jobs) as exporter:
            try:
                while self._left or self._running:
                    self._start_ready()
                    for cell in self._finished():
                        exports.append(exporter.submit(self._export, cell))
                for export in exports:
                    export.result()
            except BaseException:
                exporter.shutdown(wait=False, cancel_futures=True)
                end_commands()
                raise

    def _start_ready(self) -> None:
        """Start cells, in order, until ``jobs`` run; a fine-tuning waits for the feature extraction it begins at."""
        for name in list(self._left):
            if len(self._running) == self._jobs:
                return
            cell = self._study.cell(name)
            waits = {*self._left, *(running for running, _ in self._running.values())}
            if cell.after in waits:
                continue
            self._left.remove(name)
            number = len(self._study.cells) - len(self._left)
            self._progress.info(f"\n[{number}/{len(self._study.cells)}] {cell.title}{self._time_left()}")
            self._running[self._pool.submit(self._arguments(cell), self._quiet, self._environment(cell))] = (
                name,
                time.monotonic(),
            )

    def _arguments(self, cell: Cell) -> list[str] | None:
        """The command that trains a cell; None where it is trained."""
        run = self._study.folder(cell)
        if cell.status in ("trained", "exported") and run.model.is_file():
            self._progress.info("trained before")
            return None
        _tidy(run)
        recipe = self._study.path / "cells" / f"{run.path.name}.json"
        # JSON is YAML: the complete recipe of the cell, every default written out.
        write_text(recipe, json.dumps(cell.recipe, indent=1) + "\n")
        resume = ["--resume"] if run.run_json.is_file() else []
        return ["train", str(recipe), "--run", str(run.path), *resume]

    def _finished(self) -> list[Cell]:
        """Wait until a cell ends; the cells that are trained now. A failed one is put back while tries are left."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        trained = []
        for future in done:
            name, started = self._running.pop(future)
            cell = self._study.cell(name)
            try:
                document = future.result()
            except StepFailed as error:
                self._failed(cell, error)
                continue
            if document is not None:
                cell = self._study.update(cell, "trained", seconds=time.monotonic() - started)
            trained.append(cell)
        return trained

    def _failed(self, cell: Cell, error: StepFailed) -> None:
        name, tries = Path(cell.run).name, cell.tries + 1
        cell = self._study.update(cell, "failed", str(error), tries=tries)
        if error.again and tries <= self._retries:
            self._progress.warn(f"{name} failed and is tried again: {error.problem}")
            self._left.insert(0, cell.run)
        else:
            self._progress.warn(f"{name} failed: {error.problem}")

    def _export(self, cell: Cell) -> None:
        run = self._study.folder(cell)
        left = _files_left(run, cell)
        if not left:
            if cell.status != "exported":
                self._study.update(cell, "exported")
            return
        _tidy(run)
        try:
            # one by one or all, a file is the same; those that are there may have cost hours
            chosen = ["--set", f"export.files=[{','.join(left)}]"]
            document = run_command(["export", str(run.path), *chosen], quiet=True)
        except StepFailed as error:
            # A file that failed its check is kept and marked; the others are measured.
            good = any(export.read()["status"] == "ok" for export in run.done_exports())
            self._study.update(cell, "exported" if good else "failed", str(error))
            # the command has just said which, and the study ends with it
            self._progress.warn(f"{run.path.name}: {error.problem.splitlines()[0].rstrip(':')}")
            return
        self._study.update(cell, "exported")
        names = ", ".join(f"{e['format']}-{e['scheme']}" for e in document["exports"])
        self._progress.info(f"{run.path.name}: exported {names}")

    def _environment(self, cell: Cell) -> dict[str, str]:
        """Several trainings at once share the terminal, and the cores instead of each starting a thread for each."""
        if self._jobs == 1:
            return {}
        threads = str(max(1, (os.cpu_count() or 1) // self._jobs))
        return {"EDGEKIT_LABEL": Path(cell.run).name} | dict.fromkeys(
            ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads
        )

    def _time_left(self) -> str:
        """From the cells that were trained: those of the same backbone and strategy first, else of the backbone."""
        seconds = 0.0
        known = [cell for cell in self._study.cells if cell.seconds]
        for name in [*self._left, *(running for running, _ in self._running.values())]:
            cell = self._study.cell(name)
            if cell.status in ("trained", "exported"):
                continue
            alike = [c for c in known if (c.backbone, c.strategy) == (cell.backbone, cell.strategy)]
            alike = alike or [c for c in known if c.backbone == cell.backbone]
            if not alike:
                return ""
            seconds += sum(c.seconds or 0.0 for c in alike) / len(alike)
        return f"; training: about {max(1, round(seconds / self._jobs / 60))} min left" if seconds else ""


def _files_left(run: RunFolder, cell: Cell) -> list[str]:
    """The files of a cell that were not made yet of the network in its run.

    One that failed its check is made again only where the export was cut short, so that all failures are told of.
    """
    network = run.read_finished()["files"].get(run.model.name)
    made = {
        export.key
        for export in run.done_exports()
        if (document := export.read())["keras_sha256"] == network
        and (document["status"] == "ok" or cell.status == "exported")
    }
    return [key for key in cell.recipe["export"]["files"] if key not in made]


def _tidy(run: RunFolder) -> None:
    """Remove what a killed command left half done: temporary files, and a folder that did not become a run.

    ``run.json`` is the first file of a run. Raises :class:`InputError` for a folder that lacks it and holds anything
    else than temporary files: that is for a person to decide about.
    """
    if run.path.is_symlink() or not run.path.is_dir():
        return
    _remove_temporaries(run.path)
    if run.run_json.is_file():
        return
    left = sorted(path.name for path in run.path.iterdir())
    if left:
        named = f"{', '.join(left[:3])}{', ...' if len(left) > 3 else ''}"
        raise InputError(
            f"the study needs this folder for a run, but it is not a run (it has no run.json) and holds {named}",
            where=str(run.path),
            hint="move the folder elsewhere or remove it, then run the same command again",
        )
    run.path.rmdir()


def _remove_temporaries(folder: Path) -> None:
    for stale in list(temporaries(folder)):
        stale.unlink(missing_ok=True)


def _show_corrupted(study: Study, cells: list[Cell], quiet: bool, progress: Progress) -> None:
    """Every model on the corrupted test images that the recipe asks for; what is stored is not done again."""
    wanted = study.recipe.robustness
    if not wanted.corruptions:
        return
    options = ["--corruptions", ",".join(wanted.corruptions), "--severities", ",".join(map(str, wanted.severities))]
    options += ["--corruption-seed", str(wanted.seed)]
    options += [] if wanted.images is None else ["--images", str(wanted.images)]
    for number, cell in enumerate(cells, 1):
        progress.info(f"\ncorrupted images [{number}/{len(cells)}] {cell.title}")
        try:
            run_command(["evaluate", str(study.folder(cell).path), *options], quiet=quiet)
        except StepFailed as error:
            study.update(cell, cell.status, str(error))
            progress.warn(f"{cell.run}: {error.problem}")
