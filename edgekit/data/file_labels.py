"""Labels in the names of the files: ``cat.0.jpg``, ``Abyssinian_12.jpg``, ``0001-dog.png``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from edgekit.data.layout import WHOLE, class_name
from edgekit.data.split_names import split_name
from edgekit.data.tree import Folder
from edgekit.errors import InputError
from edgekit.render.text import plural

_BEHIND = re.compile(r"(.*?)[\s._-]*[(\[]?\d+[)\]]?")
_MORE_BEHIND = re.compile(r"(.*?)[\s._-]+[(\[]?\d+[)\]]?")
_BEFORE = re.compile(r"\d+[\s._-]+(.*)")


def label_of_file_name(name: str) -> str | None:
    """The part of a file name before its number (or behind it); None if there is no number, or nothing else."""
    stem = PurePosixPath(name).stem
    match = _BEHIND.fullmatch(stem)
    label = match[1] if match else ""
    if _has_letter(label):
        while (match := _MORE_BEHIND.fullmatch(label)) and _has_letter(match[1]):
            label = match[1]
    else:
        match = _BEFORE.fullmatch(stem)
        label = match[1] if match else ""
    label = class_name(label).strip(" ._-")
    return label if _has_letter(label) else None


def file_name_labels(root: Folder) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """The images by split and class, and notes on what is left out.

    The splits are those of split folders, if there are any with labelled images. Raises :class:`InputError` if the
    names contain no labels: fewer than two different ones, or nearly as many as images.
    """
    splits: dict[str, dict[str, list[str]]] = {}
    unlabelled: list[str] = []
    for path in root.all_images():
        label = label_of_file_name(path)
        if label is None:
            unlabelled.append(path)
        else:
            splits.setdefault(split_of_path(path), {}).setdefault(label, []).append(path)
    if "train" not in splits:  # without training images there are no splits
        whole: dict[str, list[str]] = {}
        for classes in splits.values():
            for label, paths in classes.items():
                whole.setdefault(label, []).extend(paths)
        splits = {WHOLE: whole}
    elif WHOLE in splits:
        unlabelled += [path for paths in splits.pop(WHOLE).values() for path in paths]
    main = splits.get("train", splits.get(WHOLE, {}))
    n_images = sum(map(len, main.values()))
    if len(main) < 2 or 2 * len(main) > n_images:
        raise InputError(
            f"the names of the files contain no labels: {plural(n_images, 'name')} with {plural(len(main), 'label')}",
            where=str(root.path),
            hint="names such as cat.0.jpg, dog_12.png or 0001-cat.jpg contain a label beside a number",
        )
    notes = []
    if unlabelled:
        some = ", ".join(sorted(unlabelled)[:3])
        notes.append(f"ignoring {plural(len(unlabelled), 'image')} in {root.path} without a usable label: {some}")
    return splits, notes


def looks_labelled(root: Folder) -> bool:
    """Whether the names of the files seem to contain labels."""
    labels = Counter(label_of_file_name(path) for path in root.all_images())
    none = labels.pop(None, 0)
    return len(labels) >= 2 and 3 * len(labels) <= labels.total() >= none


def split_of_path(path: str) -> str:
    """The split of the first folder on a path that has one; :data:`WHOLE` if none has."""
    for folder in PurePosixPath(path).parts[:-1]:
        name = split_name(folder)
        if name is not None and name.is_plain:
            return name.split
    return WHOLE


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)
