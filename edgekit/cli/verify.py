"""`edgekit verify`: golden answers on a target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import JsonOption, QuietOption, RuntimeOption, TargetOption
from edgekit.cli.output import Output, table
from edgekit.errors import CheckFailed


def verify(
    paths: Annotated[list[Path], typer.Argument(help="Run folders, or exported files of runs.", metavar="RUN")],
    target: TargetOption = "local",
    runtime: RuntimeOption = None,
    json_mode: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check that exported files answer on a target as they did where they were made (golden.npz). Exit code 3 if not.

    Example: edgekit verify runs/mobilenetv2 --target pi4
    """
    from edgekit.bench.verify import verify as check
    from edgekit.documents.base import SCHEMA_VERSION

    out = Output(json_mode=json_mode, quiet=quiet)
    found = check(paths, target=target, runtime=runtime, progress=out)
    rows = [
        [
            "yes" if v.problem is None else "NO",
            v.id,
            f"{v.n_same}/{v.n_inputs}",
            "-" if v.max_difference is None else f"{v.max_difference:.2g}",
            "" if v.runtime is None else f"{v.runtime['name']} {v.runtime['version']}",
        ]
        for v in found
    ]
    document = {"schema_version": SCHEMA_VERSION, "target": target, "results": [v.document() for v in found]}
    out.result(document, table(["holds", "file", "same", "max diff", "runtime"], rows, right=(2, 3)))
    for v in found:
        if v.problem is not None:
            out.warn(f"{v.id}: {v.problem}")
    return 0 if all(v.problem is None for v in found) else CheckFailed.exit_code
