"""Properties of the stratified split, whatever the labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.data.splits import at_most, stratified
from edgekit.errors import InputError

class_sizes = st.lists(st.integers(2, 60), min_size=2, max_size=6)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**31 - 1)


def made(sizes: list[int], copies: int = 1) -> tuple[np.ndarray, list[str], list[str]]:
    """Labels in mixed order, contents (each ``copies`` times) and class names."""
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), np.array(sizes) * copies)
    contents = [f"{label}-{n // copies}" for label, size in enumerate(sizes) for n in range(size * copies)]
    order = np.random.default_rng(0).permutation(len(labels))
    return labels[order], [contents[i] for i in order], [f"c{i}" for i in range(len(sizes))]


@settings(max_examples=60)
@given(class_sizes, fractions, seeds)
def test_every_class_is_split_by_the_fraction(sizes, fraction, seed):
    labels, contents, classes = made(sizes)
    chosen = stratified(labels, contents, classes, fraction, seed, "test")
    for label, size in enumerate(sizes):
        taken = int(chosen[labels == label].sum())
        assert taken == min(max(1, int(np.floor(fraction * size + 0.5))), size - 1)
        assert 1 <= taken < size


@settings(max_examples=30)
@given(class_sizes, fractions, seeds)
def test_the_choice_is_repeatable_and_does_not_depend_on_the_order(sizes, fraction, seed):
    labels, contents, classes = made(sizes)
    chosen = stratified(labels, contents, classes, fraction, seed, "test")
    assert (chosen == stratified(labels, contents, classes, fraction, seed, "test")).all()
    back = stratified(labels[::-1], contents[::-1], classes, fraction, seed, "test")[::-1]
    assert (chosen == back).all()


@settings(max_examples=30)
@given(class_sizes, fractions, seeds, st.integers(2, 4))
def test_copies_are_never_on_both_sides(sizes, fraction, seed, copies):
    labels, contents, classes = made(sizes, copies)
    chosen = stratified(labels, contents, classes, fraction, seed, "test")
    inside = {c for c, yes in zip(contents, chosen) if yes}
    outside = {c for c, yes in zip(contents, chosen) if not yes}
    assert not inside & outside
    for label, size in enumerate(sizes):
        taken = int(chosen[labels == label].sum())
        assert 0 < taken < size * copies
        inner = min(max(fraction * size * copies, copies), (size - 1) * copies)
        assert abs(taken - inner) <= copies / 2 + 0.5


def test_seeds_and_purposes_choose_differently():
    labels, contents, classes = made([50, 50])
    choices = {
        tuple(stratified(labels, contents, classes, 0.5, seed, purpose).tolist())
        for seed in (0, 1)
        for purpose in ("val", "test")
    }
    assert len(choices) == 4


def test_the_choice_is_the_same_on_every_machine():
    labels, contents, classes = made([6, 6])
    chosen = stratified(labels, contents, classes, 0.34, 7, "test")
    assert sorted(c for c, yes in zip(contents, chosen) if yes) == ["0-0", "0-3", "1-0", "1-3"]


def test_a_class_of_one_image_cannot_be_split():
    labels = np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    with pytest.raises(InputError, match="'b' has too few"):
        stratified(labels, ["x", "y", "z", "same", "same", "same"], ["a", "b"], 0.3, 0, "val")


@settings(max_examples=30)
@given(class_sizes, st.integers(1, 70), seeds)
def test_images_of_a_smaller_limit_are_a_subset(sizes, limit, seed):
    labels, contents, _ = made(sizes)
    small, large = at_most(labels, contents, limit, seed), at_most(labels, contents, limit + 3, seed)
    assert not (small & ~large).any()
    assert Counter(labels[small].tolist()) == {label: min(limit, size) for label, size in enumerate(sizes)}
