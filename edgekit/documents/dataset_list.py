"""``dataset.csv``: the images of a run and their splits."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class DatasetRow:
    """One image: its POSIX path below the image folder, its class name, its split and the SHA-256 of the file."""

    path: str
    label: str
    split: str
    sha256: str


def write_dataset_csv(path: Path, rows: list[DatasetRow]) -> None:
    """Write the list of images atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "class", "split", "sha256"])
        writer.writerows((r.path, r.label, r.split, r.sha256) for r in rows)


def read_dataset_csv(path: Path) -> list[DatasetRow]:
    """Read the list of images; raises :class:`InputError` if the file is missing or damaged."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            if next(reader, None) != ["path", "class", "split", "sha256"]:
                raise InputError("this file is not a list of images written by edgekit", where=str(path))
            rows = []
            for row in reader:
                if len(row) != 4:
                    raise InputError(f"the run's list of images is damaged at line {reader.line_num}", where=str(path))
                rows.append(DatasetRow(*row))
            return rows
    except FileNotFoundError:
        raise InputError("the run's list of images is missing", where=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the run's list of images is damaged ({error})", where=str(path)) from None
