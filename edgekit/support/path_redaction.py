"""Which folders and files of this machine a recipe names; what is shared of a study does not tell where they lie."""

from __future__ import annotations

import copy
from pathlib import PurePath, PureWindowsPath
from typing import Any

PLACES = (("data", "path"), ("model", "weights"), ("train", "start_from"))


def without_places(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's document in which absolute paths are their last part: ``/home/ann/photos`` is ``photos``.

    Relative paths stay: they are the same on every machine that has the files.
    """
    document = copy.deepcopy(document)
    for section, key in PLACES:
        value = (document.get(section) or {}).get(key)
        if isinstance(value, str):
            document[section][key] = place_name(value)
    return document


def place_name(path: str) -> str:
    """``path`` if it is relative; else its last part."""
    if path.startswith("~") or PurePath(path).is_absolute():
        return PurePath(path).name
    return PureWindowsPath(path).name if PureWindowsPath(path).is_absolute() else path
