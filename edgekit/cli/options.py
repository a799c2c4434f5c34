"""Options that several verbs share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of labelled images.", metavar="DIR", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any recipe setting, e.g. train.batch_size=16. Repeatable.", metavar="KEY=VALUE"),
]

TargetOption = Annotated[str, typer.Option("--target", help="Machine to do it on.", metavar="NAME")]
RuntimeOption = Annotated[
    str | None, typer.Option("--runtime", help="litert, tflite-runtime or onnxruntime.", show_default=False)
]
LabelsOption = Annotated[
    Path | None,
    typer.Option("--labels", help="Foreign file: its class names, one a line.", metavar="FILE", show_default=False),
]
ScalingOption = Annotated[
    str | None,
    typer.Option(
        "--scaling",
        help="Foreign file: none (0-255), unit [0, 1], symmetric [-1, 1], imagenet, caffe, or MEAN,STD.",
        show_default=False,
    ),
]
ResizeOption = Annotated[
    str | None, typer.Option("--resize", help="Foreign file: stretch, crop or pad.", show_default=False)
]
