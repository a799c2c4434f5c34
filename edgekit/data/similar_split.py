"""``data.split.groups: similar``: keeps groups of similar images on one side of every split."""

from __future__ import annotations

import numpy as np

from edgekit.data.dataset import Dataset
from edgekit.support.progress import SILENT, Progress


def by_similar_groups(
    dataset: Dataset, threshold: float | None, progress: Progress = SILENT
) -> tuple[list[str], list[str]]:
    """For each of N images a content hash that its whole group shares, and a sentence about the groups.

    ``threshold`` is the largest distance of neighbours in a group, in grey levels; None takes the one that the audit
    proposes. An image that cannot be decoded is a group of its own.
    """
    from edgekit.data.audit.fingerprints import fingerprint
    from edgekit.data.audit.similarity import similar_groups, similarity_curve

    prints = fingerprint(dataset, progress)
    readable = np.flatnonzero(prints.readable)
    if threshold is None:
        curve = similarity_curve(prints.grey, dataset.labels, readable)
        threshold = 0.0 if curve is None else curve.proposed
    groups = similar_groups(prints.grey[readable], threshold)
    contents = list(dataset.sha256)
    first: dict[int, str] = {}
    for group, content in sorted(zip(groups.tolist(), (contents[i] for i in readable.tolist()))):
        first.setdefault(group, content)
    for place, group in zip(readable.tolist(), groups.tolist()):
        contents[place] = first[group]
    note = f"groups: {len(first):,} groups of similar images (up to {threshold:g} grey levels apart) kept together"
    return contents, [note]
