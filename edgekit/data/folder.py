"""Finds the splits, the classes and the images in an image folder, whatever usual layout it has."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edgekit.data.class_folders import leave_out_copies, need_one_reading
from edgekit.data.file_labels import file_name_labels, looks_labelled
from edgekit.data.label_list import lists_in, read_label_list
from edgekit.data.layout import WHOLE, ClassFolders, class_folders, class_name, quoted, split_folders
from edgekit.data.masks import leave_out_masks
from edgekit.data.split_names import split_name
from edgekit.data.tree import UNREAD_DATA, UNREAD_IMAGES, Folder, Tree, is_ignored, read_tree
from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.device.labels import unusable_name
from edgekit.errors import InputError
from edgekit.render.text import plural

__all__ = ["AUTO", "FILE_NAMES", "FOLDERS", "INNER_FOLDERS", "WHOLE", "FolderScan", "scan_folder"]

AUTO, FOLDERS, INNER_FOLDERS, FILE_NAMES = "auto", "folders", "inner-folders", "file-names"
"""Where the labels come from, apart from CSV files."""

_NO_CLASSES = frozenset(("images", "image", "imgs", "img", "jpegimages", "jpg", "png", "data", "photos", "pictures"))
"""A folder of one of these names alone is not a class."""

Splits = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class FolderScan:
    """The layout of an image folder.

    ``splits`` has the images (POSIX paths below ``root``) by split and class. A folder without splits has the split
    :data:`WHOLE`. ``folders`` has the path below ``root`` of the folder of each split, ``layout`` says in words what
    was recognised, and ``notes`` are warnings for the user.
    """

    root: Path
    splits: Splits
    folders: dict[str, str]
    notes: list[str] = field(default_factory=list)
    layout: str = "one folder per class"


def scan_folder(root: Path, labels_from: str = AUTO) -> FolderScan:
    """Find the layout of ``root``; raises :class:`InputError` for a folder that cannot be used for training.

    ``labels_from`` says where the labels are: ``"auto"`` recognises the folders, ``"folders"`` takes the outermost ones
    as classes, ``"inner-folders"`` those that contain the images, ``"file-names"`` reads the names of the files, and
    anything else is a CSV file. Hidden files and files of operating systems are ignored; what else is left out is in
    the notes. Where a folder can be read in two ways, the error says which.
    """
    _must_be_folder(root)
    tree = read_tree(root)
    notes = _notes_of_tree(tree)
    notes += leave_out_masks(tree.root)
    if labels_from == FILE_NAMES:
        splits, more = file_name_labels(tree.root)
        scan = FolderScan(root, splits, dict.fromkeys(splits, ""), [*notes, *more], "labels from the file names")
    elif labels_from not in (AUTO, FOLDERS, INNER_FOLDERS):
        labels = read_label_list(tree.root, labels_from)
        layout = f"labels from {PurePosixPath(labels_from).name}"
        scan = FolderScan(root, labels.splits, dict.fromkeys(labels.splits, ""), [*notes, *labels.notes], layout)
    else:
        scan = _scan_class_folders(tree.root, labels_from, notes)
    _check(scan, tree.root)
    return scan


def _scan_class_folders(root: Folder, labels_from: str, notes: list[str]) -> FolderScan:
    found = class_folders(root, forced=labels_from == FOLDERS)
    if labels_from == INNER_FOLDERS:
        splits = {split: _by_inner_folder(list(_parents(found, split))) for split in found.splits}
        layout = "the innermost folders as classes"
        if WHOLE not in splits:
            layout = f"{found.layout}, {layout}"
    else:
        if labels_from == AUTO:
            notes += leave_out_copies(found)
            need_one_reading(found)
        splits = {
            split: {
                name: [path for folder in folders for path in folder.all_images()] for name, folders in classes.items()
            }
            for split, classes in found.splits.items()
        }
        layout = found.layout
    notes += _notes_of_layout(found)
    for classes in found.splits.values():
        for name, same in classes.items():
            if len({folder.name for folder in same}) > 1:
                notes.append(f"reading {quoted(sorted({folder.name for folder in same}))} as one class, {name!r}")
    folders = {split: parent.below for split, parent in found.parents.items() if split != WHOLE}
    return FolderScan(root.path, splits, folders, notes, layout)


def _parents(found: ClassFolders, split: str) -> list[Folder]:
    return [folder for folders in found.splits[split].values() for folder in folders]


def _by_inner_folder(folders: list[Folder]) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for folder in folders:
        for inner in folder.walk():
            if inner.images:
                classes.setdefault(class_name(inner.name), []).extend(inner.join(name) for name in inner.images)
    return classes


def _must_be_folder(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise InputError(
            "this is a file, not a folder of images", where=str(root), hint="if it is an archive, unpack it first"
        )
    try:
        names = [path.name for path in root.parent.iterdir() if not is_ignored(path.name) and path.is_dir()]
        close = difflib.get_close_matches(root.name, names, n=1)
    except OSError:
        close = []
    hint = (
        f"did you mean {root.parent / close[0]}?"
        if close
        else "give the path of a folder that contains one folder per class"
    )
    raise InputError("this folder does not exist", where=str(root), hint=hint)


def _notes_of_tree(tree: Tree) -> list[str]:
    """What lies in the folder but is not used, by kind, with an example of each."""
    root, notes = tree.root.path, []
    if tree.skipped_links:
        n, some = len(tree.skipped_links), ", ".join(tree.skipped_links[:3])
        notes.append(f"ignoring {plural(n, 'link')} to folders that are read anyway, or that contain this one: {some}")
    if tree.by_content:
        n, some = len(tree.by_content), ", ".join(tree.by_content[:3])
        what = "1 file that is an image by its" if n == 1 else f"{n:,} files that are images by their"
        notes.append(f"reading {what} content, not by the suffix: {some}")
    others: dict[str, list[str]] = {}
    for folder in tree.root.walk():
        for name in folder.others:
            suffix = PurePosixPath(name).suffix.lower()
            kind = suffix if suffix in UNREAD_IMAGES | UNREAD_DATA else "" if suffix not in _SILENT else None
            if kind is not None:
                others.setdefault(kind, []).append(folder.join(name))
    for kind, files in sorted(others.items()):
        n = len(files)
        not_images = "1 file that is not an image" if n == 1 else f"{n:,} files that are not images"
        what = plural(n, f"{kind} file") if kind else not_images
        hint = ""
        if kind in UNREAD_IMAGES:
            hint = "; convert to JPEG or PNG to use them"
        elif kind in UNREAD_DATA:
            hint = "; unpack or convert what contains images"
        notes.append(f"ignoring {what} in {root}, for example {files[0]}{hint}")
    return notes


_SILENT = frozenset(
    (".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md", ".html", ".pdf", ".py", ".ipynb", ".log",
     ".ini", ".cfg", ".toml", ".rst", ".doc", ".docx", ".xls", ".xlsx", ".db", ".sqlite", ".cache", ".url", ".lnk",
     ".sh", ".bat", ".license")
)  # fmt: skip
"""Suffixes of files that often lie beside images, and need no word."""


def _notes_of_layout(found: ClassFolders) -> list[str]:
    notes = []
    for folder in found.left_out:
        if split_folders(folder) is None and folder.images:
            notes.append(f"ignoring {plural(folder.total, 'image')} in {folder.path}, outside of class folders")
        else:
            what = "which is not a split folder like the others"
            notes.append(f"ignoring {plural(folder.total, 'image')} in {folder.path}, {what}")
    for parent in dict.fromkeys(found.parents.values()):
        if parent.images and parent.with_images():
            n = plural(len(parent.images), "image")
            notes.append(f"ignoring {n} directly in {parent.path}, outside of class folders")
    return notes


def _check(scan: FolderScan, tree: Folder) -> None:
    main = "train" if "train" in scan.splits else WHOLE
    folder = scan.root / scan.folders.get(main, "")
    classes = scan.splits[main]
    for name in classes:
        problem = unusable_name(name)
        if problem is None and ("/" in name or name in (".", "..")):
            problem = f"the class name {name!r} cannot be the name of a folder"
        if problem:
            raise InputError(problem, where=f"{str(folder)!a}", hint="rename it")
    some = [name for name, images in classes.items() if images]
    if not some or (len(some) == 1 and (some[0].casefold() in _NO_CLASSES or split_name(some[0]) is not None)):
        raise InputError(
            "the images are not in class folders" if tree.total else "this folder contains no images",
            where=str(folder),
            hint=_how_to_label(tree, scan.notes),
        )
    if len(classes) == 1:
        raise InputError(
            f"there is only one class: {some[0]!r}",
            where=str(folder),
            hint="a classifier needs at least two class folders",
        )
    empty = [name for name, images in classes.items() if not images]
    if empty:
        raise InputError(
            f"{_have(empty)} no images: {', '.join(empty[:10])}",
            where=str(folder),
            hint="add images to the class folder, or remove it",
        )
    _note_similar_names(scan, list(classes))
    for split in ("val", "test"):
        _check_against_train(scan, split)


def _how_to_label(tree: Folder, notes: list[str]) -> str:
    unread = [note.removeprefix("ignoring ") for note in notes if note.startswith("ignoring ")]
    if not tree.total and unread:
        return f"there are other files: {'; '.join(unread)}"
    lists = lists_in(tree)
    if tree.total and lists:
        return f"if {lists[0]} lists the labels, use --labels-from {lists[0]} (data.labels_from: {lists[0]})"
    if tree.total and looks_labelled(tree):
        return "if the file names contain the labels, use --labels-from file-names (data.labels_from: file-names)"
    return "put the images into one folder per class, whose name is the label; supported formats: " + ", ".join(
        sorted(suffix[1:] for suffix in IMAGE_SUFFIXES)
    )


def _note_similar_names(scan: FolderScan, names: list[str]) -> None:
    times = Counter(name.casefold() for name in names)
    for name in sorted(name for name, n in times.items() if n > 1):
        same = sorted(other for other in names if other.casefold() == name)
        scan.notes.append(f"the classes {quoted(same)} differ only in upper and lower case, but are trained as several")


def _check_against_train(scan: FolderScan, split: str) -> None:
    if split not in scan.splits:
        return
    folder = scan.root / scan.folders.get(split, "")
    there = {name for name, images in scan.splits[split].items() if images}
    known = scan.splits["train"]
    unknown = sorted(there - set(known))
    of_split, of_train = scan.folders.get(split) or split, scan.folders.get("train") or "train"
    if unknown:
        if len(unknown) == len(there) == 1 and unknown[0].casefold() in _NO_CLASSES:
            raise InputError(
                f"the images of the {split} split are not in class folders",
                where=str(folder),
                hint="sort them into class folders, or move them away: edgekit then splits the training images",
            )
        raise InputError(
            f"{of_split!r} contains classes that {of_train!r} does not: {_listed(unknown)}",
            where=str(folder),
            hint=f"the classes of the training images are: {_listed(sorted(known))}",
        )
    if not there:
        raise InputError("this folder contains no images", where=str(folder), hint="add images to it, or remove it")
    missing = sorted(set(known) - there)
    if missing:
        scan.notes.append(
            f"{folder} has no images of {_listed(missing)}, so the {split} split cannot measure these classes"
        )


def _have(names: list[str]) -> str:
    return "one class has" if len(names) == 1 else f"{len(names)} classes have"


def _listed(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
