"""The same program for a person who sits at the device: classify pictures or a camera, check a file, time it."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from .failures import DeviceError

NEEDS = "run `edgekit target setup` for this device from the computer with edgekit"


def main(arguments: list[str]) -> int:
    """``predict``, ``bench``, ``verify`` or ``probe`` as a person types them; the exit codes of the host's edgekit."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except ImportError as error:
        sys.stderr.write(f"error: this Python lacks what is needed ({error})\n  to do: {NEEDS}\n")
        return 4
    except DeviceError as error:
        where = f"\n  where: {error.where}" if error.where else ""
        sys.stderr.write(f"error: {error.reason}{where}\n")
        return {"model": 2, "image": 2, "runtime": 4}.get(error.kind, 1)
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgekit-device.pyz", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    predict = verbs.add_parser("predict", help="say what pictures show")
    _model_options(predict)
    predict.add_argument("images", nargs="*", metavar="IMAGE")
    predict.add_argument("--top", type=int, default=3, help="how many classes to show (3)")
    predict.add_argument("--labels", help="class names, one a line (default: the file's own, or labels.txt beside it)")
    predict.add_argument("--camera", action="store_true", help="classify what the camera sees until Ctrl-C")
    predict.add_argument("--frames", type=int, default=0, help="with --camera: stop after so many")
    predict.set_defaults(function=_predict)
    bench = verbs.add_parser("bench", help="time a model")
    _model_options(bench)
    bench.add_argument("--seconds", type=float, default=5.0)
    bench.set_defaults(function=_bench)
    verify = verbs.add_parser("verify", help="compare a model with its golden answers")
    _model_options(verify)
    verify.add_argument("golden", help="golden.npz")
    verify.set_defaults(function=_verify)
    probe = verbs.add_parser("probe", help="what this machine is and how it is")
    probe.set_defaults(function=_probe)
    return parser


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a .tflite or .onnx file")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores (default)")
    parser.add_argument("--runtime", help="litert, tflite-runtime or onnxruntime")
    parser.add_argument(
        "--scaling", help="none, unit, symmetric, imagenet, caffe or MEAN,STD (default: the file's own)"
    )


def _entry(options: argparse.Namespace) -> Any:
    from .jobs import JobModel
    from .metadata import read_metadata
    from .scaling import parse_scaling

    entry = JobModel("model", options.model, options.runtime, None, "stretch", "auto")
    model = entry.open(options.threads)
    own = read_metadata(options.model, model)
    scaling = parse_scaling(options.scaling) if options.scaling else own.scaling
    full = JobModel("model", options.model, options.runtime, scaling, own.resize or "stretch", "auto")
    return full, model, own.labels


def _predict(options: argparse.Namespace) -> int:
    from .images import square_rgb
    from .jobs import Classifier, load_pixels

    entry, model, labels = _entry(options)
    classifier = Classifier(entry, model)
    names = _labels(options, labels)
    if options.camera:
        from .camera import frames

        for number, frame in enumerate(frames(), 1):
            print(
                _classes(classifier.classify(square_rgb(frame, *classifier.geometry)), names, options.top), flush=True
            )
            if number == options.frames:
                break
        return 0
    if not options.images:
        raise DeviceError("no picture is named; give one, or --camera")
    for path in options.images:
        classes = _classes(classifier.classify(load_pixels(path, classifier.geometry)), names, options.top)
        print(f"{path}  {classes}", flush=True)
    return 0


def _labels(options: argparse.Namespace, own: list[str] | None) -> list[str] | None:
    beside = Path(options.model).parent / "labels.txt"
    path = Path(options.labels) if options.labels else None if own else beside if beside.is_file() else None
    if path is None:
        return own
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DeviceError(f"the labels cannot be read: {error.strerror}", str(path)) from None


def _classes(probabilities: Any, names: list[str] | None, top: int) -> str:
    order = probabilities.argsort()[::-1][:top]
    known = names if names is not None and len(names) == len(probabilities) else None
    return "  ".join(f"{known[i] if known else i} {probabilities[i]:.1%}" for i in order)


def _bench(options: argparse.Namespace) -> int:
    from .timing import prepare_input, run_block

    entry, model, _ = _entry(options)
    prepare_input(model, entry)
    run_block(model.invoke, 10, 500_000_000)
    samples = run_block(model.invoke, 11, int(options.seconds * 1e9))
    median = statistics.median(samples) / 1e6
    print(f"{median:.3g} ms median of {len(samples)} runs, {model.threads} threads, {model.runtime} {model.version}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .jobs import Job
    from .verification import verify

    entry, _, _ = _entry(options)
    found: list[dict[str, Any]] = []
    verify(
        Job({"golden": {"model": options.golden}}, [entry], options.threads or 1),
        lambda event, **values: found.append({"event": event, **values}),
    )
    line = found[-1]
    if line["event"] == "failed":
        print(line["reason"])
        return 3
    same = sum(a == b for a, b in zip(line["answers"], line["expected"]))
    print(f"{same} of {len(line['answers'])} golden answers agree; largest difference {max(line['differences']):.2g}")
    return 0 if same == len(line["answers"]) else 3


def _probe(_options: argparse.Namespace) -> int:
    from . import probe

    print(json.dumps(probe.environment(), indent=1))
    return 0
