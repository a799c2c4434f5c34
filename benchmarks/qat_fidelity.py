"""Whether the file that `edgekit export --qat` makes is the network that was trained for it, on test images.

    python benchmarks/qat_fidelity.py RUN [RUN ...] --out qat_fidelity.json

Each run goes through quantization-aware training with the settings of its recipe and is then converted. Both predict
the same images of the test split: the tf_keras network in TensorFlow, the file in LiteRT. ``carried`` is the largest
difference in probability between the Keras 3 network and its tf_keras copy before that training. ``kernels`` is how
often LiteRT predicts the same class with XNNPACK's kernels and with its own: where the last bit of an activation
decides the prediction, no two ways of computing it agree, and no simulation can do better.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import show, told, write_result

from edgekit.data.loading import open_run_dataset
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError
from edgekit.export.base import ExportFacts
from edgekit.export.check.exported_file import Reference
from edgekit.export.check.parity import open_exported, predict, top_classes_without_xnnpack
from edgekit.export.compress.compressor import Compressor
from edgekit.export.network import load_network, prepare_keras
from edgekit.export.pipeline import export_recipe
from edgekit.export.sample_images import draw_samples
from edgekit.registry import get_scheme
from edgekit.stats.intervals import wilson_interval
from edgekit.support.progress import SILENT

QAT = get_scheme("tflite-int8-qat")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="finished runs with their images where they were")
    parser.add_argument("--images", type=int, default=10**9, help="test images; default: all")
    parser.add_argument("--out", type=Path, help="write the raw figures as JSON")
    arguments = parser.parse_args()
    try:
        prepare_keras(need_tensorflow=True)
        results = [measure(RunFolder(path), arguments.images) for path in arguments.runs]
    except EdgekitError as error:
        return told(error)
    headers = ["backbone", "px", "n", "same %", "95%", "kernels", "keras", "qat", "file", "carried"]
    show(headers, [cells(result) for result in results], right=range(1, 10))
    write_result(arguments.out, "qat_fidelity", {"results": results})
    return 0


def measure(run: RunFolder, count: int) -> dict[str, Any]:
    """Train one run with QAT, convert it, and compare both on test images."""
    document = run.read_finished_run()
    recipe = export_recipe(run, {"export.files": [QAT.key]})
    images = document.dataset
    dataset = open_run_dataset(read_dataset_csv(run.dataset), images.root, images.classes, images.name, progress=SILENT)
    calibration = draw_samples(dataset, "train", recipe.export.calibration.images, 0, recipe)
    test = draw_samples(dataset, "test", count, 0, recipe)
    network = load_network(run, document)
    described = ExportFacts(
        run.path.name, document.run_id, document.backbone, network.labels, network.image_size, recipe.data.resize
    )
    reference = Reference(described, test, network.predict(test.pixels))
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as folder:
        trained = Compressor(Path(folder), network, recipe, calibration, reference, SILENT).compress("qat")
        path = Path(folder) / f"model{QAT.extension}"
        path.write_bytes(trained.maker(QAT.format).make(QAT.maker_scheme))
        given = predict(open_exported(path), test.pixels)
        plain = top_classes_without_xnnpack(path, test.pixels)
    same = int((given.argmax(axis=1) == trained.predictions.argmax(axis=1)).sum())
    difference = np.abs(given - trained.predictions)
    print(f"{run.path.name}: {same} of {len(test)} images", file=sys.stderr)
    return {
        "run_id": document.run_id,
        "backbone": document.backbone,
        "image_size": network.image_size,
        "images": len(test),
        "n_same": same,
        "agreement_ci95": wilson_interval(same, len(test)),
        "n_same_without_xnnpack": int((given.argmax(axis=1) == plain).sum()),
        "mean_abs_difference": float(difference.mean()),
        "max_abs_difference": float(difference.max()),
        "accuracy": {
            name: float((found.argmax(axis=1) == test.labels).mean())
            for name, found in (("keras", reference.keras), ("qat", trained.predictions), ("file", given))
        },
        "training": trained.record.model_dump(mode="json"),
    }


def cells(result: dict[str, Any]) -> list[str]:
    low, high = result["agreement_ci95"]
    accuracy = result["accuracy"]
    return [
        result["backbone"],
        str(result["image_size"]),
        str(result["images"]),
        f"{100 * result['n_same'] / result['images']:.2f}",
        f"{100 * low:.1f}-{100 * high:.1f}",
        f"{100 * result['n_same_without_xnnpack'] / result['images']:.2f}",
        *(f"{100 * accuracy[name]:.1f}" for name in ("keras", "qat", "file")),
        f"{result['training']['carried_over']['max_abs_difference']:.1g}",
    ]


if __name__ == "__main__":
    sys.exit(main())
