"""`edgekit predict`: classify images with an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import (
    ActivationOption,
    FilterOption,
    ImageSizeOption,
    JsonOption,
    LabelsOption,
    OutputOption,
    PresetOption,
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


MOST_NAMED = 10
"""How many images that cannot be read are named one by one."""


def predict(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file of any origin.", metavar="MODEL")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of images.", metavar="IMAGE")],
    top: Annotated[int, typer.Option("--top", min=1, help="Number of classes to show.", metavar="N")] = 3,
    target: TargetOption = "local",
    runtime: RuntimeOption = None,
    labels: LabelsOption = None,
    scaling: ScalingOption = None,
    resize: ResizeOption = None,
    filter_: FilterOption = None,
    preset: PresetOption = None,
    image_size: ImageSizeOption = None,
    output_name: OutputOption = None,
    activation: ActivationOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Classify images with an exported model.

    The images are decoded and classified by the same program that measures the model, on this machine or on a target.
    An image that cannot be read is left out, with a warning, and the exit code is 1.

    \b
    Examples:
      edgekit predict runs/mobilenetv2/exports/tflite-int8/model.tflite photo.jpg
      edgekit predict model.onnx photos/ --preset keras-symmetric
    """
    from edgekit.bench.predict import predict as classify
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.cli.render.predictions import predictions_text
    from edgekit.documents.verification import PredictionReport, UnreadableImage

    output = Output(json_mode=json_mode, quiet=quiet)
    third_party = ThirdPartyOptions(
        labels=labels,
        scaling=scaling,
        resize=resize,
        filter=filter_,
        image_size=image_size,
        output=output_name,
        activation=activation,
        preset=preset,
    )
    done = classify(model, images, third_party=third_party, runtime=runtime, target=target, progress=output)
    report = PredictionReport(
        model=str(model),
        target=target,
        predictions=tuple(_top(prediction, top) for prediction in done.found),
        unreadable=tuple(UnreadableImage(image=str(image), reason=reason) for image, reason in done.unreadable.items()),
        preprocessing=done.preprocessing,
    )
    output.result(report.to_dict(), predictions_text(report))
    for one in report.unreadable[:MOST_NAMED]:
        output.warn(f"{one.image} is left out: {one.reason}")
    if len(report.unreadable) > MOST_NAMED:
        output.warn(f"{len(report.unreadable) - MOST_NAMED} more images are left out for such reasons")
    return EdgekitError.exit_code if report.unreadable else 0


def _top(prediction: Prediction, most: int) -> ImagePrediction:
    from edgekit.documents.verification import ClassProbability, ImagePrediction

    classes = [ClassProbability(label=label, probability=value) for label, value in prediction.classes]
    return ImagePrediction(
        image=str(prediction.image),
        label=classes[0].label,
        probability=classes[0].probability,
        top=tuple(classes[:most]),
    )
