"""``edgekit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli.options import DataOption, JsonOption, QuietOption, SetOption
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed, EdgekitError


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
    settings: SetOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train, export and measure every backbone, strategy and seed of a recipe, and report.

    The same command goes on with a study that was interrupted. A cell that fails does not stop the others.

    Example: edgekit compare brain-tumor-mri --data mri
    """
    out = Output(json_mode=json_mode, quiet=quiet)
    run_and_report(recipe, data, out_folder, target or ["local"], settings or [], out)


def run_and_report(
    source: str, data: Path | None, folder: Path | None, targets: list[str], settings: list[str], out: Output
) -> None:
    """Run the study and print its report's table."""
    from edgekit.compare.stage import run_study
    from edgekit.recipe import load_recipe, parse_setting

    changes: dict[str, Any] = {} if data is None else {"data.path": str(data), "data.name": None}
    resolved = load_recipe(source, changes | dict(parse_setting(text) for text in settings))
    folder = folder or Path("studies") / resolved.name
    document = run_study(resolved, folder, targets=targets, quiet=out.quiet, progress=out)
    unsound = [cell for cell in document["cells"] if cell["error"] is not None]
    for cell in unsound:
        out.warn(f"{cell['run']}: {cell['error']}")
    from edgekit.cli.report import show_report

    show_report(folder, out)
    if any(cell["status"] == "failed" for cell in unsound):
        raise typer.Exit(EdgekitError.exit_code)
    if unsound:
        raise typer.Exit(CheckFailed.exit_code)
