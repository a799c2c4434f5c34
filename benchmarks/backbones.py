"""Every backbone from scratch on small images: what int8 costs it, and what repair and QAT give back.

    python benchmarks/backbones.py --work build/backbones --out benchmarks/results/backbones-digits.json
    python benchmarks/backbones.py --work build/backbones-mri --data brain-tumor-mri --limit 100 --image-size 64 \\
        --out benchmarks/results/backbones-mri.json

Each backbone is trained with the same settings on the embedded digits, or on a folder of images, exported to fp32 and
int8 (ncnn: fp32). Only when all are exported, `edgekit bench` scores them on all test images and measures their
latency, the files of a backbone interleaved in one session. An int8 file that fails its accuracy gate, at export or
on the test images, is made again with --repair, and with --qat where the layers allow it.
The script resumes: what is in the work folder is not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from common import run_program, show, told, write_result

from edgekit.documents.base import write_json
from edgekit.documents.bench import BenchDocument
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError
from edgekit.registry import BACKBONES
from edgekit.stats.latency import compare_rounds

FILES = ("tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8", "ncnn-fp32")

SETTINGS = {
    "train.from_scratch.learning_rate": 2e-3,
    "train.from_scratch.schedule": "cosine",
    "train.from_scratch.dropout": 0.0,
    "train.from_scratch.batchnorm_momentum": 0.8,
    "train.early_stopping.enabled": "false",
    "export.calibration.images": 200,
    "export.max_drop": 2,
}
OWN = {
    "vgg16": {"train.from_scratch.learning_rate": 2e-4},
    "convnexttiny": {"train.from_scratch.learning_rate": 5e-4},
}
"""Neither has BatchNorm, and neither learns at the rate of the others."""


def main() -> int:
    arguments = _arguments()
    names = sorted(arguments.backbones, key=lambda name: BACKBONES[name].macs)
    failed: dict[str, str] = {}
    for stage in arguments.stages:
        for name in names:
            try:
                STAGES[stage](name, arguments)
            except EdgekitError as error:
                told(error)
                failed.setdefault(name, error.problem.splitlines()[-1])
    folders = [arguments.work, *arguments.also]
    found = [path for name in names for folder in folders if (path := _result(folder, name)).is_file()]
    results = [json.loads(path.read_text()) for path in found]
    headers = ["backbone", "px", "Keras %", "file", "accuracy %", "same %", "gate", "MB", "time/fp32"]
    show(headers, [row for result in results for row in _rows(result)], range(1, 9))
    settings = {"data": arguments.data or "digits", "epochs": arguments.epochs, "settings": SETTINGS, "own": OWN}
    write_result(arguments.out, "backbones", {**settings, "results": results, "failed": failed})
    return 1 if failed else 0


def prepare(name: str, arguments: argparse.Namespace) -> None:
    """Train and export one backbone."""
    run = arguments.work / name
    exported = {export.key for export in RunFolder(run).done_exports()}
    if _result(arguments.work, name).is_file() or exported.issuperset(FILES):
        return
    trained = _train(name, run, arguments)
    _export(run, ["--fp32", "--int8"])
    _export(run, ["--format", "ncnn", "--fp32"])
    print(f"{name}: {trained['accuracy']:.4f} after training, exported", file=sys.stderr, flush=True)


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Score the files and measure their latency, which needs a quiet machine."""
    run, result = arguments.work / name, _result(arguments.work, name)
    if result.is_file() or not RunFolder(run).done_exports():
        return
    trained = json.loads((run / "run.json").read_text())
    document = {
        "backbone": name,
        "image_size": _side(name, arguments),
        "parameters": trained["model"]["parameters"],
        "macs": trained["model"]["macs"],
        "keras_accuracy": trained["accuracy"],
        "n_samples": trained["n_samples"],
        "train_seconds": trained["timing"]["train_seconds"],
        "files": _bench(run, arguments.protocol),
        "attempts": {},
    }
    write_json(result, document)


def recover(name: str, arguments: argparse.Namespace) -> None:
    """Repair the int8 files that fail their accuracy gate at export or on the test images; QAT for TFLite."""
    run, result = arguments.work / name, _result(arguments.work, name)
    if arguments.plain or not result.is_file():
        return
    document = json.loads(result.read_text())
    failing = [key for key in ("tflite-int8", "onnx-int8") if "failed" in _gates(document["files"].get(key, {}))]
    if document["attempts"] or not failing:
        return
    attempts = {
        f"{key} --repair": _attempt(run, ["--format", key.split("-")[0], "--int8", "--repair"]) for key in failing
    }
    if "tflite-int8" in failing:
        attempts["qat"] = _attempt(run, ["--qat", "--set", "export.qat.epochs=3"])
    write_json(result, {**document, "attempts": attempts, "after": _bench(run, arguments.protocol)})


def _gates(file: dict[str, Any]) -> set[str | None]:
    return {file.get("gate"), file.get("gate_at_export")}


STAGES = {"prepare": prepare, "measure": measure, "recover": recover}


def _result(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _side(name: str, arguments: argparse.Namespace) -> int:
    return max(arguments.image_size, BACKBONES[name].min_image_size)


def _train(name: str, run: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    document = run / "run.json"
    if document.is_file() and json.loads(document.read_text())["status"] == "done":
        return dict(json.loads(document.read_text()))
    settings: dict[str, Any] = {**SETTINGS, **OWN.get(name, {})}
    data = ["--data", arguments.data] if arguments.data else ["--set", "data.name=digits"]
    if arguments.limit:
        settings["data.limit_per_class"] = arguments.limit
    command = ["-m", "edgekit", "train", *data, "--backbone", name, "--weights", "none", "--run", str(run)]
    command += ["--image-size", str(_side(name, arguments)), "--epochs", str(arguments.epochs), "--quiet", "--json"]
    command += ["--resume"] if document.is_file() else []
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    return run_program(command).document


def _export(run: Path, options: list[str]) -> None:
    """The files that ``options`` select; a failed gate is a result, not an error."""
    try:
        run_program(["-m", "edgekit", "export", str(run), *options, "--quiet", "--json"])
    except EdgekitError as error:
        if "ended with code 3" not in error.problem:
            raise


def _attempt(run: Path, options: list[str]) -> str:
    """``done``, or why edgekit could not do it."""
    try:
        _export(run, options)
    except EdgekitError as error:
        return error.problem.splitlines()[-1]
    made = "tflite-int8-qat" if "--qat" in options else "tflite-int8"
    return "done" if (run / "exports" / made / "export.json").is_file() else "not supported by its layers"


def _bench(run: Path, protocol: str) -> dict[str, Any]:
    """Accuracy, agreement with Keras, size, and the ratio of latencies to the fp32 file of the same format."""
    folder = RunFolder(run)
    exports = [str(one.path) for one in folder.done_exports()]  # named, so that those that failed their gate run too
    run_program(["-m", "edgekit", "bench", *exports, "--protocol", protocol, "--threads", "1", "--quiet", "--json"])
    results = {one.key: BenchDocument.read(folder.bench_json("local", one.key)) for one in folder.done_exports()}
    files: dict[str, Any] = {}
    for key, one in results.items():
        export = folder.export(key).read_export()
        gate, accuracy = one.gate or export.gate, one.accuracy
        files[key] = {
            "accuracy": None if accuracy is None else accuracy.accuracy,
            "same": None if accuracy is None else accuracy.agreement_with_keras,
            "gate": None if gate is None else gate.status,
            "gate_at_export": None if export.gate is None else export.gate.status,
            "size_bytes": one.size_bytes,
            "ratio_to_fp32": _ratio(one, results.get(f"{one.format}-fp32")),
            "float_operators": export.float_operators,
            "float_layers": [] if export.repair is None else list(export.repair.kept_in_float),
        }
    return files


def _ratio(one: BenchDocument, reference: BenchDocument | None) -> list[float] | None:
    """Median and interval of the ratio of latencies over the rounds of one session."""
    if reference is None or not one.latency or one.session_id != reference.session_id:
        return None
    ratio = compare_rounds(one.latency[0].rounds, reference.latency[0].rounds)
    return [ratio.median, ratio.low, ratio.high]


def _rows(result: dict[str, Any]) -> list[list[str]]:
    rows = []
    for key, one in [*result["files"].items(), *((f"{k} after", v) for k, v in result.get("after", {}).items())]:
        ratio = one["ratio_to_fp32"]
        rows.append(
            [
                result["backbone"],
                str(result["image_size"]),
                f"{100 * result['keras_accuracy']:.1f}",
                key,
                f"{100 * one['accuracy']:.1f}" if one["accuracy"] is not None else "-",
                f"{100 * one['same']:.1f}" if one["same"] is not None else "-",
                one["gate"] or "-",
                f"{one['size_bytes'] / 1e6:.2f}",
                "-" if ratio is None else f"{ratio[0]:.2f}",
            ]
        )
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and results; resumed if it exists")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="work folders of other processes, to collect")
    parser.add_argument(
        "--stages", nargs="*", choices=list(STAGES), default=list(STAGES), help="which to run; none: collect"
    )
    parser.add_argument("--data", help="folder of labelled images (default: the embedded digits)")
    parser.add_argument("--limit", type=int, help="training images per class")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--plain", action="store_true", help="neither repair nor QAT")
    parser.add_argument("--out", type=Path, help="write all results as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
