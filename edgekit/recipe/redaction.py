"""Removes the folders of this machine from recipes, documents and messages, so that what is shared reveals none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any, TypeVar

from pydantic import BaseModel

from edgekit.recipe.recipe import Recipe

_ABSOLUTE = re.compile(r"(?<![\w/.:+\-~\\])(?:~[\w.-]*)?(?:/[^\s/'\"`<>|:;,()\[\]{}]+){2,}/?")
"""A path from the root or the home folder within a sentence. Two parts at least: ``images/s`` and ``</b>`` are none."""

_FROM_HOME = re.compile(r"~[\w.-]*(/|$)")

M = TypeVar("M", bound=BaseModel)


def redact_paths(recipe: Recipe) -> Recipe:
    """``recipe`` with only the last part of absolute paths: ``/home/ann/photos`` becomes ``photos``.

    Relative paths do not change: they are the same on every machine that has the files.
    """
    return redact_model(recipe)


def redact_path(path: str) -> str:
    """``path`` if it is relative, otherwise its last part."""
    if _FROM_HOME.match(path) or PurePath(path).is_absolute():
        return PurePath(path).name
    return PureWindowsPath(path).name if PureWindowsPath(path).is_absolute() else path


def redact_text(text: str, folders: Sequence[Path] = ()) -> str:
    """``text`` with only the last part of the absolute paths in it.

    Paths below one of ``folders`` keep what comes after the folder.
    """
    if "/" not in text and "\\" not in text and not text.startswith("~"):
        return text
    for folder in sorted({str(path.absolute()) for path in folders} - {"/"}, key=len, reverse=True):
        text = text.replace(f"{folder}/", "").replace(folder, PurePath(folder).name)
    if "\n" not in text and redact_path(text) != text and len(text) > 1:
        return redact_path(text)
    return _ABSOLUTE.sub(lambda found: PurePath(found.group()).name, text)


def redact_model(model: M, folders: Sequence[Path] = ()) -> M:
    """``model`` with :func:`redact_text` applied to every text in it, also in lists and dictionaries."""
    update = {}
    for name in type(model).model_fields:
        if name == "claims" and isinstance(model, Recipe):
            continue  # sentences of the author, which are hashed as they are
        value = getattr(model, name)
        redacted = _redacted(value, folders)
        if redacted is not value:
            update[name] = redacted
    return model.model_copy(update=update) if update else model


def _redacted(value: Any, folders: Sequence[Path]) -> Any:  # noqa: ANN401  # whatever a document holds
    """``value`` itself where nothing in it changes."""
    if isinstance(value, str):
        text = redact_text(value, folders)
        return value if text == value else text
    if isinstance(value, BaseModel):
        return redact_model(value, folders)
    if isinstance(value, list | tuple):
        if not value or isinstance(value[0], int | float):  # measurements, which may be many
            return value
        items = [_redacted(item, folders) for item in value]
        changed = any(new is not old for new, old in zip(items, value))
        return type(value)(items) if changed else value
    if isinstance(value, dict):
        entries = {key: _redacted(item, folders) for key, item in value.items()}
        return entries if any(entries[key] is not value[key] for key in value) else value
    return value
