"""The index finds exactly the pairs that a full comparison finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.data.audit.hamming import groups_of, near_pairs, popcount


def everybody_with_everybody(hashes: np.ndarray, distance: int) -> set[tuple[int, int, int]]:
    found = set()
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            bits = sum(bin(int(a) ^ int(b)).count("1") for a, b in zip(hashes[i], hashes[j]))
            if bits <= distance:
                found.add((i, j, bits))
    return found


def with_neighbours(seed: int, count: int, words: int, largest: int) -> np.ndarray:
    """Random hashes, half of them copies of another one with up to ``largest`` bits flipped."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, (count, words), dtype=np.uint64)
    for i in range(count // 2, count):
        hashes[i] = hashes[random.integers(0, count // 2)]
        for bit in random.choice(64 * words, random.integers(0, largest + 1), replace=False):
            hashes[i, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return hashes


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), distance=st.integers(0, 31), words=st.sampled_from([1, 2, 4]))
def test_the_pairs_equal_those_of_a_full_comparison(seed: int, distance: int, words: int) -> None:
    hashes = with_neighbours(seed, 60, words, distance + 3)
    pairs = near_pairs(hashes, distance)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist())) == everybody_with_everybody(
        hashes, distance
    )


@pytest.mark.parametrize("count", [0, 1])
def test_no_hash_and_one_hash_have_no_pairs(count: int) -> None:
    assert len(near_pairs(np.zeros((count, 4), np.uint64), 26)) == 0


def test_many_equal_hashes_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.data.audit.hamming._BLOCK_PAIRS", 100)
    assert len(near_pairs(np.zeros((60, 4), np.uint64), 26)) == 60 * 59 // 2


@pytest.mark.parametrize("distance", [-1, 32])
def test_a_distance_of_half_the_bits_is_an_error(distance: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        near_pairs(np.zeros((2, 1), np.uint64), distance)


def test_popcount_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    words = with_neighbours(3, 40, 4, 9)
    expected = [sum(bin(int(word)).count("1") for word in row) for row in words]
    assert popcount(words).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert popcount(words).tolist() == expected


def test_groups_are_connected_indirectly() -> None:
    line = np.array([[0b0000], [0b0011], [0b1111], [0b1111 << 40]], np.uint64)
    groups = groups_of(near_pairs(line, 2), 4)
    assert groups[0] == groups[1] == groups[2] != groups[3]
