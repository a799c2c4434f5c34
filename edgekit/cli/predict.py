"""`edgekit predict`: classify images with an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from edgekit.cli.output import Output
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from edgekit.bench.predict import Prediction
    from edgekit.documents.verification import ImagePrediction


def predict(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file of any origin.", metavar="MODEL")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of images.", metavar="IMAGE")],
    top: Annotated[int, typer.Option("--top", min=1, help="Number of classes to show.", metavar="N")] = 3,
    target: TargetOption = "local",
    runtime: RuntimeOption = None,
    labels: LabelsOption = None,
    scaling: ScalingOption = None,
    resize: ResizeOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Classify images with an exported model.

    The images are decoded and classified by the same program that measures the model, on this machine or on a target.
    An image that cannot be read is left out, with a warning, and the exit code is 1.

    Example: edgekit predict runs/mobilenetv2/exports/tflite-int8/model.tflite photo.jpg
    """
    from edgekit.bench.measured_model import ThirdPartyOptions
    from edgekit.bench.predict import image_files
    from edgekit.bench.predict import predict as classify
    from edgekit.cli.render.predictions import predictions_text
    from edgekit.documents.verification import PredictionReport

    output = Output(json_mode=json_mode, quiet=quiet)
    third_party = ThirdPartyOptions(labels, scaling, resize)
    found = classify(model, images, third_party=third_party, runtime=runtime, target=target, progress=output)
    report = PredictionReport(
        model=str(model), target=target, predictions=tuple(_top(prediction, top) for prediction in found)
    )
    output.result(report.to_dict(), predictions_text(report))
    if len(found) < len(image_files(images)):
        raise typer.Exit(EdgekitError.exit_code)


def _top(prediction: Prediction, most: int) -> ImagePrediction:
    from edgekit.documents.verification import ClassProbability, ImagePrediction

    classes = [ClassProbability(label=label, probability=value) for label, value in prediction.classes]
    return ImagePrediction(
        image=str(prediction.image),
        label=classes[0].label,
        probability=classes[0].probability,
        top=tuple(classes[:most]),
    )
