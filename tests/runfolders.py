"""Finished runs as training and export leave them, made of small model files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from modelfiles import LABELS, colour_pixels

from edgekit.device.runtimes import open_model
from edgekit.documents.base import write_json
from edgekit.documents.dataset_list import DatasetRow, write_dataset_csv
from edgekit.documents.folders import RunFolder
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
    counts = {"train": {}, "val": {}, "test": dict.fromkeys(LABELS, 1)}
    dataset = {"name": "colours", "root": str(images), "classes": list(LABELS), "counts": counts, "fingerprint": "0"}
    recipe = {"bench": {"protocol": "tiny", "threads": [1], "images": None}}
    write_json(run.run_json, {"status": "done", "run_id": name, "backbone": "mobilenetv2", "alpha": 1.0,
                              "strategy": "fine-tuning", "seed": 0, "dataset": dataset, "recipe": recipe})  # fmt: skip
    for key, source in models.items():
        export = run.export(key)
        export.path.mkdir(parents=True)
        file = export.path / f"model{source.suffix}"
        shutil.copy(source, file)
        form, scheme = key.split("-")
        write_json(export.export_json, {"status": "ok", "format": form, "scheme": scheme, "file": file.name,
                                        "sha256": sha256_file(file), "gzip_bytes": gzip_size(file),
                                        "labels": list(LABELS), "resize": "stretch"})  # fmt: skip
    return run


def golden_answers(run: RunFolder) -> RunFolder:
    """Golden inputs and outputs beside every export of ``run``, made here as the export makes them."""
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
