"""The classes of an imported model: from a file of labels, or from the names of the image folders."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import InputError

MOST_NAMED = 8


def read_label_file(path: Path) -> list[str]:
    """The labels in ``path`` in the order of the network's outputs.

    One label on each line, also numbered from 0 as Teachable Machine writes them (``0 cat``), or a JSON list, or a JSON
    object as in ``class_indices`` of Keras (``{"cat": 0, "dog": 1}``).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the labels cannot be read: {error}", where=str(path)) from None
    labels = _from_json(text, path) if text.lstrip().startswith(("{", "[")) else _from_lines(text)
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if not labels or repeated:
        problem = f"the labels contain {repeated[0]!r} twice" if repeated else "this file contains no labels"
        raise InputError(problem, where=str(path), hint="write one class name on each line, in the model's order")
    return labels


def match_labels(labels: Sequence[str], folders: Sequence[str], where: Path) -> list[str]:
    """The names of the image ``folders`` in the order of ``labels``, which may differ in case, spaces and underscores.

    Raises :class:`InputError` if a label has no folder, or a folder no label.
    """
    plain = {_plain(name): name for name in folders}
    if len(plain) < len(folders):
        plain = {name: name for name in folders}
    matched = [plain.get(label, plain.get(_plain(label))) for label in labels]
    lacking = [label for label, name in zip(labels, matched) if name is None]
    unnamed = sorted(set(folders) - {name for name in matched if name is not None})
    if lacking or unnamed:
        parts = [f"no image folder for {_listed(lacking)}"] if lacking else []
        parts += [f"no label for the image folders {_listed(unnamed)}"] if unnamed else []
        raise InputError(
            f"the labels of the model do not match the image folders: {'; '.join(parts)}",
            where=str(where),
            hint="name the folders like the labels; every class of the model needs images",
        )
    return [name for name in matched if name is not None]


def folder_order(folders: Sequence[str], n_classes: int, where: Path) -> list[str]:
    """The classes of a model without labels: the folders in alphabetical order, as Keras numbers them."""
    if len(folders) != n_classes:
        raise InputError(
            f"the model has {n_classes} classes, and there are {len(folders)} image folders: {_listed(folders)}",
            where=str(where),
            hint="give a folder with images of every class of the model, one folder per class; --labels FILE names the "
            "classes in the model's order",
        )
    return list(folders)


def _from_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [re.fullmatch(r"(\d+)[\s:,;]+(.+)", line) for line in lines]
    if lines and all(match is not None and int(match[1]) == i for i, match in enumerate(numbered)):
        return [match[2] for match in numbered if match is not None]
    return lines


def _from_json(text: str, path: Path) -> list[str]:
    bad = InputError(
        "these labels are neither a JSON list of names nor a JSON object of names and numbers from 0", where=str(path)
    )
    try:
        value = json.loads(text)
    except ValueError:
        raise bad from None
    if isinstance(value, dict):
        if all(str(i) in value for i in range(len(value))):
            value = [value[str(i)] for i in range(len(value))]
        elif sorted(map(str, value.values())) == sorted(map(str, range(len(value)))):
            value = sorted(value, key=lambda name: int(value[name]))
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise bad
    return value


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more
