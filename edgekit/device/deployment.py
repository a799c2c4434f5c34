"""The verb ``place``: a folder below ``deploy/`` in which a model works without the host.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from .calls import Call
from .failures import DeviceError
from .object_store import object_path, plain_name
from .protocol import Emit
from .protocol.requests import PlacedEvent, PlaceRequest
from .working_folder import DEPLOYED, DEPLOYMENTS, ENVIRONMENTS, PROGRAM


def place(call: Call[PlaceRequest], emit: Emit[PlacedEvent]) -> None:
    """Copy objects into the folder under their real names, and link to the packages.

    The files of an earlier deployment of that name are replaced in one step, so it is never half complete; anything
    that a person added stays. Raises :class:`DeviceError` if the folder exists and is not a deployment.
    """
    request = call.request
    folder = DEPLOYMENTS / plain_name(request["folder"])
    old = folder.with_name(f".{folder.name}.old")
    _restore_others(old, folder)
    if folder.is_symlink() or (folder.exists() and not (folder / PROGRAM).is_file()):
        raise DeviceError(
            "this folder was not created by `edgekit deploy`: choose another --name", str(folder.resolve())
        )
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, object_name in request["files"].items():
        shutil.copyfile(object_path(object_name), part / plain_name(name))
    if request["environment"]:
        (part / "site").symlink_to(Path("..", "..", ENVIRONMENTS, plain_name(request["environment"]), "site"))
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    _restore_others(old, folder)
    emit({"event": "placed", "folder": str(folder.resolve())})


def _restore_others(old: Path, folder: Path) -> None:
    """Move what a person put into the deployment ``old`` to ``folder``, and remove the rest of ``old``.

    ``old`` may remain from an interrupted deployment. If ``folder`` is missing then, ``old`` takes its place again.
    """
    if not old.is_dir():
        return
    if not folder.exists():
        old.rename(folder)
        return
    for entry in list(old.iterdir()):
        if entry.name not in DEPLOYED and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
        elif entry.name in DEPLOYED and (entry.is_symlink() or entry.is_file()):
            entry.unlink()
    with contextlib.suppress(OSError):
        old.rmdir()
