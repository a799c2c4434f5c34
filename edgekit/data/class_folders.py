"""Checks of class folders: copies of the dataset inside it, and layouts that can be read in two ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgekit.data.layout import Classes, ClassFolders, class_name, quoted
from edgekit.data.split_names import split_name
from edgekit.data.tree import Folder
from edgekit.errors import InputError
from edgekit.render.text import plural
from edgekit.support.files import sha256_file


def leave_out_copies(found: ClassFolders) -> list[str]:
    """Remove copies of the classes from inside the class folders; returns a note for each.

    A folder in a class folder that contains folders named as other classes is a copy if its images are those of the
    classes. Raises :class:`InputError` if some are different, because then it is not known what they are.
    """
    notes: list[str] = []
    for classes in found.splits.values():
        known = Counter(name.casefold() for name in classes)  # once: a dataset may have ten thousand classes
        for name, folders in list(classes.items()):
            places = [(folder, *one) for folder in folders for one in _repeated(folder, name, known)]
            for _, place, copies in places:
                _need_copies(place, copies, classes)
            for folder, place, copies in places:
                place.folders = [inner for inner in place.folders if inner not in copies]
                folder.count()
                n = sum(copy.total for copy in copies)
                names = quoted(sorted(copy.name for copy in copies))
                notes.append(f"ignoring {plural(n, 'image')} in {place.path}: they are copies of the classes {names}")
            if places and not any(folder.total for folder in folders):
                del classes[name]
                known[name.casefold()] -= 1
    return notes


def _repeated(folder: Folder, name: str, known: Counter[str]) -> Iterator[tuple[Folder, list[Folder]]]:
    """The folders in a class folder that contain folders named as other classes, with these.

    ``known`` counts the classes by name, whatever their case.
    """
    todo = [folder]
    while todo:
        place = todo.pop()
        same = [inner for inner in place.with_images() if known[class_name(inner.name).casefold()]]
        if any(class_name(inner.name).casefold() != name.casefold() for inner in same):
            yield place, same
            todo += [inner for inner in place.folders if inner not in same]
        else:
            todo += place.folders


def _need_copies(place: Folder, copies: list[Folder], classes: Classes) -> None:
    of_name: dict[str, list[Folder]] = {}
    for name, folders in classes.items():
        of_name.setdefault(name.casefold(), []).extend(folders)
    for copy in copies:
        originals = [_by_size(folder, place) for folder in of_name[class_name(copy.name).casefold()]]
        if not _all_in(_by_size(copy, None), originals):
            raise InputError(
                f"the folder {place.below or place.name!r} contains folders named as classes "
                f"({quoted(sorted(inner.name for inner in copies))}), with images that the classes do not have",
                where=str(place.path),
                hint="if it is another part of the dataset, move its images into the class folders; if it is not, "
                "move it away. --labels-from folders (data.labels_from: folders) takes the outermost folders as "
                "classes, inner-folders the innermost",
            )


def _all_in(copies: dict[int, list[Path]], originals: list[dict[int, list[Path]]]) -> bool:
    """Whether every image occurs among the originals. Only images of the same size are read, once each."""
    for size, paths in copies.items():
        others = [path for original in originals for path in original.get(size, ())]
        contents = {sha256_file(path) for path in others}
        if any(sha256_file(path) not in contents for path in paths):
            return False
    return True


def _by_size(folder: Folder, without: Folder | None) -> dict[int, list[Path]]:
    """The images of a folder by their size in bytes, without those below the folder ``without``."""
    found: dict[int, list[Path]] = {}
    todo = [folder]
    while todo:
        inner = todo.pop()
        if inner is without:
            continue
        todo += inner.folders
        for path in (inner.path / name for name in inner.images):
            if path.is_file():
                found.setdefault(path.stat().st_size, []).append(path)
    return found


def need_one_reading(found: ClassFolders) -> None:
    """Raise :class:`InputError` if the folders inside the class folders may be the classes.

    Classes may have folders inside. But if none of them contains images itself, and each contains several folders
    with images, these may be the classes, and the outer folders something else: sources, or groups of classes.
    """
    for split, classes in found.splits.items():
        outer = [folder for folders in classes.values() for folder in folders if folder.total]
        if len(outer) < 2 or any(folder.images or len(folder.with_images()) < 2 for folder in outer):
            continue
        parent = found.parents[split]
        inner = Counter(inner.name for folder in outer for inner in folder.with_images())
        shared = [name for name, times in inner.items() if times > 1]
        some = sorted(shared or inner)
        if all(split_name(name) is not None for name in some):
            continue
        raise InputError(
            "this folder can be read in two ways: the classes are "
            f"{quoted(sorted(folder.name for folder in outer), 4)}, or the folders inside them, {quoted(some, 4)}",
            where=str(parent.path),
            hint="use --labels-from folders (data.labels_from: folders) if the outer folders are the classes, "
            "inner-folders if the inner ones are" + (f", or give one folder: {outer[0].path}" if shared else ""),
        )
