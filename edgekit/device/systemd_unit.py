"""A systemd unit that starts ``watch`` with the device and restarts it when it fails. Standard library only."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .failures import DeviceError
from .plain_text import CONTROLS

UNIT = """# Install it:
#   sudo cp {name}.service /etc/systemd/system/
#   sudo systemctl enable --now {name}
# Read what it says:
#   journalctl --unit {name} --follow
[Unit]
Description={description}

[Service]
User={user}
WorkingDirectory={folder}
ExecStart={command}
Restart=on-failure
RestartSec=10
Nice=5
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={writable}

[Install]
WantedBy=multi-user.target
"""

SIMPLE = re.compile(r"[A-Za-z0-9/._:=,+@%-]+")


def unit(name: str, program: Path, folder: Path, arguments: Sequence[str]) -> str:
    """The text of the unit ``name`` that runs ``program`` with ``arguments`` in ``folder``, as this user.

    The parent folder is writable, too, because `edgekit deploy --update` replaces the whole folder: a unit that is
    bound to the folder itself would keep the old one.

    Raises :class:`DeviceError` if a path or argument cannot be written on one line.
    """
    if CONTROLS.search("".join([sys.executable, str(program), str(folder), *arguments])):
        raise DeviceError("a unit cannot be written for a path or an option with control characters", str(folder))
    command = [sys.executable, str(program), *arguments]
    return UNIT.format(
        name=name,
        description=_plain(f"edgekit: {folder.name}"),
        user=pwd.getpwuid(os.getuid()).pw_name,
        folder=_plain(str(folder)),
        command=" ".join(_argument(word) for word in command),
        writable=_quoted(_plain(str(folder.parent))),
    )


def _plain(text: str) -> str:
    """Systemd replaces specifiers such as %h."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _argument(word: str) -> str:
    """One word of a command line: quoted where it has to be, without specifiers and variables."""
    escaped = _plain(word).replace("$", "$$")
    return escaped if SIMPLE.fullmatch(escaped) else _quoted(escaped)
