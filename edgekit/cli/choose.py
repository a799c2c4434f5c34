"""``edgekit choose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, set_option
from edgekit.cli.output import Output


def choose(
    recipe: Annotated[
        str, typer.Argument(help="Recipe file, or name of a shipped recipe.", metavar="RECIPE", show_default=False)
    ],
    data: DataOption = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option("--max-latency-ms", help="Largest median latency.", metavar="MS", show_default=False),
    ] = None,
    max_size_mb: Annotated[
        float | None,
        typer.Option("--max-size-mb", help="Largest size of the exported file.", metavar="MB", show_default=False),
    ] = None,
    max_points_lost: Annotated[
        float | None,
        typer.Option(
            "--max-points-lost",
            help="Points of accuracy that the file may lose against the most accurate one.",
            metavar="POINTS",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Threads for the latency (default: 1)", metavar="N", show_default=False),
    ] = None,
    target: Annotated[str, typer.Option("--target", help="Target to measure on.", metavar="NAME")] = "local",
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            help="Time for the whole search, e.g. 2h; with too little, fewer networks are trained.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the search (default: choices/<recipe name>)", metavar="DIR"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Networks to train at once.", metavar="N")] = 1,
    settings: Annotated[list[str] | None, set_option("choose.backbones=[mobilenetv2,vgg16]")] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the network to deploy within limits on latency, size and accuracy, and write a report.

    The search covers the backbones, widths and image sizes in the section choose of the recipe, and the exported files
    in export.files. It exports each network untrained, measures it on the target and drops those that exceed a limit.
    The others are trained in rounds: all of them for few epochs, the better half for more, and the finalists for all
    epochs. These are exported, checked, measured and reported. The report lists every network that was dropped, and
    why.

    Without any limit, the constraint in the recipe applies. If the search is interrupted, rerun the command to resume
    it.

    Example: edgekit choose recipe.yaml --max-latency-ms 30 --max-size-mb 5 --max-points-lost 1 --target pi4
    """
    from edgekit.api import choose as search
    from edgekit.bench.sustained import parse_duration
    from edgekit.cli.compare import finish
    from edgekit.recipe import parse_setting

    out = Output(json_mode=json_mode, quiet=quiet)
    study = search(
        recipe,
        data=data,
        settings=dict(parse_setting(text) for text in settings or []),
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        max_points_lost=max_points_lost,
        threads=threads,
        target=target,
        time_limit_s=None if time_limit is None else parse_duration(time_limit),
        out=out_folder,
        jobs=jobs,
        quiet=quiet,
        progress=out,
    )
    finish(study, out)
