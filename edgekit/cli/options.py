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
        "--runtime",
        help="Runtime to use; see edgekit list runtimes. (default: litert for TFLite, onnxruntime for ONNX)",
        metavar="NAME",
        show_default=False,
    ),
]
RuntimesOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="Runtimes to run each file with, e.g. litert,openvino; all uses those that the target has. (default: "
        "litert for TFLite, onnxruntime for ONNX)",
        metavar="NAME,...",
        show_default=False,
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


def _third_party(name: str, text: str, metavar: str = "NAME") -> object:
    """An option about a model that edgekit did not export."""
    return typer.Option(name, help=f"Third-party model{text}", metavar=metavar, show_default=False)


LabelsOption = Annotated[
    Path | None,
    _third_party("--labels", ": file with its class names (one per line, JSON or CSV).", "FILE"),
]
ScalingOption = Annotated[
    str | None,
    _third_party(
        "--scaling",
        ": input scaling. One of none (0-255), unit [0, 1], symmetric [-1, 1], imagenet, caffe, or MEAN,STD.",
    ),
]
ResizeOption = Annotated[
    str | None,
    _third_party("--resize", ": how images are resized (stretch, crop or pad)."),
]
PresetOption = Annotated[
    str | None,
    _third_party(
        "--preset",
        ": preprocessing of a known source (teachable-machine, keras-symmetric, keras-caffe, keras-torch, "
        "tensorflow-hub).",
    ),
]
FilterOption = Annotated[
    str | None,
    _third_party(
        "--filter", ": filter for resizing (bilinear, bicubic, lanczos, area or nearest). (default: bilinear)"
    ),
]
ImageSizeOption = Annotated[
    str | None,
    _third_party("--image-size", " with a dynamic input: its size, such as 224 or 224x160 (height x width).", "SIZE"),
]
OutputOption = Annotated[
    str | None,
    _third_party("--output", " with several outputs: name or number of the one with the scores."),
]
ActivationOption = Annotated[
    str | None,
    _third_party(
        "--activation",
        ": what turns its output into probabilities (softmax, sigmoid or none). (default: read from the file)",
    ),
]
