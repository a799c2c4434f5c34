"""Reads the tree of an image folder once: its folders, its images and what else lies there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.device.file_kinds import format_of
from edgekit.device.images import IMAGE_SUFFIXES
from edgekit.errors import InputError

MOST_LEVELS = 100
"""Folders that are nested deeper than this are refused."""

UNREAD_IMAGES = frozenset(
    {".heic", ".heif", ".avif", ".svg", ".dcm", ".nii", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".jxl", ".jp2", ".psd"}
)
"""Suffixes of image files that edgekit does not read."""

UNREAD_DATA = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".npy", ".npz", ".h5", ".hdf5", ".mat"})
UNREAD_DATA |= {".tfrecord", ".tfrecords", ".parquet", ".arrow", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".pkl"}
"""Suffixes of archives, arrays and videos, which may contain images."""

_TEXT = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".md", ".html", ".pdf", ".py", ".ipynb", ".log", ".ini"}
)
_SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found", "__pycache__"}
_START_BYTES = 64


@dataclass(eq=False)
class Folder:
    """A folder. ``below`` is its POSIX path below the root (empty for the root), ``images`` and ``others`` are names.

    ``folders`` has the folders inside, sorted by name; ``total`` is the number of images here and below.
    """

    path: Path
    name: str
    below: str
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    total: int = 0

    def with_images(self) -> list[Folder]:
        """The folders inside that contain images, here or further down."""
        return [folder for folder in self.folders if folder.total]

    def all_images(self) -> Iterator[str]:
        """The POSIX paths below the root of all images here and below, in the order of the tree."""
        for folder in self.walk():
            yield from (folder.join(name) for name in folder.images)

    def walk(self) -> Iterator[Folder]:
        """This folder and all folders below it."""
        yield self
        for inner in self.folders:
            yield from inner.walk()

    def join(self, name: str) -> str:
        """The POSIX path below the root of a file in this folder."""
        return f"{self.below}/{name}" if self.below else name

    def count(self) -> int:
        """Count the images again, after something was removed; returns the number."""
        self.total = len(self.images) + sum(folder.count() for folder in self.folders)
        return self.total


@dataclass(eq=False)
class Tree:
    """The tree below ``root`` and what was noticed while it was read."""

    root: Folder
    skipped_links: list[str]
    """Links to folders that are read anyway, or that contain the root itself."""
    by_content: list[str]
    """Images without the suffix of an image."""


def read_tree(root: Path) -> Tree:
    """Read all folders below ``root`` once.

    Hidden files and files of operating systems are left out. Links to folders are followed, unless the folder is read
    anyway: a loop, or a link to a neighbour, would show every image twice. A file without the suffix of an image is an
    image if it starts like one. Raises :class:`InputError` for a folder that cannot be listed, or whose names are not
    valid UTF-8.
    """
    top = Folder(root, root.name, "")
    tree = Tree(top, [], [])
    real = Path(os.path.realpath(root))
    seen = {_identity(path) for path in (real, *real.parents)}
    links = _read(tree, top, seen)
    while links:
        later: list[tuple[Folder, str]] = []
        for parent, name in links:
            folder = _inside(parent, name)
            if _identity(folder.path) in seen:
                tree.skipped_links.append(folder.below)
                continue
            seen.add(_identity(folder.path))
            later += _read(tree, folder, seen)
            parent.folders = sorted([*parent.folders, folder], key=lambda inner: inner.name)
        links = later
    top.count()
    return tree


def _read(tree: Tree, top: Folder, seen: set[tuple[int, int]]) -> list[tuple[Folder, str]]:
    """Fill ``top`` and the real folders below it; returns the links to folders, which come after all real folders."""
    links: list[tuple[Folder, str]] = []
    todo = [top]
    while todo:
        folder = todo.pop()
        if folder.below.count("/") >= MOST_LEVELS:
            raise InputError(f"the folders are nested more than {MOST_LEVELS} levels deep", where=str(folder.path))
        for entry in _entries(folder.path):
            if entry.is_dir(follow_symlinks=False):
                inner = _inside(folder, entry.name)
                status = entry.stat(follow_symlinks=False)
                seen.add((status.st_dev, status.st_ino))
                folder.folders.append(inner)
                todo.append(inner)
            elif entry.is_dir():
                links.append((folder, entry.name))
            elif _is_image(entry, tree, folder):
                folder.images.append(_checked(entry.name, folder.path))
            else:
                folder.others.append(entry.name)
    return links


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_ignored(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"this folder cannot be read: {(error.strerror or '').lower()}", where=str(folder)) from None


def is_ignored(name: str) -> bool:
    """Whether a file or folder is hidden or belongs to an operating system."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _inside(folder: Folder, name: str) -> Folder:
    return Folder(folder.path / _checked(name, folder.path), name, folder.join(name))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _checked(name: str, folder: Path) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        where = repr(str(folder / name))
        raise InputError("this file name is not valid UTF-8", where=where, hint="rename the file") from None
    return name


def _is_image(entry: os.DirEntry[str], tree: Tree, folder: Folder) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a fraction of the time, for every file
    if not entry.is_file():
        # A broken link is an image too, so that a later error can name it. A pipe or a device is none.
        return suffix in IMAGE_SUFFIXES and entry.is_symlink() and not Path(entry.path).exists()
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in _TEXT or suffix in UNREAD_IMAGES or suffix in UNREAD_DATA:
        return False
    try:
        with open(entry.path, "rb") as stream:  # noqa: PTH123 - of every file without a known suffix
            found = format_of(stream.read(_START_BYTES)) is not None
    except OSError:
        return False
    if found:
        tree.by_content.append(folder.join(entry.name))
    return found
