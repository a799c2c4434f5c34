"""Paths as people write them, also where the user has no home folder."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """``path`` with ``~`` replaced by the home folder.

    Unlike :meth:`pathlib.Path.expanduser`, this leaves the path as it is if there is no such home, as in a container
    that runs under a user id without an account.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111
