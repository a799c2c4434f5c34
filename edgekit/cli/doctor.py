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
    from edgekit.installation import diagnose

    out = Output(json_mode=json_mode, quiet=quiet)
    document = diagnose()
    out.result(document, _text(document))


def _text(document: dict[str, Any]) -> str:
    checks, machine = document["checks"], document["machine"]
    rows = [["yes" if check["ok"] else "no", check["name"], check["found"] or "-"] for check in checks]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}",
        f"{document['free_disk_bytes'] / 1e9:.0f} GB of disk free; "
        f"{document['cache']['size_bytes'] / 1e6:.0f} MB of decoded images kept in",
        f"  {document['cache']['path']} (safe to remove)",
        "",
        table(["", "what", "found"], rows),
        "",
        "this machine can",
        *(f"  {'yes' if able else 'no ':<4}{name}" for name, able in document["can"].items()),
    ]
    missing = [check for check in checks if not check["ok"] and check["remedy"]]
    if missing:
        width = max(len(check["name"]) for check in missing)
        lines += ["", "to add what is missing", *(f"  {c['name']:<{width}}  {c['remedy']}" for c in missing)]
    return "\n".join(lines)
