"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress on stderr.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of labelled images.", metavar="DIR", show_default=False)
]


def set_option(example: str) -> object:
    """The option ``--set``, with an example that suits the command."""
    return typer.Option("--set", help=f"Override a recipe setting, e.g. {example}. Repeatable.", metavar="KEY=VALUE")


TargetOption = Annotated[str, typer.Option("--target", help="Target to run on.", metavar="NAME")]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime", help="Runtime: litert, tflite-runtime or onnxruntime.", metavar="NAME", show_default=False
    ),
]
LabelsFromOption = Annotated[
    str | None,
    typer.Option(
        "--labels-from",
        help="Where the labels are: auto, folders (the outermost), inner-folders, file-names (cat.0.jpg) or a CSV file "
        "(filename,label). (default: auto)",
        metavar="WHERE",
        show_default=False,
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Third-party model: file with its class names (one per line, JSON or CSV).",
        metavar="FILE",
        show_default=False,
    ),
]
ScalingOption = Annotated[
    str | None,
    typer.Option(
        "--scaling",
        help="Third-party model: input scaling. One of none (0-255), unit [0, 1], symmetric [-1, 1], imagenet, caffe, "
        "or MEAN,STD.",
        metavar="NAME",
        show_default=False,
    ),
]
ResizeOption = Annotated[
    str | None,
    typer.Option(
        "--resize",
        help="Third-party model: how images are resized (stretch, crop or pad).",
        metavar="NAME",
        show_default=False,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Third-party model: preprocessing of a known source (teachable-machine, keras-symmetric, keras-caffe, "
        "keras-torch, tensorflow-hub).",
        metavar="NAME",
        show_default=False,
    ),
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter",
        help="Third-party model: filter for resizing (bilinear, bicubic, lanczos, area or nearest). "
        "(default: bilinear)",
        metavar="NAME",
        show_default=False,
    ),
]
ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        help="Third-party model with a dynamic input: its size, such as 224 or 224x160 (height x width).",
        metavar="SIZE",
        show_default=False,
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        help="Third-party model with several outputs: name or number of the one with the scores.",
        metavar="NAME",
        show_default=False,
    ),
]
ActivationOption = Annotated[
    str | None,
    typer.Option(
        "--activation",
        help="Third-party model: what turns its output into probabilities (softmax, sigmoid or none). "
        "(default: read from the file)",
        metavar="NAME",
        show_default=False,
    ),
]
