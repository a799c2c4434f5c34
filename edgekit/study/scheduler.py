"""Training and exporting the cells of a study: in order, several at a time, with retries.

The files of a trained cell are exported while other cells train: conversion keeps one core busy, and training rarely
keeps both.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.study.cells import Cell
from edgekit.study.executors import Executor
from edgekit.study.folder import Study
from edgekit.study.job_runner import JobFailed, end_jobs, run_job
from edgekit.study.jobs import ExportJob, Outcome, TrainJob
from edgekit.support.files import temporaries
from edgekit.support.progress import Progress


@dataclass(frozen=True)
class _Training:
    """A cell that is being trained since ``started`` (monotonic seconds)."""

    run: str
    started: float


class Scheduler:
    """Trains and exports all cells: ``jobs`` trainings and as many exports at a time.

    Without ``exports``, it only trains them. ``warnings``: whether the warnings about exported files are printed.
    """

    def __init__(
        self,
        study: Study,
        pool: Executor,
        jobs: int,
        retries: int,
        *,
        quiet: bool,
        progress: Progress,
        exports: bool = True,
        warnings: bool = True,
    ) -> None:
        self._study, self._pool, self._jobs, self._retries = study, pool, jobs, retries
        self._quiet, self._progress, self._exports, self._warnings = quiet, progress, exports, warnings
        self._left = [cell.run for cell in study.cells]
        self._running: dict[Future[Outcome | None], _Training] = {}

    def run(self) -> None:
        """Return when every cell is exported or has failed."""
        exports: list[Future[None]] = []
        with ThreadPoolExecutor(max_workers=self._jobs) as exporter:
            try:
                while self._left or self._running:
                    self._start_ready()
                    for cell in self._finished():
                        if self._exports:
                            exports.append(exporter.submit(self._export, cell))
                for export in exports:
                    export.result()
            except BaseException:
                exporter.shutdown(wait=False, cancel_futures=True)
                end_jobs()
                raise

    def _start_ready(self) -> None:
        """Start cells, in order, until ``jobs`` run. A fine-tuning waits for the feature extraction it starts from."""
        for run in list(self._left):
            if len(self._running) == self._jobs:
                return
            cell = self._study.cell(run)
            if cell.after in {*self._left, *(training.run for training in self._running.values())}:
                continue
            self._left.remove(run)
            number = len(self._study.cells) - len(self._left)
            self._progress.info(f"\n[{number}/{len(self._study.cells)}] {cell.title}{self._time_left()}")
            future = self._pool.submit(self._training(cell), self._quiet, self._environment(cell))
            self._running[future] = _Training(run, time.monotonic())

    def _training(self, cell: Cell) -> TrainJob | None:
        """The job that trains a cell; None if it is trained already."""
        run = self._study.folder(cell)
        if cell.is_trained and run.model.is_file():
            self._progress.info("already trained")
            return None
        clean_up(run)
        return TrainJob(recipe=cell.recipe, run=run.path, resume=run.run_json.is_file())

    def _finished(self) -> list[Cell]:
        """Wait until a training ends; return the cells that are now trained. A failed one may be queued again."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        trained = []
        for future in done:
            training = self._running.pop(future)
            cell = self._study.cell(training.run)
            try:
                outcome = future.result()
            except JobFailed as error:
                self._failed(cell, error)
                continue
            if outcome is not None:
                cell = self._study.update(cell, "trained", seconds=time.monotonic() - training.started)
            trained.append(cell)
        return trained

    def _failed(self, cell: Cell, error: JobFailed) -> None:
        attempts = cell.attempts + 1
        cell = self._study.update(cell, "failed", str(error), attempts=attempts)
        if error.retry and attempts <= self._retries:
            self._progress.warn(f"{cell.name} failed and will be retried: {error.problem}")
            self._left.insert(0, cell.run)
        else:
            self._progress.warn(f"{cell.name} failed: {error.problem}")

    def _export(self, cell: Cell) -> None:
        run = self._study.folder(cell)
        missing = missing_exports(run, cell)
        if not missing:
            if cell.status != "exported":
                self._study.update(cell, "exported")
            return
        clean_up(run)
        try:
            run_job(ExportJob(run=run.path, exports=tuple(missing), warnings=self._warnings), quiet=True)
        except JobFailed as error:
            # An exported file that failed its check is kept and marked; the others are measured.
            good = any(export.read_export().ok for export in run.done_exports())
            self._study.update(cell, "exported" if good else "failed", str(error))
            # The whole message is printed at the end of the study.
            self._progress.warn(f"{cell.name}: {error.problem.splitlines()[0].rstrip(':')}")
            return
        self._study.update(cell, "exported")
        self._progress.info(f"{cell.name}: exported {', '.join(missing)}")

    def _environment(self, cell: Cell) -> dict[str, str]:
        """Several trainings at once share the terminal and the cores; each alone would use all of them."""
        if self._jobs == 1:
            return {}
        threads = str(max(1, (os.cpu_count() or 1) // self._jobs))
        return {"EDGEKIT_LABEL": cell.name} | dict.fromkeys(
            ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), threads
        )

    def _time_left(self) -> str:
        """Estimated from trained cells: of the same backbone and strategy, else of the same backbone."""
        known: dict[str | tuple[str, str], list[float]] = {}
        for cell in self._study.cells:
            if cell.seconds:
                known.setdefault((cell.backbone, cell.strategy), []).append(cell.seconds)
                known.setdefault(cell.backbone, []).append(cell.seconds)
        means = {kind: sum(found) / len(found) for kind, found in known.items()}
        seconds = 0.0
        for run in [*self._left, *(training.run for training in self._running.values())]:
            cell = self._study.cell(run)
            if cell.is_trained:
                continue
            similar = means.get((cell.backbone, cell.strategy), means.get(cell.backbone))
            if similar is None:
                return ""
            seconds += similar
        return f"; training: about {max(1, round(seconds / self._jobs / 60))} min left" if seconds else ""


def missing_exports(run: RunFolder, cell: Cell) -> list[str]:
    """The exports of a cell that were not made yet from the network in its run.

    One that failed its check is made again only where the export was interrupted, so that every failure is reported.
    """
    network = run.read_finished_run().files.get(run.model.name)
    made = {
        folder.key
        for folder in run.done_exports()
        if (export := folder.read_export()).keras_sha256 == network and (export.ok or cell.status == "exported")
    }
    return [key for key in cell.recipe.export.files if key not in made]


def clean_up(run: RunFolder) -> None:
    """Remove what a killed process left unfinished: temporary files, and a folder that did not become a run.

    ``run.json`` is the first file of a run. Raises :class:`InputError` for a folder that lacks it and holds anything
    but temporary files: that is for the user to decide about.
    """
    if run.path.is_symlink() or not run.path.is_dir():
        return
    for stale in list(temporaries(run.path)):
        stale.unlink(missing_ok=True)
    if run.run_json.is_file():
        return
    left = sorted(path.name for path in run.path.iterdir())
    if left:
        named = f"{', '.join(left[:3])}{', ...' if len(left) > 3 else ''}"
        raise InputError(
            f"the study needs this folder for a run, but it is not a run (it has no run.json) and holds {named}",
            where=str(run.path),
            hint="move the folder elsewhere or remove it, then rerun this command",
        )
    run.path.rmdir()
