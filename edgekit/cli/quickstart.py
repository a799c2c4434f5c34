"""``edgekit quickstart``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output


def quickstart(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the study.", metavar="DIR")] = Path(
        "quickstart"
    ),
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train, export, benchmark and report on a built-in dataset.

    Works offline and takes a few minutes on a laptop. It trains VGG16, ResNet50V2 and MobileNetV2 from scratch on
    scikit-learn's handwritten digits, exports each of them to TFLite and ONNX in fp32 and int8, measures the twelve
    exported files on this machine and writes a report.

    Example: edgekit quickstart --out /tmp/digits
    """
    from edgekit.cli.compare import run_and_report

    out = Output(json_mode=json_mode, quiet=quiet)
    # Networks this small cannot keep two cores busy.
    run_and_report("quickstart", None, out_folder, ["local"], [], out, jobs=min(2, os.cpu_count() or 1))
