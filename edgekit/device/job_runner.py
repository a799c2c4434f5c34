"""Jobs that outlive the connection: they run in the background and write their events to a file that a host follows.

When the connection breaks, the job continues, and the host reconnects and reads on. After a restart of the device the
events are still there, and the host starts the rest of the job. Standard library only; the working folder is the
current folder.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from .background import end_job, is_alive, job_folder, start_process
from .calls import Call
from .failures import BusyError
from .object_store import plain_name
from .protocol import Emit
from .protocol.requests import FollowEvent, FollowRequest, JobLine, NoRequest, ReleasedEvent, StartRequest
from .session import Owner, hold, is_held, locked
from .working_folder import JOBS, OWNER

POLL_S = 0.25
"""How often a follower looks for new events: rarely enough not to disturb a measurement."""


def start(call: Call[StartRequest], emit: Emit[FollowEvent]) -> None:
    """The verb: run a job in the background, then follow it. A job that was started already is only followed.

    Raises :class:`BusyError` while another session has the device.
    """
    name = plain_name(call.request["id"])
    with locked() as owner:
        if owner is None or owner["session"] != call.session or owner["job"] != name:
            if owner is not None:
                _take_over(owner, call.session)
            _remove_ended()
            folder = job_folder(name)
            folder.mkdir(parents=True)
            (folder / "job.json").write_text(json.dumps(call.request["job"]), encoding="utf-8")
            (folder / "lines.jsonl").touch()
            start_process(folder, call.request["verb"])
            hold(call, name)
    _follow(name, 0, emit)


def follow(call: Call[FollowRequest], emit: Emit[FollowEvent]) -> None:
    """The verb: each new event of a job, as it appears, as a ``line`` event.

    ``lost`` if the job ended without an exit line: the machine restarted, or something killed the job.
    """
    _follow(plain_name(call.request["id"]), call.request["skip_lines"], emit)


def release(call: Call[NoRequest], emit: Emit[ReleasedEvent]) -> None:
    """The verb: the session is over, others may measure."""
    with locked() as owner:
        if owner is not None and owner["session"] == call.session:
            if owner["job"]:
                end_job(job_folder(plain_name(owner["job"])))
            OWNER.unlink()
    emit({"event": "released"})


def _follow(name: str, skip: int, emit: Emit[FollowEvent]) -> None:
    folder = job_folder(name)
    if not (folder / "lines.jsonl").is_file():
        emit({"event": "lost"})
        return
    for number, line in enumerate(_lines(folder, skip), start=skip):
        event = _parsed(line)
        emit({"event": "line", "number": number, "line": event})
        if event["event"] == "exit":
            emit({"event": "stderr", "text": _tail(folder / "stderr.txt")})
            return
    emit({"event": "lost"})


def _lines(folder: Path, skip: int) -> Iterator[bytes]:
    """The complete lines of a job after the first ``skip``, as they appear, until the job has ended."""
    pause, rest = 0.01, b""
    with (folder / "lines.jsonl").open("rb") as stream:
        while True:
            alive = is_alive(folder)  # asked before reading: a job that ended has written its last line
            rest += stream.read()
            *lines, rest = rest.split(b"\n")
            yield from lines[skip:]
            skip = max(0, skip - len(lines))
            if not alive and not lines:
                return
            pause = 0.01 if lines else min(POLL_S, pause * 1.5)
            time.sleep(pause)


def _take_over(owner: Owner, session: str) -> None:
    """End the earlier job of the same session. Raises :class:`BusyError` if another one has the device."""
    if owner["session"] == session:
        if owner["job"]:
            end_job(job_folder(owner["job"]))
    elif is_held(owner):
        raise BusyError(f"another benchmark is running on this device, started by {owner['owner']}")


def _remove_ended() -> None:
    for folder in JOBS.glob("*"):
        if (folder / "job.json").is_file() and not is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _parsed(line: bytes) -> JobLine:
    """One line of a job; ``broken`` if it is not complete JSON (a program was killed while writing it)."""
    try:
        event = json.loads(line)
    except ValueError:
        return {"event": "broken"}
    return cast("JobLine", event) if isinstance(event, dict) and "event" in event else {"event": "broken"}


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-2000:].decode("utf-8", "replace")
    except OSError:
        return ""
