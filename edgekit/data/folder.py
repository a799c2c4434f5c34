"""What lies in an image folder: its split folders, its classes, and the images of each. Nothing is opened."""

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
"""Lower-case folder names that mean a split."""

WHOLE = "all"
"""The one "split" of a folder that is not split yet."""

_SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found", "__pycache__"}
_UNREAD_IMAGES = {".heic", ".heif", ".avif", ".svg", ".dcm", ".nii", ".dng", ".cr2", ".nef", ".arw", ".jxl", ".jp2"}


@dataclass(frozen=True)
class FolderScan:
    """``splits`` maps a split (or :data:`WHOLE`) to its classes, and a class to its images (POSIX paths below root).

    ``folders`` has the name on the disk of every split folder, ``notes`` what a person should know.
    """

    root: Path
    splits: dict[str, dict[str, list[str]]]
    folders: dict[str, str]
    notes: list[str] = field(default_factory=list)


def scan_folder(root: Path) -> FolderScan:
    """Find the layout of ``root``; :class:`InputError` for every folder that cannot be trained on.

    Hidden files, files of operating systems and files without an image suffix are ignored. Class names are brought
    to one Unicode form (NFC), because the same folder packed on a Mac has another one.
    """
    _must_be_folder(root)
    folders = _subfolders(root)
    found: dict[str, Path] = {}
    for folder in folders:
        split = SPLIT_NAMES.get(folder.name.casefold())
        if split is None or not _subfolders(folder):
            continue  # a class may be called "train": a split folder has class folders
        if split in found:
            raise InputError(
                f"two folders hold the same split: {found[split].name!r} and {folder.name!r}", where=str(root)
            )
        found[split] = folder
    scan = FolderScan(root, {}, {split: folder.name for split, folder in found.items()})
    if not found:
        scan.splits[WHOLE] = _classes(scan, root)
    elif "train" not in found:
        there = " and ".join(repr(folder.name) for folder in found.values())
        raise InputError(
            f"there is {there} but no training folder",
            where=str(root),
            hint="name it 'train', or give a folder that only holds one folder per class",
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
        raise InputError("this is a file, not a folder of images", where=str(root), hint="unpack it, give the folder")
    try:
        close = difflib.get_close_matches(root.name, [p.name for p in _subfolders(root.parent)], n=1)
    except OSError:
        close = []
    guess = (
        f"did you mean {root.parent / close[0]}?" if close else "give the path of a folder with one folder per class"
    )
    raise InputError("this folder does not exist", where=str(root), hint=guess)


def _classes(scan: FolderScan, folder: Path) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    ignored: Counter[str] = Counter()
    for path in _subfolders(folder):
        name = unicodedata.normalize("NFC", path.name)
        if "\n" in name or "\r" in name:
            raise InputError("a class name must be one line", where=repr(str(path)))
        images = classes.setdefault(name, [])
        for file in _files_below(path, set()):
            suffix = file.suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                images.append(_relative(file, scan.root))
            else:
                ignored[suffix] += 1
        _refuse_splits_inside(path)
    for suffix in sorted(_UNREAD_IMAGES & set(ignored)):
        scan.notes.append(f"{ignored[suffix]} {suffix} files in {folder} are not read; convert them to JPEG or PNG")
    loose = sum(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))
    if loose and classes:
        scan.notes.append(f"{loose} images directly in {folder} belong to no class and are ignored")
    return classes


def _refuse_splits_inside(class_folder: Path) -> None:
    inner = [p.name for p in _subfolders(class_folder) if p.name.casefold() in SPLIT_NAMES]
    if inner:
        raise InputError(
            f"the class folder {class_folder.name!r} holds split folders ({', '.join(inner)})",
            where=str(class_folder),
            hint=f"put the split above the class: {inner[0]}/{class_folder.name}",
        )


def _note_other_folders(scan: FolderScan, others: list[Path]) -> None:
    for folder in others:
        count = sum(f.suffix.lower() in IMAGE_SUFFIXES for f in _files_below(folder, set()))
        if count and folder.name.casefold() in SPLIT_NAMES:
            scan.notes.append(f"{count} images in {folder} have no class folder, so no label: they are ignored")
        elif count:
            scan.notes.append(f"{count} images in {folder} are ignored: beside split folders it is none of them")


def _check(scan: FolderScan) -> None:
    main = "train" if "train" in scan.splits else WHOLE
    folder = scan.root / scan.folders.get(main, "")
    classes = scan.splits[main]
    if not any(classes.values()):
        loose = any(f.suffix.lower() in IMAGE_SUFFIXES for f in _files(folder))
        problem = "the images are not in class folders" if loose else "there are no images in this folder"
        raise InputError(
            problem,
            where=str(folder),
            hint="one folder per class is needed, its name is the label; read are "
            + ", ".join(sorted(s[1:] for s in IMAGE_SUFFIXES)),
        )
    if len(classes) == 1:
        only = next(iter(classes))
        inner = len(_subfolders(folder / only)) if (folder / only).is_dir() else 0
        hint = f"did you mean {folder / only}?" if inner > 1 else "a classifier needs at least two folders of images"
        raise InputError(f"there is only one class: {only!r}", where=str(folder), hint=hint)
    empty = [name for name, images in classes.items() if not images]
    if empty:
        raise InputError(
            f"{_classes_are(empty)} empty: {_listed(empty)}",
            where=str(folder),
            hint="put images into the folder or remove it",
        )
    for split in ("val", "test"):
        _check_against_train(scan, split)


def _check_against_train(scan: FolderScan, split: str) -> None:
    if split not in scan.splits:
        return
    folder = scan.root / scan.folders[split]
    there = {name for name, images in scan.splits[split].items() if images}
    known = scan.splits["train"]
    alien = sorted(there - set(known))
    if alien:
        raise InputError(
            f"{_classes_are(alien)} in {scan.folders[split]!r} but not in {scan.folders['train']!r}: {_listed(alien)}",
            where=str(folder),
            hint=f"the classes to train are: {_listed(sorted(known))}",
        )
    if not there:
        raise InputError("there are no images in this folder", where=str(folder), hint="fill it or remove it")
    missing = sorted(set(known) - there)
    if missing:
        scan.notes.append(f"no {split} images of {_listed(missing)} in {folder}: nothing is known about them there")


def _classes_are(names: list[str]) -> str:
    return "a class is" if len(names) == 1 else f"{len(names)} classes are"


def _listed(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not _ignored(e.name) and e.is_dir())


def _files(folder: Path) -> list[Path]:
    """Files directly in ``folder``; a broken link counts, so that it can be named later."""
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not _ignored(e.name) and (e.is_file() or _is_broken_link(e)))


def _is_broken_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(entry.path).exists()


def _files_below(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    """All files below ``folder``, links followed; ``above`` are the folders on the way, against loops of links."""
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
        raise InputError("a file name is not valid UTF-8", where=repr(str(file)), hint="rename the file") from None
    return path
