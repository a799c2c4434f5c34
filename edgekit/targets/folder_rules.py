"""Which folders on a target can be the working folder: a separate folder, neither a home nor a system folder."""

from __future__ import annotations

import posixpath
import re

SYSTEM_WHOLE = (
    *("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys"),
    *("/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/private/etc"),
)
"""System folders that cannot contain a working folder at any depth."""
SYSTEM = (
    *SYSTEM_WHOLE,
    *("/", "/dev", "/home", "/lost+found", "/media", "/mnt", "/opt", "/root", "/run", "/run/user", "/srv"),
    *("/usr", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/share", "/usr/src"),
    *("/var", "/var/cache", "/var/lib", "/var/log", "/var/mail", "/var/opt", "/var/run", "/var/spool"),
    *("/Applications", "/Library", "/System", "/Users", "/Volumes", "/private", "/private/tmp", "/private/var"),
    *("/tmp", "/var/tmp", "/dev/shm"),  # noqa: S108 - refused, not used
)
"""Folders that others use too. A folder below them can be a working folder, unless it is one of the above."""


def normal_folder(folder: str) -> str:
    """``folder`` without ``.``, ``..`` and redundant slashes. ``~/.`` is the home, ``~/..`` the folder above it."""
    if folder.startswith("~/"):
        return f"~/{posixpath.normpath(folder[2:].lstrip('/') or '.')}"
    if folder.startswith("/"):
        return f"/{posixpath.normpath(folder).lstrip('/')}"
    return folder


def folder_problem(folder: str) -> str | None:
    """Why a normal folder cannot be the working folder; None if it can."""
    if not folder.startswith(("/", "~/")):
        return f"folder must start with / or ~/: {folder!r}"
    if folder.startswith("~/"):
        if folder[2:].split("/", maxsplit=1)[0] in (".", ".."):
            return f"folder must be a separate folder, not the home folder or a folder above it: {folder!r}"
    elif folder in SYSTEM or folder.startswith(tuple(f"{name}/" for name in SYSTEM_WHOLE)):
        return f"folder must be a separate folder, not a system folder: {folder!r}"
    elif re.fullmatch(r"/(home|Users)/[^/]+", folder):
        return f"folder must be a separate folder, not a home folder: {folder!r}"
    return None
