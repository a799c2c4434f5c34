"""The file of a baseline: a zip archive with run folders in miniature, small enough to be committed.

It contains ``baseline.json``, and for each run ``run.json``, the test images of ``dataset.csv``, the export documents,
the bench results with their raw samples and predictions, and the exported files themselves if the user asks for that.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.device.archives import DAMAGED
from edgekit.documents.base import JsonObject
from edgekit.documents.bench import BenchDocument
from edgekit.documents.dataset_list import DatasetRow, read_dataset_csv
from edgekit.documents.export import ExportDocument
from edgekit.documents.regression import BaselineDocument, BaselineFile, BaselineRun
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.support.files import atomic_path
from edgekit.support.os_errors import reason_of
from edgekit.support.suggestions import did_you_mean

FOLDER = Path("gates")
"""Where baselines are by default, below the current folder."""

SUFFIX = ".zip"
LIST = "baseline.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry, so that the same content gives the same file."""

MOST_BYTES = 2 << 30
"""Largest entry that is read."""


def baseline_path(name: str, folder: Path) -> Path:
    """The file of the baseline ``name``; :class:`InputError` for a name that cannot be one of a file."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a baseline",
            hint="use up to 100 letters, digits, dots, hyphens and underscores, beginning with a letter or digit",
        )
    return folder / f"{name}{SUFFIX}"


def write_archive(path: Path, entries: Iterable[tuple[str, bytes]]) -> None:
    """Write the entries (name and content) into a zip archive, atomically."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name, content in entries:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            out.writestr(info, content)


def export_entry(run: BaselineRun, file: BaselineFile) -> str:
    """The name of the entry with ``export.json``."""
    return f"{run.folder}/exports/{file.key}/export.json"


def model_entry(run: BaselineRun, file: BaselineFile) -> str:
    """The name of the entry with the exported file."""
    return f"{run.folder}/exports/{file.key}/model"


def bench_entry(run: BaselineRun, file: BaselineFile, target: str) -> str:
    """The name of the entry with the bench result."""
    return f"{run.folder}/bench/{target}/{file.key}.json"


def predictions_entry(run: BaselineRun, file: BaselineFile, target: str) -> str:
    """The name of the entry with the predictions."""
    return f"{run.folder}/bench/{target}/{file.key}-predictions.npz"


@dataclass(frozen=True)
class Baseline:
    """A saved baseline. Every method that reads raises :class:`InputError` for a damaged file."""

    path: Path
    document: BaselineDocument

    @property
    def targets(self) -> list[str]:
        """The targets that any of its files was measured on."""
        return list(dict.fromkeys(t for run in self.document.runs for file in run.files for t in file.targets))

    def run(self, run: BaselineRun) -> RunDocument:
        """``run.json``, without the paths of the machine that it was saved on."""
        return RunDocument.parse(self._json(f"{run.folder}/run.json"), self._where("run.json"))

    def export(self, run: BaselineRun, file: BaselineFile) -> ExportDocument:
        """``export.json`` of one of its files."""
        return ExportDocument.parse(self._json(export_entry(run, file)), self._where("export.json"))

    def bench(self, run: BaselineRun, file: BaselineFile, target: str) -> BenchDocument | None:
        """The bench result of one of its files; None if it was not measured on ``target``."""
        if target not in file.targets:
            return None
        return BenchDocument.parse(self._json(bench_entry(run, file, target)), self._where(f"{file.key}.json"))

    def predictions(self, run: BaselineRun, file: BaselineFile, target: str) -> bytes:
        """The ``.npz`` of the predictions."""
        return self.read(predictions_entry(run, file, target))

    def images(self, run: BaselineRun, scratch: Path) -> list[DatasetRow]:
        """The test images. ``scratch`` is where their list is unpacked."""
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(self.read(f"{run.folder}/dataset.csv"))
        return read_dataset_csv(scratch)

    def read(self, entry: str) -> bytes:
        """The content of an entry."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                if archive.getinfo(entry).file_size > MOST_BYTES:
                    raise InputError(f"this baseline is damaged: {entry} is too large", where=str(self.path))
                return archive.read(entry)
        except KeyError:
            raise InputError(f"this baseline is damaged: it lacks {entry}", where=str(self.path)) from None
        except DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise InputError(f"this baseline cannot be read: {reason_of(error)}", where=str(self.path)) from None
            raise InputError("this file is not a baseline, or is damaged", where=str(self.path)) from None

    def _json(self, entry: str) -> JsonObject:
        return parse_json(self.read(entry), f"{self.path}, {entry}")

    def _where(self, entry: str) -> str:
        return f"{self.path}, {entry}"


def parse_json(content: bytes, where: str) -> JsonObject:
    """A JSON object; :class:`InputError` otherwise."""
    import json

    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError("this file is damaged: it is not readable JSON", where=where)
    return value


def read_baseline(name: str, folder: Path) -> Baseline:
    """The baseline ``name`` in ``folder``; :class:`InputError` if there is none or it is damaged."""
    path = baseline_path(name, folder)
    if not path.is_file():
        names = sorted(entry.stem for entry in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
        question = did_you_mean(name, names)
        known = f"baselines here: {', '.join(names)}" if names else f"save one: edgekit gate save {name} RUN"
        raise InputError(
            f"there is no baseline {name!r}{f'; {question}' if question else ''}", where=str(path), hint=known
        )
    empty = BaselineDocument.model_construct()
    document = BaselineDocument.parse(Baseline(path, empty)._json(LIST), f"{path}, {LIST}")
    return Baseline(path, document)
