"""Features that pass through many concatenations are rounded once in ONNX int8, not each time."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.export.base import ExportFacts
from edgekit.export.check.parity import open_exported, predict
from edgekit.export.makers import Makers
from edgekit.export.network import TrainedNetwork, prepare_keras
from edgekit.export.onnx import maker
from edgekit.recipe import Export

SIDE, DEPTH = 16, 24


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def network(images) -> TrainedNetwork:
    """Like a block of DenseNet: each convolution takes all features before it, and adds two to them."""
    prepare_keras(need_tensorflow=False)
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, name="stem")(
        keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)
    )
    for _ in range(DEPTH):
        active = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.0)(x))
        x = keras.layers.Concatenate()([x, keras.layers.Conv2D(2, 3, padding="same", use_bias=False)(active)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
    stem = model.get_layer("stem")
    stem.kernel.assign(stem.kernel * np.geomspace(0.01, 1, 8, dtype=np.float32))
    model(np.asarray(images, np.float32), training=True)  # BatchNorm scales up what is small
    return TrainedNetwork(model, SIDE, list("abcd"), "0" * 64)


def int8_file(network: TrainedNetwork, images: np.ndarray) -> bytes:
    facts = ExportFacts("test", "run", "model", network.labels, SIDE, "stretch")
    return Makers(network, images, facts, Export()).of("onnx").make("int8")


def test_a_chain_of_concatenations_has_few_scales(network, images):
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load_model_from_string(int8_file(network, images)).graph
    constants = {one.name: to_array(one) for one in graph.initializer}
    taken_by = {name: node for node in graph.node for name in node.input}
    after = [taken_by[node.output[0]] for node in graph.node if node.op_type == "Concat"]
    assert len(after) == DEPTH
    assert {node.op_type for node in after} == {"QuantizeLinear"}
    scales = {(float(constants[node.input[1]]), int(constants[node.input[2]])) for node in after}
    assert len(scales) <= 4, f"{DEPTH} concatenations with a few common scales"


def test_a_chain_of_concatenations_keeps_its_precision(network, images, tmp_path, monkeypatch):
    expected = network.predict(images)

    def error(name: str) -> float:
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(int8_file(network, images))
        return float(np.abs(predict(open_exported(path), images) - expected).mean())

    shared = error("shared")
    monkeypatch.setattr(maker, "share_ranges", lambda model, ranges: None)
    assert shared < 0.9 * error("own")
