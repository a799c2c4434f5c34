"""`edgekit target`: machines to measure on."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table
from edgekit.errors import TargetError
from edgekit.support.paths import expanded

if TYPE_CHECKING:
    from edgekit.targets.diagnosis import Diagnosis
    from edgekit.targets.ssh import SshTarget

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="""Manage the machines to measure on over SSH (targets.toml).

    Every command takes --json, --quiet and --help.

    Example: edgekit target add pi4 pi@raspberrypi.local && edgekit target setup pi4
    """,
)

NameArgument = Annotated[str, typer.Argument(help="Name of the target.", metavar="NAME")]


class Source(str, Enum):
    """Who downloads the target's packages."""

    host = "host"
    device = "device"


@app.command("add", short_help="Add a machine to targets.toml.")
def add(
    name: Annotated[str, typer.Argument(help="A short name, such as pi4.", metavar="NAME")],
    address: Annotated[
        str, typer.Argument(help="Host name, IP address, or alias from ~/.ssh/config.", metavar="[USER@]HOST")
    ],
    port: Annotated[int | None, typer.Option("--port", help="SSH port.", metavar="N", show_default=False)] = None,
    python: Annotated[
        str, typer.Option("--python", help="Python on the target, 3.9 or newer.", metavar="PATH")
    ] = "python3",
    folder: Annotated[
        str, typer.Option("--folder", help="Working folder on the target.", metavar="DIR")
    ] = "~/.edgekit",
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads", help="Default thread counts for bench on this target.", metavar="N,...", show_default=False
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            help="Default runtime on this target; see edgekit list runtimes.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    ssh_config: Annotated[
        Path | None,
        typer.Option("--ssh-config", help="SSH configuration file to use.", metavar="FILE", show_default=False),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--user", help="Add it to your user configuration, for all projects.")
    ] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Add a machine to targets.toml in the current folder. Nothing is sent to it yet.

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
        ssh_config=None if ssh_config is None else str(expanded(ssh_config).absolute()),
    )
    path = user_file() if everywhere else project_file()
    add_target(config, path)
    document = {"schema_version": 1, "target": name, "file": str(path), **config.entries()}
    Output(json_mode=json_mode, quiet=quiet).result(
        document, f"added {name} to {path}\nnext: edgekit target setup {shlex.quote(name)}"
    )


@app.command("list", short_help="List the known targets.")
def list_targets(json_mode: JsonOption = False, quiet: QuietOption = False) -> None:
    """List the targets: the built-in ones, and those in targets.toml in the current folder and your user configuration.

    Example: edgekit target list
    """
    from edgekit.targets.config import known_targets, project_file

    rows = [["local", "this machine", "", ""], ["web", "a browser on this machine", "", ""]]
    entries: list[dict[str, object]] = [{"target": "local", "host": None}, {"target": "web", "host": None}]
    for name, (config, path) in known_targets().items():
        rows.append([name, config.address, config.folder, "project" if path == project_file() else "user"])
        entries.append({"target": name, "file": str(path), **config.entries()})
    document = {"schema_version": 1, "targets": entries}
    Output(json_mode=json_mode, quiet=quiet).result(document, table(["target", "address", "folder", "from"], rows))


@app.command("setup", short_help="Install NumPy, Pillow and the runtimes on a target.")
def setup(
    name: NameArgument,
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="Where the packages are downloaded: host (on this machine, which sends them, so the target needs no "
            "internet) or device (on the target).",
            metavar="host|device",
        ),
    ] = Source.host,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Install NumPy, Pillow and the runtimes on a target.

    edgekit installs them into the target's working folder; the target's system and its own Python stay unchanged. If
    they are already installed, setup does nothing.

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
        "facts": done.facts,
    }
    runtimes = ", ".join(f"{runtime} {version}" for runtime, version in done.runtimes.items())
    state = "is set up" if done.changed else "was already set up"
    if done.source == "own":
        state = "needs no setup, because its Python has all packages"
    out.result(document, f"{name} {state}: {runtimes}\nnext: edgekit bench RUN --target {shlex.quote(name)}")


@app.command("doctor", short_help="Check whether a target can measure.")
def doctor(name: NameArgument, json_mode: JsonOption = False, quiet: QuietOption = False) -> int:
    """Check whether a target can measure, and show how to improve its results. Nothing is changed on the target.

    Example: edgekit target doctor pi4
    """
    from edgekit.targets.diagnosis import diagnose_target

    out = Output(json_mode=json_mode, quiet=quiet)
    with contextlib.closing(_ssh_target(name, out)) as target:
        diagnosis = diagnose_target(target)
    out.result(_doctor_document(diagnosis), _doctor_text(diagnosis))
    return 0 if diagnosis.ok else TargetError.exit_code


@app.command("remove", short_help="Remove a target from targets.toml.")
def remove(
    name: NameArgument,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Also delete what edgekit put on the target, including deployed models."),
    ] = False,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Remove a target from its targets.toml.

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
        names = f"{', '.join(left[:3])}{', ...' if len(left) > 3 else ''}"
        out.warn(f"kept the working folder on {name}, because it contains files that edgekit did not create ({names})")
    path = remove_target(name)
    out.result(
        {"schema_version": 1, "target": name, "file": str(path), "purged": purge, "left": left},
        f"removed {name} from {path}",
    )


def _ssh_target(name: str, out: Output) -> SshTarget:
    from edgekit.targets.config import find_target
    from edgekit.targets.ssh import SshTarget

    return SshTarget(find_target(name), out)


def _doctor_document(diagnosis: Diagnosis) -> dict[str, object]:
    environment = () if diagnosis.environment is None else diagnosis.environment.items()
    return {
        "schema_version": 1,
        "target": diagnosis.target,
        "ok": diagnosis.ok,
        "checks": [asdict(check) for check in diagnosis.checks],
        "facts": diagnosis.facts,
        "environment": {name: value for name, value in environment if name not in ("event", "when")},
        "clock_skew_s": diagnosis.clock_skew_s,
    }


def _doctor_text(diagnosis: Diagnosis) -> str:
    facts, environment = diagnosis.facts, diagnosis.environment
    title, system = facts["host_name"], facts["system"]
    if environment is not None:
        title, system = environment["board"] or environment["cpu"] or title, environment["os"]
    rows = [["yes" if check.ok else "no", check.name, _shortened(check.found)] for check in diagnosis.checks]
    checks = table(["", "", ""], rows).splitlines()[2:]
    lines = [f"{diagnosis.target}: {title}, {system}", "", *checks]
    remedies = [(check.name, check.remedy) for check in diagnosis.checks if check.remedy]
    if remedies:
        width = max(len(name) for name, _ in remedies)
        lines += ["", "what to do", *(f"  {name:<{width}}  {remedy}" for name, remedy in remedies)]
    return "\n".join(lines)


def _shortened(text: str) -> str:
    return text if len(text) <= 55 else f"{text[:52]}..."
