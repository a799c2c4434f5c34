"""Taking edgekit off a device again: what it made in the working folder is removed, and nothing else.

Standard library only; the working folder is the current one.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .failures import DeviceError
from .store import DEPLOYED, NAME, OBJECTS, PROGRAM

MARKER = ".edgekit-folder"
"""A file in every working folder that edgekit made, or found empty."""

ENVIRONMENT = re.compile(r"[0-9a-f]{16}(\.part)?")
JOB = re.compile(r"[0-9a-f]{32}")


def purge(_request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: remove edgekit's own files, then the folder where it is empty. ``left`` names what is still in it.

    Raises :class:`DeviceError` in a folder without the marker. Links are removed where they are edgekit's and never
    followed.
    """
    if not Path(MARKER).is_file():
        raise DeviceError(f"edgekit did not make this folder (it has no {MARKER})", str(Path.cwd()))
    for folder in _folders(Path("deploy")):
        if (folder / PROGRAM).is_file():
            remove_deployed(folder)
    for folder in _folders(Path("jobs")):
        if JOB.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _folders(Path("env")):
        is_pip = folder.name == "pip" and (folder / "pyvenv.cfg").is_file()
        if is_pip or ENVIRONMENT.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    _remove_files(Path("env"), lambda name: name in ("current", "current.part"))
    _remove_files(OBJECTS, lambda name: NAME.fullmatch(re.sub(r"(\.[0-9]+)?\.part$", "", name)) is not None)
    _remove_files(Path(), lambda name: name in ("lock", "owner.json", "owner.json.part"))
    for name in ("deploy", "jobs", "env", str(OBJECTS)):
        _remove_empty(Path(name))
    Path(MARKER).unlink()
    left = sorted(entry.name for entry in Path().iterdir())
    _remove_empty(Path.cwd())
    emit("purged", left=left)


def remove_deployed(folder: Path) -> None:
    """Remove the files of `edgekit deploy` from ``folder``, and the folder where nothing else is in it."""
    _remove_files(folder, lambda name: name in DEPLOYED)
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
