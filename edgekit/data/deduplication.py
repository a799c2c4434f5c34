"""``data.split.dedupe``: keeps duplicate images on one side of every split."""

from __future__ import annotations

import numpy as np

from edgekit.data.dataset import SPLITS, Dataset
from edgekit.support.progress import SILENT, Progress

_LATER_FIRST = ("test", "val", "train")


def without_duplicates(dataset: Dataset, progress: Progress = SILENT) -> tuple[Dataset, list[str], list[str]]:
    """Drop training and validation images that duplicate an image in a later split, and identify groups of duplicates.

    Returns the dataset; for each of its N images a content hash that all its exact and near duplicates share, so that
    a draw by content keeps them together; and sentences that say what was left out. The test split does not change, so
    that results stay comparable with published ones. Images that cannot be decoded are kept.
    """
    from edgekit.data.audit.duplicates import find_duplicates
    from edgekit.data.audit.fingerprints import fingerprint

    groups = find_duplicates(fingerprint(dataset, progress)).groups
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
    notes = [
        f"dedupe: {n:,} {split} images left out because they duplicate an image in a later split"
        for split in SPLITS
        if (n := int(np.count_nonzero(~keep & (dataset.splits == split))))
    ]
    return dataset.take(kept), contents, notes or ["dedupe: duplicate images kept together"]
