"""``edgekit gate``: a baseline of exported files, and whether new files are worse than it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption, RuntimeOption
from edgekit.cli.output import Output

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="""Save a baseline of exported files, and check that new files are not worse.

    Every command takes --json, --quiet and --help.

    Example: edgekit gate save photos runs/photos && edgekit gate check photos runs/photos-new
    """,
)

NameArgument = Annotated[str, typer.Argument(help="Name of the baseline.", metavar="NAME", show_default=False)]
FoldersArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Run folders, study folders, or exported files of runs.", metavar="RUN_OR_STUDY", show_default=False
    ),
]
DirOption = Annotated[Path, typer.Option("--dir", help="Folder of the baselines.", metavar="DIR")]
RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="RECIPE", show_default=False, help="Take the limits (gates) from this recipe."),
]


@app.command("save", short_help="Save what was measured of exported files as a baseline.")
def save(
    name: NameArgument,
    folders: FoldersArgument,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Save only what was measured on this target (default: on every target)",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    recipe: RecipeOption = None,
    with_models: Annotated[
        bool,
        typer.Option(
            "--with-models",
            help="Also save the exported files, so that their latency can be measured again wherever the baseline is.",
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the baseline of this name.")] = False,
    folder: DirOption = Path("gates"),
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Save the bench results of exported files as a baseline: documents, predictions and raw samples.

    The baseline is one small file, gates/NAME.zip, meant to be committed. It contains the limits (gates) of the recipe,
    but neither images nor paths of this machine. Measure the files with "edgekit bench" first.

    Example: edgekit gate save photos runs/photos --with-models
    """
    from edgekit.recipe import load_recipe
    from edgekit.regression.saving import save_baseline, summary

    out = Output(json_mode=json_mode, quiet=quiet)
    limits = None if recipe is None else load_recipe(recipe)
    saved = save_baseline(
        name,
        folders,
        folder=folder,
        target=target,
        recipe=limits,
        models=with_models,
        replace=replace,
        progress=out,
    )
    out.result(saved, f"saved {saved.file} ({saved.size_bytes / 1e6:.2f} MB): {summary(saved)}")


@app.command("check", short_help="Measure new files and judge them against a baseline.")
def check(
    name: NameArgument,
    folders: FoldersArgument,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help="Target to measure on (default: that of the baseline)", metavar="NAME", show_default=False
        ),
    ] = None,
    recipe: RecipeOption = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="New folder of the images, if they have moved.", metavar="DIR", show_default=False),
    ] = None,
    baseline_files: Annotated[
        Path | None,
        typer.Option(
            "--baseline-files",
            help="Folder with the baseline's exported files, if they are not where they were.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    time_limit: Annotated[
        str,
        typer.Option("--time-limit", help="Time in which undecided latencies may be measured again.", metavar="TIME"),
    ] = "5m",
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            help="Thread counts, e.g. 1,4; 0 uses all cores (default: those of the recipe)",
            metavar="N,...",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", help="gate (2 s per file, in six processes), quick, standard or full.", metavar="NAME"
        ),
    ] = "gate",
    runtime: RuntimeOption = None,
    no_latency: Annotated[
        bool, typer.Option("--no-latency", help="Compare accuracy, agreement and size only.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 3 also if a check is undecided.")] = False,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", help="Also write the result as JUnit XML.", metavar="FILE", show_default=False),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown",
            help="Also write the result as a Markdown comment for a pull request.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    folder: DirOption = Path("gates"),
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Measure new exported files and judge each against its counterpart in a baseline.

    Accuracy, agreement, size, memory, latency and energy are compared with the limits (gates) that were saved with the
    baseline. Each check has passed or failed if the measurements show that, and is undecided otherwise. Latency is
    compared only where the baseline's own file is at hand: both are measured again, interleaved in one session, because
    milliseconds of another day prove nothing. Undecided latencies are measured again until the time limit.

    The exit code is 3 if a check failed. The result is stored in gate/NAME/gate.json of the run folder. An interrupted
    check keeps what it has measured; the same command continues it.

    \b
    Examples:
      edgekit gate check photos runs/photos-new
      edgekit gate check photos runs/photos-new --markdown gate.md
    """
    from edgekit.bench.sustained import parse_duration
    from edgekit.cli.bench import parse_threads
    from edgekit.cli.render.gate_check import gate_text
    from edgekit.documents.regression import FAILED, UNDECIDED
    from edgekit.errors import CheckFailed
    from edgekit.recipe import load_recipe
    from edgekit.regression.checking import GateOptions, check_baseline
    from edgekit.regression.junit import write_junit
    from edgekit.regression.markdown import write_markdown
    from edgekit.support.os_errors import check_writable

    out = Output(json_mode=json_mode, quiet=quiet)
    for file in (junit, markdown):
        if file is not None:
            check_writable(file.absolute().parent)
    options = GateOptions(
        folder=folder,
        target=target,
        protocol=protocol,
        threads=None if threads is None else parse_threads(threads),
        data=data,
        runtime=runtime,
        recipe=None if recipe is None else load_recipe(recipe),
        baseline_files=baseline_files,
        latency=not no_latency,
        time_limit_s=parse_duration(time_limit),
    )
    document = check_baseline(name, folders, options, out)
    out.result(document, "" if json_mode else gate_text(document))
    if junit is not None:
        write_junit(document, junit)
    if markdown is not None:
        write_markdown(document, markdown)
    return CheckFailed.exit_code if document.outcome == FAILED or (strict and document.outcome == UNDECIDED) else 0
