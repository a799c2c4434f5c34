"""Wheels for another machine, fetched here with pip and kept, so that a device needs no internet and none twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgekit.errors import TargetError
from edgekit.targets.wheels import platform_tags


def environment_id(facts: dict[str, Any], requirements: tuple[str, ...]) -> str:
    """Names a set of packages: the same for the same requirements, Python, machine and C library."""
    text = json.dumps([requirements, facts["python"][:2], facts["machine"], facts["libc_version"]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wheel_folder(name: str) -> Path:
    """Where the wheels of an environment are kept here."""
    from edgekit.data.cache import cache_dir

    return cache_dir() / "wheels" / name


def fetch_wheels(facts: dict[str, Any], requirements: tuple[str, ...]) -> list[Path]:
    """The wheels of ``requirements`` for the machine of ``facts``, from the index that pip uses here.

    Without their own dependencies: those are for training and conversion. Raises :class:`TargetError` where pip
    fails, with its reason.
    """
    folder = wheel_folder(environment_id(facts, requirements))
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _download(facts, requirements, part)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return sorted(folder.glob("*.whl"))


def _download(facts: dict[str, Any], requirements: tuple[str, ...], folder: Path) -> None:
    python = "".join(map(str, facts["python"][:2]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
            *("--no-deps", "--only-binary", ":all:", "--dest", str(folder)),
            *("--implementation", "cp", "--python-version", python),
            *(word for abi in (f"cp{python}", "abi3", "none") for word in ("--abi", abi)),
            *(word for tag in platform_tags(facts) for word in ("--platform", tag)),
            *requirements,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        reasons = [line for line in lines if line.startswith("ERROR")] or lines
        raise TargetError(
            f"the packages for the target cannot be fetched here: {reasons[-1].removeprefix('ERROR: ')}",
            hint="a target with internet can fetch them itself: --from device",
        )
