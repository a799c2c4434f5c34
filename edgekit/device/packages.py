"""The private packages of the device: wheels unpacked below ``env/``, beside the system's Python, never inside it.

Standard library only; the working folder is the current one.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .failures import DeviceError
from .store import object_path, plain_name


def install(request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: unpack ``wheels`` (wheel file name -> object) as the environment ``id`` and use it from now on.

    A wheel of the kinds needed here is a folder to unpack: no build, no scripts. The objects are removed afterwards,
    because the room on a memory card is dear.
    """
    part, site = _fresh(request)
    for name, object_name in request["wheels"].items():
        try:
            with zipfile.ZipFile(object_path(str(object_name))) as wheel:
                wheel.extractall(site)
        except zipfile.BadZipFile as error:
            raise DeviceError(f"{name} is not a wheel: {error}") from None
    _finish(request, part, {"wheels": sorted(request["wheels"]), "source": "host"})
    for object_name in request["wheels"].values():
        object_path(str(object_name)).unlink()
    emit("installed", id=request["id"])


def fetch(request: dict[str, Any], _stream: BinaryIO, emit: Callable[..., None]) -> None:
    """The verb: the same from the package index that this device reaches, with its own pip.

    A Python without pip gets one of its own below ``env/pip`` (needs the system's venv module).
    """
    part, site = _fresh(request)
    command = [*_pip(), "install", "--target", str(site), "--no-deps", "--only-binary", ":all:", "--no-compile"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--quiet", *request["requirements"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        last = ([line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"])[-1]
        raise DeviceError(f"pip on the device failed: {last.removeprefix('ERROR: ')}")
    _finish(request, part, {"source": "device"})
    emit("installed", id=request["id"])


def _pip() -> list[str]:
    for python in (sys.executable, "env/pip/bin/python"):
        if _works([python, "-m", "pip", "--version"]):
            return [python, "-m", "pip"]
    if not _works([sys.executable, "-m", "venv", "env/pip"]):
        raise DeviceError("this Python has neither pip nor a working venv module: sudo apt install python3-venv")
    return ["env/pip/bin/python", "-m", "pip"]


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _fresh(request: dict[str, Any]) -> tuple[Path, Path]:
    part = Path("env", f"{plain_name(request['id'])}.part")
    shutil.rmtree(part, ignore_errors=True)
    site = part / "site"
    site.mkdir(parents=True)
    return part, site


def _finish(request: dict[str, Any], part: Path, facts: dict[str, Any]) -> None:
    document = {
        "id": request["id"],
        "python": platform.python_version_tuple()[:2],
        "requirements": request["requirements"],
        **facts,
    }
    (part / "environment.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    folder = Path("env", request["id"])
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    current = Path("env", "current.part")
    current.write_text(request["id"], encoding="ascii")
    current.replace(Path("env", "current"))
