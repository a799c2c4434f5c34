"""The private packages of the device: wheels unpacked below ``env/``, beside the system's Python, never inside it.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from .calls import Call
from .failures import DeviceError
from .object_store import object_path, plain_name
from .protocol import Emit
from .protocol.requests import FetchRequest, InstalledEnvironment, InstalledEvent, InstallRequest
from .working_folder import ENVIRONMENTS


def install(call: Call[InstallRequest], emit: Emit[InstalledEvent]) -> None:
    """The verb: unpack wheels that the host sent as a new environment, and use it from now on.

    The wheels needed here are plain archives: nothing to build, no scripts. Their objects are removed afterwards,
    because space on a memory card is scarce.
    """
    request = call.request
    part, site = _fresh(request["id"])
    for name, object_name in request["wheels"].items():
        try:
            with zipfile.ZipFile(object_path(object_name)) as wheel:
                wheel.extractall(site)
        except zipfile.BadZipFile as error:
            raise DeviceError(f"{name} is not a wheel: {error}") from None
    environment = _environment(request, "host")
    environment["wheels"] = sorted(request["wheels"])
    _activate(environment, part)
    for object_name in request["wheels"].values():
        object_path(object_name).unlink()
    emit({"event": "installed", "id": request["id"]})


def fetch(call: Call[FetchRequest], emit: Emit[InstalledEvent]) -> None:
    """The verb: the same, with packages that the device downloads itself with its own pip.

    If Python has no pip, one is created below ``env/pip``, which needs the system's venv module.
    """
    request = call.request
    part, site = _fresh(request["id"])
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
        raise DeviceError(f"pip failed on the device: {last.replace('ERROR: ', '', 1)}")
    _activate(_environment(request, "device"), part)
    emit({"event": "installed", "id": request["id"]})


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


def _fresh(name: str) -> tuple[Path, Path]:
    """An empty folder for a new environment, and the folder of packages in it."""
    part = Path(ENVIRONMENTS, f"{plain_name(name)}.part")
    shutil.rmtree(part, ignore_errors=True)
    site = part / "site"
    site.mkdir(parents=True)
    return part, site


def _environment(request: FetchRequest, source: str) -> InstalledEnvironment:
    return {
        "id": request["id"],
        "python": list(platform.python_version_tuple()[:2]),
        "requirements": request["requirements"],
        "source": source,
    }


def _activate(environment: InstalledEnvironment, part: Path) -> None:
    """Give a complete environment its name and make it the current one."""
    (part / "environment.json").write_text(json.dumps(environment, indent=1), encoding="utf-8")
    folder = Path(ENVIRONMENTS, environment["id"])
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    current = Path(ENVIRONMENTS, "current.part")
    current.write_text(environment["id"], encoding="ascii")
    current.replace(Path(ENVIRONMENTS, "current"))
