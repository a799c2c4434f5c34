"""What a corruption costs: evaluating on corrupted images against evaluating on clean ones, the same model and images.

    python benchmarks/corruption_cost.py RUN [--models keras,tflite-int8] [--names haze,...] [--out FILE.json]

Every corruption at severity 3 on all test images of the run, decoding included for files (the Keras model reads the
decoded cache both times). Each is timed after a clean evaluation of its own, so that a busy moment hits both; prints
the ratio of each and ends with 1 where one is above 2.
"""

from __future__ import annotations

import argparse
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgekit.device import probe
from edgekit.device.corruptions import CORRUPTIONS
from edgekit.documents.base import write_json
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder

LIMIT = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--models", default="keras,tflite-int8")
    parser.add_argument("--names", default=",".join(CORRUPTIONS))
    parser.add_argument("--severity", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the times and ratios as JSON")
    options = parser.parse_args()
    run = RunFolder(options.run)
    rows = []
    for model in options.models.split(","):
        measure = seconds_of_keras if model == "keras" else seconds_of_file
        measure(run, model, "clean", 0)  # warm: decoded cache, file cache
        for name in options.names.split(","):
            clean = measure(run, model, "clean", 0)
            corrupted = measure(run, model, name, options.severity)
            row = {"model": model, "corruption": name, "clean_seconds": clean, "corrupted_seconds": corrupted}
            rows.append({**row, "ratio": corrupted / clean})
            print(f"{model:13} {name:15} clean {clean:6.1f} s  corrupted {corrupted:6.1f} s  {corrupted / clean:.2f}")
    worst = max(rows, key=lambda row: row["ratio"])
    held = worst["ratio"] <= LIMIT
    print(f"worst: {worst['ratio']:.2f} times ({worst['model']}, {worst['corruption']}); at most {LIMIT}: {held}")
    if options.out is not None:
        document = {"severity": options.severity, "limit": LIMIT, "held": held, "rows": rows}
        write_json(options.out, {**document, "environment": probe.environment()})
    raise SystemExit(0 if held else 1)


def seconds_of_file(run: RunFolder, model: str, name: str, severity: int) -> float:
    """One process of the device program, as `edgekit evaluate --corruptions` starts it."""
    from edgekit.bench.evaluation_images import image_sets
    from edgekit.bench.model_collection import collect_models
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.support.progress import SILENT
    from edgekit.targets.lookup import get_target

    (file,) = [m for m in collect_models([run.path], ThirdPartyOptions(), SILENT) if m.key == model]
    images = image_sets([file], None, None, SILENT)[file.id]
    job = {
        "models": [file.job()],
        "threads": 0,
        "root": str(images.root),
        "files": images.files,
        "corruptions": [[name, severity]],
    }
    started = time.perf_counter()
    answered = sum(e["count"] for e in get_target("local").run("accuracy", job) if e["event"] == "predictions")
    assert answered == len(images.files)
    return time.perf_counter() - started


def seconds_of_keras(run: RunFolder, _: str, name: str, severity: int) -> float:
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train.batches import predict
    from edgekit.train.evaluate_corrupted import CorruptedPixels

    network, pixels, rows = keras_of(run)
    started = time.perf_counter()
    predict(network, CorruptedPixels(pixels, name, severity, 0), rows)  # type: ignore[arg-type]
    return time.perf_counter() - started


@lru_cache(maxsize=1)
def keras_of(run: RunFolder) -> tuple[Any, Any, Any]:
    """The run's network, the decoded test images and their places; loaded once, outside the measured time."""
    from edgekit.data.decode import decode_dataset
    from edgekit.data.loading import open_run_dataset
    from edgekit.train.evaluate import load_network

    document = run.read_finished_run()
    about, data = document.dataset, document.recipe.data
    rows = [row for row in read_dataset_csv(run.dataset) if row.split == "test"]
    dataset = open_run_dataset(rows, about.root, about.classes, about.name)
    dataset, pixels = decode_dataset(dataset, data.image_size, data.resize)
    return load_network(run), pixels, dataset.indices("test")


if __name__ == "__main__":
    main()
