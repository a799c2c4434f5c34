"""The embedded dataset."""

from __future__ import annotations

import numpy as np
import pytest
from data_helpers import Watcher
from PIL import Image

from edgekit.data import decode_dataset, open_dataset, open_run_dataset
from edgekit.recipe import Data

sklearn_datasets = pytest.importorskip("sklearn.datasets")


def test_all_digits_with_their_labels_pixels_and_a_fixed_split():
    dataset = open_dataset(Data(name="digits", image_size=32))
    original = sklearn_datasets.load_digits()
    assert dataset.name == "digits"
    assert dataset.classes == tuple("0123456789")
    assert len(dataset) == 1797
    for path, label in zip(dataset.paths()[::50], dataset.labels[::50]):
        number = int(path.stem)
        assert original.target[number] == label
        assert np.abs(np.asarray(Image.open(path)) - original.images[number] * 255 / 16).max() <= 0.5
    sizes = {split: sum(counts.values()) for split, counts in dataset.counts().items()}
    assert sizes == {"train": 967, "val": 362, "test": 359, "gate": 109}
    smallest = {split: min(counts.values()) for split, counts in dataset.counts().items()}
    assert smallest.pop("gate") >= 10
    assert min(smallest.values()) >= 35


def test_the_digits_are_the_same_everywhere():
    assert open_dataset(Data(name="digits")).fingerprint == (
        "517ead0636eb8c0a538ddfd8a31eb4fca4d26287f05c9730fb3c30691ca894aa"
    )


def test_the_digits_are_written_once(cache):
    first = open_dataset(Data(name="digits"))
    folder = cache / "datasets" / "digits-1"
    assert first.root == folder
    before = folder.stat().st_mtime_ns
    watcher = Watcher()
    assert open_dataset(Data(name="digits"), progress=watcher).fingerprint == first.fingerprint
    assert folder.stat().st_mtime_ns == before
    assert watcher.steps == {}
    assert [p.name for p in folder.parent.iterdir()] == ["digits-1"]


def test_a_run_on_digits_finds_them_after_the_cache_was_removed(cache, monkeypatch, tmp_path):
    dataset = open_dataset(Data(name="digits"))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "another cache"))
    gone = tmp_path / "cache that is gone"
    again = open_run_dataset(dataset.rows(), gone, dataset.classes, dataset.name)
    assert again.fingerprint == dataset.fingerprint
    assert again.root != dataset.root


def test_decoded_and_limited():
    _, pixels = decode_dataset(open_dataset(Data(name="digits", image_size=32, limit_per_class=5)), 32)
    assert pixels.shape == (5 * 10 * 2 + 359, 32, 32, 3)
    assert pixels.max() == 255
    assert (pixels[..., 0] == pixels[..., 2]).all()
