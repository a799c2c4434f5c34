"""`edgekit deploy`: an exported file on a target without edgekit, or in a web page."""

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
    ScalingOption,
)
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from edgekit.bench.third_party import ThirdPartyOptions


def deploy(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or one .tflite or .onnx file of any origin.", metavar="RUN_OR_MODEL")
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", help="Target to copy to, or web for a web page.", metavar="NAME", show_default=False),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample",
            help="Write a minimal program around the exported file: python, c, kotlin or javascript.",
            metavar="LANGUAGE",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            help="Exported file of the run, e.g. tflite-int8. For a web page, repeat the option to compare several "
            "(default: onnx-int8 and onnx-fp32).",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Name of the folder on the target (default: RUN-EXPORT), or title of the web page.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Web page or sample: folder to write it to.", metavar="DIR", show_default=False
        ),
    ] = None,
    runtime_dir: Annotated[
        Path | None,
        typer.Option(
            "--runtime-dir",
            help="Web page: folder with the npm package onnxruntime-web, instead of downloading it.",
            metavar="DIR",
            show_default=False,
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
    """Copy a model and a standalone runner to a target, or write a web page or a sample program.

    The folder on the target contains the model, its labels, a program that runs it and a README. It works without
    edgekit. If `edgekit bench --tune` confirmed a faster setting on that target, the program uses it.

    The model's golden outputs are checked on the target; the exit code is 3 if they differ. For a third-party model,
    these are its outputs on this machine, and its preprocessing is copied, too.

    With --update, the model in an existing folder is replaced in one step, after the new one has given its golden
    outputs on the target; otherwise the old one stays and the exit code is 3. A running `watch` takes over the new one.

    With --target web, the folder DIR contains a static page that classifies pictures in the browser, with ONNX files
    and everything that runs them. The golden outputs are checked in Chromium, if it is installed here.

    With --sample, the new folder DIR contains the exported file and a minimal program around it, to be built into your
    own: decoding, the exact resize, inference, labels, and images with the predictions to expect.

    \b
    Examples:
      edgekit deploy runs/mobilenetv2 --export tflite-int8 --target pi4
      edgekit deploy runs/mobilenetv2 --target web -o page
      edgekit deploy runs/mobilenetv2 --export tflite-int8 --sample c -o sample-c
    """
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.targets.base import WEB

    output = Output(json_mode=json_mode, quiet=quiet)
    if (target is None) == (sample is None):
        raise InputError(
            "deploy needs either a target or the language of a sample",
            hint="pass --target NAME, --target web or --sample LANGUAGE",
        )
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
    if sample is not None:
        unused = {
            "--name": name,
            "--runtime-dir": runtime_dir,
            "--update": update or None,
            "--data": data,
            **dict.fromkeys(third_party.given, True),
        }
        for option, value in unused.items():
            if value is not None:
                raise InputError(f"{option} is not for a sample program", hint="leave it out")
        return _sample(run, sample, out, export or [], output)
    assert target is not None
    if target == WEB:
        for option, is_given in (("--update", update), ("--data", data is not None)):
            if is_given:
                raise InputError(f"{option} is not for a web page", hint="leave it out, or choose another target")
        return _page(run, out, export or [], name, runtime_dir, third_party, output)
    if out is not None:
        raise InputError("--out is for a web page or a sample program", hint="leave it out")
    if runtime_dir is not None:
        raise InputError("--runtime-dir is for a web page", hint="leave it out")
    if export is not None and len(export) > 1:
        raise InputError("deploy copies one exported file to a target", hint="pass --export once")
    return _copy(run, target, export[0] if export else None, name, update, data, third_party, output)


def _sample(run: Path, language: str, out: Path | None, exports: list[str], output: Output) -> int:
    from edgekit.bench.samples import write_sample
    from edgekit.cli.render.predictions import sample_text
    from edgekit.documents.verification import SampleReport

    if out is None:
        raise InputError("a sample needs a folder to be written to", hint="add -o DIR")
    if len(exports) > 1:
        raise InputError("a sample runs one exported file", hint="pass --export once")
    done = write_sample(run, language, out, export=exports[0] if exports else None, progress=output)
    report = SampleReport(language=done.language, folder=str(done.folder), model=done.model_id, files=done.files)
    output.result(report.to_dict(), sample_text(report, out))
    return 0


def _copy(
    run: Path,
    target: str,
    export: str | None,
    name: str | None,
    update: bool,
    data: Path | None,
    third_party: ThirdPartyOptions,
    output: Output,
) -> int:
    from edgekit.bench.deploy import deploy as copy
    from edgekit.cli.render.predictions import deployment_text
    from edgekit.documents.verification import DeploymentReport

    done = copy(
        run,
        target=target,
        export=export,
        name=name,
        update=update,
        data=data,
        third_party=third_party,
        progress=output,
    )
    check = done.verification
    report = DeploymentReport(
        target=target,
        folder=done.folder,
        command=done.command,
        settings=done.setting,
        replaced_sha256=done.replaced,
        statistics_images=done.statistics_images,
        rejected=done.rejected,
        verification=check,
    )
    output.result(report.to_dict(), deployment_text(report))
    if done.rejected is not None:
        output.warn(f"{check.id} was rejected on {target}, which keeps its present model: {done.rejected}")
        return CheckFailed.exit_code
    if check.problem is not None:
        output.warn(f"{check.id}: {check.problem}")
        return CheckFailed.exit_code
    return 0


def _page(
    run: Path,
    out: Path | None,
    exports: list[str],
    title: str | None,
    runtime_dir: Path | None,
    third_party: ThirdPartyOptions,
    output: Output,
) -> int:
    from edgekit.bench.web_page import deploy_page
    from edgekit.cli.render.predictions import web_page_text
    from edgekit.documents.web_page import WebPageFile, WebPageReport

    if out is None:
        raise InputError("a web page needs a folder to be written to", hint="add -o DIR")
    done = deploy_page(
        [run],
        out,
        exports=exports,
        title=title,
        runtime_dir=runtime_dir,
        third_party=third_party,
        progress=output,
    )
    report = WebPageReport(
        folder=str(done.folder),
        files=tuple(WebPageFile(key=one.result.key, size_bytes=one.result.size_bytes) for one in done.page.models),
        size_bytes=done.size_bytes,
        checked_in=done.browser,
        problems=tuple(done.problems),
    )
    output.result(report.to_dict(), web_page_text(report, out))
    for problem in done.problems:
        output.warn(problem)
    return CheckFailed.exit_code if done.problems else 0
