"""The verb ``purge``: remove what edgekit put into the working folder, and nothing else.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from .calls import Call
from .failures import DeviceError
from .object_store import NAME
from .protocol import Emit
from .protocol.requests import NoRequest, PurgedEvent
from .working_folder import DEPLOYMENTS, ENVIRONMENTS, JOBS, MARKER, OBJECTS, OWNER, PROGRAM, TOKEN, deployed_names

ENVIRONMENT = re.compile(r"[0-9a-f]{16}(\.part)?")
JOB = re.compile(r"[0-9a-f]{32}")
ASSEMBLED = re.compile(NAME.pattern + r"\.[0-9]+\.part")
"""A model that was being opened together with its external data when its process was killed."""


def purge(_call: Call[NoRequest], emit: Emit[PurgedEvent]) -> None:
    """Remove edgekit's own files, then the folder if it is empty. ``left`` names what remains in it.

    Symbolic links are removed if they are edgekit's own, and never followed. Raises :class:`DeviceError` in a folder
    without the marker.
    """
    if not Path(MARKER).is_file():
        raise DeviceError(f"this folder was not created by edgekit (it has no {MARKER})", str(Path.cwd()))
    for folder in _folders(DEPLOYMENTS):
        if (folder / PROGRAM).is_file():
            _remove_deployed(folder)
    for folder in _folders(JOBS):
        if JOB.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _folders(ENVIRONMENTS):
        is_pip = folder.name == "pip" and (folder / "pyvenv.cfg").is_file()
        if is_pip or ENVIRONMENT.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    _remove_files(ENVIRONMENTS, lambda name: name in ("current", "current.part"))
    for folder in _folders(OBJECTS):
        if ASSEMBLED.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    _remove_files(OBJECTS, lambda name: NAME.fullmatch(re.sub(r"(\.[0-9]+)?\.part$", "", name)) is not None)
    _remove_files(Path(), lambda name: name in ("lock", OWNER.name, f"{OWNER.name}.part"))
    for folder in (DEPLOYMENTS, JOBS, ENVIRONMENTS, OBJECTS):
        _remove_empty(folder)
    Path(MARKER).unlink()
    left = sorted(entry.name for entry in Path().iterdir())
    _remove_empty(Path.cwd())
    emit({"event": "purged", "left": left})


def _remove_deployed(folder: Path) -> None:
    """Remove the files of `edgekit deploy` from ``folder``, and the folder if nothing else is in it."""
    own = {*deployed_names(folder), TOKEN}
    _remove_files(folder, lambda name: name in own)
    _remove_empty(folder)


def _folders(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]


def _remove_files(folder: Path, is_own: Callable[[str], bool]) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    for entry in list(folder.iterdir()):
        if is_own(entry.name) and (entry.is_symlink() or entry.is_file()):
            entry.unlink()


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
