"""Helpers for the tests of this folder: opened folders, kept messages, and small images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.data import Dataset, open_dataset
from edgekit.recipe import Data
from edgekit.support.progress import Progress

SHARED = Path(os.environ.get("EDGEKIT_SHARED", Path(__file__).parents[3] / "shared"))
SPLITS = ("train", "val", "test")


class Watcher(Progress):
    """Keeps the messages of a stage: the steps of every bar, information and warnings."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[_Counter]:
        self.steps[description] = 0
        yield _Counter(self, description)

    def advanced(self, description: str) -> None:
        """For subclasses that do something in the middle of the work."""


class _Counter:
    def __init__(self, watcher: Watcher, description: str) -> None:
        self._watcher = watcher
        self._description = description

    def advance(self, steps: int = 1) -> None:
        self._watcher.steps[self._description] += steps
        self._watcher.advanced(self._description)

    def note(self, text: str) -> None:
        pass


def image(seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Image.Image:
    """A smooth image, different for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).convert(mode)


def opened(root: Path, watcher=None, **settings) -> Dataset:
    return open_dataset(Data(path=str(root), **settings), **({"progress": watcher} if watcher else {}))


def own_splits(dataset: Dataset) -> dict[str, set[str]]:
    """The first folder on the path of the images of each split."""
    return {s: {f.split("/")[0] for f, t in zip(dataset.files, dataset.splits) if t == s} for s in SPLITS}
