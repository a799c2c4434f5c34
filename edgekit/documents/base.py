"""Reading and writing the JSON documents that stages leave for each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.support.files import write_text

SCHEMA_VERSION = 1
"""Version of every JSON document that edgekit writes; raised when an old reader could misread it."""


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document atomically, with ``schema_version`` first. NaN is refused, never written."""
    document = {"schema_version": SCHEMA_VERSION, **document}
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a document that :func:`write_json` wrote.

    Raises :class:`InputError` where it is missing, is not JSON, or was written by a newer edgekit.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file is missing", where=str(path), hint="give the folder that edgekit wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"this file is not readable JSON ({error})", where=str(path)) from None
    if not isinstance(document, dict) or not isinstance(document.get("schema_version"), int):
        raise InputError("this file was not written by edgekit (no schema_version)", where=str(path))
    if document["schema_version"] > SCHEMA_VERSION:
        raise InputError(
            f"this was written by a newer edgekit (schema {document['schema_version']}, "
            f"this edgekit reads up to {SCHEMA_VERSION})",
            where=str(path),
            hint="upgrade edgekit: pip install --upgrade edgekit",
        )
    return document
