"""Processes that outlive the connection: start one for a job, see whether it runs, end it.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .protocol.requests import ExitEvent
from .working_folder import JOBS


def job_folder(name: str) -> Path:
    """Where the files of a job are: job.json, lines.jsonl, stderr.txt, pid, alive."""
    return JOBS / name


def start_process(folder: Path, verb: str) -> None:
    """Run ``verb`` with the job of ``folder`` in a process with its own session, which records how it ended.

    The lock on ``alive`` is inherited by everything that process starts, so it shows whether any of that still runs.
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
    # Anything else that this process inherited (the connection's pipes) would keep the connection open.
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
        # A killed program may have left half a line, so the exit event starts on a new one.
        event: ExitEvent = {"event": "exit", "code": done.returncode}
        lines.write(b"\n" + json.dumps(event).encode() + b"\n")
    return 0


def is_alive(folder: Path) -> bool:
    """Whether any process of a job still runs."""
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


def end_job(folder: Path) -> None:
    """End the process group of a job: SIGTERM first, SIGKILL after two seconds."""
    if not is_alive(folder):
        return
    with contextlib.suppress(OSError, ValueError):
        group = int((folder / "pid").read_text(encoding="ascii"))
        os.killpg(group, signal.SIGTERM)
        for _ in range(40):
            time.sleep(0.05)
            if not is_alive(folder):
                return
        os.killpg(group, signal.SIGKILL)


def boot_id() -> str:
    """Changes each time the machine boots; empty if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
