"""Images that stand in a dataset more than once: the same pixels, or nearly the same, and in which splits.

Two images are *exact* duplicates when their decoded pixels are equal, whatever the files are. They are *near*
duplicates when their pixels differ and their perceptual hashes, or those of soft images, differ in at most
``near_bits`` of 256 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.data.audit.fingerprints import HASH_BITS, Fingerprints, Hashes
from edgekit.data.audit.hamming import Pairs, groups_of, near_pairs

NEAR_BITS = 26
"""A tenth of the hash: up to there lie copies that were encoded anew, resized, or made a third brighter."""

_NONE = -1

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Twin:
    """The image ``other`` that repeats ``image`` most closely; both are positions, ``distance`` is in bits.

    ``exact``: their pixels are equal, not only their hashes.
    """

    image: int
    other: int
    distance: int
    exact: bool


@dataclass(frozen=True, eq=False)
class Looks:
    """One kind of hash: ``numbers`` (N,) number images with the same hash alike, ``near`` are pairs of those numbers.

    An image without such a hash has a number of its own.
    """

    numbers: Places
    near: Pairs

    @property
    def count(self) -> int:
        return int(self.numbers.max(initial=-1)) + 1

    def earliest(self, among: Places) -> Places:
        """(N,): the first of the images ``among`` with the same hash or one near to it; N where there is none."""
        first = _first(self.numbers, among)
        earliest = first.copy()
        np.minimum.at(earliest, self.near.first, first[self.near.second])
        np.minimum.at(earliest, self.near.second, first[self.near.first])
        return np.asarray(earliest[self.numbers])

    def closest(self, among: Places) -> tuple[Places, Places]:
        """(N,) each: the closest of the images ``among`` and its distance in bits; N where there is none."""
        first = _first(self.numbers, among)
        nearest, distance = self._nearest(first < len(self.numbers))
        others = np.where(nearest == _NONE, len(self.numbers), first[nearest])
        return others[self.numbers], distance[self.numbers]

    def _nearest(self, allowed: NDArray[np.bool_]) -> tuple[Places, Places]:
        """For each number the nearest allowed one, itself first, and its distance; ``-1`` where there is none."""
        own = np.flatnonzero(allowed)
        a = np.concatenate([own, self.near.first, self.near.second])
        b = np.concatenate([own, self.near.second, self.near.first])
        bits = np.concatenate([np.zeros_like(own), self.near.distance, self.near.distance])
        kept = np.flatnonzero(allowed[b])
        # The nearest last: an assignment to the same place keeps the last value.
        kept = kept[np.lexsort((-b[kept], -bits[kept]))]
        nearest = np.full(len(allowed), _NONE, dtype=np.int64)
        distance = np.full(len(allowed), HASH_BITS + 1, dtype=np.int64)
        nearest[a[kept]], distance[a[kept]] = b[kept], bits[kept]
        return nearest, distance


@dataclass(frozen=True, eq=False)
class Repeats:
    """Which of N images repeat each other.

    ``pixels`` (N,) numbers images with the same pixels alike, one that cannot be decoded has a number of its own;
    ``looks`` are the kinds of hash by which images are near.
    """

    pixels: Places
    looks: tuple[Looks, ...]

    @property
    def groups(self) -> Places:
        """(N,): images that are connected by exact or near repetition, also over others, share a number."""
        n = len(self.pixels)
        # Images, their pixels, the hashes of each kind: an image is joined to what it has, near hashes to each other.
        first, second, offset = [np.arange(n)], [n + self.pixels], n + int(self.pixels.max(initial=-1)) + 1
        for looks in self.looks:
            first += [np.arange(n), offset + looks.near.first]
            second += [offset + looks.numbers, offset + looks.near.second]
            offset += looks.count
        joined = Pairs(np.concatenate(first), np.concatenate(second), np.zeros(0, np.int64))
        return np.asarray(np.unique(groups_of(joined, offset)[:n], return_inverse=True)[1].ravel())

    def exact_groups(self) -> list[Places]:
        """The positions of every group of at least two images with the same pixels."""
        return _members(self.pixels)

    def near_groups(self) -> list[Places]:
        """The positions of every connected group of images that holds more than copies of one."""
        return [group for group in _members(self.groups) if len(np.unique(self.pixels[group])) > 1]

    def surplus(self, among: Places, *, exact: bool) -> int:
        """How many of the images ``among`` repeat an earlier one of them.

        With ``exact`` only the same pixels count; without, only near ones, of images that have no earlier copy.
        """
        copies = among > _first(self.pixels, among)[self.pixels[among]]
        if exact:
            return int(copies.sum())
        earliest = np.min([looks.earliest(among) for looks in self.looks], axis=0)
        return int(((among > earliest[among]) & ~copies).sum())

    def twins(self, of: Places, among: Places, *, exact: bool) -> list[Twin]:
        """For each image of ``of`` that repeats one of ``among`` (which share no image), the closest of those.

        With ``exact`` only the same pixels count; without, only near ones, of images that have no exact one there.
        """
        missing = len(self.pixels)
        copy = _first(self.pixels, among)[self.pixels[of]]
        if exact:
            return [Twin(i, j, 0, exact=True) for i, j in zip(of.tolist(), copy.tolist()) if j < missing]
        others = np.full(missing, missing)
        distance = np.full(missing, HASH_BITS + 1)
        for looks in self.looks:
            its, bits = looks.closest(among)
            closer = bits < distance
            others[closer], distance[closer] = its[closer], bits[closer]
        return [
            Twin(i, j, bits, exact=False)
            for i, j, bits, same in zip(of.tolist(), others[of].tolist(), distance[of].tolist(), copy.tolist())
            if j < missing and same == missing
        ]


def find_repeats(prints: Fingerprints, near_bits: int = NEAR_BITS) -> Repeats:
    """Number images by their pixels and by their hashes, and find the hashes that are near each other.

    An image without any structure (one colour) has an empty hash, which says nothing: it is near nothing.
    """
    pixels = _numbered(prints.pixels, prints.readable)
    return Repeats(pixels, tuple(_looks(hashes, prints.readable, near_bits) for hashes in (prints.hashes, prints.soft)))


def _looks(hashes: Hashes, readable: NDArray[np.bool_], near_bits: int) -> Looks:
    told = readable & hashes.any(axis=1)
    rows = np.ascontiguousarray(hashes).view(f"V{hashes.shape[1] * 8}").ravel()
    looks = _numbered(rows, told)
    first = _first(looks, np.flatnonzero(told))
    numbers = np.flatnonzero(first < len(looks))
    pairs = near_pairs(hashes[first[numbers]], near_bits)
    return Looks(looks, Pairs(numbers[pairs.first], numbers[pairs.second], pairs.distance))


def _numbered(values: NDArray[np.generic], known: NDArray[np.bool_]) -> Places:
    """Equal known values get equal numbers, every unknown one a number of its own; (N,)."""
    different, inverse = np.unique(values[known], return_inverse=True)
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[known] = inverse.ravel()
    numbers[~known] = len(different) + np.arange(int((~known).sum()))
    return numbers


def _first(numbers: Places, among: Places) -> Places:
    """The first position of each number among some positions; N (no position) where it is not there."""
    first = np.full(int(numbers.max(initial=-1)) + 1, len(numbers), dtype=np.int64)
    np.minimum.at(first, numbers[among], among)
    return first


def _members(groups: Places) -> list[Places]:
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return sorted((np.sort(part) for part in np.split(order, cuts) if len(part) > 1), key=lambda part: int(part[0]))
