"""The verb ``place``: a folder below ``deploy/`` in which a model works without the host.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .calls import Call
from .object_store import object_path, plain_name
from .protocol import Emit
from .protocol.requests import PlacedEvent, PlaceRequest


def place(call: Call[PlaceRequest], emit: Emit[PlacedEvent]) -> None:
    """Copy objects into the folder under their real names, and link to the packages.

    An existing folder of that name is replaced in one step, so it is never half complete.
    """
    request = call.request
    folder = Path("deploy") / plain_name(request["folder"])
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, object_name in request["files"].items():
        shutil.copyfile(object_path(object_name), part / plain_name(name))
    if request["environment"]:
        (part / "site").symlink_to(Path("..", "..", "env", plain_name(request["environment"]), "site"))
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    emit({"event": "placed", "folder": str(folder.resolve())})
