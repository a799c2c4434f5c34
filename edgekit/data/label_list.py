"""Labels in a table: a CSV file with a row for each image, as Kaggle, Roboflow and Label Studio write it."""

from __future__ import annotations

import csv
import io
import re
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edgekit.data.file_labels import split_of_path
from edgekit.data.layout import WHOLE, class_name, quoted
from edgekit.data.split_names import split_name
from edgekit.data.tree import Folder
from edgekit.errors import InputError
from edgekit.render.text import plural
from edgekit.support.paths import expanded

_FILE_COLUMNS = frozenset(
    ("filename", "file", "file_name", "image", "image_id", "image_path", "image_name", "img", "path", "filepath",
     "filepaths", "filenames", "id")
)  # fmt: skip
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "choice", "target", "species",
                  "breed", "diagnosis", "dx", "finding", "type", "y")  # fmt: skip
_SPLIT_COLUMNS = ("split", "set", "subset", "data_set", "dataset", "partition", "usage")
_SAMPLED_ROWS = 300
_MOST_BYTES = 200_000_000
_AT_LEAST = 0.5
"""The column with the files is the one whose values name images in at least this share of some rows."""

Rows = list[tuple[int, list[str]]]
"""The rows of the table with their line numbers."""


@dataclass(eq=False)
class _Index:
    """The images of the tree by path, by file name and by file name without suffix."""

    paths: set[str]
    names: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Folder) -> _Index:
        index = cls(set(root.all_images()))
        for path in sorted(index.paths):
            pure = PurePosixPath(path)
            index.names.setdefault(pure.name, []).append(path)
            if pure.stem != pure.name:
                index.names.setdefault(pure.stem, []).append(path)
        return index

    def find(self, value: str, folder: str) -> list[str]:
        """The images that ``value`` may mean, in a list that lies in ``folder`` (below the root)."""
        value = urllib.parse.unquote(value.replace("\\", "/").split("?d=")[-1]).strip()
        value = re.sub(r"^(\./|/)+", "", value)
        for path in (f"{folder}/{value}" if folder else value, value):
            if path in self.paths:
                return [path]
        found = self.names.get(PurePosixPath(value).name, []) if value else []
        if not found and "-" in value:  # Label Studio writes its own prefix before the name: ab12cd34-cat.jpg
            found = self.names.get(PurePosixPath(value).name.split("-", 1)[1], [])
        for depth in range(len(PurePosixPath(value).parts), 1, -1):
            end = "/".join(PurePosixPath(value).parts[-depth:])
            closer = [path for path in found if path.endswith("/" + end)]
            if closer:
                return closer
        return found


@dataclass(frozen=True)
class LabelList:
    """The images of a table by split and class, and notes on what is left out."""

    splits: dict[str, dict[str, list[str]]]
    notes: list[str]


def read_label_list(root: Folder, given: str) -> LabelList:
    """The labels from the CSV file ``given``: a path, or the name of a file in the folder or in its split folders.

    The columns are found by their names and by what they contain: the files (paths, names, or names without suffix),
    the label (in one column, or one column of 0 and 1 per class) and, where there is one, the split. Raises
    :class:`InputError` if the columns are not clear, no file is found, or a file has two labels.
    """
    index = _Index.of(root)
    found: dict[str, str] = {}
    split_of: dict[str, str] = {}
    missing: list[str] = []
    for file, folder in _files(root, given):
        table = _Table.read(file, index, folder)
        for line, row in table.rows:
            value = row[table.file_at].strip()
            paths = index.find(value, folder)
            if len(paths) > 1:
                raise InputError(
                    f"line {line}: {value!r} can be {quoted(paths, 3)}",
                    where=str(file),
                    hint="give paths below the image folder in the list",
                )
            label = class_name(table.label(line, row))
            if not paths:
                missing.append(value)
                continue
            (path,) = paths
            if found.setdefault(path, label) != label:
                problem = f"line {line}: {value!r} has two labels, {found[path]!r} and {label!r}"
                raise InputError(problem, where=str(file))
            split_of[path] = table.split(line, row) or split_of_path(path)
    listed = len(found) + len(missing)
    if len(missing) > len(found):
        raise InputError(
            f"{len(missing):,} of {plural(listed, 'listed file')} are missing: {quoted(missing, 3)}",
            where=str(root.path),
            hint=f"check that {given} belongs to this folder",
        )
    notes = []
    if missing:
        notes.append(f"leaving out {len(missing):,} of {plural(listed, 'listed file')}, which are missing: "
                     f"{quoted(missing, 3)}")  # fmt: skip
    rest = sorted(index.paths - set(found))
    if rest:
        notes.append(f"ignoring {plural(len(rest), 'image')} that {given} does not list: {', '.join(rest[:3])}")
    return LabelList(_by_split(found, split_of), notes)


def _by_split(found: dict[str, str], split_of: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    """The images by split and class. Without training images, or with images in no split, there are no splits."""
    names = set(split_of.values())
    whole = "train" not in names or WHOLE in names
    splits: dict[str, dict[str, list[str]]] = {}
    for path, label in sorted(found.items()):
        splits.setdefault(WHOLE if whole else split_of[path], {}).setdefault(label, []).append(path)
    return splits


def lists_in(root: Folder) -> list[str]:
    """The CSV files in the folder and in the folders inside it, as paths below the root."""
    folders = [root, *root.folders]
    return [
        folder.join(name)
        for folder in folders
        for name in folder.others
        if PurePosixPath(name).suffix.lower() in (".csv", ".tsv")
    ]


def _files(root: Folder, given: str) -> list[tuple[Path, str]]:
    """The lists that ``given`` means, each with the folder below the root that its paths are relative to."""
    here = root.path / given
    if _exists(here):
        parent = PurePosixPath(given).parent.as_posix()
        return [(here, "" if parent == "." or PurePosixPath(given).is_absolute() else parent)]
    outside = expanded(given).absolute()
    if _exists(outside):
        return [(outside, "")]
    inside = [folder for folder in root.walk() if folder is not root and _exists(folder.path / given)]
    if inside:
        return [(folder.path / given, folder.below) for folder in inside]
    there = lists_in(root)
    hint = f"there is: {', '.join(there[:5])}" if there else "give a CSV file with the columns filename and label"
    raise InputError("this list of labels does not exist", where=str(here), hint=hint)


def _exists(file: Path) -> bool:
    try:
        return file.exists() and not file.is_dir()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


@dataclass(frozen=True)
class _Table:
    """The rows of a list, and what its columns are."""

    file: Path
    header: list[str]
    rows: Rows
    file_at: int
    label_at: int | None
    one_hot: tuple[int, ...]
    split_at: int | None

    @classmethod
    def read(cls, file: Path, index: _Index, folder: str) -> _Table:
        rows = _rows(file)
        sampled = rows[1 :: max(1, len(rows) // _SAMPLED_ROWS)] or rows
        hits = Counter({column: sum(bool(index.find(row[column], folder)) for _, row in sampled if row[column].strip())
                        for column in range(len(rows[0][1]))})  # fmt: skip
        names = [re.sub(r"\W+", "_", name.strip().casefold()) for name in rows[0][1]]
        file_at, best = max(hits.items(), key=lambda entry: (names[entry[0]] in _FILE_COLUMNS, entry[1], -entry[0]))
        if best < _AT_LEAST * len(sampled) or best == 0:
            raise InputError(
                "no column of this list names images of the folder",
                where=str(file),
                hint=f"its columns are {quoted(rows[0][1])}; the images are looked for in the image folder",
            )
        has_header = not index.find(rows[0][1][file_at], folder)
        header = rows[0][1] if has_header else [f"column {i + 1}" for i in range(len(rows[0][1]))]
        body = rows[1:] if has_header else rows
        names = [re.sub(r"\W+", "_", name.strip().casefold()) for name in header]
        split_at = next((names.index(name) for name in _SPLIT_COLUMNS if name in names), None)
        rest = [i for i in range(len(names)) if i not in (file_at, split_at)]
        label_at = next((names.index(name) for name in _LABEL_COLUMNS if name in names and names.index(name) in rest),
                        rest[0] if len(rest) == 1 else None)  # fmt: skip
        one_hot = () if label_at is not None else _one_hot(body, rest)
        if label_at is None and not one_hot:
            raise InputError(
                f"it is not clear which column has the labels: {quoted([header[i] for i in rest], 10)}",
                where=str(file),
                hint="name the column 'label' in the first row",
            )
        return cls(file, header, body, file_at, label_at, one_hot, split_at)

    def label(self, line: int, row: list[str]) -> str:
        """The label of a row; raises :class:`InputError` if it has none, or several."""
        if self.label_at is not None:
            label = row[self.label_at].strip()
            if not label:
                raise InputError(f"line {line} has no label", where=str(self.file))
            return label
        set_here = [self.header[i].strip() for i in self.one_hot if float(row[i]) == 1]
        if len(set_here) != 1:
            what = f"several labels, {quoted(set_here)}" if set_here else "no label"
            raise InputError(
                f"line {line} has {what}", where=str(self.file), hint="edgekit trains on images with one label each"
            )
        return set_here[0]

    def split(self, line: int, row: list[str]) -> str | None:
        """The split of a row; None if the list has none."""
        if self.split_at is None:
            return None
        name = split_name(row[self.split_at])
        if name is None:
            raise InputError(
                f"line {line}: {row[self.split_at]!r} is not a split",
                where=str(self.file),
                hint="use train, val and test",
            )
        return name.split


def _rows(file: Path) -> Rows:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InputError(f"this list is larger than {_MOST_BYTES / 1e6:,.0f} MB", where=str(file))
        text = content.decode("utf-8-sig")
        delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise InputError(f"this list cannot be read: {(error.strerror or '').lower()}", where=str(file)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"this list is not a CSV file in UTF-8 ({error})", where=str(file)) from None
    if not rows:
        raise InputError("this list is empty", where=str(file))
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise InputError(f"line {line} has {len(row)} columns, but the first has {width}", where=str(file))
    if width < 2:
        raise InputError("this list has one column only", where=str(file), hint="it needs a file and a label per row")
    return rows


def _one_hot(rows: Rows, columns: list[int]) -> tuple[int, ...]:
    values = ("0", "1", "0.0", "1.0")
    if len(columns) > 1 and all(row[i].strip() in values for _, row in rows for i in columns):
        return tuple(columns)
    return ()
