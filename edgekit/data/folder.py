"""Finds the split folders, the classes and the images in an image folder, without opening any file."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.errors import InputError
from edgekit.render.text import plural

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "tst": "test",
}
"""Splits by folder name, in lower case."""

WHOLE = "all"
"""The only "split" of a folder that has no split folders."""

_SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found", "__pycache__"}
_UNREAD_IMAGES = {".heic", ".heif", ".avif", ".svg", ".dcm", ".nii", ".dng", ".cr2", ".nef", ".arw", ".jxl", ".jp2"}


@dataclass(frozen=True)
class FolderScan:
    """The layout of an image folder.

    ``splits`` has the images (POSIX paths below ``root``) by split and class. A folder without split folders has the
    split :data:`WHOLE`. ``folders`` has the name of each split folder on disk, and ``notes`` are warnings for the user.
    """

    root: Path
    splits: dict[str, dict[str, list[str]]]
    folders: dict[str, str]
    notes: list[str] = field(default_factory=list)


def scan_folder(root: Path) -> FolderScan:
    """Find the layout of ``root``; raises :class:`InputError` for a folder that cannot be used for training.

    Hidden files, files of operating systems and files without an image suffix are ignored. Class names are converted
    to one Unicode form (NFC), because a folder that was packed on a Mac has another one.
    """
    _must_be_folder(root)
    folders = _subfolders(root)
    found: dict[str, Path] = {}
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.casefold())
        if split is None or not _subfolders(folder):
            continue  # a class may be named "train"; a split folder contains class folders
        if split in found:
            raise InputError(
                f"two folders contain the same split: {found[split].name!r} and {folder.name!r}", where=str(root)
            )
        found[split] = folder
    scan = FolderScan(root, {}, {split: folder.name for split, folder in found.items()})
    if not found:
        scan.splits[WHOLE] = _classes(scan, root)
    elif "train" not in found:
        there = " and ".join(repr(folder.name) for folder in found.values())
        raise InputError(
            f"this folder contains {there}, but no training folder",
            where=str(root),
            hint="add a folder named 'train', or give a folder that contains only one folder per class",
        )
    else:
        for split in ("train", "val", "test"):
            if split in found:
                scan.splits[split] = _classes(scan, found[split])
        _note_other_folders(scan, [f for f in folders if f not in found.values()])
    _check(scan)
    return scan


def _must_be_folder(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise InputError(
            "this is a file, not a folder of images", where=str(root), hint="if it is an archive, unpack it first"
        )
    try:
        close = difflib.get_close_matches(root.name, [p.name for p in _subfolders(root.parent)], n=1)
    except OSError:
        close = []
    hint = (
        f"did you mean {root.parent / close[0]}?"
        if close
        else "give the path of a folder that contains one folder per class"
    )
    raise InputError("this folder does not exist", where=str(root), hint=hint)


def _classes(scan: FolderScan, folder: Path) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    ignored: Counter[str] = Counter()
    for path in _subfolders(folder):
        name = unicodedata.normalize("NFC", path.name)
        if "\n" in name or "\r" in name:
            raise InputError("a class name must not contain line breaks", where=repr(str(path)))
        images = classes.setdefault(name, [])
        for file in _files_below(path, set()):
            suffix = file.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                images.append(_relative(file, scan.root))
            else:
                ignored[suffix] += 1
        _refuse_splits_inside(path)
    for suffix in sorted(_UNREAD_IMAGES & set(ignored)):
        scan.notes.append(
            f"ignoring {plural(ignored[suffix], f'{suffix} file')} in {folder}; convert to JPEG or PNG to use them"
        )
    loose = sum(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))
    if loose and classes:
        scan.notes.append(f"ignoring {plural(loose, 'image')} directly in {folder}, outside of class folders")
    return classes


def _refuse_splits_inside(class_folder: Path) -> None:
    inner = [p.name for p in _subfolders(class_folder) if p.name.casefold() in SPLIT_NAMES]
    if inner:
        raise InputError(
            f"the class folder {class_folder.name!r} contains split folders ({', '.join(inner)})",
            where=str(class_folder),
            hint=f"put class folders inside split folders: {inner[0]}/{class_folder.name}",
        )


def _note_other_folders(scan: FolderScan, others: list[Path]) -> None:
    for folder in others:
        images = sum(f.suffix.lower() in IMAGE_SUFFIXES for f in _files_below(folder, set()))
        if images and folder.name.casefold() in SPLIT_NAMES:
            scan.notes.append(f"ignoring {plural(images, 'image')} in {folder}, outside of class folders")
        elif images:
            scan.notes.append(
                f"ignoring {plural(images, 'image')} in {folder}, which is not a split folder like the others"
            )


def _check(scan: FolderScan) -> None:
    main = "train" if "train" in scan.splits else WHOLE
    folder = scan.root / scan.folders.get(main, "")
    classes = scan.splits[main]
    if not any(classes.values()):
        loose = any(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))
        problem = "the images are not in class folders" if loose else "this folder contains no images"
        raise InputError(
            problem,
            where=str(folder),
            hint="put the images into one folder per class, whose name is the label; supported formats: "
            + ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES)),
        )
    if len(classes) == 1:
        only = next(iter(classes))
        inner = len(_subfolders(folder / only)) if (folder / only).is_dir() else 0
        hint = f"did you mean {folder / only}?" if inner > 1 else "a classifier needs at least two class folders"
        raise InputError(f"there is only one class: {only!r}", where=str(folder), hint=hint)
    empty = [name for name, images in classes.items() if not images]
    if empty:
        raise InputError(
            f"{_have(empty)} no images: {_listed(empty)}",
            where=str(folder),
            hint="add images to the class folder, or remove it",
        )
    for split in ("val", "test"):
        _check_against_train(scan, split)


def _check_against_train(scan: FolderScan, split: str) -> None:
    if split not in scan.splits:
        return
    folder = scan.root / scan.folders[split]
    there = {name for name, images in scan.splits[split].items() if images}
    known = scan.splits["train"]
    unknown = sorted(there - set(known))
    if unknown:
        raise InputError(
            f"{scan.folders[split]!r} contains classes that {scan.folders['train']!r} does not: {_listed(unknown)}",
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


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not _ignored(e.name) and e.is_dir())


def _files(folder: Path) -> list[Path]:
    """Files directly in ``folder``, including broken links, so that a later error can name them."""
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not _ignored(e.name) and (e.is_file() or _is_broken_link(e)))


def _is_broken_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(entry.path).exists()


def _files_below(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """All files below ``folder``, following links. ``above`` are the folders on the path, to detect loops of links."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    yield from _files(folder)
    for inner in _subfolders(folder):
        yield from _files_below(inner, above | {here})


def _relative(file: Path, root: Path) -> str:
    path = file.relative_to(root).as_posix()
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError("this file name is not valid UTF-8", where=repr(str(file)), hint="rename the file") from None
    return path
