"""The audit: what a person must know about a folder of images before believing an accuracy measured on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.audit.duplicates import NEAR_BITS, Repeats, Twin, find_repeats
from edgekit.data.audit.fingerprints import HASH_BITS, Fingerprints, fingerprint
from edgekit.data.audit.shortcuts import Shortcut, shortcuts
from edgekit.data.dataset import SPLITS, Dataset
from edgekit.data.folder import WHOLE, scan_folder
from edgekit.data.loading import scanned_dataset
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found in a dataset; :meth:`document` is the whole of it for machines."""

    dataset: Dataset
    prints: Fingerprints
    repeats: Repeats
    near_bits: int
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> list[str]:
        """The splits that have images, training first."""
        return [split for split in (*SPLITS, WHOLE) if (self.dataset.splits == split).any()]

    @cached_property
    def across(self) -> dict[tuple[str, str], list[Twin]]:
        """By two splits (the one that trains first): the images of the second that repeat one of the first."""
        found = {}
        for a, b in combinations(self.splits, 2):
            first, second = self.dataset.indices(a), self.dataset.indices(b)
            exact = self.repeats.twins(second, first, exact=True)
            found[a, b] = exact + self.repeats.twins(second, first, exact=False)
        return found

    @cached_property
    def leaks(self) -> list[Twin]:
        """The test images that repeat a training or validation image, with the closest of those, closest first."""
        closest: dict[int, Twin] = {}
        for (_, b), twins in self.across.items():
            for twin in twins if b == "test" else []:
                before = closest.get(twin.image)
                if before is None or (not twin.exact, twin.distance) < (not before.exact, before.distance):
                    closest[twin.image] = twin
        return sorted(closest.values(), key=lambda twin: (not twin.exact, twin.distance, twin.image))

    @cached_property
    def shortcuts(self) -> list[Shortcut]:
        return shortcuts(self.prints, self.dataset.labels, self.dataset.classes)

    def label_conflicts(self) -> list[dict[str, Any]]:
        """Images that repeat each other under different classes: groups of copies, and the closest near pairs."""
        labels = self.dataset.labels
        found = [
            {"kind": "exact", "distance": 0, "files": [self._file(i) for i in group.tolist()]}
            for group in self.repeats.exact_groups()
            if len(np.unique(labels[group])) > 1
        ]
        for label in range(len(self.dataset.classes)):
            of, among = np.flatnonzero(labels == label), np.flatnonzero(labels < label)
            for twin in self.repeats.twins(of, among, exact=False):
                files = [self._file(twin.other), self._file(twin.image)]
                found.append({"kind": "near", "distance": twin.distance, "files": files})
        return sorted(found, key=lambda conflict: (conflict["kind"], conflict["distance"]))

    def document(self) -> dict[str, Any]:
        """JSON-ready. Paths are below ``root``.

        ``within``: how many files of a split repeat an earlier one of it. ``across``: ``n_files`` files of split ``b``
        repeat one of split ``a``; ``pairs`` has each of them with the closest it repeats. A file with an exact
        duplicate is not counted among the near ones.
        """
        dataset, prints = self.dataset, self.prints
        counts = dataset.counts() if WHOLE not in self.splits else {WHOLE: _class_counts(dataset)}
        return {
            "root": str(dataset.root),
            "name": dataset.name,
            "layout": dataset.layout,
            "fingerprint": dataset.fingerprint,
            "n_images": len(dataset),
            "splits": {split: int(np.count_nonzero(dataset.splits == split)) for split in self.splits},
            "classes": {split: counts[split] for split in self.splits},
            "largest_class_over_smallest": {split: _skew(counts[split]) for split in self.splits},
            "corrupt": [{"path": path, "reason": reason} for path, reason in prints.corrupt.items()],
            "exact_duplicates": self._duplicates(exact=True),
            "near_duplicates": {
                **self._duplicates(exact=False),
                "max_distance": self.near_bits,
                "hash_bits": HASH_BITS,
            },
            "label_conflicts": self.label_conflicts(),
            "leaked_test_images": [self._pair(twin) | {"exact": twin.exact} for twin in self.leaks],
            "sizes": _sizes(prints),
            "modes": _counted(prints.modes[prints.readable].tolist()),
            "formats": _counted(prints.formats[prints.readable].tolist()),
            "shortcuts": [shortcut.document() for shortcut in self.shortcuts],
            "notes": list(self.notes),
        }

    def _duplicates(self, *, exact: bool) -> dict[str, Any]:
        groups = self.repeats.exact_groups() if exact else self.repeats.near_groups()
        return {
            "within": {split: self.repeats.surplus(self.dataset.indices(split), exact=exact) for split in self.splits},
            "across": [
                {"a": a, "b": b, "n_files": len(chosen), "pairs": [self._pair(twin) for twin in chosen]}
                for (a, b), twins in self.across.items()
                for chosen in [[twin for twin in twins if twin.exact == exact]]
            ],
            "groups": [[self.dataset.files[i] for i in group.tolist()] for group in groups],
        }

    def _pair(self, twin: Twin) -> dict[str, Any]:
        return {
            "a": self.dataset.files[twin.other],
            "b": self.dataset.files[twin.image],
            "distance": twin.distance,
            "same_class": bool(self.dataset.labels[twin.other] == self.dataset.labels[twin.image]),
        }

    def _file(self, position: int) -> dict[str, str]:
        dataset = self.dataset
        label = dataset.classes[dataset.labels[position]]
        return {"path": dataset.files[position], "class": label, "split": str(dataset.splits[position])}


def audit_folder(folder: Path, *, near_bits: int = NEAR_BITS, progress: Progress = SILENT) -> Audit:
    """Audit a folder in the splits that it has; nothing is drawn, nothing left out.

    Raises :class:`InputError` for a folder without images in class folders.
    """
    scan = scan_folder(Path(folder).expanduser().absolute())
    folders = ", ".join(f"{scan.folders[split]} ({split})" for split in SPLITS if split in scan.folders)
    dataset, _ = scanned_dataset(scan, progress, layout=folders or "one folder of classes")
    return audit(dataset, near_bits=near_bits, notes=tuple(scan.notes), progress=progress)


def audit(
    dataset: Dataset, *, near_bits: int = NEAR_BITS, notes: tuple[str, ...] = (), progress: Progress = SILENT
) -> Audit:
    """Audit a dataset as it is split. ``near_bits``: near duplicates differ in at most so many bits of the hash.

    Raises :class:`InputError` where ``near_bits`` is not below half the hash.
    """
    if not 0 <= near_bits < HASH_BITS // 4:
        raise InputError(
            f"the largest distance of near duplicates is 0 to {HASH_BITS // 4 - 1} bits, not {near_bits}",
            hint=f"unrelated images differ in about {HASH_BITS // 2} of {HASH_BITS} bits; the default is {NEAR_BITS}",
        )
    prints = fingerprint(dataset, progress)
    return Audit(dataset, prints, find_repeats(prints, near_bits), near_bits, notes)


def _class_counts(dataset: Dataset) -> dict[str, int]:
    totals = np.bincount(dataset.labels, minlength=len(dataset.classes))
    return {name: int(total) for name, total in zip(dataset.classes, totals)}


def _skew(counts: dict[str, int]) -> float | None:
    return max(counts.values()) / min(counts.values()) if min(counts.values()) else None


def _counted(values: list[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _sizes(prints: Fingerprints) -> dict[str, Any]:
    known = prints.readable
    if not known.any():
        return {"distinct": 0, "most_common": {}, "width_pixels": None, "height_pixels": None}
    widths, heights = prints.widths[known], prints.heights[known]
    sizes = Counter(f"{w}x{h}" for w, h in zip(widths.tolist(), heights.tolist()))
    return {
        "distinct": len(sizes),
        "most_common": dict(sizes.most_common(5)),
        **{
            f"{name}_pixels": [int(values.min()), int(np.median(values)), int(values.max())]
            for name, values in (("width", widths), ("height", heights))
        },
    }
