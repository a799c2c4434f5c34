"""Checks that a resumed run trains on the images it was started with: exactly those of its ``dataset.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgekit.data.dataset import Dataset
from edgekit.documents.dataset_list import DatasetRow, read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import DatasetRecord, SkippedImage
from edgekit.errors import InputError

MOST_NAMED = 3


class SameImages:
    """The images of a run that is resumed; raises :class:`InputError` if the list of them is missing or damaged.

    A run that was stopped before it wrote the list has not trained anything yet. For such a run, the fingerprint has
    to be the same.
    """

    def __init__(self, run: RunFolder, record: DatasetRecord) -> None:
        self._run, self._record = run, record
        trained = run.checkpoint.exists() or run.history.exists() or run.model.exists()
        self._rows = _read_rows(run, record) if trained or run.dataset.exists() else None

    def check(self, dataset: Dataset, *, skip_corrupt: bool) -> None:
        """Raise :class:`InputError` for other images, before any image is decoded.

        With ``skip_corrupt``, an image that is not in the list may be one that was left out when the run was started.
        """
        if self._rows is None:
            return
        rows = dataset.rows()
        if skip_corrupt:
            listed = {row.path for row in self._rows}
            rows = [row for row in rows if row.path in listed or not self._may_be_corrupt(row)]
        self._compare(rows, dataset.root)

    def check_decoded(self, dataset: Dataset) -> None:
        """Raise :class:`InputError` unless the images that could be decoded are exactly those of the list."""
        if self._rows is not None:
            self._compare(dataset.rows(), dataset.root)
        elif dataset.fingerprint != self._record.fingerprint:
            raise InputError(
                "the images have changed since this run was started",
                where=str(dataset.root),
                hint="restore the images, or start a new run with another --run folder",
            )

    def _may_be_corrupt(self, row: DatasetRow) -> bool:
        skipped = self._record.corrupt
        return skipped is None or SkippedImage(path=row.path, sha256=row.sha256) in skipped

    def _compare(self, rows: Iterable[DatasetRow], root: Path) -> None:
        assert self._rows is not None
        changes = _changes({row.path: row for row in self._rows}, {row.path: row for row in rows})
        if changes:
            counts = ", ".join(f"{len(paths)} {what}" for what, paths in changes.items())
            paths = [path for found in changes.values() for path in found]
            more = ", ..." if len(paths) > MOST_NAMED else ""
            raise InputError(
                f"the images have changed since this run was started: {counts} ({', '.join(paths[:MOST_NAMED])}{more})",
                where=str(root),
                hint=f"restore the images listed in {self._run.dataset}, or start a new run with another --run folder",
            )


def _changes(before: dict[str, DatasetRow], now: dict[str, DatasetRow]) -> dict[str, list[str]]:
    """The changed paths by kind of change; kinds that did not occur are left out."""
    found: dict[str, list[str]] = {
        "added": [],
        "removed": [],
        "changed": [],
        "moved to another class": [],
        "renamed": [],
        "moved to another split": [],
    }
    gone = {row.sha256: row for path, row in sorted(before.items(), reverse=True) if path not in now}
    moved_from = set()
    for path, row in sorted(now.items()):
        old = before.get(path)
        if old is None:
            old = gone.pop(row.sha256, None)
            if old is None:
                found["added"].append(path)
                continue
            moved_from.add(old.path)
        if old.sha256 != row.sha256:
            found["changed"].append(path)
        elif old.label != row.label:
            found["moved to another class"].append(path)
        elif old.split != row.split:
            found["moved to another split"].append(path)
        elif old.path != path:
            found["renamed"].append(path)
    found["removed"] = sorted(before.keys() - now.keys() - moved_from)
    return {what: paths for what, paths in found.items() if paths}


def _read_rows(run: RunFolder, record: DatasetRecord) -> list[DatasetRow]:
    hint = "restore the file, or start a new run with another --run folder"
    try:
        rows = read_dataset_csv(run.dataset)
        listed = Dataset.from_rows(rows, Path(record.root), record.name, record.classes)
    except InputError as error:
        raise InputError(error.problem, where=error.where, hint=hint) from None
    except KeyError as error:
        raise InputError(
            f"the run's list of images is damaged: {error} is not a class of the run", where=str(run.dataset), hint=hint
        ) from None
    if listed.fingerprint != record.fingerprint:
        raise InputError(
            "the run's list of images is damaged: it does not match run.json", where=str(run.dataset), hint=hint
        )
    return rows
