"""The model that a command in a terminal is about: its options, its settings beside it, and its labels."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failures import DeviceError
from .working_folder import SETTINGS, TUNED

if TYPE_CHECKING:
    from .jobs import JobModel
    from .runtimes import Model

OPTIONS = ("runtime", "scaling", "resize", "filter", "output", "activation")
"""Options that `edgekit deploy` may have written beside the model, by the name that they have in a job."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Everything about the model, whatever is done with it."""
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


def opened(options: argparse.Namespace) -> tuple[JobModel, Model, list[str] | None]:
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


def labels_of(options: argparse.Namespace, own: list[str] | None) -> list[str] | None:
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
