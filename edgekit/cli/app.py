"""The command line: every verb in workflow order, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Annotated

import typer

from edgekit import __version__
from edgekit.cli.output import Output
from edgekit.errors import EdgekitError

CommandLineError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Base of Typer's usage errors; looked up by name because Typer may or may not carry its own Click."""

INTERRUPTED = 130
"""Exit code after Ctrl-C or a request to terminate, as shells have it."""

app = typer.Typer(
    name="edgekit",
    help="Train small image classifiers, export them for a device, and measure them where they will run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgekit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _register() -> None:
    from edgekit.cli.verbs import VERBS

    for name, verb in VERBS:
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=name)
        else:
            app.command(name)(verb)


_register()


def main(argv: list[str] | None = None) -> None:
    """Entry point of the ``edgekit`` command; always ends with :class:`SystemExit`."""
    arguments = sys.argv[1:] if argv is None else argv
    debug = os.environ.get("EDGEKIT_DEBUG") == "1"
    out = Output(json_mode="--json" in arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(args=arguments, prog_name="edgekit", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except CommandLineError as error:
        out.usage_error(error)
        sys.exit(2)
    except EdgekitError as error:
        if debug:
            raise
        out.error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        failure = _unforeseen(error)
        out.error(failure)
        sys.exit(failure.exit_code)
    if code == INTERRUPTED:  # also what Typer makes of an interrupt by itself
        out.stderr.print("interrupted", style="yellow")
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: object) -> None:
    """A polite request to end is treated like Ctrl-C: the verb says how to go on."""
    raise KeyboardInterrupt


def _unforeseen(error: Exception) -> EdgekitError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgekitError(
            "the disk is full", where=error.filename, hint="free some space and run the same command again"
        )
    if isinstance(error, PermissionError):
        return EdgekitError("permission denied", where=str(error.filename))
    if isinstance(error, MemoryError):
        return EdgekitError("not enough memory", hint="a smaller --batch-size or --image-size needs less")
    return EdgekitError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in edgekit; EDGEKIT_DEBUG=1 shows where it happened",
    )
