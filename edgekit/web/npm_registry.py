"""Packages from the registry that npm is configured to use, without npm."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from edgekit.errors import EdgekitError

PUBLIC_REGISTRY = "https://registry.npmjs.org/"
"""What npm uses unless it is configured otherwise."""

TIMEOUT_S = 60


def registry() -> str:
    """The address of the registry, with a slash at its end.

    As npm looks for it: the environment, then ``.npmrc`` in this folder and in the home folder. npm itself is asked
    where it is installed, because it knows more configuration files.
    """
    found = _from_environment() or _from_npm() or _from_files() or PUBLIC_REGISTRY
    return found if found.endswith("/") else f"{found}/"


def tarball_url(name: str, version: str) -> str:
    """Where the registry has a package: ``name`` may have a scope."""
    return f"{registry()}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def download(name: str, version: str, integrity: str, *, offline_hint: str) -> bytes:
    """The package as a .tgz file.

    ``integrity``: its hash as npm writes it (``sha512-...``). Raises :class:`EdgekitError` with ``offline_hint`` if the
    registry cannot be reached, or if it has another file.
    """
    url = tarball_url(name, version)
    if not url.startswith(("https://", "http://")):
        raise EdgekitError(f"the npm registry is not a web address: {url}", hint="check `npm config get registry`")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - checked above
            content: bytes = answer.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise EdgekitError(f"{name} {version} cannot be downloaded: {reason}", where=url, hint=offline_hint) from None
    if not hmac.compare_digest(integrity_of(content), integrity):
        raise EdgekitError(
            f"the file that the npm registry has for {name} {version} is not the one that was published",
            where=url,
            hint=offline_hint,
        )
    return content


def integrity_of(content: bytes) -> str:
    """The hash of a file as npm writes it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _from_environment() -> str | None:
    names = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
    return next((value for name in names if (value := os.environ.get(name))), None)


def _from_npm() -> str | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    try:
        done = subprocess.run(
            [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = done.stdout.strip()
    return found if found.startswith("http") else None


def _from_files() -> str | None:
    for folder in (Path.cwd(), Path(os.path.expanduser("~"))):  # noqa: PTH111 - a user may have no home folder
        try:
            text = (folder / ".npmrc").read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        match = re.search(r"^\s*registry\s*=\s*(\S+)", text, re.MULTILINE)
        if match:
            return match[1].strip("\"'")
    return None
