"""The ``edgekit`` command: every verb in workflow order, and the one place where errors become exit codes."""

from __future__ import annotations

import atexit
import gc
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
import typer.core

from edgekit import __version__
from edgekit.cli.failures import as_edgekit_error
from edgekit.cli.output import Output
from edgekit.cli.signals import INTERRUPTED, watch_signals
from edgekit.cli.streams import OutputLostError, ReaderEndedError, abandon_stdout, prepare_streams
from edgekit.errors import EdgekitError, InputError
from edgekit.support.interrupts import is_interrupt
from edgekit.support.quiet import debugging

if TYPE_CHECKING:
    from edgekit.cli.output import UsageError

CommandLineError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Base class of Typer's usage errors. It is looked up by name because some versions of Typer bundle their own Click."""


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
    """Run the command in ``argv`` (default: the command line). Always ends with :class:`SystemExit`.

    With ``EDGEKIT_DEBUG=1``, an error is raised as it is instead.
    """
    arguments = sys.argv[1:] if argv is None else argv
    prepare_streams()
    watch_signals()
    out = Output(json_mode="--json" in arguments)
    try:
        code = _run(arguments, out)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        out.interrupted()
    sys.exit(code)


def _run(arguments: list[str], out: Output) -> int:
    """The exit code of a command; its error is printed, also where standard output fails on the way."""
    try:
        try:
            code = _attempt(arguments, out)
        finally:
            sys.stdout.flush()
    except ReaderEndedError:
        abandon_stdout()
        return EdgekitError.exit_code
    except OutputLostError as error:
        abandon_stdout()
        Output().error(error)
        return error.exit_code
    return code


def _attempt(arguments: list[str], out: Output) -> int:
    try:
        code = app(args=arguments, prog_name="edgekit", standalone_mode=False)
    except typer.Abort as abort:
        if not isinstance(abort.__cause__, EOFError):  # Typer takes the end of any file for Ctrl-D
            return INTERRUPTED
        return _failed(abort.__cause__, out)
    except CommandLineError as error:
        out.usage_error(cast("UsageError", error))
        return InputError.exit_code
    except (ReaderEndedError, OutputLostError):
        raise
    except Exception as error:  # noqa: BLE001  # each becomes a message and an exit code
        return INTERRUPTED if is_interrupt(error) else _failed(error, out)
    return code if isinstance(code, int) else 0


def _failed(error: Exception, out: Output) -> int:
    if debugging():
        raise error
    failure = as_edgekit_error(error)
    out.error(failure)
    return failure.exit_code
