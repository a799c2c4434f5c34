"""Stored predictions of the Keras model: used where they are those of this network, computed once where they lack."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.documents.keras_predictions import KerasPredictions, read_keras_predictions
from edgekit.export.keras_predictions import COMPARED, SAMPLE, keras_predictions
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


MANY = 3 * SAMPLE


@pytest.fixture
def many(parity) -> Samples:
    """So many images that a file may stand in for the Keras model."""
    dataset = Dataset.from_rows([], Path("images"), "images", "a")
    pixels = np.arange(MANY, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    return Samples("val", dataset, np.arange(MANY), pixels, 0)


def brightness_file(wrong_from: float = 1000.0) -> bytes:
    """An ONNX file of what :class:`Brightness` predicts, except for images brighter than ``wrong_from``."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
        node("Min", ["mean", "limit"], ["limited"]),
        node("Div", ["limited", "range"], ["share"]),
        node("Sub", ["one", "share"], ["rest"]),
        node("Concat", ["share", "rest"], ["flat"], axis=0),
        node("Reshape", ["flat", "shape"], ["scores"]),
    ]
    constants = {"range": 255.0, "one": 1.0, "limit": wrong_from}
    tensors = [numpy_helper.from_array(np.array([value], np.float32), name) for name, value in constants.items()]
    tensors.append(numpy_helper.from_array(np.array([1, 2], np.int64), "shape"))
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 2, 2, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_file_that_predicts_the_same_stands_in_for_keras(tmp_path, many):
    run, mine = RunFolder(tmp_path), network()
    found = keras_predictions(run, mine, many, brightness_file)
    assert mine.seen == [SAMPLE]
    assert found.n_by_keras == SAMPLE
    assert np.abs(found.probabilities - network().predict(many.pixels)).max() < 1e-6
    assert read_keras_predictions(run.predictions_of("val")) is None, "they are not the Keras model's own"


@pytest.mark.parametrize("make_fp32", [lambda: brightness_file(wrong_from=100), lambda: b"no model"])
def test_a_file_that_differs_does_not(tmp_path, many, make_fp32):
    mine = network()
    found = keras_predictions(RunFolder(tmp_path), mine, many, make_fp32)
    assert mine.seen == [SAMPLE, MANY]
    assert found.n_by_keras == MANY
    assert np.array_equal(found.probabilities, network().predict(many.pixels))
