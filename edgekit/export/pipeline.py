"""The export stage: takes a finished run, makes deployable files, and verifies each one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.documents.export import CalibrationRecord, ExportDocument
from edgekit.documents.folders import RunFolder
from edgekit.documents.gate import gate_limits
from edgekit.documents.run import RunDocument
from edgekit.errors import CheckFailed, ConversionFailed, InputError
from edgekit.export.base import ExportFacts, Maker
from edgekit.export.check.exported_file import Reference
from edgekit.export.compress.compressor import Compressor
from edgekit.export.file_export import ExportedRun, FileSource, export_file
from edgekit.export.keras_predictions import keras_predictions
from edgekit.export.makers import Makers
from edgekit.export.network import TrainedNetwork, load_network, prepare_keras
from edgekit.export.plan import REPAIRED, ExportPlan, PlannedFile, plan_export
from edgekit.export.repair.int8_repair import Int8Repair
from edgekit.export.replacing import remove_export
from edgekit.export.requirements import need_tools
from edgekit.export.sample_images import Samples, calibration_warnings, read_samples
from edgekit.recipe import Export, Recipe, assign, validate
from edgekit.registry import backbone_title, get_scheme
from edgekit.stats.noninferiority import GateLimits
from edgekit.support.frameworks import need_model_optimization
from edgekit.support.memory import release_memory
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import SILENT, Progress


@dataclass
class ExportOutcome:
    """What an export made: the documents of its files, and for each file that could not be made, the reason."""

    documents: list[ExportDocument] = field(default_factory=list)
    not_made: dict[str, str] = field(default_factory=dict)

    def of(self, key: str) -> ExportDocument | None:
        """The document of the file called ``key``, if it was made."""
        return next((document for document in self.documents if document.key == key), None)

    def raise_failed(self, run: RunFolder) -> None:
        """Raise :class:`CheckFailed` if a file failed a check or could not be made."""
        failed = [document for document in self.documents if not document.ok]
        if not failed and not self.not_made:
            return
        lines = [f"  - {document.key}: {problem}" for document in failed for problem in document.problems]
        lines += [f"  - {key}: {problem}" for key, problem in self.not_made.items()]
        n_failed, n_files = len(failed) + len(self.not_made), len(self.documents) + len(self.not_made)
        what = "exported files failed their checks" if failed else "files could not be made"
        raise CheckFailed(
            f"{n_failed} of {n_files} {what}:\n" + "\n".join(lines),
            where=str(run.exports),
            hint="do not deploy these files. For details, see export.json and parity.npz in the folder of each; "
            "--repair may help; --max-drop sets how many points of accuracy a file may lose",
        )


def export_recipe(run: RunFolder, settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a finished run with other values in its export section (``export.calibration.images``).

    Raises :class:`InputError` for any other key.
    """
    changed = run.read_finished_run().recipe.document()
    for key, value in settings.items():
        if not key.startswith("export."):
            raise InputError(
                f"{key} cannot be changed after training",
                where=str(run.run_json),
                hint="an export only takes settings that start with export., e.g. export.calibration.images=500",
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
) -> list[ExportDocument]:
    """Make the files called ``keys`` (``tflite-int8``), by default those of the run's recipe; their documents.

    ``settings`` are those of :func:`export_recipe`. ``data_root`` is the present folder of the run's images.
    An existing export is replaced when the new one is complete.

    Raises :class:`InputError` before slow work, and :class:`CheckFailed` after all files are written where the checks
    of one did not hold; that file is kept, and its ``export.json`` says so.
    """
    document = run.read_finished_run()
    for key in keys:
        get_scheme(key)
    # The recipe's own files do not matter if others are requested.
    files = {"export.files": list(dict.fromkeys(keys))} if keys else {}
    recipe = export_recipe(run, {**files, **(settings or {})})
    plan = plan_export(keys or recipe.export.files, recipe.export)
    need_tools(plan, recipe.export)
    check_writable(run.exports, (1 + len(plan.files)) * (document.model.keras_size_bytes or 0))
    with run.lock():
        outcome = _prepare(run, document, recipe, plan, data_root, progress).run(plan)
    outcome.raise_failed(run)
    return outcome.documents


def _prepare(
    run: RunFolder,
    document: RunDocument,
    recipe: Recipe,
    plan: ExportPlan,
    data_root: Path | None,
    progress: Progress,
) -> _Exporter:
    """Read the images, load the network, and predict the parity images with it."""
    calibration, parity = read_samples(run, document, recipe, data_root, progress)
    record = _calibration_record(calibration) if plan.calibrated else None
    for warning in record.warnings if record else ():
        progress.warn(warning)
    prepare_keras(need_tensorflow="tflite" in plan.formats)
    network = load_network(run, document)
    facts = _facts(document, recipe, network)
    makers = Makers(network, calibration.pixels, facts, recipe.export)
    fast = makers.of("tflite" if "tflite" in plan.formats else "onnx")
    keras = keras_predictions(run, network, parity, partial(fast.make, "fp32"))
    release_memory()
    reference = Reference(facts, parity, keras.probabilities, _limits(recipe.export), n_by_keras=keras.n_by_keras)
    exported = ExportedRun(run, document, recipe, network, reference, record)
    compressor = Compressor(run.exports, network, recipe, calibration, reference, progress)
    return _Exporter(exported, calibration, makers, compressor, progress)


def _limits(settings: Export) -> GateLimits | None:
    """The limits of the accuracy gate; None where it is switched off."""
    if settings.max_drop is None:
        return None
    return gate_limits(settings.max_drop, settings.min_agreement, settings.max_class_drop)


def _calibration_record(samples: Samples) -> CalibrationRecord:
    return CalibrationRecord(
        images=len(samples),
        seed=samples.seed,
        split=samples.split,
        per_class=tuple(np.bincount(samples.labels, minlength=len(samples.dataset.classes)).tolist()),
        warnings=tuple(calibration_warnings(samples)),
    )


def _facts(document: RunDocument, recipe: Recipe, network: TrainedNetwork) -> ExportFacts:
    return ExportFacts(
        title=f"{backbone_title(document.backbone)} on {document.dataset.name}",
        run_id=document.run_id,
        backbone=document.backbone,
        labels=network.labels,
        image_size=network.image_size,
        resize=recipe.data.resize,
        pixel_range=document.dataset.pixel_range,
    )


@dataclass
class _Exporter:
    """Runs a plan. Makers are kept, because the files of a format share steps."""

    exported: ExportedRun
    calibration: Samples
    makers: Makers
    compressor: Compressor
    progress: Progress
    _compressed_makers: dict[tuple[str, str], Maker] = field(default_factory=dict)

    def run(self, plan: ExportPlan) -> ExportOutcome:
        """Make all files of ``plan``, and its fallback where that is needed."""
        outcome = ExportOutcome()
        self._make_all(plan.files, outcome)
        if plan.fallback is not None and _repair_failed(outcome.of(REPAIRED)) and self._can_compress():
            self.progress.info(f"repair: layers in float did not help, so {plan.fallback.key} is made too")
            self._make_all((plan.fallback,), outcome)
        self.compressor.clean_up()
        return outcome

    def _make_all(self, files: Sequence[PlannedFile], outcome: ExportOutcome) -> None:
        with self.progress.bar("exporting", len(files)) as bar:
            for number, planned in enumerate(files):
                bar.note(planned.key)
                bar.advance()
                try:
                    source = self._source(planned)
                    document = export_file(planned, source, self.exported)
                except ConversionFailed as error:  # this file cannot be made, but others can
                    outcome.not_made[planned.key] = error.problem
                    # An older export would have other settings.
                    remove_export(self.exported.folder.export(planned.key))
                    continue
                outcome.documents.append(document)
                if planned.scheme.format not in {later.scheme.format for later in files[number + 1 :]}:
                    self.makers.release(planned.scheme.format)
                release_memory()
                for warning in document.warnings:
                    self.progress.warn(f"{planned.key}: {warning}")

    def _source(self, planned: PlannedFile) -> FileSource:
        if planned.compression is not None:
            return self._compressed_source(planned.scheme.format, planned.compression)
        if not planned.inspected:
            return FileSource(self.makers.of(planned.scheme.format))
        run, maker = self.exported, self.makers.quantizing(planned.scheme.format)
        repair = Int8Repair(run.recipe.export, maker, self.calibration, run.network, run.reference, self.progress)
        return FileSource(maker, repair=repair)

    def _compressed_source(self, file_format: str, compression: str) -> FileSource:
        compressed = self.compressor.compress(compression)
        key = (file_format, compression)
        if key not in self._compressed_makers:
            self._compressed_makers[key] = compressed.maker(file_format)
        return FileSource(self._compressed_makers[key], compressed)

    def _can_compress(self) -> bool:
        """Whether TensorFlow Model Optimization is installed; warns where it is not."""
        try:
            need_model_optimization()
        except InputError as error:
            self.progress.warn(f"repair: quantization-aware training could not be tried: {error.problem}; {error.hint}")
            return False
        return True


def _repair_failed(document: ExportDocument | None) -> bool:
    """Whether a repair was tried, and the repaired file is still seen to lose more than allowed."""
    if document is None or document.repair is None or document.gate is None:
        return False
    return document.gate.beyond_limits
