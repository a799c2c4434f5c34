"""Classify images or camera frames, verify an exported file or time it, from a terminal on the device itself."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import TYPE_CHECKING

from .failures import DeviceError
from .model_options import add_model_options, labels_of, opened
from .plain_text import visible
from .watch_command import add_watch_options, run_unit, run_watch

if TYPE_CHECKING:
    import numpy as np

    from .classifier import Classifier

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_CODES = {"model": 2, "image": 2, "runtime": 4}
"""By kind of error; the same as those of the host's edgekit."""

VERBS = ("predict", "watch", "unit", "bench", "verify", "probe")


def main(arguments: list[str]) -> int:
    """Run one of :data:`VERBS` as a person types it, and return the exit code."""
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
    add_model_options(predict)
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
    watch = _add(verbs, "watch", "classify camera frames all the time, and show the last one on a page")
    add_model_options(watch)
    add_watch_options(watch)
    watch.set_defaults(function=run_watch)
    unit = _add(verbs, "unit", "print a systemd unit that runs `watch` with the same options")
    add_model_options(unit)
    add_watch_options(unit)
    unit.set_defaults(function=run_unit)
    bench = _add(verbs, "bench", "measure the latency of a model")
    add_model_options(bench)
    bench.add_argument("--seconds", type=float, default=5.0, help="how long to measure (default: 5)")
    bench.set_defaults(function=_bench)
    verify = _add(verbs, "verify", "check a model against its golden outputs")
    add_model_options(verify)
    verify.add_argument("golden", metavar="GOLDEN.npz", help="golden.npz from the model's export folder")
    verify.set_defaults(function=_verify)
    probe = _add(verbs, "probe", "show this machine and its current state")
    probe.set_defaults(function=_probe)
    return parser


def _add(verbs: Subparsers, name: str, summary: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def _predict(options: argparse.Namespace) -> int:
    from .classifier import Classifier

    if not options.images and not options.camera:
        raise DeviceError("nothing to classify: pass image files, or --camera")
    entry, model, labels = opened(options)
    classifier = Classifier(entry, model)
    names = labels_of(options, labels)
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


def _top_classes(probabilities: np.ndarray, names: list[str] | None, top: int) -> str:
    order = probabilities.argsort()[::-1][:top]
    if names is not None and len(names) != len(probabilities):
        raise DeviceError(f"{len(names)} labels do not fit {len(probabilities)} outputs")
    return "  ".join(f"{names[i] if names else i} {probabilities[i]:.1%}" for i in order)


def _bench(options: argparse.Namespace) -> int:
    from .timing import run_block
    from .varied_inputs import input_cycle

    entry, model, _ = opened(options)
    next_input = input_cycle(entry, model)
    run_block(model.invoke, 10, 500_000_000, next_input)
    samples = run_block(model.invoke, 11, int(options.seconds * 1e9), next_input)
    median = statistics.median(samples) / 1e6
    threads = f"{model.threads} thread" + ("s" if model.threads > 1 else "")
    print(f"median {median:.3g} ms over {len(samples)} runs, {threads}, {model.runtime} {model.version}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from .golden import compare, problem_of, read_golden

    entry, model, _ = opened(options)
    inputs, outputs = read_golden(options.golden)
    result = compare(entry, model, inputs, outputs)
    if result["event"] == "failed":
        print(visible(result["reason"]))
        return 3
    same = sum(a == b for a, b in zip(result["predicted"], result["expected"]))
    total = len(result["predicted"])
    largest = max(result["differences"])
    print(f"{same} of {total} predictions match the golden outputs; largest difference {largest:.2g}")
    problem = problem_of(result)
    if problem is not None:
        print(problem)
    return 0 if problem is None else 3


def _probe(_options: argparse.Namespace) -> int:
    from . import probe

    print(json.dumps(probe.environment(), indent=1))
    return 0
