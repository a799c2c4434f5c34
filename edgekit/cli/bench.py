"""`edgekit bench`: latency, memory, size and accuracy of several models, under the same conditions."""

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
    RuntimesOption,
    ScalingOption,
)
from edgekit.cli.output import Output
from edgekit.errors import InputError


def bench(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Run folders, or .tflite and .onnx files of any origin.", metavar="RUN_OR_MODEL"),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="Target to measure on. Repeat the option to measure on several at once (default: local)",
            metavar="NAME",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            help="quick (2 s per file), standard (10 s), full (60 s), or check (3 runs, to see whether the file runs) "
            "(default: that of the recipe, or standard)",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            help="Thread counts, e.g. 1,4; 0 uses all cores (default: those of the recipe, or 1,0)",
            metavar="N,...",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="New folder of the run's images, if they have moved. For a third-party model: image folder to score "
            "it on.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images", min=0, help="Score on at most N test images; 0 skips accuracy.", metavar="N", show_default=False
        ),
    ] = None,
    sustained: Annotated[
        str | None,
        typer.Option(
            "--sustained",
            help="Also run each file continuously for TIME (e.g. 10m) and show latency over time.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Also show how long each kind of operator takes, if the runtime reports it."),
    ] = False,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Also look for the fastest threads, pinning and runtime options of each file that give the same "
            "predictions. Takes up to 3 times as long.",
        ),
    ] = False,
    pin: Annotated[
        bool,
        typer.Option("--pin", help="Pin each process to as many cores as it has threads, if the system allows it."),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help="Start HZ runs per second of each file, as a camera would, instead of one after the other.",
            metavar="HZ",
            show_default=False,
        ),
    ] = None,
    no_latency: Annotated[
        bool,
        typer.Option(
            "--no-latency",
            help="Score the test images only, for example on a busy machine. The same command without this option "
            "later measures the rest.",
        ),
    ] = False,
    runtime: RuntimesOption = None,
    labels: LabelsOption = None,
    scaling: ScalingOption = None,
    resize: ResizeOption = None,
    filter_: FilterOption = None,
    preset: PresetOption = None,
    image_size: ImageSizeOption = None,
    output_name: OutputOption = None,
    activation: ActivationOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Third-party model: write results to DIR/bench/TARGET (default: beside the model)",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Measure latency, memory, size and accuracy of exported files.

    All files are measured in one session, in short blocks in random order, so that you can compare them. Up to three
    files are measured twice (the A/A controls), which shows how large a difference has to be to mean anything.
    Conversions with no measurable benefit are flagged.

    The accuracy gate of an export is judged again on the test images, with the same limit. A file that fails there is
    still measured; the exit code does not change.

    --runtime measures each file with several runtimes. The results of a runtime that is not a default carry its
    name, as in onnx-int8@openvino.

    With --tune, the fastest setting found for each file is measured again in new processes against the default (all
    cores, no options). `edgekit deploy` uses it if it is measurably faster there.

    An interrupted benchmark keeps every finished block and every scored image. The same command continues it.

    \b
    Examples:
      edgekit bench runs/mobilenetv2 runs/vgg16 --threads 1,4
      edgekit bench runs/mobilenetv2 --runtime all
      edgekit bench runs/mobilenetv2 --target pi4 --sustained 10m
      edgekit bench runs/mobilenetv2 --target pi4 --tune
    """
    from edgekit.bench.multi_target import bench_targets
    from edgekit.bench.settings import BenchOptions
    from edgekit.bench.sustained import parse_duration
    from edgekit.bench.third_party import ThirdPartyOptions
    from edgekit.cli.render.bench_tables import bench_text
    from edgekit.render.gate import gate_text
    from edgekit.report.model.sessions import bench_summary
    from edgekit.stats.noninferiority import FAILED

    output = Output(json_mode=json_mode, quiet=quiet)
    options = BenchOptions(
        protocol=protocol,
        threads=None if threads is None else parse_threads(threads),
        data=data,
        images=images,
        runtime=runtime,
        sustained_s=None if sustained is None else parse_duration(sustained),
        profile=profile,
        pin=pin,
        tune=tune,
        rate_hz=rate,
        latency=not no_latency,
        third_party=ThirdPartyOptions(
            labels=labels,
            scaling=scaling,
            resize=resize,
            out=out,
            filter=filter_,
            image_size=image_size,
            output=output_name,
            activation=activation,
            preset=preset,
        ),
    )
    results, errors = bench_targets(paths, target or ["local"], options, output)
    summary = bench_summary(results, {name: error.problem for name, error in errors.items()})
    output.result(summary.to_dict(), "" if json_mode else bench_text(results, summary))
    for error in errors.values():
        output.warn(str(error))
    for result in results:
        gate = result.bench.gate
        if gate is not None and gate.status == FAILED:
            output.warn(f"{result.id}: on the test split, {gate_text(gate)}")
        for text in result.bench.warnings:
            output.warn(f"{result.id}: {text}")
        if not result.ok:
            output.warn(f"{result.id} failed: {'; '.join(result.bench.problems)}")
    if errors:
        return next(iter(errors.values())).exit_code
    return 0 if all(result.ok for result in results) else 1


def parse_threads(text: str) -> tuple[int, ...]:
    """``1,4`` as numbers; :class:`InputError` otherwise."""
    from edgekit.recipe.reading import clipped
    from edgekit.recipe.section import MOST_THREADS

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 and int(part) <= MOST_THREADS for part in parts):
        raise InputError(
            f"--threads takes numbers from 0 (all cores) to {MOST_THREADS}, such as 1,4, not {clipped(text)!r}"
        )
    return tuple(map(int, parts))
