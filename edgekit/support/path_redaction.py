"""Removes the folders of this machine from a recipe, so that a shared study does not reveal them."""

from __future__ import annotations

import copy
from pathlib import PurePath, PureWindowsPath
from typing import Any

PATH_SETTINGS = (("data", "path"), ("model", "weights"), ("train", "start_from"))


def without_places(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe document with only the last part of absolute paths: ``/home/ann/photos`` becomes ``photos``.

    Relative paths do not change: they are the same on every machine that has the files.
    """
    document = copy.deepcopy(document)
    for section, key in PATH_SETTINGS:
        value = (document.get(section) or {}).get(key)
        if isinstance(value, str):
            document[section][key] = place_name(value)
    return document


def place_name(path: str) -> str:
    """``path`` if it is relative, otherwise its last part."""
    if path.startswith("~") or PurePath(path).is_absolute():
        return PurePath(path).name
    return PureWindowsPath(path).name if PureWindowsPath(path).is_absolute() else path
