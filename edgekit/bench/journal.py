"""What a session has measured so far, on disk: an interrupted benchmark continues where it stopped.

A journal is a file of JSON lines beside the results. It holds the answers of the target as they arrive, so that not
even ``kill -9`` loses a finished block or a scored image. It is deleted once the results are written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, cast

from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.events import JobEvent
from edgekit.device.protocol.jobs import AnyJob
from edgekit.errors import EdgekitError
from edgekit.targets.device_program import program_name
from edgekit.targets.event_shapes import InvalidAnswer, check_shape, parse_line

FORMAT = 1


@dataclass
class Attempt:
    """One start of a job: the answers until it was done or interrupted."""

    sitting: int
    events: list[JobEvent] = field(default_factory=list)
    done: bool = False


class Journal:
    """The journal of one session. Locked while it is open, so that no other process writes to it."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self._stream = stream
        self.session_id = uuid.uuid4().hex
        self.sittings: list[str] = []
        self._attempts: dict[str, list[Attempt]] = {}
        self._raw: dict[str, list[tuple[int, list[bytes]]]] = {}

    @property
    def sitting(self) -> int:
        """The index of this sitting; 0 in a session that was not interrupted."""
        return len(self.sittings) - 1

    @property
    def resumed(self) -> bool:
        """Whether this session was interrupted before."""
        return self.sitting > 0

    @property
    def is_empty(self) -> bool:
        """Whether no job has been started in any sitting."""
        return not self._attempts and not self._raw

    def attempts(self, verb: str, job: AnyJob) -> list[Attempt]:
        """What earlier sittings did of a job, oldest first. Answers that cannot be right end an attempt."""
        key = _digest(verb, job)
        if key not in self._attempts:
            self._attempts[key] = _checked(verb, self._raw.pop(key, []))
        return self._attempts[key]

    def start_job(self, verb: str, job: AnyJob) -> None:
        """The answers that follow belong to ``job``."""
        self._write({"job": _digest(verb, job), "verb": verb})
        self._attempts.setdefault(_digest(verb, job), []).append(Attempt(self.sitting))

    def add(self, event: Mapping[str, object]) -> None:
        """Write one answer, at once."""
        self._write(event)

    def finish_job(self) -> None:
        """The job is done."""
        self._write({"event": "done"})
        os.fsync(self._stream.fileno())

    def remove(self) -> None:
        """The results are written."""
        self.path.unlink(missing_ok=True)

    def read(self) -> None:
        """Take over what earlier sittings left, and start a new one."""
        end = 0
        current: list[bytes] | None = None
        for line in self._stream:
            if not line.endswith(b"\n"):
                break  # the process was killed while it wrote this line
            try:
                entry = json.loads(line)
                if "sitting" in entry and "event" not in entry:
                    self.session_id, current = str(entry["session"]), None
                    self.sittings.append(str(entry["sitting"]))
                elif "job" in entry and "event" not in entry:
                    current = []
                    self._raw.setdefault(str(entry["job"]), []).append((self.sitting, current))
                elif current is not None:
                    current.append(line)
            except (ValueError, KeyError, TypeError):
                break  # damaged, for example by a power cut: what comes before it is kept
            end += len(line)
        self._stream.truncate(end)
        self._stream.seek(end)
        self.sittings.append(datetime.now(timezone.utc).isoformat(timespec="seconds"))
        self._write({"sitting": self.sittings[-1], "session": self.session_id, "journal": FORMAT})

    def _write(self, entry: Mapping[str, object]) -> None:
        self._stream.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self._stream.flush()


@contextlib.contextmanager
def open_journal(target: str, models: Sequence[MeasuredModel], *, latency: bool) -> Iterator[Journal]:
    """The journal of these files on ``target``: that of an interrupted session, or a new one.

    ``latency``: whether the session measures latency too; one that only scores images has a journal of its own.
    Another edgekit measures in another way, so that its journal is another one. Raises :class:`EdgekitError` if another
    process is measuring the same files there.
    """
    path = _path(target, models, latency=latency)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EdgekitError(
                f"another benchmark of these files is running on {target}",
                where=str(path),
                hint="rerun this command once it has finished",
            ) from None
        stream.seek(0)
        journal = Journal(path, cast("BinaryIO", stream))
        journal.read()
        try:
            yield journal
        finally:
            if journal.is_empty:
                journal.remove()
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
                    path.parent.parent.rmdir()


def _path(target: str, models: Sequence[MeasuredModel], *, latency: bool) -> Path:
    """``bench/TARGET/session-....jsonl`` of the first model; the name follows from the files and the device program."""
    facts = [[model.sha256, model.job()] for model in models]
    identity = json.dumps([FORMAT, program_name(), target, latency, facts])
    name = f"session-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.jsonl"
    return models[0].result_path(target).parent / name


def _digest(verb: str, job: AnyJob) -> str:
    return hashlib.sha256(json.dumps([verb, job], sort_keys=True).encode()).hexdigest()


def _checked(verb: str, raw: list[tuple[int, list[bytes]]]) -> list[Attempt]:
    found = []
    for sitting, lines in raw:
        attempt = Attempt(sitting)
        found.append(attempt)
        for line in lines:
            try:
                event = parse_line(line)
                if event["event"] != "restarted":
                    check_shape(event, verb)
            except InvalidAnswer:
                return found
            if event["event"] == "done":
                attempt.done = True
            else:
                attempt.events.append(cast("JobEvent", event))
    return found
