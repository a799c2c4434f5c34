"""`edgekit verify`: the golden outputs of exported files on a target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import (
    ActivationOption,
    ImageSizeOption,
    JsonOption,
    OutputOption,
    PresetOption,
    QuietOption,
    RuntimesOption,
    ScalingOption,
    TargetOption,
)
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Run folders, or .tflite and .onnx files of any origin.", metavar="RUN_OR_MODEL"),
    ],
    target: TargetOption = "local",
    runtime: RuntimesOption = None,
    scaling: ScalingOption = None,
    preset: PresetOption = None,
    image_size: ImageSizeOption = None,
    output_name: OutputOption = None,
    activation: ActivationOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check that exported files give the expected outputs on a target.

    edgekit export stores a few inputs with their outputs beside each file (golden.npz). A third-party model is compared
    with its outputs on this machine, for generated images. The exit code is 3 if a file gives different outputs on the
    target.

    Example: edgekit verify runs/mobilenetv2 --target pi4
    """
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.bench.verify import verify as check
    from edgekit.cli.render.predictions import verification_text
    from edgekit.documents.verification import VerificationReport

    out = Output(json_mode=json_mode, quiet=quiet)
    third_party = ThirdPartyOptions(
        scaling=scaling, image_size=image_size, output=output_name, activation=activation, preset=preset
    )
    found = check(paths, target=target, runtime=runtime, third_party=third_party, progress=out)
    report = VerificationReport(target=target, results=tuple(found))
    out.result(report.to_dict(), verification_text(report))
    for one in report.results:
        if one.problem is not None:
            out.warn(f"{one.id}: {one.problem}")
    return 0 if all(one.ok for one in report.results) else CheckFailed.exit_code
