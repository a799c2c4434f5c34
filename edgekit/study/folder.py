"""The study folder: ``study.json``, the runs that it names, and the lock of the process that works on it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from threading import Lock

from edgekit.documents.folders import RunFolder
from edgekit.documents.study import (
    STUDY_FILE,
    CellRecord,
    CellStatus,
    ClaimsPlan,
    SearchRecord,
    StudyDocument,
    read_study,
)
from edgekit.errors import InputError
from edgekit.recipe import Recipe, other_work
from edgekit.recipe.redaction import redact_model, redact_paths
from edgekit.study.cells import Cell, plan_cells
from edgekit.support.locks import folder_lock


def study_lock(path: Path) -> AbstractContextManager[Path]:
    """Let one process at a time work on a study. The lock is released when the process ends, however it ends.

    Raises :class:`InputError` if another process holds it.
    """
    return folder_lock(path, "another edgekit compare is working on this study")


class Study:
    """A study folder. Every change to a cell is on disk before the next step."""

    def __init__(
        self, path: Path, recipe: Recipe, cells: list[Cell], created: str, claims_plan: ClaimsPlan | None
    ) -> None:
        self.path, self.recipe, self.cells, self._created = path, recipe, cells, created
        self._claims_plan = claims_plan
        self.search: SearchRecord | None = None
        """The search that selected the cells, if there was one."""
        self._lock = Lock()
        self._place = {cell.run: place for place, cell in enumerate(cells)}
        self._records: dict[str, tuple[Cell, CellRecord]] = {}
        """What ``study.json`` says of each cell: of a thousand cells, one changes at a time."""

    @property
    def file(self) -> Path:
        return self.path / STUDY_FILE

    @classmethod
    def open(cls, path: Path, recipe: Recipe) -> Study:
        """Create a study in ``path``, or open an existing one.

        The recipe of an existing study may add seeds, backbones, strategies or arms, and change the corrupted images
        and the claims; a cell that was trained stays as it is. The claims are recorded as planned until the study has
        its first result. Raises :class:`InputError` if the recipe changes anything else.
        """
        cells = plan_cells(recipe, path)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        created = now
        search: SearchRecord | None = None
        digests = tuple(claim.digest() for claim in recipe.claims)
        claims_plan: ClaimsPlan | None = ClaimsPlan(recorded=now, sha256=digests)
        if (path / STUDY_FILE).is_file():
            before = read_study(path)
            _check_is_extension(before.recipe, recipe, path)
            created, search = before.created, before.search
            kept = {record.run: record for record in before.cells}
            begun = any(_has_begun(record, path) for record in before.cells)
            cells = [_as_before(cell, kept.get(cell.run), begun=begun) for cell in cells]
            if begun or before.claims_plan is None:
                claims_plan = before.claims_plan
        elif path.is_dir() and any(path.iterdir()):
            raise InputError(
                "this folder is not empty and is not a study", where=str(path), hint="choose another --out folder"
            )
        study = cls(path, recipe, cells, created, claims_plan)
        study.search = search
        if not study.file.is_file():
            study.save()
        return study

    def folder(self, cell: Cell) -> RunFolder:
        return RunFolder(self.path / cell.run)

    def cell(self, run: str) -> Cell:
        """The present state of the cell in ``run``."""
        return self.cells[self._place[run]]

    def update(
        self,
        cell: Cell,
        status: CellStatus,
        error: str | None = None,
        *,
        seconds: float | None = None,
        attempts: int | None = None,
    ) -> Cell:
        """Store the new state of a cell and return it. ``seconds`` and ``attempts`` stay as they are where None."""
        with self._lock:
            position = self._place[cell.run]
            old = self.cells[position]
            self.cells[position] = replace(
                old,
                status=status,
                error=error,
                seconds=old.seconds if seconds is None else seconds,
                attempts=old.attempts if attempts is None else attempts,
            )
            self.save()
            return self.cells[position]

    def save(self) -> None:
        self.document().write(self.file)

    def document(self) -> StudyDocument:
        """``study.json``.

        It does not contain the paths of images and weights on this machine: whoever resumes the study names them again,
        and the audit recognizes the images by their content.
        """
        return StudyDocument(
            name=self.recipe.name,
            created=self._created,
            recipe=self._shared_recipe,
            cells=tuple(self._record(cell) for cell in self.cells),
            claims_plan=self._claims_plan,
            search=self.search,
        )

    @cached_property
    def _shared_recipe(self) -> Recipe:
        return redact_paths(self.recipe)

    def _record(self, cell: Cell) -> CellRecord:
        known = self._records.get(cell.run)
        if known is None or known[0] is not cell:
            known = cell, redact_model(cell.record(), [self.path, Path.cwd()])
            self._records[cell.run] = known
        return known[1]


def _has_begun(record: CellRecord, study: Path) -> bool:
    """Whether there is something to see of a cell: its training has at least been started."""
    return record.status != "waiting" or RunFolder(study / record.run).run_json.is_file()


def _as_before(cell: Cell, record: CellRecord | None, *, begun: bool) -> Cell:
    """A planned cell with what the study recorded of it; ``begun``: whether the study already had results."""
    if record is None:
        return replace(cell, added_later=begun)
    return replace(
        cell,
        status=record.status,
        error=record.error,
        seconds=record.seconds,
        added_later=record.added_later,
    )


def _check_is_extension(before: Recipe, now: Recipe, path: Path) -> None:
    """Refuse a recipe that would change or drop a cell of the study."""
    old = {cell.run: cell for cell in plan_cells(before, path)}
    new = {cell.run: cell for cell in plan_cells(now, path)}
    changed = {key for key in _changes(before, now) if not key.startswith("compare.")}
    for run in old.keys() & new.keys():
        changed.update(_changes(old[run].recipe, new[run].recipe))
    if changed:
        raise InputError(
            f"this study was started with a different recipe; the changed settings are: {', '.join(sorted(changed))}",
            where=str(path),
            hint="restore these settings, or use a new --out folder",
        )
    if missing := sorted(Path(run).name for run in old.keys() - new.keys()):
        raise InputError(
            f"cells cannot be removed from an existing study; the recipe lacks: {', '.join(missing)}",
            where=str(path),
            hint="keep them in the recipe, or use a new --out folder",
        )


def _changes(before: Recipe, now: Recipe) -> list[str]:
    """Settings that differ and change what is trained or measured; where the files are does not matter."""
    return other_work(redact_paths(before).document(), redact_paths(now).document())
