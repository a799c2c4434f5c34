"""Classify images or camera frames, verify an exported file or time it, from a terminal on the device itself."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failures import DeviceError
from .plain_text import visible
from .working_folder import SETTINGS, TUNED

if TYPE_CHECKING:
    import numpy as np

    from .classifier import Classifier
    from .jobs import JobModel
    from .runtimes import Model

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

OPTIONS = ("runtime", "scaling", "resize", "filter", "output", "activation")
"""Options that `edgekit deploy` may have written beside the model, by the name that they have in a job."""

EXIT_CODES = {"model": 2, "image": 2, "runtime": 4}
"""By kind of error; the same as those of the host's edgekit."""


def main(arguments: list[str]) -> int:
    """Run ``predict``, ``bench``, ``verify`` or ``probe`` as a person types them, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except ImportError as error:
        sys.stderr.write(
            f"error: a required package is missing ({error})\n"
            "  hint: run `edgekit target setup` for this device on the computer that has edgekit\n"
        )
        return 4
    except DeviceError as error:
        where = f"\n  where: {error.where}" if error.where else ""
        sys.stderr.write(visible(f"error: {error.reason}{where}", keep="\n") + "\n")
        return EXIT_CODES.get(error.kind, 1)
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgekit-device.pyz", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    predict = _add(verbs, "predict", "classify images or camera frames")
    _model_options(predict)
    predict.add_argument("images", nargs="*", metavar="IMAGE", help="image files")
    predict.add_argument("--top", type=int, default=3, metavar="N", help="show the N most probable classes (3)")
    predict.add_argument(
        "--labels",
        metavar="FILE",
        help="class names: one per line, JSON or CSV (default: those in the model file, or labels.txt beside it)",
    )
    predict.add_argument("--camera", action="store_true", help="classify camera frames until Ctrl-C")
    predict.add_argument("--frames", type=int, default=0, metavar="N", help="with --camera: stop after N frames")
    predict.set_defaults(function=_predict)
    bench = _add(verbs, "bench", "measure the latency of a model")
    _model_options(bench)
    bench.add_argument("--seconds", type=float, default=5.0, help="how long to measure (default: 5)")
    bench.set_defaults(function=_bench)
    verify = _add(verbs, "verify", "check a model against its golden outputs")
    _model_options(verify)
    verify.add_argument("golden", metavar="GOLDEN.npz", help="golden.npz from the model's export folder")
    verify.set_defaults(function=_verify)
    probe = _add(verbs, "probe", "show this machine and its current state")
    probe.set_defaults(function=_probe)
    return parser


def _add(verbs: Subparsers, name: str, summary: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def _model_options(parser: argparse.ArgumentParser) -> None:
    from .runtime_table import RUNTIMES

    parser.add_argument("model", metavar="MODEL", help="a .tflite or .onnx file")
    parser.add_argument("--threads", type=int, metavar="N", help="number of threads (default: as tuned, or all cores)")
    parser.add_argument(
        "--runtime", metavar="NAME", help=f"one of: {', '.join(RUNTIMES)} (default: as tuned, or the first)"
    )
    parser.add_argument(
        "--scaling",
        help="none, unit, symmetric, imagenet, caffe or MEAN,STD (default: from the model file)",
    )
    parser.add_argument("--resize", help="stretch, crop or pad (default: from the model file, or stretch)")
    parser.add_argument("--filter", help="bilinear, bicubic, lanczos, area or nearest (default: bilinear)")
    parser.add_argument("--image-size", metavar="HxW", help="size of an input that leaves it open, such as 224x224")
    parser.add_argument("--output", metavar="NAME", help="name or number of one of several outputs")
    parser.add_argument("--activation", help="softmax, sigmoid or none (default: from the model file)")


def _opened(options: argparse.Namespace) -> tuple[JobModel, Model, list[str] | None]:
    """The model as it is to be used, the opened file, and the labels in the file."""
    from .jobs import model_entry
    from .metadata import read_metadata
    from .pinning import pin
    from .resizing import FILTERS, RESIZES
    from .runtimes import all_cores

    given = _settings(options)
    for name, known in (("filter", tuple(FILTERS)), ("resize", RESIZES)):
        if given.get(name) not in (None, *known):
            raise DeviceError(f"unknown {name} {given[name]!r}: choose {', '.join(known)}")
    entry = model_entry({**given, **_tuned(options), "path": options.model, "key": "model"})
    if entry.pin:
        pin(entry.threads or all_cores())
    model = entry.open(entry.threads or all_cores())
    own = read_metadata(options.model, model)
    return (
        replace(
            entry,
            scaling=entry.scaling or own.scaling,
            resize=given.get("resize") or own.resize or "stretch",
            pixel_range=given.get("range") or own.pixel_range or "full",
        ),
        model,
        own.labels,
    )


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The options, and what `edgekit deploy` wrote beside the model where an option is not given."""
    found = _beside(options, SETTINGS)
    given = {name: getattr(options, name) for name in OPTIONS}
    if options.image_size:
        sides = options.image_size.lower().split("x")
        if not 1 <= len(sides) <= 2 or not all(side.isdecimal() and int(side) for side in sides):
            raise DeviceError(f"{options.image_size!r} is not an image size: write 224, or 224x160 for height x width")
        given["image_size"] = [int(sides[0]), int(sides[-1])]
    return {**found, **{key: value for key, value in given.items() if value}}


def _tuned(options: argparse.Namespace) -> dict[str, Any]:
    """Runtime, threads and settings: the options, and for the rest what `edgekit bench --tune` found.

    The settings of a runtime do not apply to another one, and pinning is tuned together with the threads.
    """
    found = _beside(options, TUNED)
    if options.runtime not in (None, found.get("runtime")):
        found = {"runtime": options.runtime}
    if options.threads is not None:
        found = {**found, "threads": options.threads, "pin": False}
    return found


def _beside(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """A file of settings that `edgekit deploy` wrote beside the model; empty if there is none."""
    path = Path(options.model).parent / name
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise DeviceError(f"cannot read the settings of the model: {error}", str(path)) from None
    return found if isinstance(found, dict) else {}


def _predict(options: argparse.Namespace) -> int:
    from .classifier import Classifier

    if not options.images and not options.camera:
        raise DeviceError("nothing to classify: pass image files, or --camera")
    entry, model, labels = _opened(options)
    classifier = Classifier(entry, model)
    names = _labels(options, labels)
    if options.camera:
        return _predict_frames(classifier, names, options)
    for path in options.images:
        probabilities = classifier.classify(classifier.geometry.load(path))
        print(visible(f"{path}  {_top_classes(probabilities, names, options.top)}"), flush=True)
    return 0


def _predict_frames(classifier: Classifier, names: list[str] | None, options: argparse.Namespace) -> int:
    from .camera import frames

    for number, frame in enumerate(frames(), 1):
        probabilities = classifier.classify(classifier.geometry.fit(frame))
        print(visible(_top_classes(probabilities, names, options.top)), flush=True)
        if number == options.frames:
            break
    return 0


def _labels(options: argparse.Namespace, own: list[str] | None) -> list[str] | None:
    """The class names: those of --labels, else those in the model file, else labels.txt beside it."""
    beside = Path(options.model).parent / "labels.txt"
    path = Path(options.labels) if options.labels else None if own else beside if beside.is_file() else None
    if path is None:
        return own
    from .labels import MOST_BYTES, LabelsError, parse_labels

    try:
        with path.open("rb") as stream:
            return parse_labels(stream.read(MOST_BYTES + 1), path.name)
    except OSError as error:
        raise DeviceError(f"cannot read the labels: {error.strerror}", str(path)) from None
    except LabelsError as error:
        raise DeviceError(f"cannot use the labels: {error.reason}", str(path)) from None


def _top_classes(probabilities: np.ndarray, names: list[str] | None, top: int) -> str:
    order = probabilities.argsort()[::-1][:top]
    if names is not None and len(names) != len(probabilities):
        raise DeviceError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    return "  ".join(f"{names[i] if names else i} {probabilities[i]:.1%}" for i in order)


def _bench(options: argparse.Namespace) -> int:
    from .timing import run_block
    from .varied_inputs import input_cycle

    entry, model, _ = _opened(options)
    next_input = input_cycle(entry, model)
    run_block(model.invoke, 10, 500_000_000, next_input)
    samples = run_block(model.invoke, 11, int(options.seconds * 1e9), next_input)
    median = statistics.median(samples) / 1e6
    threads = f"{model.threads} thread" + ("s" if model.threads > 1 else "")
    print(f"median {median:.3g} ms over {len(samples)} runs, {threads}, {model.runtime} {model.version}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .golden import compare, read_golden

    entry, model, _ = _opened(options)
    inputs, outputs = read_golden(options.golden)
    result = compare(entry, model, inputs, outputs)
    if result["event"] == "failed":
        print(visible(result["reason"]))
        return 3
    same = sum(a == b for a, b in zip(result["predicted"], result["expected"]))
    total = len(result["predicted"])
    largest = max(result["differences"])
    print(f"{same} of {total} predictions match the golden outputs; largest difference {largest:.2g}")
    return 0 if same == total else 3


def _probe(_options: argparse.Namespace) -> int:
    from . import probe

    print(json.dumps(probe.environment(), indent=1))
    return 0
