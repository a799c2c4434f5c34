"""The Dataset: which images there are, what they show, and which split each belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.dataset_list import DatasetRow

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """N labelled images, sorted by path.

    ``files`` are POSIX paths below ``root``; ``labels`` int32 (N,), indices into ``classes``; ``splits`` str (N,),
    each ``"train"``, ``"val"`` or ``"test"``; ``sha256`` of each file's bytes; ``layout`` says for people how
    the splits came about.
    """

    root: Path
    name: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int32]
    splits: NDArray[np.str_]
    sha256: tuple[str, ...]
    layout: str

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over class names and the sorted (label, split, content) of every image.

        Neither the place nor the names nor the dates of the files go into it.
        """
        digest = hashlib.sha256()
        for name in self.classes:
            digest.update(f"{len(name.encode())}:{name}\n".encode())
        for line in sorted(f"{k} {s} {c}\n" for k, s, c in zip(self.labels, self.splits, self.sha256)):
            digest.update(line.encode())
        return digest.hexdigest()

    def indices(self, split: str) -> NDArray[np.int64]:
        """Positions of the images of ``split``, ascending."""
        return np.flatnonzero(self.splits == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images by split and class, zeros included."""
        return {
            split: {
                name: int(np.count_nonzero((self.splits == split) & (self.labels == label)))
                for label, name in enumerate(self.classes)
            }
            for split in SPLITS
        }

    def rows(self) -> list[DatasetRow]:
        """The dataset as the rows of ``dataset.csv``."""
        return [
            DatasetRow(path, self.classes[label], str(split), content)
            for path, label, split, content in zip(self.files, self.labels, self.splits, self.sha256)
        ]

    def paths(self) -> list[Path]:
        """Where the N files are."""
        return [self.root / file for file in self.files]

    def take(self, positions: NDArray[np.int64]) -> Dataset:
        """The part of the dataset at ``positions`` (ascending); the classes stay."""
        return Dataset(
            root=self.root,
            name=self.name,
            classes=self.classes,
            files=tuple(self.files[i] for i in positions),
            labels=self.labels[positions],
            splits=self.splits[positions],
            sha256=tuple(self.sha256[i] for i in positions),
            layout=self.layout,
        )

    @classmethod
    def from_rows(
        cls,
        rows: Sequence[DatasetRow],
        root: Path,
        name: str,
        classes: Sequence[str],
        layout: str = "as listed in the run",
    ) -> Dataset:
        """The dataset of ``rows``; raises :class:`KeyError` for a row whose class is not in ``classes``."""
        label_of = {name: label for label, name in enumerate(classes)}
        rows = sorted(rows, key=lambda row: row.path)
        return cls(
            root=root,
            name=name,
            classes=tuple(classes),
            files=tuple(row.path for row in rows),
            labels=np.array([label_of[row.label] for row in rows], dtype=np.int32),
            splits=np.array([row.split for row in rows], dtype="<U5"),
            sha256=tuple(row.sha256 for row in rows),
            layout=layout,
        )
