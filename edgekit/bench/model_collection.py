"""Finds the models that paths on the command line refer to: runs, exported files, third-party models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.bench.measured_model import THIRD_PARTY, MeasuredModel
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.runtime_table import SUFFIXES
from edgekit.documents.bench import FileOperators
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.errors import InputError
from edgekit.support.files import gzip_size, sha256_file
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import Progress
from edgekit.targets.sendable import external_data


def collect_models(
    paths: Sequence[Path], options: ThirdPartyOptions, progress: Progress, *, results: bool = True
) -> list[MeasuredModel]:
    """The models that ``paths`` (run folders, export folders, model files) refer to, each once, in the given order.

    A file in the ``exports`` folder of a run belongs to that run. Raises :class:`InputError` for any other path, and
    with ``results`` also where no result can be written.
    """
    given, options = options.given, options.checked()
    found: dict[Path, MeasuredModel] = {}
    for path in paths:
        for model in _models_at(expanded(path).absolute(), options, progress):
            found.setdefault(model.path.resolve(), model)
    models = _with_distinct_ids(list(found.values()))
    if results:
        for folder in dict.fromkeys(model.folder for model in models):
            check_writable(folder, hint="for a third-party model, use another folder: --out DIR")
    if given and all(model.run is not None for model in models):
        raise InputError(
            f"only third-party models take {' and '.join(given)}; these files are exports of runs",
            hint="leave out the option: the run provides labels, scaling and folder",
        )
    return models


def _models_at(path: Path, options: ThirdPartyOptions, progress: Progress) -> list[MeasuredModel]:
    if not path.exists():
        raise InputError("no such file or folder", where=str(path))
    if (path / "export.json").is_file():
        return [_exported(ExportFolder(path))]
    if path.is_dir():
        return _exports_of_run(RunFolder(path), progress)
    if (path.parent / "export.json").is_file() and ExportFolder(path.parent).model() == path:
        return [_exported(ExportFolder(path.parent))]
    return [_third_party(path, options)]


def _exports_of_run(run: RunFolder, progress: Progress) -> list[MeasuredModel]:
    run.read_finished_run()
    exports = run.done_exports()
    passed = [export for export in exports if export.read_export().ok]
    for export in exports:
        if export not in passed:
            progress.warn(f"skipping {export.path}: the export failed its check (see export.json)")
    if not passed:
        raise InputError("this run has no exported files", where=str(run.path), hint=run.export_command)
    return [_exported(export) for export in passed]


def _exported(export: ExportFolder) -> MeasuredModel:
    run = RunFolder(export.path.parent.parent)
    document = export.read_export()
    path = export.path / document.file
    if not path.is_file():
        raise InputError("the exported file is missing", where=str(path), hint=run.export_command)
    sha256 = sha256_file(path)
    if sha256 != document.sha256:
        raise InputError(
            "this file has changed since it was exported (its SHA-256 differs from export.json)",
            where=str(path),
            hint=f"export it again: {run.export_command}",
        )
    run_document = run.read_finished_run()
    return MeasuredModel(
        path=path,
        key=export.key,
        id=f"{run_document.run_id}/{export.key}",
        format=document.format,
        scheme=document.scheme,
        folder=run.path,
        run=run_document,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        gzip_bytes=document.gzip_bytes,
        labels=document.labels,
        resize=document.resize,
        pixel_range=document.pixel_range,
        operators=FileOperators(counts=document.operators, float=document.float_operators),
        limits=None if document.gate is None else document.gate.limits,
    )


def _third_party(path: Path, options: ThirdPartyOptions) -> MeasuredModel:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            "this is neither a run folder nor a .tflite, .onnx or .ncnn file",
            where=str(path),
            hint="export the run that it belongs to, and pass the run folder or the exported file"
            if suffix in {".keras", ".h5"}
            else "pass a run folder (from `edgekit train`) or a model file",
        )
    folder = expanded(options.out).absolute() if options.out is not None else path.parent
    external = external_data(path)
    files = (path, *external.values())
    return MeasuredModel(
        path=path,
        key=f"{path.stem}-{suffix[1:]}",
        id=path.name,
        format=suffix[1:],
        scheme=THIRD_PARTY,
        folder=folder,
        run=None,
        sha256=_sha256(path, external),
        size_bytes=sum(file.stat().st_size for file in files),
        gzip_bytes=sum(gzip_size(file) for file in files),
        labels=options.read_labels(),
        scaling=options.scaling,
        resize=options.resize,
        filter=options.filter,
        image_size=options.size,
        output=options.output,
        activation=options.activation,
        preset=options.preset,
        external=tuple(external.values()),
    )


def _sha256(path: Path, external: Mapping[str, Path]) -> str:
    """The SHA-256 of the file. With external data, that of the list of all files and their own SHA-256."""
    if not external:
        return sha256_file(path)
    lines = [f"{sha256_file(path)}  model.onnx\n"]
    lines += [f"{sha256_file(file)}  {location}\n" for location, file in sorted(external.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _with_distinct_ids(models: list[MeasuredModel]) -> list[MeasuredModel]:
    """Models with the same id (two runs of one name, two files of one name) get their path as id.

    Raises :class:`InputError` if the results of two models would overwrite each other.
    """
    ids = [model.id for model in models]
    named = [replace(model, id=str(model.path)) if ids.count(model.id) > 1 else model for model in models]
    places = [model.result_path("") for model in named]
    for model, place in zip(named, places):
        if places.count(place) > 1:
            raise InputError(
                "the results of two files would overwrite each other",
                where=str(model.path),
                hint="benchmark them in separate commands, with different --out folders",
            )
    return named
