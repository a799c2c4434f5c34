"""The baselines of an audit: what needs no network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.cli.data import audit_text
from edgekit.data.audit.baselines import nearest
from edgekit.data.audit.summary import audit_folder
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_dataset
from edgekit.data.run_baselines import baselines_of
from edgekit.documents.audit import AuditDocument
from edgekit.recipe import Data


def folder_of(root: Path, counts: dict[str, dict[str, int]]) -> Path:
    """Pictures of two kinds of noise: the second half of each test class looks like the other class."""
    for split, classes in counts.items():
        for number, (name, n) in enumerate(classes.items()):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                looks = number if split == "train" or i < n / 2 else 1 - number
                pixels = np.random.default_rng([number, i, len(split)]).integers(0, 60, (64, 64)) + 150 * looks
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


def test_both_baselines_are_those_of_the_test_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"train": {"a": 30, "b": 10}, "test": {"a": 6, "b": 14}})
    document = audit_folder(folder).document()
    assert document.baselines is not None
    # The largest class of the training images, not of the test images.
    assert (document.baselines.majority.accuracy, document.baselines.majority.n_samples) == (6 / 20, 20)
    near = document.baselines.nearest_neighbour
    assert (near.accuracy, near.n_samples, near.size) == (0.5, 20, 48)
    stored = json.loads(document.to_json())
    assert stored["schema_version"] == 3
    assert stored["baselines"]["majority"] == {"accuracy": 0.3, "n_samples": 20}
    assert set(stored["baselines"]["nearest_neighbour"]) == {"accuracy", "n_samples", "size"}
    assert "Without any network" in " ".join(audit_text(document).split())


def test_without_a_test_split_an_image_is_not_its_own_neighbour(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = np.random.default_rng([i, ord(name)]).integers(0, 60, (64, 64)) + 100 * (i % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    found = audit_folder(tmp_path).document().baselines
    assert found is not None
    assert found.nearest_neighbour.accuracy < 1


def test_the_nearest_is_that_of_a_slow_search() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (300, 48 * 48)).astype(np.uint8)
    test, reference = np.arange(50), np.arange(20, 300)
    for position, found in zip(test, nearest(pixels, reference, test)):
        others = [int(i) for i in reference if i != position]
        squares = [((pixels[i].astype(int) - pixels[position].astype(int)) ** 2).sum() for i in others]
        assert found == others[int(np.argmin(squares))]


def test_an_audit_of_version_1_has_no_baselines(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", {"train": {"a": 3, "b": 3}, "test": {"a": 2, "b": 2}})
    value = audit_folder(folder).document().to_dict()
    del value["baselines"]
    (tmp_path / "audit.json").write_text(json.dumps({**value, "schema_version": 1}))
    read = AuditDocument.read(tmp_path / "audit.json")
    assert (read.baselines, read.n_images, read.to_dict()["schema_version"]) == (None, 10, 3)


def test_the_baselines_of_a_training_depend_on_how_images_are_resized(tmp_path: Path) -> None:
    """The cache must not return those of the same images with other pixels."""
    folder = folder_of(tmp_path / "images", {"train": {"a": 6, "b": 6}, "test": {"a": 6, "b": 6}})
    dataset = open_dataset(Data(path=str(folder)))
    _, pixels = decode_dataset(dataset, 32)
    stretched = baselines_of(dataset, pixels, "stretch")
    separable = np.zeros_like(pixels) + 200 * dataset.labels.astype(np.uint8)[:, None, None, None]
    cropped = baselines_of(dataset, separable, "crop")
    assert stretched is not None and cropped is not None
    assert (stretched.nearest_neighbour.accuracy, cropped.nearest_neighbour.accuracy) == (0.5, 1)
    assert baselines_of(dataset, separable, "stretch") == stretched  # from the cache
