"""Finished runs as training and export leave them, made of small model files and the document models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from modelfiles import LABELS, colour_pixels

from edgekit.device.runtimes import open_model
from edgekit.documents.dataset_list import DatasetRow, write_dataset_csv
from edgekit.documents.export import Converter, ExportDocument, ExportTiming, ParityRecord
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import DatasetRecord, ModelRecord, RunDocument, TrainingEnvironment, WeightsRecord
from edgekit.recipe import validate
from edgekit.support.files import gzip_size, sha256_file


def make_run(folder: Path, models: dict[str, Path], images: Path, name: str = "mobilenetv2-s0") -> RunFolder:
    run = RunFolder(folder)
    files = sorted(path.relative_to(images).as_posix() for path in images.glob("*/*.png"))
    splits = ["train" if file.endswith("/0.png") else "test" for file in files]
    rows = [DatasetRow(f, f.split("/")[0], s, sha256_file(images / f)) for f, s in zip(files, splits)]
    write_dataset_csv(run.dataset, rows)
    test = [row for row in rows if row.split == "test"]
    truth = np.array([LABELS.index(row.label) for row in test])
    keras = np.eye(3, dtype=np.float32)[truth]
    keras[0] = np.roll(keras[0], 1)  # the Keras model is wrong on one image
    np.savez(run.predictions, labels=truth, probabilities=keras, files=np.array([row.path for row in test]))
    run_document(name, images).write(run.run_json)
    for key, source in models.items():
        export = run.export(key)
        export.path.mkdir(parents=True)
        file = export.path / f"model{source.suffix}"
        shutil.copy(source, file)
        export_document(name, key, file).write(export.export_json)
    return run


def run_document(name: str, images: Path) -> RunDocument:
    """A finished run on the coloured images, to be measured with the protocol ``quick`` and one thread."""
    return RunDocument(
        status="done",
        run_id=name,
        created="2026-11-26T12:00:00+00:00",
        edgekit_version="0.1.0",
        recipe=validate({"bench": {"protocol": "quick", "threads": [1]}}, "test"),
        backbone="mobilenetv2",
        alpha=1.0,
        strategy="fine-tuning",
        seed=0,
        weights=WeightsRecord(source="none"),
        dataset=DatasetRecord(
            name="colours",
            root=str(images),
            fingerprint="0",
            classes=tuple(LABELS),
            layout="split",
            n_files=6 * len(LABELS),
            counts={"train": {}, "val": {}, "test": dict.fromkeys(LABELS, 1)},
        ),
        model=ModelRecord(parameters=1, layers=1, input_shape=(32, 32, 3)),
        environment=TrainingEnvironment(
            python="3.11.0", platform="Linux", cpu=None, cores=2, backend="tensorflow", gpu=None, versions={}
        ),
    )


def export_document(run_id: str, key: str, file: Path, **changes: object) -> ExportDocument:
    """One exported file that passed its check."""
    file_format, _, scheme = key.partition("-")
    return ExportDocument(
        run_id=run_id,
        backbone="mobilenetv2",
        alpha=1.0,
        strategy="fine-tuning",
        seed=0,
        keras_sha256="0",
        labels=tuple(LABELS),
        resize="stretch",
        format=file_format,
        scheme=scheme,
        file=file.name,
        size_bytes=file.stat().st_size,
        sha256=sha256_file(file),
        input=None,
        output=None,
        operators={},
        integer_only=False,
        float_operators={},
        parity=ParityRecord(split="val", n_images=0),
        gate=None,
        golden=None,
        status="ok",
        problems=(),
        warnings=(),
        gzip_bytes=gzip_size(file),
        converter=Converter(name="test", version="1"),
        calibration=None,
        seconds=1.0,
        timing=ExportTiming(convert_seconds=1.0, check_seconds=0.0),
        peak_rss_bytes=None,
        created="2026-11-26T12:00:00+00:00",
        versions={},
    ).model_copy(update=changes)


def golden_outputs(run: RunFolder) -> RunFolder:
    """Golden inputs and outputs beside every export of ``run``, created as `edgekit export` does."""
    inputs = np.stack([colour_pixels(label, seed) for seed in range(3) for label in LABELS])
    for export in run.done_exports():
        model = open_model(str(export.model()))
        outputs = []
        for pixels in inputs:
            model.set_input(model.input.prepare(pixels, None))
            model.invoke()
            outputs.append(model.scores())
        np.savez(export.golden, inputs=inputs, outputs=np.stack(outputs))
    return run
