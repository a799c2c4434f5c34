"""`edgekit predict`: top classes of images with an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import (
    JsonOption,
    LabelsOption,
    QuietOption,
    ResizeOption,
    RuntimeOption,
    ScalingOption,
    TargetOption,
)
from edgekit.cli.output import Output, table


def predict(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file (also a foreign one).", metavar="MODEL")],
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE")],
    top: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 3,
    target: TargetOption = "local",
    runtime: RuntimeOption = None,
    labels: LabelsOption = None,
    scaling: ScalingOption = None,
    resize: ResizeOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what images show, with an exported file and the device's own decoder, on this machine or a target.

    Example: edgekit predict runs/mobilenetv2/exports/tflite-int8/model.tflite photo.jpg
    """
    from edgekit.bench.models import ForeignOptions
    from edgekit.bench.predict import predict as classify
    from edgekit.documents.base import SCHEMA_VERSION

    output = Output(json_mode=json_mode, quiet=quiet)
    predictions = classify(
        model, images, foreign=ForeignOptions(labels, scaling, resize), runtime=runtime, target=target, progress=output
    )
    document = {
        "schema_version": SCHEMA_VERSION,
        "model": str(model),
        "target": target,
        "predictions": [
            {
                "image": str(prediction.image),
                "label": prediction.classes[0][0],
                "probability": prediction.classes[0][1],
                "top": [{"label": label, "probability": value} for label, value in prediction.classes[:top]],
            }
            for prediction in predictions
        ],
    }
    rows = [
        [prediction.image.name, "  ".join(f"{label} {value:.1%}" for label, value in prediction.classes[:top])]
        for prediction in predictions
    ]
    output.result(document, table(["image", "classes"], rows))
