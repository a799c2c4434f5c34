"""The verb ``place``: a folder below ``deploy/`` in which a model works without the host.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .calls import Call
from .failures import DeviceError
from .object_store import object_path, plain_name
from .protocol import Emit
from .protocol.requests import PlaceEvent, PlaceRequest
from .working_folder import DEPLOYMENTS, ENVIRONMENTS, MODELS, PROGRAM, deployed_names

GOLDEN = "golden.npz"
CHECK_S = 900
_EXCHANGE = 2
_HERE = -100


def place(call: Call[PlaceRequest], emit: Emit[PlaceEvent]) -> None:
    """Copy objects into the folder under their real names, and link to the packages.

    The files of an earlier deployment of that name are replaced in one step, so it is never half complete; anything
    that a person added stays. An update is checked before and after that step, with the program and the packages that
    it brings; if the second check fails, the earlier files come back.
    Raises :class:`DeviceError` if the folder exists and is not a deployment, or if an update finds no deployment.
    """
    request = call.request
    folder = DEPLOYMENTS / plain_name(request["folder"])
    old = folder.with_name(f".{folder.name}.old")
    _recover(folder, old)
    if folder.is_symlink() or (folder.exists() and not (folder / PROGRAM).is_file()):
        raise DeviceError(
            "this folder was not created by `edgekit deploy`: choose another --name", str(folder.resolve())
        )
    if request["update"]:
        _check_updatable(folder, request)
    part = _assembled(folder, request)
    replaced = _sha256_of_model(folder)
    if request["update"]:
        problem = _problem(part)
        if problem is not None:
            shutil.rmtree(part, ignore_errors=True)
            emit({"event": "rejected", "folder": str(folder.resolve()), "reason": problem})
            return
    if folder.exists():
        part.rename(old)  # what is named so can be removed at any time, without a loss
        _exchange(old, folder)
    else:
        part.rename(folder)
    if request["update"]:
        problem = _problem(folder)
        if problem is not None:
            _exchange(old, folder)
            _restore_others(old, folder)
            emit({"event": "rejected", "folder": str(folder.resolve()), "reason": problem})
            return
    _restore_others(old, folder)
    emit({"event": "placed", "folder": str(folder.resolve()), "replaced": replaced})


def _assembled(folder: Path, request: PlaceRequest) -> Path:
    """A new folder beside ``folder`` with all files of the request."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, object_name in request["files"].items():
        shutil.copyfile(object_path(object_name), part / plain_name(name))
    if request["environment"]:
        (part / "site").symlink_to(Path("..", "..", ENVIRONMENTS, plain_name(request["environment"]), "site"))
    return part


def _check_updatable(folder: Path, request: PlaceRequest) -> None:
    if not folder.exists():
        raise DeviceError(
            "there is no deployment of this name to update: leave out --update, or choose another --name",
            str(folder.resolve()),
        )
    wanted = [name for name in MODELS if name in request["files"]]
    found = [name for name in MODELS if (folder / name).is_file()]
    if wanted != found:
        raise DeviceError(
            f"the deployment contains {' and '.join(found) or 'no model'}, and this file is {' and '.join(wanted)}: "
            "an update keeps the name of the model; use another --name",
            str(folder.resolve()),
        )


def _problem(folder: Path) -> str | None:
    """Why the deployment in ``folder`` does not give its golden outputs; None if it does."""
    model = next(name for name in MODELS if (folder / name).is_file())
    command = [sys.executable, "-s", PROGRAM, "verify", model, GOLDEN]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"checking it took more than {CHECK_S} s"
    if done.returncode == 0:
        return None
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return said[-1][:300] if said else f"its check ended with exit code {done.returncode}"


def _sha256_of_model(folder: Path) -> str | None:
    for name in MODELS:
        with contextlib.suppress(OSError):
            return hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return None


def _exchange(first: Path, second: Path) -> None:
    """Let two folders change places: in one step where the system can, otherwise in three renames."""
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None, use_errno=True)
        if library.renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP):
            raise DeviceError(f"cannot replace the deployment: {os.strerror(ctypes.get_errno())}", str(second))
    aside = _aside(second)
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.aside")


def _recover(folder: Path, old: Path) -> None:
    """Finish what an interrupted deployment left."""
    aside = _aside(folder)
    if aside.is_dir():
        aside.rename(old if folder.exists() else folder)
    _restore_others(old, folder)


def _restore_others(old: Path, folder: Path) -> None:
    """Move what a person put into the deployment ``old`` to ``folder``, and remove the rest of ``old``.

    ``old`` may remain from an interrupted deployment. If ``folder`` is missing then, ``old`` takes its place again.
    """
    if not old.is_dir():
        return
    if not folder.exists():
        old.rename(folder)
        return
    own = deployed_names(old)
    for entry in list(old.iterdir()):
        if entry.name not in own:
            _move(entry, folder / entry.name)
        elif entry.is_symlink() or entry.is_file():
            entry.unlink()
    with contextlib.suppress(OSError):
        old.rmdir()


def _move(entry: Path, wanted: Path) -> None:
    """Move a file or folder; if there is one of that name, add to the folder, or use another name for the file."""
    if entry.is_dir() and not entry.is_symlink() and wanted.is_dir() and not wanted.is_symlink():
        for inner in list(entry.iterdir()):
            _move(inner, wanted / inner.name)
        entry.rmdir()
        return
    numbered = (wanted.with_name(f"{wanted.name}.{number}") for number in itertools.count(1))
    names = itertools.chain([wanted], numbered)
    entry.rename(next(name for name in names if not os.path.lexists(name)))
