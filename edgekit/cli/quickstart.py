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
    from edgekit.api import compare
    from edgekit.cli.compare import finish

    out = Output(json_mode=json_mode, quiet=quiet)
    # Networks this small cannot keep two cores busy.
    jobs = min(2, os.cpu_count() or 1)
    finish(compare("quickstart", out=out_folder, jobs=jobs, quiet=quiet, progress=out), out)
