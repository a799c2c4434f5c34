"""Decides which folders of a tree are splits and which are classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgekit.data.split_names import SplitName, split_name
from edgekit.data.tree import Folder
from edgekit.errors import InputError

WHOLE = "all"
"""The only "split" of a folder that has no split folders."""

_ORDER = ("train", "val", "test")
_UNLABELLED = frozenset(
    ("unlabeled", "unlabelled", "unknown", "extra", "pred", "predict", "prediction", "inference", "sample", "samples",
     "demo", "example", "examples", "misc", "other", "others", "backup", "old", "raw", "tmp")
)  # fmt: skip
"""Folders of these names beside a training folder are not taken for classes."""

_CONTAINERS = frozenset(
    ("data", "dataset", "datasets", "images", "image", "imgs", "img", "photos", "pictures", "pics", "archive", "input")
)
"""Words in the names of folders that contain a dataset rather than one class of it."""

_BESIDE = frozenset(
    ("doc", "docs", "documentation", "assets", "figures", "figure", "figs", "plots", "results", "output", "outputs",
     "screenshots", "screenshot", "notebooks", "notebook", "static", "web", "app", "src", "logs", "media", "preview",
     "previews", "thumbnails", "readme")
)  # fmt: skip
"""Folders that often lie beside a dataset, and contain images that are no part of it."""

UNLABELLED = (
    "sort the images into class folders, or name the labels: --labels-from file-names (cat.0.jpg) or a CSV file"
)

Classes = dict[str, list[Folder]]
"""Class folders by class name. Two folders may have one name, in two forms of Unicode."""


@dataclass(eq=False)
class ClassFolders:
    """The class folders of each split; without split folders, those of the split :data:`WHOLE`.

    ``parents`` has the folder that contains the class folders of each split (the same one, where splits lie inside the
    classes). ``left_out`` are other folders with images, and ``layout`` says in words what was recognised.
    """

    splits: dict[str, Classes]
    parents: dict[str, Folder]
    layout: str
    left_out: list[Folder] = field(default_factory=list)


def class_name(name: str) -> str:
    """The class that the name of a folder means. A folder that was packed on a Mac has another form of Unicode."""
    return unicodedata.normalize("NFC", name).strip()


def split_folders(top: Folder, *, forced: bool = False) -> ClassFolders | None:
    """The split folders of ``top`` with the class folders inside; None if it has none.

    ``forced``: the folders are classes unless at least two of them are splits. Raises :class:`InputError` where the
    names can be read in two ways, or the training folder is missing.
    """
    found = _plainly_named(top, forced) or _alike_named(top)
    if found is not None:
        return _with_class_folders(top, found)
    return _class_and_split_in_one_name(top) or _splits_inside_classes(top)


def class_folders(root: Folder, *, forced: bool = False) -> ClassFolders:
    """The splits and classes of ``root``, or of the only folder inside it."""
    top = root
    left_out: list[Folder] = []
    while True:
        found = split_folders(top, forced=forced)
        if found is not None:
            found.left_out += left_out
            return found
        inner = top.with_images()
        if not forced:
            _refuse_unlabelled_splits(top)
            inner, beside = _without_beside(top)
            left_out += beside
        if len(inner) != 1 or not _is_wrapper(top, inner[0]):
            break
        top = inner[0]
    where = f" in {top.below}" if top.below else ""
    return ClassFolders({WHOLE: _classes(top)}, {WHOLE: top}, f"one folder per class{where}", left_out)


def _refuse_unlabelled_splits(top: Folder) -> None:
    """Split folders with images, but without class folders, are no classes."""
    folders = top.with_images()
    named = [name for _, name in _named(folder for folder in folders if folder.images)]
    is_one_set = len({name.rest for name in named}) == 1 and len({name.split for name in named}) > 1
    if len(named) == len(folders) > 0 and (is_one_set or all(name.is_plain for name in named)):
        raise InputError(
            f"the images in {quoted([folder.name for folder in folders])} are not in class folders",
            where=str(top.path),
            hint=UNLABELLED,
        )


def _without_beside(top: Folder) -> tuple[list[Folder], list[Folder]]:
    """The folders with images, and those that lie beside a folder with the dataset, such as ``docs`` beside ``data``.

    Raises :class:`InputError` where the folder may be the dataset, or one class of several.
    """
    folders = top.with_images()
    datasets = [folder for folder in folders if _is_container(folder.name) and len(folder.with_images()) > 1]
    datasets = [folder for folder in datasets if not folder.images]
    if len(datasets) != 1 or len(folders) < 2:
        return folders, []
    beside = [folder for folder in folders if folder is not datasets[0]]
    if {class_name(folder.name).casefold() for folder in beside} & {
        class_name(folder.name).casefold() for folder in datasets[0].with_images()
    }:
        return folders, []  # it may be a copy, which its content decides
    if any(folder.name.casefold() not in _BESIDE | _UNLABELLED for folder in beside):
        names = quoted([folder.name for folder in beside])
        inner = quoted([folder.name for folder in datasets[0].with_images()])
        raise InputError(
            f"this folder can be read in two ways: {datasets[0].name!r} may be the dataset, with the classes {inner}, "
            f"or a class beside {names}",
            where=str(top.path),
            hint=f"give {datasets[0].path} for the first, or use --labels-from folders (data.labels_from: folders) for "
            "the second",
        )
    return datasets, beside


def _is_container(name: str) -> bool:
    words = re.split(r"[\W_]+", name.casefold())
    return words[-1] in _CONTAINERS or words[0] in _CONTAINERS


def _is_wrapper(folder: Folder, inner: Folder) -> bool:
    """Whether ``inner`` contains the layout, rather than images of one class."""
    deeper = len(inner.with_images())
    return deeper >= 2 or (deeper == 1 and not inner.images and not folder.images)


def _classes(folder: Folder) -> Classes:
    classes: Classes = {}
    for inner in folder.folders:
        classes.setdefault(class_name(inner.name), []).append(inner)
    return classes


def _named(folders: Iterable[Folder]) -> list[tuple[Folder, SplitName]]:
    names = ((folder, split_name(folder.name)) for folder in folders)
    return [(folder, name) for folder, name in names if name is not None]


def _plainly_named(top: Folder, forced: bool) -> dict[str, Folder] | None:
    """Folders that contain folders and are named as splits. A class may be named so too, but contains images."""
    found: dict[str, Folder] = {}
    for folder, name in _named(folder for folder in top.folders if folder.folders):
        if not name.is_plain or (folder.images and not folder.with_images()):
            continue
        if name.split in found:
            raise InputError(
                f"two folders contain the same split: {found[name.split].name!r} and {folder.name!r}",
                where=str(top.path),
                hint="give a folder that contains only one of them, or merge them",
            )
        found[name.split] = folder
    if not found or (forced and len(found) == 1):
        return None
    if "train" not in found:
        others = [folder for folder, name in _named(top.with_images()) if name.split == "train" and folder.folders]
        if len(others) == 1:
            found["train"] = others[0]
    if "train" not in found:
        there = " and ".join(repr(folder.name) for folder in found.values())
        raise InputError(
            f"this folder contains {there}, but no training folder",
            where=str(top.path),
            hint="add a folder named 'train', or give a folder that contains only one folder per class",
        )
    if set(found) == {"train"}:
        _refuse_classes_beside(top, found["train"])
    return found


def _refuse_classes_beside(top: Folder, train: Folder) -> None:
    """A folder named ``train`` beside folders with images may be a split, or the class of trains."""
    beside = [
        folder.name
        for folder in top.with_images()
        if folder is not train
        and folder.images
        and split_name(folder.name) is None
        and folder.name.casefold() not in _UNLABELLED
    ]
    if beside:
        raise InputError(
            f"this folder can be read in two ways: {train.name!r} contains folders, as a training split does, but "
            f"{quoted(beside)} contain images, as classes do",
            where=str(top.path),
            hint=f"if {train.name!r} is the training split, move the other folders away or give {train.path}; if all "
            "are classes, use --labels-from folders (data.labels_from: folders)",
        )


def _alike_named(top: Folder) -> dict[str, Folder] | None:
    """Folders such as ``seg_train`` and ``seg_test``: the same name but for the split."""
    groups: dict[str, dict[str, Folder]] = {}
    for folder, name in _named(top.with_images()):
        groups.setdefault(name.rest.casefold(), {}).setdefault(name.split, folder)
    fit = {
        rest: found
        for rest, found in groups.items()
        if len(found) > 1 and "train" in found and found["train"].with_images()
    }
    if len(fit) > 1:
        names = [found["train"].name for found in fit.values()]
        raise InputError(
            f"this folder contains several datasets with splits of their own: {quoted(names)}",
            where=str(top.path),
            hint="give a folder that contains only one of them",
        )
    if not fit:
        return None
    (found,) = fit.values()
    # One without class folders contains images without labels, as the test images of a competition.
    return {split: folder for split, folder in found.items() if folder.with_images()}


def _with_class_folders(top: Folder, found: dict[str, Folder]) -> ClassFolders:
    parents = {"train": _unwrapped(found["train"], None)}
    known = {class_name(folder.name) for folder in parents["train"].folders}
    for split in _ORDER[1:]:
        if split in found:
            parents[split] = _unwrapped(found[split], known)
    splits = {split: _classes(parent) for split, parent in parents.items()}
    layout = "folders " + ", ".join(f"{parents[split].below} ({split})" for split in _ORDER if split in parents)
    left_out = [folder for folder in top.with_images() if folder not in found.values()]
    return ClassFolders(splits, parents, layout, left_out)


def _unwrapped(folder: Folder, known: set[str] | None) -> Folder:
    """The folder with the class folders: ``folder``, or the only one inside it (``train/train/cat``)."""
    while True:
        inner = folder.with_images()
        if folder.images or len(inner) != 1:
            return folder
        deeper = inner[0].with_images()
        if known is None:
            is_wrapper = len(deeper) > 1
        else:
            is_wrapper = class_name(inner[0].name) not in known and any(class_name(f.name) in known for f in deeper)
        if not is_wrapper:
            return folder
        folder = inner[0]


def _class_and_split_in_one_name(top: Folder) -> ClassFolders | None:
    """``cats_train``, ``cats_test``, ``dogs_train``, ...: every folder with images has both in its name."""
    folders = top.with_images()
    named = _named(folders)
    splits = {name.split for _, name in named}
    rests = {name.rest for _, name in named if name.split == "train"}
    everywhere = len(named) == len(folders) and all(folder.images and name.rest for folder, name in named)
    if not everywhere or len(splits) < 2 or len(rests) < 2 or rests != {name.rest for _, name in named}:
        return None
    found: dict[str, Classes] = {split: {} for split in _ORDER if split in splits}
    for folder, name in named:
        found[name.split].setdefault(class_name(name.rest), []).append(folder)
    return ClassFolders(found, dict.fromkeys(found, top), "class and split in the names of the folders")


def _splits_inside_classes(top: Folder) -> ClassFolders | None:
    """``cat/train``, ``cat/test``, ``dog/train``, ..."""
    folders = top.with_images()
    named = {folder: _named(folder.with_images()) for folder in folders}
    inside = [folder for folder in folders if named[folder] and len(named[folder]) == len(folder.with_images())]
    plain = [folder for folder in inside if all(name.is_plain for _, name in named[folder])]
    if not plain:
        return None
    if len(plain) > 1 and any(split.with_images() for folder in plain for split, _ in named[folder]):
        raise InputError(
            f"this folder contains several datasets with splits of their own: {quoted([f.name for f in plain])}",
            where=str(top.path),
            hint=f"give one of them: {plain[0].path}",
        )
    if len(folders) < 2 or any(split.with_images() for folder in plain for split, _ in named[folder]):
        return None
    if len(plain) < len(folders) or any(folder.images for folder in folders):
        folder = plain[0]
        inner = [split.name for split, _ in named[folder]]
        raise InputError(
            f"the class folder {folder.name!r} contains split folders ({', '.join(inner)}), but other folders do not",
            where=str(folder.path),
            hint=f"put class folders inside split folders: {inner[0]}/{folder.name}",
        )
    found: dict[str, Classes] = {}
    for folder in folders:
        for split, name in named[folder]:
            found.setdefault(name.split, {}).setdefault(class_name(folder.name), []).append(split)
    if "train" not in found:
        return None
    ordered = {split: found[split] for split in _ORDER if split in found}
    return ClassFolders(ordered, dict.fromkeys(ordered, top), "split folders inside the class folders")


def quoted(names: list[str], most: int = 5) -> str:
    """``'a', 'b' and 4 more``."""
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
