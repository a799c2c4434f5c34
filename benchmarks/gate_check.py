"""How often `edgekit gate check` catches a planted regression, and how often it fails a file that is no worse.

Every trial is one `edgekit gate check` as a person starts it, on real files and images:

- *accuracy*: a file that gives a wrong class for 2% of the images (other ones in every trial), with `--no-latency`;
- *latency*: a file with 10% more multiply-accumulates in a chain of equal convolutions;
- *unchanged*: the baseline's network in a file of other bytes.

A regression is caught if the check of its own figure has failed. An unchanged file fails if any check has failed.
Results are kept after each trial, and the same command continues an interrupted run.

    python benchmarks/gate_check.py --trials 20 --out benchmarks/results/gate_check.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import show, told, write_result
from PIL import Image

from edgekit.documents.dataset_list import DatasetRow, write_dataset_csv
from edgekit.documents.export import Converter, ExportDocument, ExportTiming, ParityRecord
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import DatasetRecord, ModelRecord, RunDocument, TrainingEnvironment, WeightsRecord
from edgekit.errors import EdgekitError
from edgekit.recipe import validate
from edgekit.support.files import gzip_size, sha256_file

CLASSES = ("blue", "green", "red")
SIDE, CHANNELS, BLOCKS = 32, 16, 20
KEY = "onnx-fp32"
MADE = "2026-01-01T00:00:00+00:00"
RECIPE = {"bench": {"protocol": "quick", "threads": [1]}, "gates": {"max_size_increase": None}}
"""A file with more weights is larger, which would be caught by its size alone."""
KINDS = ("accuracy", "latency", "unchanged")


def write_images(folder: Path, count: int) -> Path:
    """``count`` images of noise: in each, the channel of its class is 120 brighter."""
    random = np.random.default_rng(0)
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        pixels = random.integers(0, 100, (SIDE, SIDE, 3), np.uint8)
        pixels[..., ("red", "green", "blue").index(label)] += 120
        path = folder / label / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def write_model(
    path: Path, *, blocks: int = BLOCKS, wrong_pixel: tuple[int, int] | None = None, note: str = ""
) -> None:
    """A classifier of these images behind ``blocks`` equal convolutions.

    ``wrong_pixel``: it gives a wrong class where the darkest channel of this pixel is 0, which is so in 1.99% of the
    images. ``note`` changes the bytes of the file and nothing else.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "first": random.normal(0, 0.1, (CHANNELS, 3, 3, 3)).astype(np.float32),
        "ignored": np.zeros((CHANNELS, 3), np.float32),
        "range": np.array(255, np.float32),
        "classes": np.array([[0, 0, 8], [0, 8, 0], [8, 0, 0]], np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "first"], ["block0"], pads=[1, 1, 1, 1]),
    ]
    for number in range(blocks):
        tensors[f"weights{number}"] = random.normal(0, 0.05, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
        nodes.append(node("Conv", [f"block{number}", f"weights{number}"], [f"block{number + 1}"], pads=[1, 1, 1, 1]))
    nodes += [
        node("ReduceMean", [f"block{blocks}"], ["features"], axes=[2, 3], keepdims=0),
        node("MatMul", ["features", "ignored"], ["nothing"]),
        node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        node("Div", ["mean", "range"], ["share"]),
        node("MatMul", ["share", "classes"], ["colour"]),
        node("Add", ["colour", "nothing"], ["right"]),
    ]
    if wrong_pixel is not None:
        y, x = wrong_pixel
        tensors |= {
            "begin": np.array([0, y, x, 0], np.int64),
            "end": np.array([1, y + 1, x + 1, 3], np.int64),
            "half": np.array(0.5, np.float32),
        }
        nodes += [
            node("Slice", ["pixels", "begin", "end"], ["pixel"]),
            node("ReduceMin", ["pixel"], ["darkest"], axes=[1, 2, 3], keepdims=0),
            node("Less", ["darkest", "half"], ["black"]),
            node("Neg", ["right"], ["wrong"]),
            node("Where", ["black", "wrong", "right"], ["logits"]),
        ]
    else:
        nodes.append(node("Identity", ["right"], ["logits"]))
    nodes.append(node("Softmax", ["logits"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, len(CLASSES)])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=note)
    onnx.save(model, path)


def write_run(folder: Path, images: Path, **model: Any) -> RunFolder:
    """A run with one exported file, tested on all images, as training and export would leave it."""
    run = RunFolder(folder)
    files = sorted(path.relative_to(images).as_posix() for path in images.glob("*/*.png"))
    write_dataset_csv(run.dataset, [DatasetRow(f, f.split("/")[0], "test", sha256_file(images / f)) for f in files])
    RunDocument(
        status="done",
        run_id=folder.name,
        created=MADE,
        edgekit_version="0.1.0",
        recipe=validate(RECIPE, "benchmark"),
        backbone="mobilenetv2",
        strategy="from-scratch",
        seed=0,
        weights=WeightsRecord(source="none"),
        dataset=DatasetRecord(
            name="colours",
            root=str(images),
            fingerprint="0",
            classes=CLASSES,
            layout="split",
            n_files=len(files),
            counts={"test": dict.fromkeys(CLASSES, len(files) // len(CLASSES))},
        ),
        model=ModelRecord(parameters=1, layers=1, input_shape=(SIDE, SIDE, 3)),
        environment=TrainingEnvironment(
            python="3.11", platform="Linux", cpu=None, cores=None, backend="none", gpu=None, versions={}
        ),
    ).write(run.run_json)
    export = run.export(KEY)
    export.path.mkdir(parents=True)
    file = export.path / "model.onnx"
    write_model(file, **model)
    ExportDocument(
        run_id=folder.name,
        backbone="mobilenetv2",
        alpha=1.0,
        strategy="from-scratch",
        seed=0,
        keras_sha256="0",
        labels=CLASSES,
        resize="stretch",
        format="onnx",
        scheme="fp32",
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
        converter=Converter(name="benchmark", version="1"),
        calibration=None,
        seconds=1.0,
        timing=ExportTiming(convert_seconds=1.0, check_seconds=0.0),
        peak_rss_bytes=None,
        created=MADE,
        versions={},
    ).write(export.export_json)
    return run


def edgekit(work: Path, *arguments: str) -> tuple[int, str]:
    """``edgekit ARGUMENTS`` in the working folder: its exit code and what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *arguments], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 3):
        raise EdgekitError(f"edgekit {arguments[0]} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.returncode, done.stdout


def trial(work: Path, images: Path, kind: str, number: int, limit: str) -> dict[str, Any]:
    """One check of one planted file."""
    random = np.random.default_rng([KINDS.index(kind), number])
    pixel = tuple(random.integers(0, SIDE, 2).tolist())
    model: dict[str, Any] = {
        "accuracy": {"wrong_pixel": pixel},
        "latency": {"blocks": BLOCKS + BLOCKS // 10},
        "unchanged": {"note": f"trial {number}"},
    }[kind]
    name = f"{kind}-{number}"
    if not (work / name / "run.json").exists():
        write_run(work / name, images, **model)
    started, load = time.monotonic(), os.getloadavg()[0]
    options = ["--no-latency"] if kind == "accuracy" else ["--time-limit", limit]
    code, printed = edgekit(work, "gate", "check", "baseline", name, *options, "--quiet", "--json")
    document = json.loads(printed)
    (file,) = document["files"]
    failed = [check["check"] for check in file["checks"] if check["outcome"] == "failed"]
    return {
        "kind": kind,
        "trial": number,
        "exit_code": code,
        "outcome": document["outcome"],
        "failed": failed,
        "caught": kind in failed,
        "sessions": file["sessions"],
        "seconds": time.monotonic() - started,
        "load_average": load,
        "checks": file["checks"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="only these trials, e.g. accuracy (default: all)")
    parser.add_argument("--images", type=int, default=3000, help="test images (default: 3000)")
    parser.add_argument("--time-limit", default="5m", help="of each check (default: 5m)")
    parser.add_argument("--work", type=Path, help="working folder (default: a temporary one)")
    parser.add_argument("--out", type=Path, help="write every check as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).absolute()
        images = work / "images"
        if not images.exists():
            write_images(images, arguments.images)
        if not (work / "gates" / "baseline.zip").exists():
            write_run(work / "baseline", images)
            edgekit(work, "bench", "baseline", "--quiet")
            edgekit(work, "gate", "save", "baseline", "baseline", "--with-models", "--quiet")
        trials = run_trials(work, images, arguments)
    rows = []
    counts: dict[str, Any] = {}
    for kind in arguments.kinds.split(","):
        own = [one for one in trials if one["kind"] == kind]
        counts[kind] = {
            "trials": len(own),
            "caught": sum(one["caught"] for one in own) if kind != "unchanged" else None,
            **{outcome: sum(one["outcome"] == outcome for one in own) for outcome in ("failed", "undecided", "passed")},
        }
        sessions = f"{np.mean([one['sessions'] for one in own]):.1f}"
        seconds = f"{np.median([one['seconds'] for one in own]):.0f}"
        caught = "-" if kind == "unchanged" else str(counts[kind]["caught"])
        outcomes = [str(counts[kind][outcome]) for outcome in ("failed", "undecided", "passed")]
        rows.append([kind, str(len(own)), caught, *outcomes, sessions, seconds])
    show(
        ["planted", "trials", "caught", "failed", "undecided", "passed", "sessions", "median s"],
        rows,
        right=tuple(range(1, 8)),
    )
    write_result(
        arguments.out,
        "gate_check",
        {"counts": counts, "images": arguments.images, "time_limit": arguments.time_limit, "trials": trials},
    )
    return 0


def run_trials(work: Path, images: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every trial, in turns of all kinds; those that a file in the working folder already has are not repeated."""
    done = work / "trials.jsonl"
    trials = [json.loads(line) for line in done.read_text().splitlines()] if done.exists() else []
    known = {(one["kind"], one["trial"]) for one in trials}
    for number in range(arguments.trials):
        for kind in arguments.kinds.split(","):
            if (kind, number) in known:
                continue
            one = trial(work, images, kind, number, arguments.time_limit)
            trials.append(one)
            with done.open("a") as stream:
                stream.write(json.dumps(one) + "\n")
            print(
                f"{kind} {number}: {one['outcome']} {one['failed']}, {plural_sessions(one)}, {one['seconds']:.0f} s",
                file=sys.stderr,
            )
    return trials


def plural_sessions(one: dict[str, Any]) -> str:
    return f"{one['sessions']} session{'' if one['sessions'] == 1 else 's'}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgekitError as error:
        sys.exit(told(error))
