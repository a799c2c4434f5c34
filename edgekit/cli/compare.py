"""``edgekit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, set_option
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed, EdgekitError, TargetError

if TYPE_CHECKING:
    from edgekit.study.runner import StudyResult


def compare(
    recipe: Annotated[
        str, typer.Argument(help="Recipe file, or name of a shipped recipe.", metavar="RECIPE", show_default=False)
    ],
    data: DataOption = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Study folder (default: studies/<recipe name>)", metavar="DIR")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Target to measure on. Repeatable (default: local)", metavar="NAME"),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Cells to train at the same time.", metavar="N")] = 1,
    retries: Annotated[int, typer.Option(min=0, help="How often to retry a failed cell.", metavar="N")] = 1,
    executor: Annotated[
        str, typer.Option(help="Where cells are trained: local, or ray (a cluster with a shared disk).", metavar="NAME")
    ] = "local",
    mlflow: Annotated[
        str | None,
        typer.Option("--mlflow", help="Log every cell to this MLflow server.", metavar="URI", show_default=False),
    ] = None,
    no_latency: Annotated[
        bool,
        typer.Option(
            "--no-latency",
            help="Only score the exported files, for example on a busy machine. The same command without this option "
            "later measures the rest.",
        ),
    ] = False,
    settings: Annotated[list[str] | None, set_option("compare.seeds=[0,1,2]")] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train, export and measure every backbone, strategy and seed of a recipe, and write a report.

    A study consists of cells, one for each combination of backbone, strategy, training variant and seed. edgekit
    audits the images first, like edgekit data audit. A cell that fails is retried and does not stop the others. If
    the study is interrupted, rerun the command to resume it. If a target cannot be reached, the exit code is 4; rerun
    the command later to measure on it.

    Example: edgekit compare brain-tumor-mri --data mri --jobs 2
    """
    from edgekit.api import compare as run_study
    from edgekit.recipe import parse_setting

    out = Output(json_mode=json_mode, quiet=quiet)
    study = run_study(
        recipe,
        data=data,
        settings=dict(parse_setting(text) for text in settings or []),
        out=out_folder,
        targets=target or "local",
        jobs=jobs,
        retries=retries,
        executor=executor,
        mlflow=mlflow,
        latency=not no_latency,
        quiet=quiet,
        progress=out,
    )
    finish(study, out)


def finish(study: StudyResult, out: Output) -> None:
    """Print the table of the study's report; exit with a code other than 0 where something is missing."""
    from edgekit.cli.report import show_report

    failing = [cell for cell in study.document.cells if cell.error is not None]
    for cell in failing:
        out.warn(f"{cell.run}: {cell.error}")
    show_report([study.folder], out)
    for name, problem in study.target_errors.items():
        out.warn(f"nothing was measured on {name}: {problem}\n  hint: rerun this command once the target is reachable")
    if any(cell.status == "failed" for cell in failing):
        raise typer.Exit(EdgekitError.exit_code)
    if study.target_errors:
        raise typer.Exit(TargetError.exit_code)
    if failing:
        raise typer.Exit(CheckFailed.exit_code)
