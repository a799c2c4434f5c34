"""The verbs ``watch`` and ``unit``, as a person or systemd starts them in the folder of a deployment."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .failures import DeviceError

if TYPE_CHECKING:
    from .watch import WatchSettings


def add_watch_options(parser: argparse.ArgumentParser) -> None:
    """The options that ``watch`` and ``unit`` share."""
    parser.set_defaults(parser=parser)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address of the page (default: 127.0.0.1, for this device only); "
        "0.0.0.0: the whole network, with a token")  # fmt: skip
    add("--port", type=_number(int, 0, 65535), default=8765, help="port of the page (default: 8765)")
    add("--every", type=_number(float, 0, 86400), default=1.0, metavar="S",
        help="seconds between two pictures (default: 1)")  # fmt: skip
    add("--folder", metavar="DIR", help="classify the pictures that appear in this folder, instead of the camera's")
    add("--frames", type=_number(int, 0, 10**12), default=0, metavar="N", help="stop after N pictures")
    add("--top", type=_number(int, 1, 100), default=3, metavar="N", help="show the N most probable classes (3)")
    add("--labels", metavar="FILE", help="class names (default: those in the model file, or labels.txt beside it)")
    add("--keep-mb", type=_number(float, 0, 10**6), default=0.0, metavar="MB",
        help="keep up to MB of pictures that the model is unsure about, in `unsure` (default: 0, none)")  # fmt: skip
    add("--unsure-below", type=_number(float, 0, 1), default=0.6, metavar="P",
        help="the model is unsure if its top class has a probability below P (default: 0.6)")  # fmt: skip
    add("--drift-every", type=_number(float, 0, 86400), default=5.0, metavar="S",
        help="seconds between two pictures that are compared with the test split (default: 5)")  # fmt: skip
    add("--drift-window", type=_number(int, 50, 10**5), default=200, metavar="N",
        help="pictures that are compared together (default: 200)")  # fmt: skip


def _number(kind: type, low: float, high: float) -> Callable[[str], float]:
    def parsed(text: str) -> float:
        value: float = kind(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    parsed.__name__ = "number"
    return parsed


def settings_of(options: argparse.Namespace) -> WatchSettings:
    """The options of ``watch`` with their types."""
    from .watch import WatchSettings

    return WatchSettings(
        host=options.host,
        port=options.port,
        every_s=options.every,
        top=options.top,
        frames=options.frames,
        keep_mb=options.keep_mb,
        unsure_below=options.unsure_below,
        drift_every_s=options.drift_every,
        drift_window=options.drift_window,
        folder=Path(options.folder).absolute() if options.folder else None,
    )


def run_watch(options: argparse.Namespace) -> int:
    """Watch until the end; start again when the deployment was updated."""
    from . import watch
    from .classifier import Classifier
    from .model_options import labels_of, opened

    program, arguments = str(Path(sys.argv[0]).absolute()), sys.argv[1:]
    model = Path(options.model).absolute()
    was_in_folder = Path.cwd() == model.parent
    settings = settings_of(options)
    if not model.is_file():
        raise DeviceError("cannot read this model file: No such file or directory", options.model)
    server = watch.listen(settings, model.parent)
    try:
        entry, loaded, labels = opened(options)
        watch.watch(settings, Classifier(entry, loaded), labels_of(options, labels), server, model)
    except watch.Replaced:
        sys.stdout.write("the deployment was updated; starting again\n")
        sys.stdout.flush()
    else:
        return 0
    finally:
        server.close()
    watch.restart(program, model.parent, arguments, was_in_folder)
    return 1


def run_unit(options: argparse.Namespace) -> int:
    """Print a systemd unit that runs ``watch`` with the same options."""
    from .systemd_unit import unit

    model = Path(options.model).absolute()
    if not model.is_file():
        raise DeviceError("no such file", str(model))
    name = "edgekit-" + (re.sub(r"[^A-Za-z0-9_.-]+", "-", model.parent.name).strip("-.") or "watch")
    program = Path(sys.argv[0]).absolute()
    sys.stdout.write(unit(name, program, model.parent, ["watch", model.name, *_words(options)]))
    return 0


def _words(options: argparse.Namespace) -> list[str]:
    """The options that differ from their defaults, as they are written on a command line."""
    words = []
    for name, value in sorted(vars(options).items()):
        if name in ("model", "function", "parser") or value == options.parser.get_default(name):
            continue
        shown = str(Path(value).absolute()) if name in ("folder", "labels") else str(value)
        words.append(f"--{name.replace('_', '-')}={shown}")
    return words
