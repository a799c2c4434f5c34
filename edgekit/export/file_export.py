"""One exported file: make it, check it, repair it on request, and describe it in its ``export.json``."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgekit.device.memory import peak_bytes, reset_peak
from edgekit.documents.export import CalibrationRecord, Converter, ExportDocument, ExportTiming
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.documents.run import RunDocument
from edgekit.export.base import Maker
from edgekit.export.check.clipping import calibration_report, clipping_warnings, summarize
from edgekit.export.check.exported_file import FileCheck, Reference, check_file
from edgekit.export.check.findings import Findings
from edgekit.export.compress.compressor import CompressedNetwork
from edgekit.export.network import TrainedNetwork
from edgekit.export.plan import PlannedFile
from edgekit.export.repair.int8_repair import Int8Repair, RepairedFile
from edgekit.export.replacing import replacing
from edgekit.export.tflite.weight_counts import count_weights
from edgekit.export.versions import export_versions
from edgekit.recipe import Recipe
from edgekit.support.files import gzip_size, write_bytes
from edgekit.support.memory import release_memory


@dataclass(frozen=True)
class ExportedRun:
    """What all files of one run share. ``calibration`` is None if no file needs calibration images."""

    folder: RunFolder
    document: RunDocument
    recipe: Recipe
    network: TrainedNetwork
    reference: Reference
    calibration: CalibrationRecord | None


@dataclass(frozen=True)
class FileSource:
    """What a file is made from: its maker, the compressed network behind it, and the repair of an int8 file."""

    maker: Maker
    compressed: CompressedNetwork | None = None
    repair: Int8Repair | None = None


@dataclass(frozen=True)
class _MadeFile:
    name: str
    content: bytes
    """As the maker made it: a repair may have replaced the file."""
    repaired: RepairedFile
    gzip_bytes: int
    calibration: CalibrationRecord | None
    convert_seconds: float

    @property
    def checked(self) -> FileCheck:
        return self.repaired.checked


def export_file(planned: PlannedFile, source: FileSource, run: ExportedRun) -> ExportDocument:
    """Make, check and describe one file. ``export.json`` is written last, so it marks a complete export.

    An older export is replaced when the new one is complete. Raises :class:`edgekit.errors.ConversionFailed` if the
    file cannot be made.
    """
    started = time.perf_counter()
    reset_peak()
    export = run.folder.export(planned.key)
    with replacing(export) as folder:
        made = _make(folder, planned, source, run)
    document = _describe(planned, source, run, made, time.perf_counter() - started)
    document.write(export.export_json)
    return document


def _make(folder: Path, planned: PlannedFile, source: FileSource, run: ExportedRun) -> _MadeFile:
    started = time.perf_counter()
    scheme, path = planned.scheme, folder / f"model{planned.scheme.extension}"
    content = source.maker.make(scheme.maker_scheme)
    release_memory()  # what the converter has freed, before the runtime and then the calibration take as much
    write_bytes(path, content)
    convert_seconds = time.perf_counter() - started
    trained = source.compressed.predictions if source.compressed else None
    with ThreadPoolExecutor(1) as pool:  # compressing a large file takes seconds, without holding the interpreter lock
        gzip_bytes = pool.submit(gzip_size, path)
        checked = check_file(path, scheme, source.maker.operators(content), run.reference, trained=trained)
    calibration = run.calibration if scheme.calibrated else None
    if source.repair is None:
        return _MadeFile(path.name, content, RepairedFile(checked), gzip_bytes.result(), calibration, convert_seconds)
    repaired = source.repair.apply(path, scheme, content, checked)
    size = gzip_size(path) if repaired.record else gzip_bytes.result()
    calibration, findings = _report_calibration(folder, path.read_bytes(), source.repair, run)
    return _MadeFile(path.name, content, repaired.with_findings(findings), size, calibration, convert_seconds)


def _report_calibration(
    folder: Path, content: bytes, repair: Int8Repair, run: ExportedRun
) -> tuple[CalibrationRecord | None, Findings]:
    """Write ``calibration.json``; the record with its summary, and warnings."""
    method = run.recipe.export.calibration
    release_memory()
    report = calibration_report(repair.maker, content, method, repair.calibration, run.reference.parity)
    report.write(ExportFolder(folder).calibration)
    ranges = summarize(report)
    assert run.calibration is not None
    record = run.calibration.model_copy(update={"method": method.method, "ranges": ranges})
    return record, Findings(warnings=clipping_warnings(ranges))


def _describe(
    planned: PlannedFile, source: FileSource, run: ExportedRun, made: _MadeFile, seconds: float
) -> ExportDocument:
    scheme, checked, compressed = planned.scheme, made.checked, source.compressed
    name, version = source.maker.converter(scheme.maker_scheme)
    return ExportDocument(
        run_id=run.document.run_id,
        backbone=run.document.backbone,
        alpha=run.document.alpha,
        strategy=run.document.strategy,
        seed=run.document.seed,
        keras_sha256=run.network.sha256,
        labels=tuple(run.network.labels),
        resize=run.recipe.data.resize,
        pixel_range=run.document.dataset.pixel_range,
        format=scheme.format,
        scheme=scheme.name,
        file=made.name,
        size_bytes=checked.size_bytes,
        sha256=checked.sha256,
        input=checked.input,
        output=checked.output,
        operators=checked.operators.counts,
        integer_only=checked.operators.integer_only,
        float_operators=checked.operators.floats,
        parity=checked.parity,
        gate=checked.gate,
        golden=checked.golden,
        status="failed" if checked.findings.problems else "ok",
        problems=checked.findings.problems,
        warnings=checked.findings.warnings,
        gzip_bytes=made.gzip_bytes,
        sensitivity=made.repaired.sensitivity,
        repair=made.repaired.record,
        converter=Converter(name=name, version=version),
        opset=source.maker.opset(),
        calibration=made.calibration,
        training=compressed.record if compressed else None,
        weights=count_weights(made.content) if compressed else None,
        seconds=seconds,
        timing=ExportTiming(convert_seconds=made.convert_seconds, check_seconds=seconds - made.convert_seconds),
        peak_rss_bytes=peak_bytes(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=export_versions(),
    )
