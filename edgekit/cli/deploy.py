"""`edgekit deploy`: put one exported file on a device to stay."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output
from edgekit.errors import CheckFailed


def deploy(
    run: Annotated[Path, typer.Argument(help="A run folder, or one exported file of a run.", metavar="RUN")],
    target: Annotated[str, typer.Option("--target", help="Machine to put it on.", metavar="NAME")],
    export: Annotated[
        str | None,
        typer.Option("--export", help="Which file of the run: tflite-int8.", metavar="NAME", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Folder name there.", metavar="NAME", show_default="run and export"),
    ] = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Leave a folder on a device with model, labels, the device program and a README: it works there alone.

    The golden answers are checked there. Exit code 3 where they do not hold.

    Example: edgekit deploy runs/mobilenetv2 --export tflite-int8 --target pi4
    """
    from edgekit.bench.deploy import deploy as put
    from edgekit.documents.base import SCHEMA_VERSION

    out = Output(json_mode=json_mode, quiet=quiet)
    done = put(run, target=target, export=export, name=name, progress=out)
    check = done.verification
    document = {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "folder": done.folder,
        "command": done.command,
        "verification": check.document(),
    }
    out.result(
        document,
        f"{done.folder} on {target}: {check.n_same} of {check.n_inputs} golden answers agree there\n"
        f"there: cd {shlex.quote(done.folder)} && {done.command}",
    )
    if check.problem is not None:
        out.warn(f"{check.id}: {check.problem}")
        return CheckFailed.exit_code
    return 0
