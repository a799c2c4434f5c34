"""``edgekit doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from edgekit.cli.options import JsonOption, QuietOption
from edgekit.cli.output import Output, table

if TYPE_CHECKING:
    from edgekit.installation import Installation


def doctor(json_mode: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show what this machine can do, what is missing, and how to install it.

    Covers training frameworks, GPU, export tools, runtimes, downloaded weights and disk space.

    Example: edgekit doctor
    """
    from edgekit.installation import diagnose

    found = diagnose()
    checks = [{"name": check.name, "ok": check.ok, **asdict(check)} for check in found.checks]
    Output(json_mode=json_mode, quiet=quiet).result({**asdict(found), "checks": checks}, _text(found))


def _text(found: Installation) -> str:
    machine = found.machine
    rows = [["yes" if check.ok else "no", check.name, check.found or "-"] for check in found.checks]
    lines = [
        f"{machine.cpu}, {machine.cores} cores, Python {machine.python}",
        f"{found.free_disk_bytes / 1e9:.0f} GB of disk space free; "
        f"{found.cache.size_bytes / 1e6:.0f} MB of decoded images cached in",
        f"  {found.cache.path} (can be deleted at any time)",
        "",
        table(["", "package", "found"], rows),
        "",
        "this machine can",
        *(f"  {'yes' if able else 'no':<4}{name}" for name, able in found.can.items()),
    ]
    missing = [check for check in found.checks if not check.ok and check.remedy]
    if missing:
        width = max(len(check.name) for check in missing)
        lines += ["", "to install what is missing", *(f"  {c.name:<{width}}  {c.remedy}" for c in missing)]
    return "\n".join(lines)
