"""The base of every document: typed, frozen and versioned, with methods to read and write it as JSON.

A *document* is a file that one stage writes for another. Stages exchange documents only; nothing that crosses from one
stage to another is a bare ``dict``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from edgekit.errors import InputError
from edgekit.support.files import write_text
from edgekit.support.os_errors import reason_of

MOST_BYTES = 512 << 20
"""Largest document that is read. The report of a study with 1,000 cells has about 20 MB."""

JsonObject = dict[str, Any]
"""A JSON object before it is validated: the only form in which a document is ever a ``dict``."""

Migration = Callable[[JsonObject], JsonObject]
"""Turns a document of one version into the next; it may change its argument."""


def _plain_name(value: str) -> str:
    if value in ("", ".", "..") or any(c in "/\\\0" for c in value) or len(value) > 255:
        raise ValueError("this is not the name of a file")
    return value


def _inner_path(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\0" in value or not path.parts:
        raise ValueError("this path points outside the folder")
    return value


FileName = Annotated[str, AfterValidator(_plain_name)]
"""The name of a file in the folder of the document, or a part of such a name: a document cannot lead elsewhere."""

InnerPath = Annotated[str, AfterValidator(_inner_path)]
"""A path below the folder of the document."""


class Part(BaseModel):
    """A part of a document: immutable, no unknown keys, neither NaN nor infinity.

    Attribute docstrings become the descriptions in the published JSON Schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


D = TypeVar("D", bound="Document")


class Document(Part):
    """A JSON file with its own ``schema_version``.

    A subclass sets :attr:`VERSION` and, for each older version, an entry of :attr:`MIGRATIONS` that leads to the next.
    """

    VERSION: ClassVar[int] = 1
    MIGRATIONS: ClassVar[dict[int, Migration]] = {}

    schema_version: int = 1
    """Version of this kind of document."""

    @cached_property
    def read_from(self) -> Path | None:
        """The file that the document was read from, if any. It is not part of the document."""
        return None

    @classmethod
    def read(cls: type[D], path: Path) -> D:
        """Read and validate ``path``.

        Raises :class:`InputError` if the file is missing, is not JSON, was written by a newer edgekit, or is not a
        document of this kind.
        """
        document = cls.parse(read_json(path), str(path))
        document.__dict__["read_from"] = Path(path)
        return document

    @classmethod
    def parse(cls: type[D], value: JsonObject, where: str) -> D:
        """Validate a JSON object of any version up to the present one; ``where`` names it in errors."""
        version = value.get("schema_version")
        if type(version) is not int:
            raise InputError("this file was not written by edgekit (it has no schema_version)", where=where)
        if version < 1:
            raise InputError(f"this file is damaged: there is no schema_version {version}", where=where)
        if version > cls.VERSION:
            raise InputError(
                f"this was written by a newer edgekit (schema {version}; this edgekit reads up to {cls.VERSION})",
                where=where,
                hint="upgrade edgekit: pip install --upgrade edgekit",
            )
        try:
            while version < cls.VERSION:
                value = cls.MIGRATIONS[version](dict(value))
                version += 1
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"this file is damaged: {reason}", where=where) from None
        try:
            # Validated as JSON: arrays become tuples, and a string is never taken for a number.
            return cls.model_validate_json(json.dumps({**value, "schema_version": version}), strict=True)
        except ValidationError as error:
            raise InputError(f"this file is damaged: {_first_problems(error)}", where=where) from None
        except RecursionError:
            raise InputError("this file is damaged: it is nested too deeply", where=where) from None

    def write(self, path: Path) -> None:
        """Write the document atomically, with ``schema_version`` first."""
        write_text(path, self.to_json())

    def to_json(self) -> str:
        """The document as it is stored and as ``--json`` prints it."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def to_dict(self) -> JsonObject:
        """The document as JSON-ready values."""
        values = self.model_dump(mode="json", by_alias=True)
        return {"schema_version": self.VERSION, **{k: v for k, v in values.items() if k != "schema_version"}}


def read_json(path: Path) -> JsonObject:
    """A JSON object from ``path``; :class:`InputError` if the file is missing or holds anything else."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"this file is larger than {MOST_BYTES / 1e6:,.0f} MB", where=str(path))
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file is missing", where=str(path), hint="pass the folder that edgekit wrote") from None
    except OSError as error:
        raise InputError(f"this file cannot be read: {reason_of(error)}", where=str(path)) from None
    except RecursionError:
        raise InputError("this file is not readable JSON (nested too deeply)", where=str(path)) from None
    except ValueError as error:  # of json, of UTF-8, and of numbers with thousands of digits
        raise InputError(f"this file is not readable JSON ({error})", where=str(path)) from None
    if not isinstance(value, dict) or not isinstance(value.get("schema_version"), int):
        raise InputError("this file was not written by edgekit (it has no schema_version)", where=str(path))
    return value


def write_json(path: Path, document: JsonObject) -> None:
    """Write a JSON object that is not a document of a stage, such as the result of a benchmark."""
    write_text(path, json.dumps({"schema_version": 1, **document}, indent=1, allow_nan=False) + "\n")


def _first_problems(error: ValidationError, most: int = 3) -> str:
    problems = [
        f"{'.'.join(str(part) for part in one['loc'])[:200] or 'document'}: {one['msg'][0].lower()}{one['msg'][1:]}"
        for one in error.errors(include_url=False)[:most]
    ]
    more = f" (and {error.error_count() - most} more)" if error.error_count() > most else ""
    return "; ".join(problems) + more
