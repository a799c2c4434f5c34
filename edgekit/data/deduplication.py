"""``data.split.dedupe``: a dataset in which no image and its copy stand on two sides of a split."""

from __future__ import annotations

import numpy as np

from edgekit.data.dataset import SPLITS, Dataset
from edgekit.support.progress import SILENT, Progress

_LATER_FIRST = ("test", "val", "train")


def without_repeats(dataset: Dataset, progress: Progress = SILENT) -> tuple[Dataset, list[str], list[str]]:
    """Leave out of training (and validation) what a later split of the folder shows, and name groups of copies.

    Gives the dataset; for each of its N images a content hash that its whole group of exact and near duplicates
    shares, so that a draw by content keeps the group together; and sentences that say what was left out. The test
    split is never touched: other people's figures are about the same images. Images that cannot be decoded are kept.
    """
    from edgekit.data.audit.duplicates import find_repeats
    from edgekit.data.audit.fingerprints import fingerprint

    groups = find_repeats(fingerprint(dataset, progress)).groups
    rank = {split: place for place, split in enumerate(_LATER_FIRST)}
    place = np.array([rank[str(split)] for split in dataset.splits])
    latest = np.full(int(groups.max(initial=-1)) + 1, len(rank))
    np.minimum.at(latest, groups, place)
    keep = place == latest[groups]
    first: dict[int, str] = {}
    for group, content in sorted(zip(groups.tolist(), dataset.sha256)):
        first.setdefault(group, content)
    kept = np.flatnonzero(keep)
    contents = [first[group] for group in groups[kept].tolist()]
    told = [
        f"dedupe: {n:,} {split} images that repeat an image of a later split left out"
        for split in SPLITS
        if (n := int(np.count_nonzero(~keep & (dataset.splits == split))))
    ]
    return dataset.take(kept), contents, told or ["dedupe: copies kept together"]
