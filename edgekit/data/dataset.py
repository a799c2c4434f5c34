"""The Dataset: the images, their classes and their splits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.dataset_list import DatasetRow

GATE = "gate"
"""Images set aside for the accuracy gate; a dataset need not have them."""

SPLITS = ("train", "val", "test", GATE)


@dataclass(frozen=True, eq=False)
class Dataset:
    """N labelled images, sorted by path.

    ``files`` are POSIX paths below ``root``. ``labels`` (N,) int32 are indices into ``classes``. ``splits`` (N,) are
    ``"train"``, ``"val"``, ``"test"`` or ``"gate"``. ``sha256`` are the hashes of the files' bytes. ``layout`` says in
    words how the images came to be split.
    """

    root: Path
    name: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: NDArray[np.int32]
    splits: NDArray[np.str_]
    sha256: tuple[str, ...]
    layout: str
    pixel_range: str = "full"
    """How values of more than 8 bits become 0 to 255: ``"full"``, ``"percentile"``, a range, or ``"auto"``."""

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the class names and the class, split and content of every image.

        It does not depend on where the files are, on their names or on their dates.
        """
        digest = hashlib.sha256()
        for name in self.classes:
            digest.update(f"{len(name.encode())}:{name}\n".encode())
        for line in sorted(f"{k} {s} {c}\n" for k, s, c in zip(self.labels, self.splits, self.sha256)):
            digest.update(line.encode())
        return digest.hexdigest()

    def indices(self, split: str) -> NDArray[np.int64]:
        """Positions of the images of ``split``, in ascending order."""
        return np.flatnonzero(self.splits == split)

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images by split and class, including zeros."""
        return {
            split: dict(zip(self.classes, self.class_sizes(self.indices(split)).tolist()))
            for split in SPLITS
            if split != GATE or GATE in self.splits
        }

    def class_sizes(self, positions: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Number of images of each class (classes,), of all images or of those at ``positions``."""
        labels = self.labels if positions is None else self.labels[positions]
        return np.bincount(labels, minlength=len(self.classes))

    def rows(self) -> list[DatasetRow]:
        """The dataset as the rows of ``dataset.csv``."""
        return [
            DatasetRow(path, self.classes[label], str(split), content)
            for path, label, split, content in zip(self.files, self.labels, self.splits, self.sha256)
        ]

    def paths(self) -> list[Path]:
        """Full paths of the N files."""
        return [self.root / file for file in self.files]

    def take(self, positions: NDArray[np.int64]) -> Dataset:
        """The images at ``positions`` (ascending), with the same classes."""
        return Dataset(
            root=self.root,
            name=self.name,
            classes=self.classes,
            files=tuple(self.files[i] for i in positions),
            labels=self.labels[positions],
            splits=self.splits[positions],
            sha256=tuple(self.sha256[i] for i in positions),
            layout=self.layout,
            pixel_range=self.pixel_range,
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
        """The dataset with these ``rows``; raises :class:`KeyError` for a row whose class is not in ``classes``."""
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
