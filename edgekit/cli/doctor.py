"""``edgekit doctor``."""

from __future__ import annotations

from typing import Any

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table


def doctor(json_mode: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show what this machine can do, what is missing, and the command that adds it.

    Frameworks to train with, GPU, export tools, device runtimes, pretrained weights already downloaded, disk.

    Example: edgekit doctor
    """
    from edgekit.diagnosis import diagnose

    out = Output(json_mode=json_mode, quiet=quiet)
    document = diagnose()
    out.result(document, _text(document))


def _text(document: dict[str, Any]) -> str:
    rows = [
        ["ok" if check["ok"] else "missing", check["name"], check["found"] or "", "" if check["ok"] else check["remedy"]]
        for check in document["checks"]
    ]
    machine = document["machine"]
    abilities = [f"{'yes' if able else 'no ':<4}{name}" for name, able in document["can"].items()]
    return "\n".join(
        [
            f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}",
            "",
            table(["", "what", "found", "to add it"], rows),
            "",
            *abilities,
        ]
    )
