"""``edgekit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, SetOption
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed, EdgekitError, TargetError


def compare(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one.", show_default=False)],
    data: DataOption = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Study folder  (default: studies/<recipe name>)", metavar="DIR")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", help="Machine to measure on; several: repeat it.", metavar="NAME", show_default="local"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Cells to train at the same time.", metavar="N")] = 1,
    retries: Annotated[int, typer.Option(help="How often a failed cell is tried again.", metavar="N")] = 1,
    executor: Annotated[
        str, typer.Option(help="local, or ray: a Ray cluster with a shared disk.", metavar="NAME")
    ] = "local",
    mlflow: Annotated[
        str | None, typer.Option("--mlflow", help="Log every cell to this MLflow.", metavar="URI", show_default=False)
    ] = None,
    settings: SetOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train, export and measure every backbone, strategy and seed of a recipe, and report.

    The same command goes on with a study that was interrupted or killed. A cell that fails is tried again and does
    not stop the others; nor does a target that is away (exit code 4): the same command measures there later. The
    images are audited first: see edgekit data audit.

    Example: edgekit compare brain-tumor-mri --data mri --jobs 2
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    options = {"jobs": jobs, "retries": retries, "executor": executor, "mlflow": mlflow}
    run_and_report(recipe, data, out_folder, target or ["local"], settings or [], out, **options)


def run_and_report(
    source: str,
    data: Path | None,
    folder: Path | None,
    targets: list[str],
    settings: list[str],
    out: Output,
    **options: Any,
) -> None:
    """Run the study and print its report's table."""
    from edgekit.recipe import load_recipe, parse_setting
    from edgekit.study.runner import run_study

    changes: dict[str, Any] = {} if data is None else {"data.path": str(data), "data.name": None}
    resolved = load_recipe(source, changes | dict(parse_setting(text) for text in settings))
    folder = folder or Path("studies") / resolved.name
    document = run_study(resolved, folder, targets=targets, quiet=out.quiet, progress=out, **options)
    unsound = [cell for cell in document["cells"] if cell["error"] is not None]
    for cell in unsound:
        out.warn(f"{cell['run']}: {cell['error']}")
    from edgekit.cli.report import show_report

    show_report(folder, out)
    for name, problem in document["target_errors"].items():
        out.warn(f"nothing was measured on {name}: {problem}\n  to do: the same command again, when it is there")
    if any(cell["status"] == "failed" for cell in unsound):
        raise typer.Exit(EdgekitError.exit_code)
    if document["target_errors"]:
        raise typer.Exit(TargetError.exit_code)
    if unsound:
        raise typer.Exit(CheckFailed.exit_code)
