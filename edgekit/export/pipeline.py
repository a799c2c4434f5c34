"""The export stage: a finished run in, deployable files out, each checked before it is called done."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.device.failures import MissingRuntimeError
from edgekit.device.memory import peak_bytes, reset_peak
from edgekit.device.runtimes import default_runtime
from edgekit.documents.base import write_json
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.errors import CheckFailed, ConversionFailed, InputError
from edgekit.export.check.clipping import calibration_report, saturation_warnings, summary
from edgekit.export.check.exported_file import Reference, check_file
from edgekit.export.compress.training import Further, FurtherTrainings
from edgekit.export.formats import PACKAGES, FileFacts, Maker, QuantizingMaker, installed_version, maker_class
from edgekit.export.network import INSTALL, TrainedNetwork, load_network, prepare_keras
from edgekit.export.repair.int8_repair import Mending
from edgekit.export.sample_images import Samples, calibration_warnings, read_samples
from edgekit.export.tflite import edge_quantizer
from edgekit.export.tflite.weight_counts import count_weights
from edgekit.recipe import Recipe, assign, validate
from edgekit.registry import Scheme, get_backbone, get_scheme
from edgekit.support.files import gzip_size, temporaries, write_bytes
from edgekit.support.frameworks import need_model_optimization
from edgekit.support.progress import SILENT, Progress

_PARTIAL = ".partial"

_LAST_RESORT = get_scheme("tflite-int8-qat")
"""What a repair ends with."""


def export_recipe(run: RunFolder, settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a finished run with other values of its export section (``export.calibration.images``).

    Raises :class:`InputError` for any other key.
    """
    changed = deepcopy(run.read_finished()["recipe"])
    for key, value in settings.items():
        if not key.startswith("export."):
            raise InputError(
                f"{key} was settled when the run was trained",
                where=str(run.run_json),
                hint="an export takes settings that begin with export., e.g. export.calibration.images=500",
            )
        assign(changed, key, value)
    return validate(changed, str(run.run_json))


def export_run(
    run: RunFolder,
    keys: Sequence[str] = (),
    *,
    settings: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    data_root: Path | None = None,
) -> list[dict[str, Any]]:
    """Make the files called ``keys`` (``tflite-int8``; none: those of the run's recipe); their ``export.json``.

    ``settings`` are as in :func:`export_recipe`.
    An existing export is replaced when the new one is complete. ``data_root`` says where the run's images are now.
    Raises :class:`InputError` before slow work, and :class:`CheckFailed` after all files are written if the check of
    one did not hold; that file is kept, and its ``export.json`` says so.
    """
    document = run.read_finished()
    schemes = [get_scheme(key) for key in dict.fromkeys(keys)]
    # What some other file could not have does not matter.
    chosen = {"export.files": [scheme.key for scheme in schemes]} if schemes else {}
    recipe = export_recipe(run, {**chosen, **(settings or {})})
    schemes = schemes or [get_scheme(key) for key in recipe.export.files]
    _need_tools(schemes, recipe)
    calibration, parity = read_samples(run, document, recipe, data_root, progress)
    calibrated = _calibration(calibration) if any(scheme.calibrated for scheme in schemes) else None
    for warning in calibrated["warnings"] if calibrated else []:
        progress.warn(warning)
    prepare_keras(need_tensorflow="tflite" in _formats(schemes))
    network = load_network(run, document)
    facts = _file_facts(document, recipe, network.labels, network.image_size)
    max_drop = None if recipe.export.max_drop is None else recipe.export.max_drop / 100
    reference = Reference(facts, parity, network.predict(parity.pixels), max_drop)
    common = _common(document, network, recipe)
    further = FurtherTrainings(run.exports, network, recipe, calibration, reference, progress)
    makers: dict[str, QuantizingMaker] = {}
    trained_makers: dict[tuple[str, str], Maker] = {}
    documents, failures = [], []
    with progress.bar("exporting", len(schemes)) as bar:
        for scheme in schemes:
            bar.note(scheme.key)
            trained = further.get(scheme.training) if scheme.training else None
            maker: Maker
            mending = None
            if trained:
                kind = (scheme.format, scheme.training)
                if kind not in trained_makers:
                    trained_makers[kind] = trained.maker(scheme.format)
                maker = trained_makers[kind]
            else:
                if scheme.format not in makers:
                    make = maker_class(scheme.format)
                    makers[scheme.format] = make(network, calibration.pixels, facts, recipe.export)
                maker = makers[scheme.format]
                mending = Mending(recipe, makers[scheme.format], calibration, network, progress)
            bar.advance()
            try:
                documents.append(_export(run, scheme, maker, reference, calibrated, common, mending, trained))
            except ConversionFailed as error:  # this file cannot be made; the others can
                failures.append(f"{scheme.key}: {error.problem}")
                _remove_export(run.export(scheme.key))  # an older one is of other settings
                continue
            for warning in documents[-1]["warnings"]:
                progress.warn(f"{scheme.key}: {warning}")
            if scheme.key == "tflite-int8" and _floats_did_not_help(documents[-1]) and _LAST_RESORT not in schemes:
                _add_last_resort(schemes, progress)
    further.forget()
    _raise_failed(run, documents, failures)
    return documents


def _floats_did_not_help(document: dict[str, Any]) -> bool:
    """Whether a repair was tried and no choice of layers in float made the gate hold."""
    return document.get("repair") is not None and not document["repair"]["held"]


def _add_last_resort(schemes: list[Scheme], progress: Progress) -> None:
    """Quantization-aware training as one more file, where it is installed."""
    try:
        need_model_optimization()
    except InputError as error:
        progress.warn(f"repair: quantization-aware training could not be tried: {error.problem}; {error.hint}")
    else:
        progress.info(f"repair: layers in float did not help, so {_LAST_RESORT.key} is made too")
        schemes.append(_LAST_RESORT)


def _formats(schemes: Sequence[Scheme]) -> set[str]:
    """The formats of the files, and of those that they are made from."""
    return {get_scheme(key).format for scheme in schemes for key in (scheme.key, scheme.source) if key is not None}


def _need_tools(schemes: Sequence[Scheme], recipe: Recipe) -> None:
    if any(scheme.training for scheme in schemes):
        need_model_optimization()
    if any(scheme.source for scheme in schemes) and importlib.util.find_spec("tf2onnx") is None:
        raise InputError("tf2onnx is not installed, and int8-tflite is made with it", hint="pip install tf2onnx")
    quantized = any(scheme.format == "tflite" and scheme.numbers in ("int8", "dynamic") for scheme in schemes)
    wanted = recipe.export.quantizer == edge_quantizer.NAME and quantized
    if wanted and importlib.util.find_spec(edge_quantizer.MODULE) is None:
        raise InputError(
            "export.quantizer is ai-edge-quantizer, which is not installed",
            hint="pip install 'edgekit[quantizer]', or --quantizer converter",
        )
    for file_format in sorted(_formats(schemes)):
        for module in PACKAGES[file_format]:
            if importlib.util.find_spec(module) is None:
                raise InputError(f"{module} is not installed, and .{file_format} files are made with it", hint=INSTALL)
        try:
            default_runtime(file_format)
        except MissingRuntimeError as error:
            raise InputError(f"{error.reason}, so exported files cannot be checked", hint=INSTALL) from None


def _file_facts(document: dict[str, Any], recipe: Recipe, labels: list[str], image_size: int) -> FileFacts:
    return FileFacts(
        title=f"{get_backbone(document['backbone']).title} on {document['dataset']['name']}",
        run_id=document["run_id"],
        backbone=document["backbone"],
        labels=labels,
        image_size=image_size,
        resize=recipe.data.resize,
    )


def _export(
    run: RunFolder,
    scheme: Scheme,
    maker: Maker,
    reference: Reference,
    calibrated: dict[str, Any] | None,
    common: dict[str, Any],
    mending: Mending | None,
    trained: Further | None,
) -> dict[str, Any]:
    """Make, check and describe one file; ``export.json`` is written last, so that it stands for a complete export."""
    started = time.perf_counter()
    reset_peak()
    with _replaced(run.export(scheme.key)) as folder:
        path = folder / f"model{scheme.extension}"
        content = maker.make(scheme.made_as)
        write_bytes(path, content)
        convert_seconds = time.perf_counter() - started
        with ThreadPoolExecutor(1) as pool:  # compressing takes seconds for a large file and releases the lock
            gzip_bytes = pool.submit(gzip_size, path)
            answers = trained.answers if trained else None
            checked = check_file(path, scheme, maker.operators(content), reference, trained=answers)
            checked["gzip_bytes"] = gzip_bytes.result()
        if mending is not None and scheme.calibrated and scheme.source is None:
            checked |= mending.mend(path, scheme, content, checked, reference)
            calibrated = _report_calibration(folder, path.read_bytes(), mending, reference, calibrated, checked)
    seconds = time.perf_counter() - started
    name, version = maker.converter(scheme.made_as)
    document = {
        **common,
        "format": scheme.format,
        "scheme": scheme.name,
        "file": path.name,
        **checked,
        "converter": {"name": name, "version": version},
        **({"opset": opset} if (opset := maker.opset()) is not None else {}),
        "calibration": calibrated if scheme.calibrated else None,
        "training": trained.record if trained else None,
        "weights": count_weights(content) if trained else None,
        "seconds": seconds,
        "timing": {"convert_seconds": convert_seconds, "check_seconds": seconds - convert_seconds},
        "peak_rss_bytes": peak_bytes(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": _versions(),
    }
    export = run.export(scheme.key)
    write_json(export.export_json, document)
    return export.read()


def _report_calibration(
    folder: Path,
    content: bytes,
    mending: Mending,
    reference: Reference,
    calibrated: dict[str, Any] | None,
    checked: dict[str, Any],
) -> dict[str, Any]:
    """Write ``calibration.json``, add its warnings to ``checked``, and give the ``calibration`` of the document."""
    method = mending.recipe.export.calibration
    report = calibration_report(mending.maker, content, method, mending.calibration, reference.parity)
    write_json(ExportFolder(folder).calibration, report)
    found = summary(report)
    checked["warnings"] = [*checked["warnings"], *saturation_warnings(found)]
    return {**(calibrated or {}), "method": method.method, "ranges": found}


@contextmanager
def _replaced(export: ExportFolder) -> Iterator[Path]:
    """An empty folder to fill that takes the place of ``export`` if the block ends without an error.

    What a person put beside the files of the export stays.
    """
    partial = export.path.with_name(export.key + _PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _remove_export(export)
        if export.path.exists():
            for file in list(partial.iterdir()):
                file.replace(export.path / file.name)
        else:
            partial.rename(export.path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_export(export: ExportFolder) -> None:
    """Remove the files of an export, first the one that says it is complete; the folder where nothing else is in it."""
    if not export.path.is_dir():
        return
    models = [export.path / f"model{suffix}" for suffix in (".tflite", ".onnx")]
    own = [export.export_json, *models, export.golden, export.predictions, export.calibration]
    for file in (*own, *temporaries(export.path)):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        export.path.rmdir()


def _common(document: dict[str, Any], network: TrainedNetwork, recipe: Recipe) -> dict[str, Any]:
    """What is the same in the documents of all files of a run."""
    copied = {key: document[key] for key in ("run_id", "backbone", "alpha", "strategy", "seed")}
    return {**copied, "keras_sha256": network.sha256, "labels": network.labels, "resize": recipe.data.resize}


def _calibration(samples: Samples) -> dict[str, Any]:
    return {
        "images": len(samples),
        "seed": samples.seed,
        "split": samples.split,
        "per_class": np.bincount(samples.labels, minlength=len(samples.dataset.classes)).tolist(),
        "warnings": calibration_warnings(samples),
    }


def _versions() -> dict[str, str]:
    return {
        "edgekit": __version__,
        "python": platform.python_version(),
        "keras": installed_version("keras"),
        "tensorflow": installed_version("tensorflow", "tensorflow-cpu"),
        "onnx": installed_version("onnx"),
        "onnxruntime": installed_version("onnxruntime"),
        "ai_edge_quantizer": installed_version(edge_quantizer.NAME),
        "tf2onnx": installed_version("tf2onnx"),
        "litert": installed_version("ai-edge-litert", "tflite-runtime"),
        "numpy": np.__version__,
    }


def _raise_failed(run: RunFolder, documents: list[dict[str, Any]], failures: list[str]) -> None:
    """``failures`` are files that could not be made at all."""
    failed = [document for document in documents if document["status"] != "ok"]
    if not failed and not failures:
        return
    lines = [f"  - {d['format']}-{d['scheme']}: {problem}" for d in failed for problem in d["problems"]]
    lines += [f"  - {text}" for text in failures]
    what = "exported files failed their check" if failed else "files could not be made"
    raise CheckFailed(
        f"{len(failed) + len(failures)} of {len(documents) + len(failures)} {what}:\n" + "\n".join(lines),
        where=str(run.exports),
        hint="do not deploy these files; export.json and parity.npz beside each have the details, "
        "and --max-drop says how many points of accuracy a file may lose",
    )
