"""Who may measure on this device: one session at a time, noted in ``owner.json`` in the working folder.

Standard library only; the working folder is the current folder.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from .background import boot_id, is_alive, job_folder
from .calls import Call
from .working_folder import OWNER

LEASE_S = 90
"""A session with no running job keeps the device for this long after its last request."""


class Owner(TypedDict):
    """The session that has the device. ``job`` is its last job, or empty."""

    session: str
    owner: str
    job: str
    boot: str
    monotonic: float


@contextmanager
def locked() -> Iterator[Owner | None]:
    """Hold the lock for a moment. Yields the session that last had the device."""
    with open("lock", "ab") as stream:  # noqa: PTH123
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield _read_owner()


def is_held(owner: Owner) -> bool:
    """Whether this session still has the device: it runs a job, or made a request a short while ago."""
    if owner["job"] and is_alive(job_folder(owner["job"])):
        return True
    # The monotonic clock starts when the machine boots, and nobody can set it.
    return owner["boot"] == boot_id() and 0 <= time.monotonic() - owner["monotonic"] < LEASE_S


def hold(call: Call[Any], job: str) -> None:
    """Note that the session of ``call`` has the device and runs ``job``."""
    document: Owner = {
        "session": call.session,
        "owner": call.owner,
        "job": job,
        "boot": boot_id(),
        "monotonic": time.monotonic(),
    }
    part = OWNER.with_name(f"{OWNER.name}.part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.replace(OWNER)


def renew(call: Call[Any]) -> None:
    """Extend the lease of a session that has the device: it just made a request."""
    with locked() as owner:
        if owner is not None and owner["session"] == call.session:
            hold(call, owner["job"])


def busy_owner(session: str) -> str | None:
    """The other session that has the device now, or None."""
    with locked() as owner:
        return owner["owner"] if owner is not None and owner["session"] != session and is_held(owner) else None


def _read_owner() -> Owner | None:
    try:
        given = json.loads(OWNER.read_text(encoding="utf-8"))
        return {
            "session": str(given["session"]),
            "owner": str(given["owner"]),
            "job": str(given["job"]),
            "boot": str(given["boot"]),
            "monotonic": float(given["monotonic"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
