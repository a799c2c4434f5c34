"""Finds duplicate images in a dataset, within splits and across them.

Two images are *exact* duplicates if their decoded pixels are equal, whatever their files are. They are *near*
duplicates if their pixels differ, but their perceptual hashes, or those of soft images, differ in at most ``near_bits``
of 256 bits.
"""

from __future__ import annotations

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

    def _nearest(self, allowed: NDArray[np.bool_]) -> tuple[Places, Places]:
        """For each number, the closest allowed one (itself, if allowed) and its distance; -1 if there is none."""
        own = np.flatnonzero(allowed)
        a = np.concatenate([own, self.near.first, self.near.second])
        b = np.concatenate([own, self.near.second, self.near.first])
        bits = np.concatenate([np.zeros_like(own), self.near.distance, self.near.distance])
        kept = np.flatnonzero(allowed[b])
        # The closest last, because an assignment to the same position keeps the last value.
        kept = kept[np.lexsort((-b[kept], -bits[kept]))]
        nearest = np.full(len(allowed), _NONE, dtype=np.int64)
        distance = np.full(len(allowed), HASH_BITS + 1, dtype=np.int64)
        nearest[a[kept]], distance[a[kept]] = b[kept], bits[kept]
        return nearest, distance


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
        missing = len(self.pixels)
        copy = _first(self.pixels, among)[self.pixels[of]]
        if exact:
            return [DuplicatePair(i, j, 0, exact=True) for i, j in zip(of.tolist(), copy.tolist()) if j < missing]
        others = np.full(missing, missing)
        distance = np.full(missing, HASH_BITS + 1)
        for index in self.hashes:
            closest, bits = index.closest(among)
            closer = bits < distance
            others[closer], distance[closer] = closest[closer], bits[closer]
        return [
            DuplicatePair(i, j, bits, exact=False)
            for i, j, bits, same in zip(of.tolist(), others[of].tolist(), distance[of].tolist(), copy.tolist())
            if j < missing and same == missing
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
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return sorted((np.sort(part) for part in np.split(order, cuts) if len(part) > 1), key=lambda part: int(part[0]))
