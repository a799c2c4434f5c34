"""Finds all pairs of binary hashes that differ in only a few bits, without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012), in
its general form: the bits are divided into chunks with radii r_i such that sum(r_i + 1) = distance + 1. Two hashes
within ``distance`` bits are then within r_i bits of each other in at least one chunk; otherwise they would differ in at
least sum(r_i + 1) > distance bits. Every chunk has radius 1, except that one has radius 0 if the sum requires it. Each
chunk has its own table. A hash is compared in full only with those that have the same bits in a chunk, or a single
different bit. The result is exact, not approximate.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_BLOCK_PAIRS = 500_000
"""Number of candidates that are compared at a time. It limits the memory, and more would not fit CPU caches."""

_TABLE_BITS = 22
"""Largest number of bits in a chunk. Its table has 4 million entries; a larger one would not fit CPU caches."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of hashes: positions ``first`` < ``second``, and their ``distance`` in bits; each (P,)."""

    first: Places
    second: Places
    distance: Places

    def __len__(self) -> int:
        return len(self.first)


def near_pairs(hashes: Hashes, distance: int) -> Pairs:
    """All pairs of N hashes, uint64 ``(N, words)``, that differ in at most ``distance`` bits, sorted by position.

    The hashes should be different: a million equal ones, for example, would make half a trillion pairs. Raises
    :class:`ValueError` for a distance below 0, or of at least half the bits, which unrelated hashes have.
    """
    bits = 64 * hashes.shape[1]
    if not 0 <= distance < bits // 2:
        raise ValueError(f"the distance must be 0 to {bits // 2 - 1} bits, not {distance}")
    hashes = np.ascontiguousarray(hashes)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # NumPy releases the interpreter lock
        found = list(pool.map(lambda chunk: _near_in_chunk(hashes, distance, *chunk), _chunks(bits, distance)))
    return _unique(found, len(hashes))


def _near_in_chunk(hashes: Hashes, distance: int, positions: Places, radius: int) -> NDArray[np.int64]:
    keys = _keys(hashes, positions)
    order = np.argsort(keys, kind="stable")
    # In key order, the hashes to compare are next to each other in memory, which is several times as fast.
    ordered = hashes[order]
    word = ordered[:, 0].copy()
    rows = [
        _near(ordered, word, order, first, second, distance)
        for first, second in _candidates(keys[order], len(positions), radius)
    ]
    return np.concatenate(rows) if rows else np.zeros((0, 3), dtype=np.int64)


def popcount(words: Hashes) -> NDArray[np.int64]:
    """How many bits are set in each row of uint64 ``(N, words)``: (N,)."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64))
    return np.asarray(_BITS_OF_16[words.view(np.uint16)].sum(axis=1, dtype=np.int64))


_BITS_OF_16 = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


def _chunks(bits: int, distance: int) -> list[tuple[Places, int]]:
    """The bit positions and the radius of every chunk.

    Neighbouring frequencies of a hash are correlated, so the positions are dealt like cards: chunk i of m gets the
    positions i, i + m, i + 2m, ... With the same number of bits, a chunk of radius 0 has fewer candidates than one of
    radius 1, so it gets fewer bits.
    """
    pairs, single = divmod(distance + 1, 2)
    radii = [1] * pairs + [0] * single
    narrower = math.log2(bits / len(radii) + 1) if pairs and single else 0.0
    wide = (bits + narrower * single) / len(radii)
    widths = [min(_TABLE_BITS, int(wide if radius else wide - narrower)) for radius in radii]
    for i in range(bits - sum(widths)):  # the remainder from rounding
        if widths[i % len(widths)] < _TABLE_BITS:
            widths[i % len(widths)] += 1
    dealt: list[list[int]] = [[] for _ in radii]
    turn = 0
    for position in range(bits):
        open_chunks = [c for c in range(len(radii)) if len(dealt[c]) < widths[c]]
        if not open_chunks:
            break  # for small distances, every table has its largest size; the other bits are only compared in full
        chunk = next((c for c in open_chunks if c >= turn), open_chunks[0])
        dealt[chunk].append(position)
        turn = (chunk + 1) % len(radii)
    return [(np.array(positions, dtype=np.int64), radius) for positions, radius in zip(dealt, radii)]


def _keys(hashes: Hashes, positions: Places) -> NDArray[np.int64]:
    """The bits at ``positions`` of every hash, put together to one number (N,)."""
    keys = np.zeros(len(hashes), dtype=np.int64)
    for i, position in enumerate(positions.tolist()):
        bit = (hashes[:, position // 64] >> np.uint64(position % 64)) & np.uint64(1)
        keys |= bit.astype(np.int64) << i
    return keys


def _candidates(keys: NDArray[np.int64], width: int, radius: int) -> Iterator[tuple[Places, Places]]:
    """Pairs of positions whose (sorted) keys are equal or, for radius 1, differ in one bit; each pair once."""
    ends = np.cumsum(np.bincount(keys, minlength=1 << width))
    starts = np.concatenate([[0], ends[:-1]])
    here = np.arange(len(keys), dtype=np.int64)
    # Equal keys: every hash with those after it in the same bucket.
    yield from _products(here, here + 1, ends[keys])
    for bit in range(width if radius else 0):
        below = np.flatnonzero((keys >> bit) & 1 == 0)  # each pair is found once, from the hash whose bit is 0
        partner = keys[below] | (1 << bit)
        yield from _products(below, starts[partner], ends[partner])


def _products(rows: Places, starts: Places, ends: Places) -> Iterator[tuple[Places, Places]]:
    """Every row with every position from its start to its end, in blocks."""
    counts = ends - starts
    busy = counts > 0
    rows, starts, counts = rows[busy], starts[busy], counts[busy]
    totals = np.cumsum(counts)
    begin = 0
    while begin < len(rows):
        before = int(totals[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, before + _BLOCK_PAIRS, side="right")))
        some = counts[begin:end]
        first = np.repeat(rows[begin:end], some)
        # In each row, the positions count up from its start.
        second = np.arange(len(first), dtype=np.int64) + np.repeat(starts[begin:end] - (np.cumsum(some) - some), some)
        yield first, second
        begin = end


def _near(
    ordered: Hashes, word: Hashes, order: Places, first: Places, second: Places, distance: int
) -> NDArray[np.int64]:
    """The candidates within ``distance`` as (P, 3): both positions before sorting, and the distance."""
    # One word alone excludes most of them.
    near = np.flatnonzero(popcount((word[first] ^ word[second])[:, None]) <= distance)
    first, second = first[near], second[near]
    bits = popcount(ordered[first] ^ ordered[second])
    near = np.flatnonzero(bits <= distance)
    a, b = order[first[near]], order[second[near]]
    return np.stack([np.minimum(a, b), np.maximum(a, b), bits[near]], axis=1)


def _unique(found: list[NDArray[np.int64]], count: int) -> Pairs:
    """The pairs without repetitions: a pair may be found in several chunks."""
    rows = np.concatenate(found) if found else np.zeros((0, 3), dtype=np.int64)
    _, places = np.unique(rows[:, 0] * max(1, count) + rows[:, 1], return_index=True)
    rows = rows[places]
    return Pairs(rows[:, 0], rows[:, 1], rows[:, 2])


def groups_of(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """The group (count,) of each item: items that pairs connect, directly or indirectly, have the same number."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_matrix((ones, (pairs.first, pairs.second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
