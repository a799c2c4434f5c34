"""Paths as people write them, also where the user has no home folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edgekit.errors import InputError


def expanded(path: str | Path) -> Path:
    """``path`` with ``~`` replaced by the home folder.

    Unlike :meth:`pathlib.Path.expanduser`, this leaves the path as it is if there is no such home, as in a container
    that runs under a user id without an account.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def user_cache_folder() -> Path:
    """Where edgekit keeps what it can compute again; below the folder of temporary files for a user without a home."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("edgekit"))
    except RuntimeError:
        folder = Path()
    if folder.is_absolute():
        return folder
    return Path(tempfile.gettempdir()) / f"edgekit-cache-{os.getuid()}"


def user_config_folder() -> Path:
    """Where the user's own settings are; :class:`InputError` for a user without a home folder."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_config_dir("edgekit"))
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():
        raise InputError("this user has no home folder", hint="set HOME or XDG_CONFIG_HOME to a folder")
    return folder
