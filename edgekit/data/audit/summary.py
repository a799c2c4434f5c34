"""The audit: what to know about an image folder before you trust an accuracy measured on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.baselines import baselines
from edgekit.data.audit.duplicates import NEAR_BITS, DuplicateIndex, DuplicatePair, find_duplicates
from edgekit.data.audit.fingerprints import HASH_BITS, Fingerprints, fingerprint
from edgekit.data.audit.shortcuts import Shortcut, shortcuts
from edgekit.data.audit.similarity import similarity_curve
from edgekit.data.dataset import SPLITS, Dataset
from edgekit.data.folder import AUTO, WHOLE, scan_folder
from edgekit.data.image_properties import read_properties
from edgekit.data.scanned_dataset import scanned_dataset
from edgekit.documents.audit import (
    AuditDocument,
    Baselines,
    CorruptFile,
    Duplicates,
    DuplicatesAcross,
    ImagePair,
    ImageSizes,
    LabelConflict,
    LabelledFile,
    LeakedImage,
    NearDuplicates,
    SimilarityCurve,
)
from edgekit.errors import InputError
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Audit:
    """The findings in a dataset. :meth:`document` has all of them."""

    dataset: Dataset
    prints: Fingerprints
    duplicates: DuplicateIndex
    near_bits: int
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> list[str]:
        """The splits that have images, training first."""
        return [split for split in (*SPLITS, WHOLE) if (self.dataset.splits == split).any()]

    @cached_property
    def across(self) -> dict[tuple[str, str], list[DuplicatePair]]:
        """By pairs of splits, training first: the images of the second split that duplicate one of the first."""
        found = {}
        for a, b in combinations(self.splits, 2):
            first, second = self.dataset.indices(a), self.dataset.indices(b)
            exact = self.duplicates.pairs(second, first, exact=True)
            found[a, b] = exact + self.duplicates.pairs(second, first, exact=False)
        return found

    @cached_property
    def leaks(self) -> list[DuplicatePair]:
        """The test images that duplicate a training or validation image, each with the closest one, closest first."""
        closest: dict[int, DuplicatePair] = {}
        for (_, b), pairs in self.across.items():
            for pair in pairs if b == "test" else []:
                before = closest.get(pair.image)
                if before is None or (not pair.exact, pair.distance) < (not before.exact, before.distance):
                    closest[pair.image] = pair
        return sorted(closest.values(), key=lambda pair: (not pair.exact, pair.distance, pair.image))

    @cached_property
    def shortcuts(self) -> list[Shortcut]:
        """The file properties that predict the class, the most accurate first."""
        return shortcuts(self.prints, self.dataset.labels, self.dataset.classes)

    @cached_property
    def baselines(self) -> Baselines | None:
        """What needs no network: on the test images from all others, or without a test split one from all others."""
        readable = np.flatnonzero(self.prints.readable)
        is_test = self.dataset.splits[readable] == "test"
        test, reference = readable[is_test], readable[~is_test]
        if not len(test) or not len(reference):
            test = reference = readable
        return baselines(self.prints.grey, self.dataset.labels, reference, test)

    @cached_property
    def similarity(self) -> SimilarityCurve | None:
        """Groups of similar images over a range of thresholds."""
        return similarity_curve(self.prints.grey, self.dataset.labels, np.flatnonzero(self.prints.readable))

    def label_conflicts(self) -> list[LabelConflict]:
        """Duplicates with different classes: groups of exact duplicates, and the closest pairs of near ones."""
        labels = self.dataset.labels
        found = [
            LabelConflict(kind="exact", distance=0, files=tuple(self._file(i) for i in group.tolist()))
            for group in self.duplicates.exact_groups()
            if len(np.unique(labels[group])) > 1
        ]
        for pair in self.duplicates.pairs_of_labels(labels):
            files = (self._file(pair.other), self._file(pair.image))
            found.append(LabelConflict(kind="near", distance=pair.distance, files=files))
        return sorted(found, key=lambda conflict: (conflict.kind, conflict.distance))

    def document(self) -> AuditDocument:
        """All findings. Paths are below ``root``. An image with an exact duplicate does not count as a near one."""
        dataset, prints = self.dataset, self.prints
        counts = dataset.counts() if WHOLE not in self.splits else {WHOLE: _class_counts(dataset)}
        near = self._duplicates(exact=False)
        return AuditDocument(
            root=str(dataset.root),
            name=dataset.name,
            layout=dataset.layout,
            fingerprint=dataset.fingerprint,
            n_images=len(dataset),
            splits={split: int(np.count_nonzero(dataset.splits == split)) for split in self.splits},
            classes={split: counts[split] for split in self.splits},
            largest_class_over_smallest={split: _largest_over_smallest(counts[split]) for split in self.splits},
            corrupt=tuple(CorruptFile(path=path, reason=reason) for path, reason in prints.corrupt.items()),
            exact_duplicates=self._duplicates(exact=True),
            near_duplicates=NearDuplicates(
                within=near.within,
                across=near.across,
                groups=near.groups,
                max_distance=self.near_bits,
                hash_bits=HASH_BITS,
            ),
            label_conflicts=tuple(self.label_conflicts()),
            leaked_test_images=tuple(self._leaked(pair) for pair in self.leaks),
            sizes=_sizes(prints),
            modes=_counted(prints.modes[prints.readable].tolist()),
            formats=_counted(prints.formats[prints.readable].tolist()),
            shortcuts=tuple(shortcut.record() for shortcut in self.shortcuts),
            baselines=self.baselines,
            similarity=self.similarity,
            notes=self.notes,
        )

    def _duplicates(self, *, exact: bool) -> Duplicates:
        groups = self.duplicates.exact_groups() if exact else self.duplicates.near_groups()
        return Duplicates(
            within={
                split: self.duplicates.count_within(self.dataset.indices(split), exact=exact) for split in self.splits
            },
            across=tuple(
                DuplicatesAcross(a=a, b=b, n_files=len(chosen), pairs=tuple(self._pair(pair) for pair in chosen))
                for (a, b), pairs in self.across.items()
                for chosen in [[pair for pair in pairs if pair.exact == exact]]
            ),
            groups=tuple(tuple(self.dataset.files[i] for i in group.tolist()) for group in groups),
        )

    def _pair(self, pair: DuplicatePair) -> ImagePair:
        return ImagePair(
            a=self.dataset.files[pair.other],
            b=self.dataset.files[pair.image],
            distance=pair.distance,
            same_class=bool(self.dataset.labels[pair.other] == self.dataset.labels[pair.image]),
        )

    def _leaked(self, pair: DuplicatePair) -> LeakedImage:
        files = self._pair(pair)
        return LeakedImage(a=files.a, b=files.b, distance=files.distance, same_class=files.same_class, exact=pair.exact)

    def _file(self, position: int) -> LabelledFile:
        dataset = self.dataset
        label = dataset.classes[dataset.labels[position]]
        return LabelledFile(path=dataset.files[position], label=label, split=str(dataset.splits[position]))


def audit_folder(
    folder: Path, *, labels_from: str = AUTO, near_bits: int = NEAR_BITS, progress: Progress = SILENT
) -> Audit:
    """Audit all images of a folder in the splits that it has; no splits are drawn.

    Raises :class:`InputError` for a folder without images in class folders.
    """
    scan = scan_folder(expanded(folder).absolute(), labels_from)
    dataset, _ = scanned_dataset(scan, progress, layout=scan.layout)
    notes = [*scan.notes, *_notes(dataset, progress)]
    for note in notes:
        progress.warn(note)
    return audit(dataset, near_bits=near_bits, notes=tuple(notes), progress=progress)


def _notes(dataset: Dataset, progress: Progress) -> list[str]:
    """What is converted when the images are read; nothing if none can be read, which the audit says anyway."""
    try:
        return read_properties(replace(dataset, pixel_range="auto"), progress).notes
    except InputError:
        return []


def audit(
    dataset: Dataset, *, near_bits: int = NEAR_BITS, notes: tuple[str, ...] = (), progress: Progress = SILENT
) -> Audit:
    """Audit a dataset as it is split. Near duplicates differ in at most ``near_bits`` bits of the hash.

    Raises :class:`InputError` unless ``near_bits`` is less than a quarter of the hash.
    """
    if not 0 <= near_bits < HASH_BITS // 4:
        raise InputError(
            f"the largest distance of near duplicates must be 0 to {HASH_BITS // 4 - 1} bits, not {near_bits}",
            hint=f"unrelated images differ in about {HASH_BITS // 2} of {HASH_BITS} bits; the default is {NEAR_BITS}",
        )
    prints = fingerprint(dataset, progress)
    return Audit(dataset, prints, find_duplicates(prints, near_bits), near_bits, notes)


def _class_counts(dataset: Dataset) -> dict[str, int]:
    return dict(zip(dataset.classes, dataset.class_sizes().tolist()))


def _largest_over_smallest(counts: dict[str, int]) -> float | None:
    return max(counts.values()) / min(counts.values()) if min(counts.values()) else None


def _counted(values: list[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _sizes(prints: Fingerprints) -> ImageSizes:
    known = prints.readable
    if not known.any():
        return ImageSizes(distinct=0, most_common={}, width_pixels=None, height_pixels=None)
    widths, heights = prints.widths[known], prints.heights[known]
    sizes = Counter(f"{w}x{h}" for w, h in zip(widths.tolist(), heights.tolist()))
    return ImageSizes(
        distinct=len(sizes),
        most_common=dict(sizes.most_common(5)),
        width_pixels=_range(widths),
        height_pixels=_range(heights),
    )


def _range(values: NDArray[np.int32]) -> tuple[int, int, int]:
    """Smallest, median and largest of the values."""
    return int(values.min()), int(np.median(values)), int(values.max())
