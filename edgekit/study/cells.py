"""The study folder and its cells: which runs a recipe asks for, and how far each has come."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

from edgekit.documents.base import read_json, write_json
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.recipe import Recipe, assign, other_work, validate
from edgekit.registry import BACKBONES
from edgekit.study.budget import apply_budget
from edgekit.support.path_redaction import without_places

_NOT_STORED = ("recipe", "after", "tries")


@dataclass(frozen=True)
class Cell:
    """One run of a study. ``run`` is its folder, relative to the study; ``recipe`` is complete."""

    run: str
    backbone: str
    strategy: str
    seed: int
    recipe: dict[str, Any]
    arm: str | None = None
    after: str | None = None
    """The run whose training has to be done first: the feature extraction that a fine-tuning begins at."""
    status: str = "waiting"
    """``waiting``, ``trained``, ``exported`` or ``failed``."""
    error: str | None = None
    tries: int = 0
    """How often it failed in this call."""
    seconds: float | None = None
    """Wall-clock time of its training command."""

    @property
    def title(self) -> str:
        """``mobilenetv2, fine-tuning, mixed, seed 0``."""
        return ", ".join([self.backbone, self.strategy, *([] if self.arm is None else [self.arm]), f"seed {self.seed}"])


def plan_cells(recipe: Recipe, study: Path) -> list[Cell]:
    """Every combination of the recipe's backbones, strategies, arms and seeds, feature extraction before fine-tuning.

    Fine-tuning begins at the feature extraction of the same backbone, arm and seed where the study has one. The
    settings of an arm come after those of a backbone. Raises
    :class:`InputError` where a combination is impossible.
    """
    compare = recipe.compare
    backbones = compare.backbones or [recipe.model.backbone]
    strategies = sorted(compare.strategies or [recipe.train.strategy], key=lambda s: s != "feature-extraction")
    seeds = compare.seeds or [recipe.train.seed]
    unknown = sorted(set(compare.overrides) - {*backbones, *BACKBONES})  # of a backbone left out they wait for it
    if unknown:
        raise InputError(
            f"compare.overrides names {', '.join(unknown)}, which is no backbone",
            where=recipe.name,
            hint=f"the study's backbones: {', '.join(backbones)}",
        )
    cells = []
    arms: list[str | None] = list(compare.arms) or [None]
    for seed, backbone, strategy, arm in product(seeds, backbones, strategies, arms):
        name = _run_name(backbone, strategy, arm, seed)
        document = recipe.document()
        document["compare"] = {}
        for key, value in compare.overrides.get(backbone, {}).items():
            assign(document, key, value)
        for key, value in compare.arms.get(arm or "", {}).items():
            assign(document, key, value)
        assign(document, "arm", arm)
        assign(document, "model.backbone", backbone)
        assign(document, "train.strategy", strategy)
        assign(document, "train.seed", seed)
        apply_budget(recipe, backbone, document)
        after = None
        if strategy == "fine-tuning" and "feature-extraction" in strategies:
            after = f"runs/{_run_name(backbone, 'feature-extraction', arm, seed)}"
            assign(document, "train.start_from", str(study.absolute() / after))
        complete = validate(document, f"{recipe.name}, cell {name}").document()
        cells.append(Cell(f"runs/{name}", backbone, strategy, seed, complete, arm, after))
    return cells


def _run_name(backbone: str, strategy: str, arm: str | None, seed: int) -> str:
    return "-".join([backbone, strategy, *([] if arm is None else [arm]), f"s{seed}"])


@contextmanager
def study_lock(path: Path) -> Iterator[Path]:
    """One process works on a study at a time; the lock (a file) goes with the process, however it ends.

    Raises :class:`InputError` where another has it.
    """
    file = path / ".lock"
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another edgekit compare is working on this study", where=str(path), hint="wait until it is done"
            ) from None
        yield file
    finally:
        os.close(handle)


class Study:
    """A folder with ``study.json`` and the runs it names; every change is on disk before the next step."""

    def __init__(self, path: Path, recipe: Recipe, cells: list[Cell], created: str) -> None:
        self.path, self.recipe, self.cells, self._created = path, recipe, cells, created
        self._lock = Lock()

    @property
    def file(self) -> Path:
        return self.path / "study.json"

    @classmethod
    def open(cls, path: Path, recipe: Recipe) -> Study:
        """A new study in ``path``, or the one that is there, if the recipe keeps all that was done for it.

        The recipe may ask for more (seeds, backbones, strategies, arms), for other corrupted images, and for other
        claims; a cell that was trained stays as it is. Raises :class:`InputError` where it asks for anything else.
        """
        cells = plan_cells(recipe, path)
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        if (path / "study.json").is_file():
            before = read_json(path / "study.json")
            _check_goes_on(validate(before["recipe"], str(path / "study.json")), recipe, path)
            created = before["created"]
            kept = {c["run"]: c for c in before["cells"]}
            cells = [
                replace(c, **{name: kept[c.run].get(name) for name in ("status", "error", "seconds")})
                if c.run in kept
                else c
                for c in cells
            ]
        elif path.is_dir() and any(path.iterdir()):
            raise InputError("this folder holds other things, no study", where=str(path), hint="choose another --out")
        study = cls(path, recipe, cells, created)
        if not study.file.is_file():
            study.save()
        return study

    def folder(self, cell: Cell) -> RunFolder:
        return RunFolder(self.path / cell.run)

    def cell(self, run: str) -> Cell:
        """The cell as it is now."""
        return next(cell for cell in self.cells if cell.run == run)

    def update(self, cell: Cell, status: str, error: str | None = None, **changes: Any) -> Cell:
        """Note how far a cell has come; the cell as it is then."""
        with self._lock:
            position = next(i for i, c in enumerate(self.cells) if c.run == cell.run)
            self.cells[position] = replace(self.cells[position], status=status, error=error, **changes)
            self.save()
            return self.cells[position]

    def save(self) -> None:
        write_json(self.file, self.document())

    def document(self) -> dict[str, Any]:
        """``study.json``: the recipe and the cells without their own copies of it.

        It does not tell where on this machine images and weights lie: who goes on with the study says so again, and
        the audit knows the images by their content.
        """
        cells = [{k: v for k, v in asdict(c).items() if k not in _NOT_STORED} for c in self.cells]
        recipe = without_places(self.recipe.document())
        return {"name": self.recipe.name, "created": self._created, "recipe": recipe, "cells": cells}


def _check_goes_on(before: Recipe, now: Recipe, path: Path) -> None:
    """Refuse a recipe under which a cell of the study would be another, or no longer there."""
    old = {cell.run: cell for cell in plan_cells(before, path)}
    new = {cell.run: cell for cell in plan_cells(now, path)}
    changed = {
        key
        for key in other_work(without_places(before.document()), without_places(now.document()))
        if not key.startswith("compare.")
    }
    for run in old.keys() & new.keys():
        changed.update(other_work(without_places(old[run].recipe), without_places(new[run].recipe)))
    if changed:
        raise InputError(
            f"this study was started with another recipe; different: {', '.join(sorted(changed))}",
            where=str(path),
            hint="choose another --out folder",
        )
    if missing := sorted(Path(run).name for run in old.keys() - new.keys()):
        raise InputError(
            f"this study has cells that the recipe does not ask for: {', '.join(missing)}",
            where=str(path),
            hint="a study can grow, not shrink: ask for them too, or choose another --out folder",
        )
