"""The images that are set aside for the accuracy gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.dataset import Dataset
from edgekit.data.loading import open_dataset
from edgekit.recipe import Data, Split


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """1,300 tiny images of two classes: 1,040 of them are left for training after the test split."""
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for name, count in (("cat", 900), ("dog", 400)):
        (root / name).mkdir()
        for number in range(count):
            pixels = generator.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def sizes(dataset: Dataset) -> dict[str, int]:
    return {split: sum(counts.values()) for split, counts in dataset.counts().items()}


def opened(folder: Path, limit: int | None = None, **split: float) -> Dataset:
    return open_dataset(Data(path=str(folder), split=Split(**split), limit_per_class=limit))


def test_images_are_set_aside_of_every_class_and_only_from_training(folder):
    without, aside = opened(folder, gate=0), opened(folder, gate=0.15)
    assert sizes(without) == {"train": 832, "val": 208, "test": 260}
    assert sizes(aside) == {"train": 708, "val": 208, "test": 260, "gate": 124}
    assert aside.counts()["gate"] == {"cat": 86, "dog": 38}
    assert (without.splits[aside.splits == "gate"] == "train").all()
    for split in ("val", "test"):
        assert ((without.splits == split) == (aside.splits == split)).all()
    assert "gate: 15% of the training images" in aside.layout


def test_the_same_seed_sets_the_same_images_aside(folder):
    first, again, other = (opened(folder, gate=0.15, seed=seed) for seed in (1, 1, 2))
    assert (first.splits == again.splits).all()
    assert (first.splits != other.splits).any()


@pytest.mark.parametrize(("gate", "limit"), [(0.1, None), (0.0, None), (0.15, 40)])
def test_fewer_than_100_images_are_not_set_aside(folder, gate, limit):
    """They could show no loss below 2.6 points, whatever the file."""
    assert "gate" not in sizes(opened(folder, limit, gate=gate))
