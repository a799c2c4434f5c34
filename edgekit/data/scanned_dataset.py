"""The images of a scanned folder as a dataset with the folder's own splits."""

from __future__ import annotations

from dataclasses import replace

from edgekit.data.dataset import Dataset
from edgekit.data.folder import WHOLE, FolderScan
from edgekit.data.hashes import hash_files
from edgekit.documents.dataset_list import DatasetRow
from edgekit.support.progress import Progress


def scanned_dataset(
    scan: FolderScan, progress: Progress, layout: str = "as listed in the run"
) -> tuple[Dataset, dict[str, str]]:
    """All images of a folder with its own splits, and reasons why some files cannot be read, by path."""
    classes = sorted(scan.splits.get("train") or scan.splits[WHOLE])
    rows = [
        DatasetRow(path, name, split, "")
        for split, found in scan.splits.items()
        for name, paths in found.items()
        for path in paths
    ]
    hashes, unreadable = hash_files(scan.root, [row.path for row in rows], progress)
    rows = [replace(row, sha256=hashes.get(row.path, "")) for row in rows]
    return Dataset.from_rows(rows, scan.root, scan.root.name, classes, layout=layout), unreadable
