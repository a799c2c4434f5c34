"""What is measured: the exports of runs and single model files, with all that is known about each beforehand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.device.failures import DeviceError
from edgekit.device.images import RESIZES
from edgekit.device.scaling import parse_scaling
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.errors import InputError
from edgekit.support.files import gzip_size, sha256_file
from edgekit.support.progress import Progress

FOREIGN = "foreign"
"""The scheme of files that edgekit did not make: how they were quantized is not known."""


@dataclass(frozen=True)
class Candidate:
    """One model file. ``key`` names it in its folder, ``id`` in the session."""

    path: Path
    key: str
    id: str
    format: str
    scheme: str
    folder: Path
    """Its run folder, or the folder that the results of a foreign file go below."""
    run: dict[str, Any] | None
    """``run.json``; None for a foreign file."""
    sha256: str
    size_bytes: int
    gzip_bytes: int
    labels: tuple[str, ...] | None = None
    scaling: Any = None
    resize: str | None = None
    runtime: str | None = None
    operators: dict[str, Any] | None = None
    """How many of each kind it consists of, and which compute with floats; None for a foreign file."""

    def document_path(self, target: str) -> Path:
        """Where its result goes."""
        return RunFolder(self.folder).bench_json(target, self.key)

    def job(self, images: Sequence[Path] = ()) -> dict[str, Any]:
        """How a job of the device program names this file."""
        return {
            "key": self.id,
            "path": str(self.path),
            "runtime": self.runtime,
            "scaling": self.scaling,
            "resize": self.resize or "stretch",
            "activation": "auto" if self.run is None else "none",
            "images": [str(path) for path in images],
        }


@dataclass(frozen=True)
class ForeignOptions:
    """What a person says about files that edgekit did not make."""

    labels: Path | None = None
    scaling: str | None = None
    resize: str | None = None
    out: Path | None = None

    @property
    def given(self) -> list[str]:
        return [f"--{name}" for name in ("labels", "scaling", "resize", "out") if getattr(self, name) is not None]

    def check(self) -> None:
        """Raise :class:`InputError` for a value that the device program would not take."""
        if self.resize is not None and self.resize not in RESIZES:
            raise InputError(f"{self.resize!r} is not a way to resize", hint=f"choose one of: {', '.join(RESIZES)}")
        if self.scaling is not None:
            try:
                parse_scaling(self.scaling)
            except DeviceError as error:
                raise InputError(error.reason) from None


def collect(paths: Sequence[Path], options: ForeignOptions, progress: Progress) -> list[Candidate]:
    """The files that ``paths`` (run folders, export folders, model files) stand for, each once, in the order given.

    A file in the ``exports`` of a run belongs to that run. Raises :class:`InputError` for what is none of these.
    """
    options.check()
    found: dict[Path, Candidate] = {}
    for path in paths:
        for candidate in _candidates(path.expanduser().absolute(), options, progress):
            found.setdefault(candidate.path.resolve(), candidate)
    candidates = _distinct(list(found.values()))
    if options.given and all(c.run is not None for c in candidates):
        raise InputError(
            f"{' and '.join(options.given)} is for files that edgekit did not make; these are exports of runs",
            hint="leave it out: a run knows its labels, scaling and folder",
        )
    return candidates


def _candidates(path: Path, options: ForeignOptions, progress: Progress) -> list[Candidate]:
    if not path.exists():
        raise InputError("there is no such file or folder", where=str(path))
    if (path / "export.json").is_file():
        return [_export(ExportFolder(path))]
    if path.is_dir():
        return _exports_of_run(RunFolder(path), progress)
    if (path.parent / "export.json").is_file() and ExportFolder(path.parent).model() == path:
        return [_export(ExportFolder(path.parent))]
    return [_foreign(path, options)]


def _exports_of_run(run: RunFolder, progress: Progress) -> list[Candidate]:
    run.read_finished()
    exports = run.done_exports()
    good = [export for export in exports if export.read().get("status", "ok") == "ok"]
    for export in exports:
        if export not in good:
            progress.warn(f"{export.path} is left out: its check did not hold (see export.json)")
    if not good:
        raise InputError("this run has no exported files", where=str(run.path), hint=f"edgekit export {run.path}")
    return [_export(export) for export in good]


def _export(export: ExportFolder) -> Candidate:
    run = RunFolder(export.path.parent.parent)
    document = export.read()
    path = export.model()
    if not path.is_file():
        raise InputError("the exported file is missing", where=str(path), hint=f"edgekit export {run.path}")
    sha256 = sha256_file(path)
    if sha256 != document["sha256"]:
        raise InputError(
            "this file is not the one that was exported (its SHA-256 differs from export.json)",
            where=str(path),
            hint=f"export again: edgekit export {run.path}",
        )
    run_document = run.read_finished()
    return Candidate(
        path=path,
        key=export.key,
        id=f"{run_document['run_id']}/{export.key}",
        format=document["format"],
        scheme=document["scheme"],
        folder=run.path,
        run=run_document,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        gzip_bytes=int(document["gzip_bytes"]),
        labels=tuple(document["labels"]),
        resize=document.get("resize"),
        operators={"counts": document.get("operators"), "float": document.get("float_operators")},
    )


def _foreign(path: Path, options: ForeignOptions) -> Candidate:
    suffix = path.suffix.lower()
    if suffix not in {".tflite", ".onnx"}:
        raise InputError(
            "this is neither a run folder nor a .tflite or .onnx file",
            where=str(path),
            hint="give a folder that `edgekit train` made, or a model file",
        )
    folder = options.out.expanduser().absolute() if options.out is not None else path.parent
    if not os.access(_existing(folder), os.W_OK):
        raise InputError("results cannot be written here", where=str(folder), hint="give another folder: --out DIR")
    return Candidate(
        path=path,
        key=f"{path.stem}-{suffix[1:]}",
        id=path.name,
        format=suffix[1:],
        scheme=FOREIGN,
        folder=folder,
        run=None,
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        gzip_bytes=gzip_size(path),
        labels=None if options.labels is None else read_labels(options.labels),
        scaling=options.scaling,
        resize=options.resize,
    )


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names, one a line, in the order of the model's outputs."""
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the labels cannot be read: {error}", where=str(path)) from None


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Files of the same id (two runs of one name, two files of one name) are told apart by their path.

    Two results must not go to one place.
    """
    ids = [c.id for c in candidates]
    named = [replace(c, id=str(c.path)) if ids.count(c.id) > 1 else c for c in candidates]
    places = [c.document_path("") for c in named]
    for candidate, place in zip(named, places):
        if places.count(place) > 1:
            raise InputError(
                "the results of two files would go to one place", where=str(candidate.path), hint="bench them apart"
            )
    return named


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
