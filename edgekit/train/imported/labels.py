"""The classes of an imported model: its labels matched with the image folders, or these in their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import InputError

MOST_NAMED = 8


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


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more
