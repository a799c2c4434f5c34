"""The ``edgekit`` command: every verb in workflow order, and the one place where errors become exit codes."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import io
import os
import re
import signal
import stat
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
import typer.core

from edgekit import __version__
from edgekit.cli.output import Output
from edgekit.errors import EdgekitError
from edgekit.support.interrupts import is_interrupt

if TYPE_CHECKING:
    from edgekit.cli.output import UsageError

CommandLineError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Base class of Typer's usage errors. It is looked up by name because some versions of Typer bundle their own Click."""

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM, as in a shell."""


class InWorkflowOrder(typer.core.TyperGroup):
    """Lists the commands in the order of the table; Typer would list groups of commands last."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002  # Click's signature
        from edgekit.cli.verbs import VERBS

        return [verb.name for verb in VERBS]


class PlainArguments(typer.core.TyperCommand):
    """Shows arguments as ``RUN``; recent versions of Typer show ``{RUN}``, and a Python type beside the name."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401  # Click's signature
        """The words after the command in the usage line."""
        return [re.sub(r"^\{(.*)\}(\.\.\.)?$", r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # Click's signature
        """Write the tables of arguments and options."""
        for parameter in self.params:
            if parameter.param_type_name == "argument":
                vars(parameter)["display_type_rich"] = lambda **_: None
        super().format_options(ctx, formatter)


app = typer.Typer(
    name="edgekit",
    cls=InWorkflowOrder,
    help="Train small image classifiers, export them, and measure them on your device.",
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

    for verb in VERBS:
        if isinstance(verb.command, typer.Typer):
            for command in verb.command.registered_commands:
                command.cls = PlainArguments
            app.add_typer(verb.command, name=verb.name, short_help=verb.summary)
        else:
            app.command(verb.name, cls=PlainArguments, short_help=verb.summary)(verb.command)


_register()
# Python would search all of TensorFlow for garbage when the process ends, which takes 2 s.
atexit.register(gc.freeze)


def main(argv: list[str] | None = None) -> None:
    """Entry point of the ``edgekit`` command. Always ends with :class:`SystemExit`."""
    arguments = sys.argv[1:] if argv is None else argv
    debug = os.environ.get("EDGEKIT_DEBUG") == "1"
    _escape_what_cannot_be_encoded()
    out = Output(json_mode="--json" in arguments)
    _watch_signals()
    try:
        code = app(args=arguments, prog_name="edgekit", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except CommandLineError as error:
        out.usage_error(cast("UsageError", error))
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
        if not is_interrupt(error):
            if debug:
                raise
            failure = as_edgekit_error(error)
            out.error(failure)
            sys.exit(failure.exit_code)
        code = INTERRUPTED
    if code == INTERRUPTED:  # Typer may also return this code itself
        with contextlib.suppress(OSError):  # the terminal may be gone
            out.stderr.print("interrupted", style="yellow")
    sys.exit(code if isinstance(code, int) else 0)


def _escape_what_cannot_be_encoded() -> None:
    """Write a character that the terminal's encoding lacks as an escape (``\\xe9``) instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _watch_signals() -> None:
    """SIGTERM and SIGHUP interrupt, except where whoever started this process ignores them, as ``nohup`` does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(number: int, _frame: object) -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C: a training writes its checkpoint, and the command says how to resume.

    Both may arrive together and more than once, so the second one does not disturb what the first one started.
    """
    for again in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(again) is interrupt:
            signal.signal(again, _interrupted_already)
    if number == signal.SIGHUP:
        _leave_terminal()
    raise KeyboardInterrupt


def _interrupted_already(_number: int, _frame: object) -> None:
    pass


def _leave_terminal() -> None:
    """The terminal is gone: writing to it would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def as_edgekit_error(error: Exception) -> EdgekitError:
    """Any exception as an error with a problem and, where possible, a hint."""
    if isinstance(error, EdgekitError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EdgekitError("the disk is full", where=error.filename, hint="free some space, then rerun this command")
    if isinstance(error, PermissionError):
        return EdgekitError("permission denied", where=str(error.filename))
    if isinstance(error, MemoryError):
        return EdgekitError("not enough memory", hint="use a smaller --batch-size or --image-size")
    return EdgekitError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in edgekit; set EDGEKIT_DEBUG=1 to see the traceback",
    )
