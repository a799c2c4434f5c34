"""`edgekit target`: the machines to measure on."""

from __future__ import annotations

import contextlib
import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.errors import InputError, TargetError

if TYPE_CHECKING:
    from edgekit.targets.ssh import SshTarget

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="""Machines to measure on over SSH (targets.toml): add, list, setup, doctor, remove.

    Each takes --json, --quiet and --help.

    Example: edgekit target add pi4 pi@raspberrypi.local && edgekit target setup pi4
    """,
)

NameArgument = Annotated[str, typer.Argument(help="Name of the target.", metavar="NAME")]


class Source(str, Enum):
    """Where the target's packages come from."""

    host = "host"
    device = "device"


@app.command("add", short_help="Write a machine into targets.toml.")
def add(
    name: Annotated[str, typer.Argument(help="A short name: pi4.", metavar="NAME")],
    address: Annotated[str, typer.Argument(help="A host, or an alias of ~/.ssh/config.", metavar="[USER@]HOST")],
    port: Annotated[int | None, typer.Option("--port", help="SSH port.", show_default=False)] = None,
    python: Annotated[str, typer.Option("--python", help="Python there, 3.9 or newer.", metavar="PATH")] = "python3",
    folder: Annotated[str, typer.Option("--folder", help="Working folder there.", metavar="DIR")] = "~/.edgekit",
    threads: Annotated[
        str | None,
        typer.Option("--threads", help="What bench measures there by default.", metavar="1,4", show_default=False),
    ] = None,
    runtime: Annotated[
        str | None, typer.Option("--runtime", help="litert or tflite-runtime for .tflite files.", show_default=False)
    ] = None,
    ssh_config: Annotated[
        Path | None,
        typer.Option("--ssh-config", help="Used instead of ~/.ssh/config.", metavar="FILE", show_default=False),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--user", help="For all projects: into the user's configuration folder.")
    ] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a machine into targets.toml of this folder. Nothing is sent to it yet.

    Example: edgekit target add pi4 pi@raspberrypi.local
    """
    from edgekit.cli.bench import parse_threads
    from edgekit.targets.config import TargetConfig, add_target, project_file, user_file

    user, _, host = address.rpartition("@")
    config = TargetConfig(
        name=name,
        host=host,
        user=user or None,
        port=port,
        python=python,
        folder=folder,
        threads=None if threads is None else parse_threads(threads),
        runtime=runtime,
        ssh_config=None if ssh_config is None else str(ssh_config.expanduser().absolute()),
    )
    path = user_file() if everywhere else project_file()
    add_target(config, path)
    document = {"schema_version": 1, "target": name, "file": str(path), **config.document()}
    Output(json_mode=json_mode, quiet=quiet).result(
        document, f"{name} is in {path}\nnext: edgekit target setup {shlex.quote(name)}"
    )


@app.command("list", short_help="Show the known targets.")
def list_targets(json_mode: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show the known targets: this machine, then those of targets.toml here and in the user's folder.

    Example: edgekit target list
    """
    from edgekit.targets.config import known_targets, user_file

    rows = [["local", "this machine", "", ""]]
    entries: list[dict[str, Any]] = [{"target": "local", "host": None}]
    for name, (config, path) in known_targets().items():
        place = "user" if path == user_file() else "project"
        port = "" if config.port is None else f":{config.port}"
        user = "" if config.user is None else f"{config.user}@"
        rows.append([name, f"{user}{config.host}{port}", config.folder, place])
        entries.append({"target": name, "file": str(path), **config.document()})
    document = {"schema_version": 1, "targets": entries}
    Output(json_mode=json_mode, quiet=quiet).result(document, table(["target", "address", "folder", "from"], rows))


@app.command("setup", short_help="Put what measuring needs on a target.")
def setup(
    name: NameArgument,
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="host: packages are fetched here and sent (the target needs no internet); device: it fetches them.",
        ),
    ] = Source.host,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put NumPy, Pillow and the runtimes into the working folder on a target, beside its own Python.

    A second call finds them and changes nothing. Nothing is installed into the system.

    Example: edgekit target setup pi4
    """
    from edgekit.targets.setup import set_up

    out = Output(json_mode=json_mode, quiet=quiet)
    with contextlib.closing(_ssh_target(name, out)) as target:
        done = set_up(target, source.value, out)
    for note in done.notes:
        out.warn(note)
    document = {
        "schema_version": 1,
        "target": name,
        "changed": done.changed,
        "source": done.source,
        "runtimes": done.runtimes,
        "notes": list(done.notes),
        "facts": {k: v for k, v in done.facts.items() if k != "event"},
    }
    runtimes = ", ".join(f"{runtime} {version}" for runtime, version in done.runtimes.items())
    how = {True: "is set up", False: "was set up before, nothing was changed"}[done.changed]
    if done.source == "own":
        how = "needs nothing: its Python has all packages"
    out.result(document, f"{name} {how}: {runtimes}\nnext: edgekit bench RUN --target {name}")


@app.command("doctor", short_help="Say whether a target can measure.")
def doctor(name: NameArgument, json_mode: JsonOption = False, quiet: QuietOption = False) -> int:
    """Say whether a target can measure, and what would make its numbers better. Nothing is changed there.

    Example: edgekit target doctor pi4
    """
    from edgekit.targets.diagnosis import diagnose_target

    out = Output(json_mode=json_mode, quiet=quiet)
    with contextlib.closing(_ssh_target(name, out)) as target:
        document = diagnose_target(target)
    out.result({"schema_version": 1, **document}, _doctor_text(document))
    return 0 if document["ok"] else TargetError.exit_code


@app.command("remove", short_help="Take a target out of targets.toml.")
def remove(
    name: NameArgument,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove all that edgekit put on the target, deployed files too.")
    ] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take a target out of its targets.toml.

    Example: edgekit target remove pi4 --purge
    """
    from edgekit.targets.config import find_target, remove_target

    out = Output(json_mode=json_mode, quiet=quiet)
    find_target(name)
    left: list[str] = []
    if purge:
        with contextlib.closing(_ssh_target(name, out)) as target:
            left = target.purge()
    if left:
        named = f"{', '.join(left[:3])}{', ...' if len(left) > 3 else ''}"
        out.warn(f"the working folder on {name} is kept: it holds what edgekit did not make ({named})")
    path = remove_target(name)
    out.result(
        {"schema_version": 1, "target": name, "file": str(path), "purged": purge, "left": left},
        f"{name} is no longer in {path}",
    )


def _ssh_target(name: str, out: Output) -> SshTarget:
    from edgekit.targets.config import find_target
    from edgekit.targets.ssh import SshTarget

    if name == "local":
        raise InputError("local is this machine", hint="edgekit doctor")
    return SshTarget(find_target(name), out)


def _doctor_text(document: dict[str, Any]) -> str:
    environment, facts = document["environment"], document["facts"]
    title = environment.get("board") or environment.get("cpu") or facts["host_name"]
    rows = [["yes" if c["ok"] else "no", c["name"], _short(c["found"])] for c in document["checks"]]
    lines = [f"{document['target']}: {title}, {environment.get('os', facts['system'])}", "", table(["", "", ""], rows)]
    lines[2] = "\n".join(lines[2].splitlines()[2:])
    remedies = [(c["name"], c["remedy"]) for c in document["checks"] if c["remedy"]]
    if remedies:
        width = max(len(name) for name, _ in remedies)
        lines += ["", "to do there", *(f"  {name:<{width}}  {remedy}" for name, remedy in remedies)]
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= 55 else f"{text[:52]}..."
