"""The study, step by step: train and export every cell, then measure all files in one interleaved session.

Every step is a command of its own that reads and writes files, so a killed study goes on where it stopped. The files
of a trained cell are made while the next one trains: conversion uses one core and training rarely both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgekit.artifacts import read_json, write_text
from edgekit.compare.study import Cell, Study
from edgekit.errors import EdgekitError
from edgekit.progress import SILENT, Progress
from edgekit.recipe import Recipe
from edgekit.targets.local import LOCAL
from edgekit.targets.opening import get_target


def run_study(
    recipe: Recipe,
    out: Path,
    *,
    targets: Sequence[str] = (LOCAL,),
    quiet: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Run or go on with the study of ``recipe`` in ``out``; returns its ``study.json``.

    A cell that fails is noted and does not stop the others. Raises :class:`EdgekitError` where no cell succeeded,
    :class:`TargetError` before anything is trained where a target is not known.
    """
    for target in targets:
        get_target(target)
    study = Study.open(out, recipe)
    exports: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=1) as exporter:
        for number, cell in enumerate(study.cells, 1):
            progress.info(f"\n[{number}/{len(study.cells)}] {cell.backbone}, {cell.strategy}, seed {cell.seed}")
            if _train(study, cell, quiet, progress):
                exports.append(exporter.submit(_export, study, cell, progress))
        for export in exports:
            export.result()
    exported = [cell for cell in study.cells if cell.status == "exported"]
    if not exported:
        raise EdgekitError("no cell of the study succeeded", where=str(study.file), hint=study.cells[0].error)
    missing = [target for target in targets if not _measured(study, exported, target)]
    if not missing:
        progress.info("\nall files measured before")
    else:
        progress.info(f"\nmeasuring the files of {len(exported)} models on {', '.join(missing)}")
        runs = [str(study.folder(cell).path) for cell in exported]
        where = [word for target in missing for word in ("--target", target)]
        settings = ["--protocol", recipe.bench.protocol, *_threads(recipe), *_images(recipe)]
        _command(["bench", *runs, *where, *settings], quiet)
    _command(["report", str(study.path)], quiet=True)
    return read_json(study.file)


def _train(study: Study, cell: Cell, quiet: bool, progress: Progress) -> bool:
    """Train a cell where that is not done; whether it is trained now."""
    run = study.folder(cell)
    if cell.status in ("trained", "exported") and run.model.is_file():
        progress.info("trained before")
        return True
    recipe = study.path / "cells" / f"{run.path.name}.json"
    # JSON is YAML: the complete recipe of the cell, every default written out.
    write_text(recipe, json.dumps(cell.recipe, indent=1) + "\n")
    resume = ["--resume"] if run.run_json.is_file() else []
    try:
        _command(["train", str(recipe), "--run", str(run.path), *resume], quiet)
    except StepFailed as error:
        study.update(cell, "failed", str(error))
        progress.warn(f"{run.path.name} failed: {error.problem}")
        return False
    study.update(cell, "trained")
    return True


def _export(study: Study, cell: Cell, progress: Progress) -> None:
    run = study.folder(cell)
    done = {export.key for export in run.done_exports()}
    if done >= set(study.recipe.export.files) and cell.status == "exported":
        return
    try:
        document = _command(["export", str(run.path)], quiet=True)
    except StepFailed as error:
        # A file that failed its check is kept and marked; the others are measured.
        good = any(export.read()["status"] == "ok" for export in run.done_exports())
        study.update(cell, "exported" if good else "failed", str(error))
        progress.warn(f"{run.path.name}: {error.problem}")
        return
    study.update(cell, "exported")
    names = ", ".join(f"{e['format']}-{e['scheme']}" for e in document["exports"])
    progress.info(f"{run.path.name}: exported {names}")


def _measured(study: Study, cells: list[Cell], target: str) -> bool:
    """Whether one session has measured every file as it is now: only such latencies may be compared."""
    sessions = set()
    for cell in cells:
        run = study.folder(cell)
        for export in run.done_exports():
            file = export.read()
            if file["status"] != "ok":
                continue
            result = run.bench_json(target, export.key)
            if not result.is_file():
                return False
            document = read_json(result)
            if document["sha256"] != file["sha256"]:
                return False
            sessions.add(document["session_id"])
    return len(sessions) == 1


class StepFailed(EdgekitError):
    """A command of the study ended with an error, which is told again."""


def _command(arguments: list[str], quiet: bool) -> dict[str, Any]:
    """Run an edgekit command in a process of its own; its JSON document.

    Its progress goes to this process's stderr. Raises :class:`StepFailed` with the command's own message.
    """
    command = [sys.executable, "-m", "edgekit", *arguments, "--json", *(["--quiet"] if quiet else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    try:
        document = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise StepFailed(
            f"edgekit {arguments[0]} ended with code {done.returncode} and no result", where=" ".join(arguments)
        ) from None
    if done.returncode != 0:
        error = document.get("error", {})
        raise StepFailed(
            str(error.get("problem", f"edgekit {arguments[0]} ended with code {done.returncode}")),
            where=error.get("where"),
            hint=error.get("hint"),
        )
    return dict(document)


def _threads(recipe: Recipe) -> list[str]:
    return ["--threads", ",".join(map(str, recipe.bench.threads))]


def _images(recipe: Recipe) -> list[str]:
    return [] if recipe.bench.images is None else ["--images", str(recipe.bench.images)]
