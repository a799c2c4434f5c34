"""`edgekit deploy`: copy one exported file to a target, for use without edgekit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    ScalingOption,
)
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed


def deploy(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or one .tflite or .onnx file of any origin.", metavar="RUN_OR_MODEL")
    ],
    target: Annotated[str, typer.Option("--target", help="Target to copy to.", metavar="NAME")],
    export: Annotated[
        str | None,
        typer.Option(
            "--export", help="Exported file of the run, e.g. tflite-int8.", metavar="NAME", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the folder on the target (default: RUN-EXPORT)", metavar="NAME", show_default=False
        ),
    ] = None,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Replace an existing deployment, only if the new model gives its golden outputs there."
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Labelled images for the drift check on the target. (default: the run's test split)",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
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
    """Copy a model and a standalone runner to a target.

    The folder on the target contains the model, its labels, a program that runs it and a README. It works without
    edgekit. The model's golden outputs are checked on the target; the exit code is 3 if they differ. For a third-party
    model, these are its outputs on this machine, and its preprocessing is copied, too.

    With --update, the model in an existing folder is replaced in one step, after the new one has given its golden
    outputs on the target; otherwise the old one stays and the exit code is 3. A running `watch` takes over the new one.

    Example: edgekit deploy runs/mobilenetv2 --export tflite-int8 --target pi4
    """
    from edgekit.bench.deploy import deploy as copy
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.cli.render.predictions import deployment_text
    from edgekit.documents.verification import DeploymentReport

    out = Output(json_mode=json_mode, quiet=quiet)
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
    done = copy(
        run,
        target=target,
        export=export,
        name=name,
        update=update,
        data=data,
        third_party=third_party,
        progress=out,
    )
    check = done.verification
    report = DeploymentReport(
        target=target,
        folder=done.folder,
        command=done.command,
        replaced_sha256=done.replaced,
        statistics_images=done.statistics_images,
        rejected=done.rejected,
        verification=check,
    )
    out.result(report.to_dict(), deployment_text(report))
    if done.rejected is not None:
        out.warn(f"{check.id} was rejected on {target}, which keeps its present model: {done.rejected}")
        return CheckFailed.exit_code
    if check.problem is not None:
        out.warn(f"{check.id}: {check.problem}")
        return CheckFailed.exit_code
    return 0
