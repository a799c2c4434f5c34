"""Which images the files are scored on: the test split of their run, or a folder that is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.models import Candidate
from edgekit.data.folder import WHOLE, scan_folder
from edgekit.data.loading import open_run_dataset
from edgekit.data.splits import stratified_choice
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.support.progress import Progress

SPLIT = "test"
SEED = 0


@dataclass(frozen=True)
class ImageSet:
    """N images with their class: ``files`` are POSIX paths below ``root``, ``labels`` int32 (N,) into ``classes``."""

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """Candidates with the same key are scored on the same pixels, in one go."""
        return str(self.root), self.files

    def first_paths(self, count: int) -> list[Path]:
        return [self.root / file for file in self.files[:count]]


def image_sets(
    candidates: Sequence[Candidate], data: Path | None, limit: int | None, progress: Progress
) -> dict[str, ImageSet]:
    """The images of each candidate, by its id; a foreign file without ``data`` has none.

    ``data`` overrides where a run looks for its images; for a foreign file it is a folder of classes, of which the
    test split is taken where there is one. ``limit`` takes at most so many, stratified and seeded; 0: none at all.
    """
    if limit == 0:
        return {}
    sets: dict[str, ImageSet] = {}
    of_run: dict[Path, ImageSet] = {}
    for candidate in candidates:
        if candidate.run is not None:
            if candidate.folder not in of_run:
                of_run[candidate.folder] = _of_run(candidate, data, limit, progress)
            sets[candidate.id] = of_run[candidate.folder]
        elif data is not None:
            sets[candidate.id] = _of_folder(candidate, data, limit)
    return sets


def _of_run(candidate: Candidate, data: Path | None, limit: int | None, progress: Progress) -> ImageSet:
    assert candidate.run is not None
    run = RunFolder(candidate.folder)
    dataset = candidate.run["dataset"]
    rows = [row for row in read_dataset_csv(run.dataset) if row.split == SPLIT]
    if not rows:
        raise InputError(
            "this run has no test images", where=str(run.dataset), hint="bench without accuracy: --images 0"
        )
    classes = tuple(dataset["classes"])
    if candidate.labels != classes:
        raise InputError(
            "the labels of the exported file are not the classes of its run",
            where=str(candidate.path),
            hint=f"export again: edgekit export {run.path}",
        )
    opened = open_run_dataset(rows, data or dataset["root"], classes, dataset["name"], progress=progress)
    chosen = _chosen(opened.labels, limit)
    return ImageSet(opened.root, tuple(opened.files[i] for i in chosen), opened.labels[chosen], classes)


def _of_folder(candidate: Candidate, data: Path, limit: int | None) -> ImageSet:
    if candidate.labels is None:
        raise InputError(
            "this file does not say what its outputs are called, so it cannot be scored",
            where=str(candidate.path),
            hint="give the class names, one a line: --labels FILE",
        )
    scan = scan_folder(data.expanduser().absolute())
    folders = scan.splits.get(SPLIT) or scan.splits.get(WHOLE)
    if folders is None:
        raise InputError("this folder is split, but has no test images", where=str(data))
    unknown = [name for name in folders if name not in candidate.labels]
    if unknown:
        raise InputError(
            f"no output of {candidate.path.name} is called {', '.join(map(repr, unknown[:5]))}",
            where=str(data),
            hint=f"its outputs are: {', '.join(candidate.labels[:10])}",
        )
    pairs = sorted((file, candidate.labels.index(name)) for name, files in folders.items() for file in files)
    labels = np.array([label for _, label in pairs], np.int32)
    chosen = _chosen(labels, limit)
    return ImageSet(scan.root, tuple(pairs[i][0] for i in chosen), labels[chosen], candidate.labels)


def _chosen(labels: NDArray[np.int32], limit: int | None) -> NDArray[np.int64]:
    return stratified_choice(labels, len(labels) if limit is None else limit, SEED)
