"""Growth with the number of classes and images, by counting operations: seconds would depend on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from data_helpers import image

from edgekit.cli.data import audit_text
from edgekit.data.audit.baselines import nearest
from edgekit.data.audit.duplicates import DuplicateIndex, HashIndex
from edgekit.data.audit.hamming import Pairs
from edgekit.data.audit.shortcuts import predicted_correctly
from edgekit.data.audit.summary import Audit, audit, audit_folder
from edgekit.data.class_folders import leave_out_copies
from edgekit.data.dataset import Dataset
from edgekit.data.splits import at_most, stratified, stratified_choice
from edgekit.data.tree import Folder


class Counted(np.ndarray[Any, np.dtype[np.int32]]):
    """An array that counts the elements of every elementwise operation on it or on what was made from it."""

    elements = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [np.asarray(value) if isinstance(value, Counted) else value for value in inputs]
        Counted.elements += max((np.size(value) for value in plain), default=0)
        return getattr(ufunc, method)(*plain, **kwargs)


def counted(work: Callable[[], object]) -> int:
    Counted.elements = 0
    work()
    return Counted.elements


def dataset_of(n_classes: int, n_images: int) -> Dataset:
    labels = (np.arange(n_images) % n_classes).astype(np.int32).view(Counted)
    return Dataset(
        root=Path("/photos"),
        name="photos",
        classes=tuple(f"class {i}" for i in range(n_classes)),
        files=tuple(f"{i}.png" for i in range(n_images)),
        labels=labels,
        splits=np.array(["train", "val", "test"])[np.arange(n_images) // n_classes % 3],
        sha256=tuple(f"{i:064x}" for i in range(n_images)),
        layout="",
    )


@pytest.mark.parametrize(
    "work",
    [
        lambda d: d.counts(),
        lambda d: stratified(d.labels, d.sha256, d.classes, 0.5, 0, "test"),
        lambda d: at_most(d.labels, d.sha256, 2, 0),
        lambda d: stratified_choice(d.labels, len(d) // 2, 0),
    ],
    ids=["counts", "stratified", "at_most", "stratified_choice"],
)
def test_classes_do_not_multiply_the_work_per_image(work: Callable[[Dataset], object]) -> None:
    few, many = dataset_of(2, 3000), dataset_of(1000, 3000)
    # A comparison of all labels with every class would be 500 times as many elements.
    assert counted(lambda: work(many)) <= 10 * max(len(many), counted(lambda: work(few)))


def test_label_conflicts_of_many_classes_take_one_pass(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / "photos" / f"{number:03}").mkdir(parents=True)
        image(number % 20).save(tmp_path / "photos" / f"{number:03}" / "a.png")
    found = audit_folder(tmp_path / "photos")
    labels = found.dataset.labels
    watched = Audit(replace(found.dataset, labels=labels.view(Counted)), found.prints, found.duplicates, 26)
    conflicts: list[Any] = []
    assert counted(lambda: conflicts.extend(watched.label_conflicts())) <= 40 * len(labels)
    assert [conflict.kind for conflict in conflicts] == ["exact"] * 20


def test_near_duplicates_of_other_classes_are_those_of_a_comparison_by_class() -> None:
    random = np.random.default_rng(1)
    checked = 0
    for _ in range(100):
        n, n_classes = int(random.integers(1, 50)), int(random.integers(1, 8))
        labels = random.integers(0, n_classes, n).astype(np.int32)
        index = DuplicateIndex(random.integers(0, n // 2 + 1, n), (drawn_index(n, random), drawn_index(n, random)))
        expected = [
            pair
            for label in range(n_classes)
            for pair in index.pairs(np.flatnonzero(labels == label), np.flatnonzero(labels < label), exact=False)
        ]
        assert index.pairs_of_labels(labels) == expected
        checked += len(expected)
    assert checked > 100


def drawn_index(n: int, random: np.random.Generator) -> HashIndex:
    numbers = np.unique(random.integers(0, n, n), return_inverse=True)[1].ravel()
    count = int(numbers.max()) + 1
    edges = {tuple(sorted(pair)) for pair in random.integers(0, count, (count, 2)).tolist() if pair[0] != pair[1]}
    first, second = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2).T
    return HashIndex(numbers, Pairs(first, second, random.integers(0, 27, len(first))))


def test_a_property_with_many_values_and_classes_needs_no_table_of_all() -> None:
    # 60,000 values x 60,000 classes: a table of all would be 29 GB.
    numbers = np.arange(60_000)
    values = numbers.astype(str)
    assert predicted_correctly(values, numbers.astype(np.int32)) == 0
    assert predicted_correctly(np.repeat(values[:20_000], 3), (np.arange(60_000) // 3).astype(np.int32)) == 60_000


def test_predicted_correctly_is_that_of_a_slow_count() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        n = int(random.integers(1, 40))
        values, labels = random.integers(0, 5, n).astype(str), random.integers(0, 4, n).astype(np.int32)
        expected = 0
        for i in range(n):
            others = [labels[j] for j in range(n) if j != i and values[j] == values[i]]
            counts = {label: others.count(label) for label in set(others)}
            own = counts.pop(labels[i], 0)
            expected += own > max(counts.values(), default=0)
        assert predicted_correctly(values, labels) == expected


@pytest.mark.parametrize("smooth", [True, False], ids=["photos", "noise"])
def test_the_nearest_picture_is_found_by_features_and_without(smooth: bool) -> None:
    """Of photos, whose features say most, only few pairs are compared in full; noise is compared in full."""
    random = np.random.default_rng(0)
    if smooth:
        pixels = np.array([np.asarray(image(i, (48, 48), "L")).ravel() for i in range(300)])
    else:
        pixels = random.integers(0, 256, (300, 48 * 48)).astype(np.uint8)
    test, reference = np.arange(100), np.arange(300)
    wide = pixels.astype(np.int64)
    for position, found in zip(test.tolist(), nearest(pixels, reference, test).tolist()):
        distances = ((wide - wide[position]) ** 2).sum(axis=1)
        distances[position] = np.iinfo(np.int64).max
        assert found == distances.argmin()


def test_a_table_of_many_classes_is_cut_in_the_terminal(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / "photos" / f"kind-{number:03}").mkdir(parents=True)
        image(number).save(tmp_path / "photos" / f"kind-{number:03}" / "a.png")
    document = audit(audit_folder(tmp_path / "photos").dataset).document()
    text = audit_text(document)
    assert "20 more classes" in text
    assert "kind-019" in text and "kind-020" not in text
    assert len(document.classes["all"]) == 40


def test_copies_are_looked_for_without_listing_all_classes_for_each() -> None:
    class Classes(dict[str, list[Folder]]):
        listed = 0

        def __iter__(self) -> Any:
            Classes.listed += 1
            return super().__iter__()

    folders = Classes(
        {f"c{i}": [Folder(Path(f"/photos/c{i}"), f"c{i}", f"c{i}", ["a.png"], total=1)] for i in range(50)}
    )
    assert leave_out_copies(SimpleNamespace(splits={"all": folders})) == []  # type: ignore[arg-type]
    assert Classes.listed <= 2
