"""Jobs that outlive the connection: they run on their own and leave their lines in a file that a host follows.

A cut connection disturbs nothing: the host comes back and reads on. After a restart of the device the lines are
still there, and the host starts the rest. Standard library only; the working folder is the current one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .failures import BusyError
from .store import plain_name

Emit = Callable[..., None]

JOBS = Path("jobs")
LEASE_S = 90
"""A session that has no job running keeps the device for so long after its last request."""

POLL_S = 0.25
"""How often a follower looks for new lines: seldom enough to disturb no measurement."""


def start(request: dict[str, Any], _stream: BinaryIO, emit: Emit) -> None:
    """The verb: run ``verb`` with ``job`` detached from this connection, then follow it.

    Raises :class:`BusyError` while another session has the device.
    """
    with _lock() as owner:
        _refuse_others(owner, request)
        _forget_ended()
        name = plain_name(request["id"])
        folder = JOBS / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(request["job"]), encoding="utf-8")
        (folder / "lines.jsonl").touch()
        _detach(folder, str(request["verb"]))
        _write_owner(request, name)
    follow({**request, "from": 0}, _stream, emit)


def follow(request: dict[str, Any], _stream: BinaryIO, emit: Emit) -> None:
    """The verb: every line of the job ``id`` after the first ``from``, as it comes, as ``line`` events.

    ``lost`` where the job ended without saying so: the machine was restarted, or something killed it.
    """
    folder = JOBS / plain_name(request["id"])
    skip, pause = int(request["from"]), 0.01
    try:
        stream = (folder / "lines.jsonl").open("rb")
    except FileNotFoundError:
        emit("lost", boot=boot_id(), missing=True)
        return
    with stream:
        rest = b""
        while True:
            alive = _is_alive(folder)
            rest += stream.read()
            *lines, rest = rest.split(b"\n")
            for line in lines[skip:]:
                event = _parsed(line)
                emit("line", line=event)
                if event.get("event") == "exit":
                    emit("stderr", text=_tail(folder / "stderr.txt"))
                    return
            skip = max(0, skip - len(lines))
            if not alive and not lines:
                emit("lost", boot=boot_id(), missing=False)
                return
            pause = 0.01 if lines else min(POLL_S, pause * 1.5)
            time.sleep(pause)


def stop(request: dict[str, Any], _stream: BinaryIO, emit: Emit) -> None:
    """The verb: end the job ``id`` where it still runs."""
    end_job(JOBS / plain_name(request["id"]))
    emit("stopped")


def release(request: dict[str, Any], _stream: BinaryIO, emit: Emit) -> None:
    """The verb: the session is over, others may measure."""
    with _lock() as owner:
        if owner.get("session") == request["session"]:
            if owner.get("job"):
                end_job(JOBS / plain_name(owner["job"]))
            Path("owner.json").unlink()
    emit("released")


def touch(request: dict[str, Any]) -> None:
    """The session of a request is still there: its hold on the device begins anew."""
    if "session" not in request:
        return
    with _lock() as owner:
        if owner.get("session") == request["session"]:
            _write_owner({**request, "owner": owner.get("owner")}, str(owner.get("job", "")))


def owner_text(session: Any) -> str | None:
    """Who else than ``session`` has the device now, in words; None where nobody does."""
    with _lock() as owner:
        return str(owner.get("owner")) if owner.get("session") != session and _is_held(owner) else None


def end_job(folder: Path) -> None:
    """End the process group of a job: politely, then by force."""
    if not _is_alive(folder):
        return
    with contextlib.suppress(OSError, ValueError):
        group = int((folder / "pid").read_text(encoding="ascii"))
        os.killpg(group, signal.SIGTERM)
        for _ in range(40):
            time.sleep(0.05)
            if not _is_alive(folder):
                return
        os.killpg(group, signal.SIGKILL)


def boot_id() -> str:
    """Changes with every start of the machine; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _detach(folder: Path, verb: str) -> None:
    """A process of its own session runs the job and notes how it ended.

    The lock on ``alive`` is shared with everything it starts, so that it tells whether any of that still runs.
    """
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    sys.stdout.flush()
    if os.fork():
        os.close(alive)
        return
    code = 1
    try:
        os.setsid()
        (folder / "pid").write_text(str(os.getpid()), encoding="ascii")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        code = _supervise(folder, verb, alive)
    finally:
        os._exit(code)


def _supervise(folder: Path, verb: str, alive: int) -> int:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    # Whatever else this process inherited (the connection's pipes) would keep the connection open.
    for descriptor in range(3, 256):
        if descriptor != alive:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    with (folder / "lines.jsonl").open("ab") as lines, (folder / "stderr.txt").open("wb") as stderr:
        done = subprocess.run(
            [sys.executable, "-s", sys.argv[0], verb, str(folder / "job.json")],
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=stderr,
            pass_fds=(alive,),
            check=False,
        )
        # A killed program may have left half a line; the exit line begins a new one.
        lines.write(b"\n" + json.dumps({"event": "exit", "code": done.returncode}).encode() + b"\n")
    return 0


def _is_alive(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "alive", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def _lock() -> Iterator[dict[str, Any]]:
    """Exclusive for a moment; gives what is known of the session that has the device."""
    with open("lock", "ab") as stream:  # noqa: PTH123
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            owner = json.loads(Path("owner.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            owner = {}
        yield owner if isinstance(owner, dict) else {}


def _is_held(owner: dict[str, Any]) -> bool:
    if not owner:
        return False
    if owner.get("job") and _is_alive(JOBS / str(owner["job"])):
        return True
    # The monotonic clock counts from the start of the machine and cannot be set wrong.
    return owner.get("boot") == boot_id() and 0 <= time.monotonic() - float(owner.get("monotonic", 0)) < LEASE_S


def _refuse_others(owner: dict[str, Any], request: dict[str, Any]) -> None:
    if owner.get("session") == request["session"]:
        if owner.get("job"):
            end_job(JOBS / str(owner["job"]))
    elif _is_held(owner):
        raise BusyError(f"{owner.get('owner')} is measuring on this device now")


def _write_owner(request: dict[str, Any], job: str) -> None:
    document = {
        "session": request["session"],
        "owner": request["owner"],
        "job": job,
        "boot": boot_id(),
        "monotonic": time.monotonic(),
    }
    part = Path("owner.json.part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.replace("owner.json")


def _forget_ended() -> None:
    for folder in JOBS.glob("*"):
        if (folder / "job.json").is_file() and not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _parsed(line: bytes) -> dict[str, Any]:
    """One line of a job; what is no complete JSON line (a program killed while it wrote) is passed over."""
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "broken"}
    return event if isinstance(event, dict) else {"event": "broken"}


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-2000:].decode("utf-8", "replace")
    except OSError:
        return ""
