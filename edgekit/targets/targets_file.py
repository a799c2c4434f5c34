"""Changing ``targets.toml``, which a person also edits: what is not the target in question stays as it is."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.support.files import write_bytes

if TYPE_CHECKING:
    from tomlkit.items import Item

TomlValue = str | int | list[int]
"""What a target's table contains."""


def read_document(path: Path) -> dict[str, object]:
    """The tables of a file; none if it is missing. Raises :class:`InputError` if it is not TOML."""
    return _parsed(_text(path), path)


def append_table(path: Path, name: str, values: Mapping[str, TomlValue]) -> None:
    """Add the table ``name`` at the end of ``path``."""
    before = _text(path)
    newline = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else newline if before.endswith("\n") else 2 * newline
    # Strings of printable text, numbers and lists are the same in JSON and TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    after = before + gap + newline.join([f"[{name}]", *lines]) + newline
    _write(path, after, {**_parsed(before, path), name: dict(values)})


def remove_table(path: Path, name: str) -> None:
    """Remove ``name`` from ``path``, however it is written: as a table, an inline table or with dotted keys.

    Comments that follow its last key on lines of their own stay, because they may be about what comes next.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    before = _text(path)
    left = {key: value for key, value in _parsed(before, path).items() if key != name}
    try:
        document = tomlkit.parse(before)
        kept: list[tuple[tomlkit.items.Key | None, Item]] = []
        last = False
        for key, item in document.body:
            last = key is not None and key.key == name
            kept += _comments_after(item) if last else [(key, item)]
        document.body[:] = kept
        after = document.as_string()
    except (TOMLKitError, RecursionError):
        raise _not_editable(path) from None
    if last:
        newline = "\r\n" if "\r\n" in before else "\n"
        after = after.rstrip("\r\n") + newline if after.strip("\r\n") else ""
    _write(path, after, left)


def _comments_after(table: Item) -> list[tuple[None, Item]]:
    """The comments after the last key of a table, with the blank lines between them."""
    from tomlkit.items import Comment, Null, Table, Whitespace

    if not isinstance(table, Table):
        return []
    found: list[tuple[None, Item]] = []
    for key, item in reversed(table.value.body):
        if isinstance(item, Null):
            continue
        if key is not None or not isinstance(item, Comment | Whitespace):
            break
        found.insert(0, (None, item))
    while found and isinstance(found[0][1], Whitespace):
        del found[0]
    return found


def _text(path: Path) -> str:
    """The content with its own line ends; empty if there is no file."""
    if not path.is_file():
        return ""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"this file is not valid TOML ({error})", where=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot read this file: {error.strerror}", where=str(path)) from None


def _parsed(text: str, path: Path) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, object] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # some values that are valid TOML are no Python value
        raise InputError(f"this file is not valid TOML ({error})", where=str(path)) from None
    return document


def _write(path: Path, text: str, expected: Mapping[str, object]) -> None:
    """Replace the content of ``path``, provided that ``text`` means ``expected``."""
    try:
        right = _parsed(text, path) == expected
    except InputError:
        right = False
    if not right:
        raise _not_editable(path)
    place = path.resolve()  # a link stays a link
    mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else None
    write_bytes(place, text.encode("utf-8"))
    if mode is not None:
        place.chmod(mode)


def _not_editable(path: Path) -> InputError:
    return InputError(
        "this file is written in a way that edgekit cannot change safely; it is unchanged",
        where=str(path),
        hint="change it in an editor",
    )
