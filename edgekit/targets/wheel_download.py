"""Wheels for another machine, downloaded here with pip and cached, so that the device needs no internet."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgekit.device.protocol.requests import HostFacts
from edgekit.errors import TargetError
from edgekit.targets.wheels import platform_tags


def environment_id(facts: HostFacts, requirements: tuple[str, ...]) -> str:
    """The name of a set of packages: the same for the same requirements, Python, machine and C library."""
    text = json.dumps([requirements, facts["python"][:2], facts["machine"], facts["libc_version"]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wheel_folder(name: str) -> Path:
    """Where the wheels of an environment are cached here."""
    from edgekit.data.cache import cache_dir

    return cache_dir() / "wheels" / name


def download_wheels(facts: HostFacts, requirements: tuple[str, ...]) -> list[Path]:
    """The wheels of ``requirements`` for the machine of ``facts``, from the index that pip uses here.

    Their dependencies are left out: they are for training and conversion. Raises :class:`TargetError` with pip's
    reason if it fails.
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


def _download(facts: HostFacts, requirements: tuple[str, ...], folder: Path) -> None:
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
            f"cannot download the target's packages here: {reasons[-1].removeprefix('ERROR: ')}",
            hint="a target with internet access can download them itself: --from device",
        )
