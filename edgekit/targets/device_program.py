"""The device program as one file: a zip that Python runs. The same source gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

SHEBANG = b"#!/usr/bin/env python3\n"
PACKAGE = "edgekit_device"

ENTRY = '''"""Finds the packages that setup put beside this file or into the working folder, then runs the program."""

import json
import os
import sys


def _site():
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    beside = os.path.join(here, "site")
    if os.path.isdir(beside):
        return os.path.realpath(beside)
    env = os.path.join(os.path.dirname(here), "env")
    try:
        with open(os.path.join(env, "current")) as stream:
            return os.path.join(env, stream.read().strip(), "site")
    except (IOError, OSError):
        return None


def _fits(site):
    """Packages with compiled code work with one version of Python only."""
    try:
        with open(os.path.join(os.path.dirname(site), "environment.json")) as stream:
            return [int(n) for n in json.load(stream)["python"]] == list(sys.version_info[:2])
    except (IOError, OSError, ValueError, KeyError):
        return False


if sys.version_info < (3, 9):
    sys.exit("error: Python 3.9 or newer is required, and this is %d.%d" % sys.version_info[:2])
site = _site()
if site is not None and _fits(site):
    sys.path.insert(1, site)
from edgekit_device.__main__ import main

sys.exit(main(sys.argv[1:]))
'''


@cache
def program() -> bytes:
    """The zip: stored, not compressed (which differs between versions of zlib), names sorted, one fixed time."""
    source = Path(__file__).resolve().parents[1] / "device"
    files = {f"{PACKAGE}/{path.relative_to(source).as_posix()}": path.read_bytes() for path in source.rglob("*.py")}
    files["__main__.py"] = ENTRY.encode()
    content = io.BytesIO()
    content.write(SHEBANG)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])
    return content.getvalue()


def program_name() -> str:
    """The name of the program in the device's object store."""
    return f"{hashlib.sha256(program()).hexdigest()}.pyz"
