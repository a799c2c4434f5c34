"""What one export costs: seconds, peak memory and size of every file of every backbone, each in a fresh process.

    python benchmarks/export_cost.py --files tflite-int8 onnx-int8 --out benchmarks/results/export_cost.json

The networks have random weights and the images are noise: neither changes what is measured here. ``seconds`` is the
making of the file alone, ``process seconds`` the whole process with the import of TensorFlow and the reading of the
model, ``check`` the comparison with the Keras model. ``peak MB`` is the resident memory of the process.

A second table compares one export of four files (fp32 and int8, TFLite and ONNX) with the converters themselves, as a
script would call them: ``TFLiteConverter`` with the calibration images as representative data set, ``model.export`` to
ONNX and ``quantize_static``. Both are whole processes on the same network and images; edgekit's also runs every check.
Goal: at most twice the time, and 2 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ratio_of

from edgekit.documents.base import write_json
from edgekit.documents.dataset_list import DatasetRow, write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.errors import CheckFailed
from edgekit.registry import BACKBONES, SCHEMES
from edgekit.support.files import sha256_file, write_text

PLAIN = [key for key, scheme in SCHEMES.items() if not scheme.compression]
CLASSES = [f"class{number}" for number in range(4)]

FOUR = ("tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8")
"""The files of the comparison with the converters themselves."""

GOAL, GOAL_BYTES = 2.0, 2 * 10**9


def main() -> None:
    arguments = _arguments()
    if arguments.make is not None:
        make_run(RunFolder(arguments.make), arguments.backbones[0], arguments)
        return
    if arguments.convert is not None:
        convert(RunFolder(arguments.convert))
        return
    results: list[dict[str, Any]] = []
    compared: list[dict[str, Any]] = []
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as folder:
        os.environ["EDGEKIT_CACHE"] = str(Path(folder) / "cache")
        for backbone in arguments.backbones:
            run = Path(folder) / backbone
            _make_in_own_process(run, backbone, arguments)
            for key in arguments.files:
                results.append(measure(run, key))
                print(f"{backbone} {key}: {results[-1]['seconds']:.1f} s", file=sys.stderr)
            if arguments.rounds:
                compared.append(against_converters(run, backbone, arguments.rounds))
    if results:
        print(_table(results), end="\n\n")
    if compared:
        print(_comparison_table(compared))
    if arguments.out is not None:
        names = ("image_size", "calibration_images", "parity_images")
        facts = {name: getattr(arguments, name) for name in names}
        machine = {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
        write_json(
            arguments.out,
            {
                "benchmark": "export_cost",
                **facts,
                "machine": machine,
                "load_average_before": before,
                "goal": GOAL,
                "results": results,
                "against_converters": compared,
            },
        )


def measure(run: Path, key: str) -> dict[str, Any]:
    """Export one file with the command line; figures from its own record and from outside."""
    scheme = SCHEMES[key]
    command = [sys.executable, "-m", "edgekit", "export", str(run), "--format", scheme.format, f"--{scheme.name}"]
    started = time.perf_counter()
    done = subprocess.run([*command, "--json", "--quiet"], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, CheckFailed.exit_code):  # what a network of random weights answers does not matter
        done.check_returncode()
    seconds = time.perf_counter() - started
    document = json.loads((run / "exports" / key / "export.json").read_text(encoding="utf-8"))
    return {
        "backbone": document["backbone"],
        "format": document["format"],
        "scheme": document["scheme"],
        "seconds": document["timing"]["convert_seconds"],
        "check_seconds": document["timing"]["check_seconds"],
        "process_seconds": seconds,
        "peak_rss_bytes": document["peak_rss_bytes"],
        "size_bytes": document["size_bytes"],
        "gzip_bytes": document["gzip_bytes"],
        "versions": document["versions"],
    }


def against_converters(run: Path, backbone: str, rounds: int) -> dict[str, Any]:
    """One export of the four files and the converters alone, in turns; wall time of both, and peak memory."""
    edgekit_ns, converters_ns, peak = [], [], 0
    for number in range(rounds):
        command = [sys.executable, "-m", "edgekit", "export", str(run), "--fp32", "--int8", "--json", "--quiet"]
        programs = [(edgekit_ns, command), (converters_ns, [sys.executable, __file__, "--convert", str(run)])]
        for times, program in programs if number % 2 == 0 else reversed(programs):
            started = time.perf_counter_ns()
            done = subprocess.run(program, stdout=subprocess.DEVNULL, check=False)
            if done.returncode not in (0, CheckFailed.exit_code):
                done.check_returncode()
            times.append(time.perf_counter_ns() - started)
        for key in FOUR:
            document = json.loads((run / "exports" / key / "export.json").read_text(encoding="utf-8"))
            peak = max(peak, document["peak_rss_bytes"])
        print(f"{backbone}: {edgekit_ns[-1] / 1e9:.1f} s, converters {converters_ns[-1] / 1e9:.1f} s", file=sys.stderr)
    return {
        "backbone": backbone,
        "edgekit_ns": edgekit_ns,
        "converters_ns": converters_ns,
        "ratio": ratio_of(edgekit_ns, converters_ns).document(),
        "peak_rss_bytes": peak,
    }


def convert(run: RunFolder) -> None:
    """The four files by the converters themselves, as a script would call them; nothing is checked."""
    from edgekit.export.network import prepare_keras

    prepare_keras(need_tensorflow=True)
    import keras
    import numpy as np
    import tensorflow as tf
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    from edgekit.device.images import load_image
    from edgekit.documents.dataset_list import read_dataset_csv

    network = keras.models.load_model(run.model, compile=False)
    side, root = network.input_shape[1], run.path / "images"
    files = [root / row.path for row in read_dataset_csv(run.dataset) if row.split == "train"]
    images = [load_image(file, side)[np.newaxis].astype(np.float32) for file in files]

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the base class is not typed
        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> Any:
            image = next(self._rest, None)
            return None if image is None else {network.inputs[0].name: image}

    with tempfile.TemporaryDirectory(prefix="edgekit-bench-") as folder:
        place = Path(folder)
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        (place / "fp32.tflite").write_bytes(converter.convert())
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        (place / "int8.tflite").write_bytes(converter.convert())
        spec = [keras.InputSpec(shape=(1, side, side, 3), dtype="float32", name=network.inputs[0].name)]
        network.export(place / "fp32.onnx", format="onnx", input_signature=spec, verbose=False)
        quantize_static(
            place / "fp32.onnx",
            place / "int8.onnx",
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def make_run(run: RunFolder, backbone: str, arguments: argparse.Namespace) -> None:
    """A finished run with random weights on random images."""
    from edgekit.export.network import prepare_keras

    prepare_keras(need_tensorflow=False)
    from edgekit import __version__
    from edgekit.documents.run import DatasetRecord, ModelRecord, RunDocument, TrainingEnvironment, WeightsRecord
    from edgekit.recipe import validate
    from edgekit.train.network import build_network

    recipe = validate(
        {
            "data": {"path": str(run.path / "images"), "image_size": arguments.image_size},
            "model": {"backbone": backbone, "weights": "none"},
            "train": {"strategy": "from-scratch"},
            "export": {
                "calibration": {"images": arguments.calibration_images},
                "parity_images": arguments.parity_images,
            },
        },
        "benchmark",
    )
    network = build_network(recipe.model, image_size=arguments.image_size, classes=len(CLASSES), seed=0)
    network.save(run.model)
    write_text(run.labels, "".join(f"{name}\n" for name in CLASSES))
    rows = _images(run.path / "images", arguments)
    write_dataset_csv(run.dataset, rows)
    side = arguments.image_size
    RunDocument(
        status="done",
        run_id=run.path.name,
        created="2026-01-01T00:00:00+00:00",
        edgekit_version=__version__,
        recipe=recipe,
        backbone=backbone,
        alpha=1.0,
        strategy="from-scratch",
        seed=0,
        weights=WeightsRecord(source="none"),
        dataset=DatasetRecord(
            name="noise",
            root=str(run.path / "images"),
            fingerprint="0" * 64,
            classes=tuple(CLASSES),
            layout="splits",
            n_files=len(rows),
            counts={},
        ),
        model=ModelRecord(parameters=network.count_params(), layers=len(network.layers), input_shape=(side, side, 3)),
        environment=TrainingEnvironment(
            python=platform.python_version(),
            platform=platform.platform(),
            cpu=None,
            cores=None,
            backend="tensorflow",
            gpu=None,
            versions={},
        ),
        files={run.model.name: sha256_file(run.model)},
    ).write(run.run_json)


def _images(root: Path, arguments: argparse.Namespace) -> list[DatasetRow]:
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    rows = []
    for split, count in (("train", arguments.calibration_images), ("val", arguments.parity_images)):
        for number in range(count):
            name = CLASSES[number % len(CLASSES)]
            file = root / split / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            side = arguments.image_size
            Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8)).save(file, compress_level=1)
            rows.append(DatasetRow(file.relative_to(root).as_posix(), name, split, sha256_file(file)))
    return rows


def _make_in_own_process(run: Path, backbone: str, arguments: argparse.Namespace) -> None:
    run.mkdir(parents=True)
    command = [sys.executable, __file__, "--make", str(run), "--backbones", backbone]
    for option in ("image_size", "calibration_images", "parity_images"):
        command += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
    subprocess.run(command, check=True)


def _table(results: list[dict[str, Any]]) -> str:
    from edgekit.cli.output import table

    headers = ["backbone", "file", "seconds", "check", "process", "peak MB", "MB", "gzip MB"]
    rows = [
        [
            r["backbone"],
            f"{r['format']}-{r['scheme']}",
            f"{r['seconds']:.1f}",
            f"{r['check_seconds']:.1f}",
            f"{r['process_seconds']:.1f}",
            f"{r['peak_rss_bytes'] / 1e6:.0f}",
            f"{r['size_bytes'] / 1e6:.2f}",
            f"{r['gzip_bytes'] / 1e6:.2f}",
        ]
        for r in results
    ]
    return table(headers, rows, right=range(2, 8))


def _comparison_table(compared: list[dict[str, Any]]) -> str:
    from edgekit.cli.output import table

    rows = [
        [
            one["backbone"],
            f"{min(one['edgekit_ns']) / 1e9:.1f}",
            f"{min(one['converters_ns']) / 1e9:.1f}",
            f"{one['ratio']['ratio']:.2f}",
            "yes" if one["ratio"]["ratio"] <= GOAL else "no",
            f"{one['peak_rss_bytes'] / 1e6:.0f}",
            "yes" if one["peak_rss_bytes"] <= GOAL_BYTES else "no",
        ]
        for one in compared
    ]
    headers = ["backbone", "edgekit s", "converters s", "ratio", f"<= {GOAL:g}", "peak MB", "<= 2 GB"]
    return table(headers, rows, right=(1, 2, 3, 5))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--rounds", type=int, default=1, help="of the comparison with the converters; 0: none")
    parser.add_argument("--files", nargs="*", choices=list(SCHEMES), default=PLAIN)
    parser.add_argument("--calibration-images", type=int, default=50)
    parser.add_argument("--parity-images", type=int, default=20)
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--convert", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
