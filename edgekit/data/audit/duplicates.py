"""Finds duplicate images in a dataset, within splits and across them.

Two images are *exact* duplicates if their decoded pixels are equal, whatever their files are. They are *near*
duplicates if their pixels differ, but their perceptual hashes, or those of soft images, differ in at most ``near_bits``
of 256 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.fingerprints import HASH_BITS, Fingerprints, Hashes
from edgekit.data.audit.hamming import Pairs, groups_of, near_pairs

NEAR_BITS = 26
"""A tenth of the hash. Copies that were encoded again, resized, or made a third brighter are within this distance."""

_NONE = -1

Places = NDArray[np.int64]


@dataclass(frozen=True)
class DuplicatePair:
    """An image and its closest duplicate ``other``. Both are positions in the dataset.

    ``distance`` is in bits, and ``exact`` says whether the pixels are equal, not only the hashes.
    """

    image: int
    other: int
    distance: int
    exact: bool


@dataclass(frozen=True, eq=False)
class HashIndex:
    """The images by one kind of hash.

    ``numbers`` (N,) identify hashes: images with the same hash have the same number, and an image without such a hash
    has its own number. ``near`` are the pairs of numbers whose hashes are close.
    """

    numbers: Places
    near: Pairs

    @property
    def count(self) -> int:
        return int(self.numbers.max(initial=-1)) + 1

    def earliest(self, among: Places) -> Places:
        """(N,): the first of the images ``among`` with the same or a close hash; N if there is none."""
        first = _first(self.numbers, among)
        earliest = first.copy()
        np.minimum.at(earliest, self.near.first, first[self.near.second])
        np.minimum.at(earliest, self.near.second, first[self.near.first])
        return np.asarray(earliest[self.numbers])

    def closest(self, among: Places) -> tuple[Places, Places]:
        """(N,) each: the closest of the images ``among``, and its distance in bits; N if there is none."""
        first = _first(self.numbers, among)
        nearest, distance = self._nearest(first < len(self.numbers))
        others = np.where(nearest == _NONE, len(self.numbers), first[nearest])
        return others[self.numbers], distance[self.numbers]

    def closest_of_lower(self, labels: NDArray[np.int32]) -> tuple[Places, Places]:
        """(N,) each: the closest of the images with a smaller label, and its distance in bits; N if there is none."""
        lower = LowerLabels(self.numbers, labels)
        a, b, bits = self._directed(lower.numbers)
        # Every number and label with every close number: as many rows as edges, whatever the number of classes.
        starts = np.searchsorted(a, lower.numbers)
        degrees = np.searchsorted(a, lower.numbers, side="right") - starts
        rows = np.repeat(np.arange(len(lower.numbers)), degrees)
        edges = np.arange(len(rows)) + np.repeat(starts - np.cumsum(degrees) + degrees, degrees)
        first = lower.first(b[edges], lower.labels[rows])
        kept = np.flatnonzero(first < len(labels))
        kept = kept[np.lexsort((-b[edges[kept]], -bits[edges[kept]]))]  # the closest last, as below
        other = np.full(len(lower.numbers), len(labels), dtype=np.int64)
        distance = np.full(len(lower.numbers), HASH_BITS + 1, dtype=np.int64)
        other[rows[kept]], distance[rows[kept]] = first[kept], bits[edges[kept]]
        return other[lower.entry], distance[lower.entry]

    def _directed(self, own: Places) -> tuple[Places, Places, Places]:
        """Every edge in both directions, and one from each number of ``own`` to itself, sorted: from, to, distance."""
        own = np.unique(own)
        a = np.concatenate([own, self.near.first, self.near.second])
        b = np.concatenate([own, self.near.second, self.near.first])
        bits = np.concatenate([np.zeros_like(own), self.near.distance, self.near.distance])
        order = np.argsort(a, kind="stable")
        return a[order], b[order], bits[order]

    def _nearest(self, allowed: NDArray[np.bool_]) -> tuple[Places, Places]:
        """For each number, the closest allowed one (itself, if allowed) and its distance; -1 if there is none."""
        a, b, bits = self._directed(np.flatnonzero(allowed))
        kept = np.flatnonzero(allowed[b])
        # The closest last, because an assignment to the same position keeps the last value.
        kept = kept[np.lexsort((-b[kept], -bits[kept]))]
        nearest = np.full(len(allowed), _NONE, dtype=np.int64)
        distance = np.full(len(allowed), HASH_BITS + 1, dtype=np.int64)
        nearest[a[kept]], distance[a[kept]] = b[kept], bits[kept]
        return nearest, distance


class LowerLabels:
    """Looks up the first image with a given number and a smaller label.

    ``numbers`` and ``labels`` (E,) are the pairs that occur among N images, and ``entry`` (N,) is each image's pair.
    """

    def __init__(self, numbers: Places, labels: NDArray[np.int32]) -> None:
        self._n = len(numbers)
        self._width = int(labels.max(initial=-1)) + 1
        self._keys, at, self.entry = np.unique(
            numbers * self._width + labels, return_index=True, return_inverse=True
        )  # the first position of each pair
        self.numbers, self.labels = np.divmod(self._keys, max(1, self._width))
        # The minimum over this and all smaller labels of the same number: a later number is lower than all before.
        step = self.numbers * (self._n + 1)
        self._lowest = np.minimum.accumulate(at - step) + step

    def first(self, numbers: Places, labels: Places) -> Places:
        """(Q,): the first image that has this number and a smaller label; N if there is none."""
        before = np.searchsorted(self._keys, numbers * self._width + labels) - 1
        found = (before >= 0) & (self.numbers[before] == numbers)
        return np.where(found, self._lowest[before], self._n)


@dataclass(frozen=True, eq=False)
class DuplicateIndex:
    """Which of N images are duplicates of each other.

    ``pixels`` (N,) has the same number for images with the same pixels; an image that cannot be decoded has a number of
    its own. ``hashes`` are the images by each kind of hash.
    """

    pixels: Places
    hashes: tuple[HashIndex, ...]

    @property
    def groups(self) -> Places:
        """(N,): exact and near duplicates, and duplicates of those, have the same number."""
        n = len(self.pixels)
        # A graph of images, pixels and hashes: each image is connected to its own, and close hashes to each other.
        first, second, offset = [np.arange(n)], [n + self.pixels], n + int(self.pixels.max(initial=-1)) + 1
        for index in self.hashes:
            first += [np.arange(n), offset + index.near.first]
            second += [offset + index.numbers, offset + index.near.second]
            offset += index.count
        joined = Pairs(np.concatenate(first), np.concatenate(second), np.zeros(0, np.int64))
        return np.asarray(np.unique(groups_of(joined, offset)[:n], return_inverse=True)[1].ravel())

    def exact_groups(self) -> list[Places]:
        """The positions of each group of at least two images with the same pixels."""
        return _members(self.pixels)

    def near_groups(self) -> list[Places]:
        """The positions of each group of duplicates that are not all exact."""
        return [group for group in _members(self.groups) if len(np.unique(self.pixels[group])) > 1]

    def count_within(self, among: Places, *, exact: bool) -> int:
        """Number of images ``among`` that duplicate an earlier one of them.

        With ``exact``, only exact duplicates count; without, only near duplicates of images that have no exact one.
        """
        copies = among > _first(self.pixels, among)[self.pixels[among]]
        if exact:
            return int(copies.sum())
        earliest = np.min([index.earliest(among) for index in self.hashes], axis=0)
        return int(((among > earliest[among]) & ~copies).sum())

    def pairs(self, of: Places, among: Places, *, exact: bool) -> list[DuplicatePair]:
        """For each image ``of`` that has a duplicate ``among`` other images, the closest one.

        With ``exact``, only exact duplicates count; without, only near duplicates of images that have no exact one.
        """
        copy = _first(self.pixels, among)[self.pixels[of]]
        if exact:
            missing = len(self.pixels)
            return [DuplicatePair(i, j, 0, exact=True) for i, j in zip(of.tolist(), copy.tolist()) if j < missing]
        return self._near_pairs(of, copy, [index.closest(among) for index in self.hashes])

    def pairs_of_labels(self, labels: NDArray[np.int32]) -> list[DuplicatePair]:
        """For each image with a near duplicate, but no exact one, of a smaller label: the closest one; by label."""
        lower = LowerLabels(self.pixels, labels)
        of = np.argsort(labels, kind="stable")
        copy = lower.first(self.pixels[of], labels[of].astype(np.int64))
        return self._near_pairs(of, copy, [index.closest_of_lower(labels) for index in self.hashes])

    def _near_pairs(self, of: Places, copy: Places, found: Sequence[tuple[Places, Places]]) -> list[DuplicatePair]:
        """The closest near duplicates by any hash of the images ``of`` that have no exact duplicate ``copy``."""
        missing = len(self.pixels)
        others = np.full(missing, missing)
        distance = np.full(missing, HASH_BITS + 1)
        for closest, bits in found:
            closer = bits < distance
            others[closer], distance[closer] = closest[closer], bits[closer]
        chosen = (others[of] < missing) & (copy == missing)
        of = of[chosen]
        return [
            DuplicatePair(i, j, bits, exact=False)
            for i, j, bits in zip(of.tolist(), others[of].tolist(), distance[of].tolist())
        ]


def find_duplicates(prints: Fingerprints, near_bits: int = NEAR_BITS) -> DuplicateIndex:
    """Find the exact and near duplicates among images by their fingerprints.

    An image of a single colour has an empty hash, so it has no near duplicates.
    """
    pixels = _numbered(prints.pixels, prints.readable)
    kinds = (prints.hashes, prints.soft)
    return DuplicateIndex(pixels, tuple(_hash_index(hashes, prints.readable, near_bits) for hashes in kinds))


def _hash_index(hashes: Hashes, readable: NDArray[np.bool_], near_bits: int) -> HashIndex:
    known = readable & hashes.any(axis=1)
    rows = np.ascontiguousarray(hashes).view(f"V{hashes.shape[1] * 8}").ravel()
    number_of = _numbered(rows, known)
    first = _first(number_of, np.flatnonzero(known))
    numbers = np.flatnonzero(first < len(number_of))
    pairs = near_pairs(hashes[first[numbers]], near_bits)
    return HashIndex(number_of, Pairs(numbers[pairs.first], numbers[pairs.second], pairs.distance))


def _numbered(values: NDArray[np.generic], known: NDArray[np.bool_]) -> Places:
    """Numbers (N,) that are equal for equal known values; every unknown value has its own number."""
    different, inverse = np.unique(values[known], return_inverse=True)
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[known] = inverse.ravel()
    numbers[~known] = len(different) + np.arange(int((~known).sum()))
    return numbers


def _first(numbers: Places, among: Places) -> Places:
    """The first position of each number among the positions ``among``; N if it has none."""
    first = np.full(int(numbers.max(initial=-1)) + 1, len(numbers), dtype=np.int64)
    np.minimum.at(first, numbers[among], among)
    return first


def _members(groups: Places) -> list[Places]:
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(ends - starts > 1)
    parts = [order[starts[i] : ends[i]] for i in several.tolist()]
    return sorted(parts, key=lambda part: int(part[0]))
