"""Stored predictions of the Keras model: used where they are those of this network, computed once where they lack."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.documents.keras_predictions import KerasPredictions, read_keras_predictions
from edgekit.export.keras_predictions import COMPARED, keras_predictions
from edgekit.export.network import TrainedNetwork
from edgekit.export.sample_images import Samples

N = 40


@dataclass(frozen=True)
class Brightness(TrainedNetwork):
    """Predicts from the mean of an image, and counts the images."""

    seen: list[int] = field(default_factory=list)

    def predict(self, pixels):
        self.seen.append(len(pixels))
        share = pixels.reshape(len(pixels), -1).mean(axis=1).astype(np.float32) / 255
        return np.stack([share, 1 - share], axis=1)


@pytest.fixture
def parity() -> Samples:
    labels = np.arange(N, dtype=np.int32) % 2
    files = tuple(f"val/{number}.png" for number in range(N))
    dataset = Dataset(Path("images"), "images", ("a", "b"), files, labels, np.full(N, "val"), ("0" * 64,) * N, "")
    pixels = np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    return Samples("val", dataset, np.arange(N), pixels, 0)


def network(sha256: str = "a") -> Brightness:
    return Brightness(None, 2, ["a", "b"], sha256)


def test_computed_once_and_stored(tmp_path, parity):
    first, second, run = network(), network(), RunFolder(tmp_path)
    found = keras_predictions(run, first, parity).probabilities
    assert first.seen == [N]
    assert np.array_equal(keras_predictions(run, second, parity).probabilities, found)
    assert second.seen == [COMPARED]
    stored = read_keras_predictions(run.predictions_of("val"))
    assert stored is not None
    assert stored.files == tuple(parity.files)


def test_fewer_images_are_taken_from_the_stored_ones(tmp_path, parity):
    run, chosen = RunFolder(tmp_path), np.arange(5, N, 2)
    found = keras_predictions(run, network(), parity).probabilities
    again = network()
    assert np.array_equal(keras_predictions(run, again, parity.take(chosen)).probabilities, found[chosen])
    assert again.seen == [COMPARED]


def test_predictions_of_another_network_are_not_used(tmp_path, parity):
    run = RunFolder(tmp_path)
    keras_predictions(run, network("another"), parity)
    mine = network()
    keras_predictions(run, mine, parity)
    assert mine.seen == [N]


def test_predictions_of_another_precision_are_not_used(tmp_path, parity):
    run, mine = RunFolder(tmp_path), network()
    true = mine.predict(parity.pixels)
    coarse = KerasPredictions(
        tuple(parity.files), parity.labels, true.astype(np.float16).astype(np.float32) + 2e-4, "a"
    )
    coarse.write(run.predictions_of("val"))
    assert np.array_equal(keras_predictions(run, mine, parity).probabilities, true)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense"])
def test_a_damaged_file_is_computed_again(tmp_path, parity, content):
    run = RunFolder(tmp_path)
    run.predictions_of("val").write_bytes(content)
    keras_predictions(run, network(), parity)
    assert read_keras_predictions(run.predictions_of("val")) is not None
