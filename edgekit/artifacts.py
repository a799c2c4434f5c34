"""Files that stages leave for each other: where they lie in a run folder, how they are written and read."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError

SCHEMA_VERSION = 1
"""Version of every JSON document that edgekit writes; raised when an old reader could misread it."""

TEMPORARY = re.compile(r"\..+\.edgekit-[a-z0-9_]{8}\.tmp(\..*)?", re.DOTALL)
"""Names of files that are being written, of :func:`atomic_path` alone."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends without an error.

    A crash, an interrupt or a full disk leaves the old file, or none, never a half-written one. The temporary
    name keeps the suffix, because Keras and others choose a format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:])
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.edgekit-", suffix=f".tmp{suffix}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporaries(folder: Path) -> Iterator[Path]:
    """The files that killed commands left half written in ``folder`` and below, by their names.

    Links are not followed, and hidden folders are passed over: edgekit writes into none.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(place, name) for name in files if TEMPORARY.fullmatch(name)):
            if stat.S_ISREG(file.lstat().st_mode):
                yield file


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document atomically, with ``schema_version`` first. NaN is refused, never written."""
    document = {"schema_version": SCHEMA_VERSION, **document}
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a document that :func:`write_json` wrote.

    Raises :class:`InputError` where it is missing, is not JSON, or was written by a newer edgekit.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file is missing", where=str(path), hint="give the folder that edgekit wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"this file is not readable JSON ({error})", where=str(path)) from None
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise InputError("this file was not written by edgekit (no schema_version)", where=str(path))
    if document["schema_version"] > SCHEMA_VERSION:
        raise InputError(
            f"this was written by a newer edgekit (schema {document['schema_version']}, "
            f"this edgekit reads up to {SCHEMA_VERSION})",
            where=str(path),
            hint="upgrade edgekit: pip install --upgrade edgekit",
        )
    return document


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def gzip_size(path: Path) -> int:
    """Size in bytes after gzip at its usual level: what an update over the air costs.

    Plain weights hardly shrink, and ISA-L says by how much in a tenth of zlib's time, to 0.2%. What does shrink
    (pruned or clustered weights) is given to zlib itself, which finds more.
    """
    from isal import isal_zlib

    size = _packed_size(path, isal_zlib.compressobj(isal_zlib.ISAL_BEST_COMPRESSION, wbits=zlib.MAX_WBITS | 16))
    if size > 0.85 * path.stat().st_size:
        return size
    return _packed_size(path, zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16))


def _packed_size(path: Path, packer: Any) -> int:
    size = 0
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            size += len(packer.compress(block))
    return size + len(packer.flush())


@dataclass(frozen=True)
class RunFolder:
    """The folder of one trained model. Every stage finds and leaves its files through these names."""

    path: Path

    @property
    def run_json(self) -> Path:
        return self.path / "run.json"

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def labels(self) -> Path:
        return self.path / "labels.txt"

    @property
    def dataset(self) -> Path:
        """Which image is in which split: ``path,class,split,sha256``."""
        return self.path / "dataset.csv"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def predictions(self) -> Path:
        """Test split: ``labels`` (N,), ``probabilities`` (N, classes), ``files`` (N,)."""
        return self.path / "predictions.npz"

    @property
    def checkpoint(self) -> Path:
        """What ``--resume`` needs; removed when training is done."""
        return self.path / "checkpoint"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    def export(self, key: str) -> ExportFolder:
        """The folder of the export called ``format-scheme``."""
        return ExportFolder(self.exports / key)

    def bench_json(self, target: str, key: str) -> Path:
        return self.path / "bench" / target / f"{key}.json"

    @property
    def gradcam(self) -> Path:
        """``gradcam.json`` and pictures of where the network looks in some test images."""
        return self.figures / "gradcam"

    @property
    def corruptions(self) -> Path:
        """Answers to corrupted test images: ``<target>/<model>/<corruption>.npz``."""
        return self.path / "corruptions"

    @property
    def report(self) -> Path:
        return self.path / "report"

    def read(self) -> dict[str, Any]:
        """``run.json`` of a finished or unfinished run."""
        if not self.path.is_dir():
            raise InputError("this run folder does not exist", where=str(self.path))
        if not self.run_json.is_file():
            raise InputError(
                "this is not a run folder: it has no run.json",
                where=str(self.path),
                hint="give a folder that `edgekit train` made",
            )
        return read_json(self.run_json)

    def read_finished(self) -> dict[str, Any]:
        """``run.json`` of a run whose training is done; :class:`InputError` otherwise."""
        document = self.read()
        if document.get("status") != "done":
            raise InputError(
                "training of this run is not finished",
                where=str(self.path),
                hint=f"edgekit train --run {self.path} --resume",
            )
        return document

    def read_labels(self) -> list[str]:
        """Class names in the order of the model's outputs."""
        return self.labels.read_text(encoding="utf-8").splitlines()

    def done_exports(self) -> list[ExportFolder]:
        """The exports that were written to the end, in the order of their names."""
        if not self.exports.is_dir():
            return []
        return [ExportFolder(p.parent) for p in sorted(self.exports.glob("*/export.json"))]


@dataclass(frozen=True)
class ExportFolder:
    """One exported file with its check."""

    path: Path

    @property
    def key(self) -> str:
        return self.path.name

    @property
    def export_json(self) -> Path:
        return self.path / "export.json"

    @property
    def golden(self) -> Path:
        """``inputs`` uint8 (N, H, W, 3), ``outputs`` float32 (N, classes) of the exported file itself."""
        return self.path / "golden.npz"

    @property
    def predictions(self) -> Path:
        """Parity images: ``indices``, ``keras`` and ``exported`` probabilities."""
        return self.path / "parity.npz"

    @property
    def calibration(self) -> Path:
        """The calibration report of an int8 file."""
        return self.path / "calibration.json"

    def read(self) -> dict[str, Any]:
        return read_json(self.export_json)

    def model(self) -> Path:
        """The exported file, named in ``export.json``."""
        return self.path / str(self.read()["file"])


@dataclass(frozen=True)
class DatasetRow:
    """One image of a dataset: POSIX path below the dataset's root, class name, split, SHA-256 of the file."""

    path: str
    label: str
    split: str
    sha256: str


def write_dataset_csv(path: Path, rows: list[DatasetRow]) -> None:
    """Write the list of images atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "class", "split", "sha256"])
        writer.writerows((r.path, r.label, r.split, r.sha256) for r in rows)


def read_dataset_csv(path: Path) -> list[DatasetRow]:
    """Read the list of images; :class:`InputError` where the file is missing, damaged or none."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            if next(reader, None) != ["path", "class", "split", "sha256"]:
                raise InputError("this is not a dataset list of edgekit", where=str(path))
            rows = []
            for row in reader:
                if len(row) != 4:
                    raise InputError(f"the run's list of images is damaged at line {reader.line_num}", where=str(path))
                rows.append(DatasetRow(*row))
            return rows
    except FileNotFoundError:
        raise InputError("the run's list of images is missing", where=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the run's list of images is damaged ({error})", where=str(path)) from None
