"""Models of other people as they are found: one sigmoid, grey, not square, dynamic, in batches, several outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, colour_pixels
from modelfiles import build_onnx as build

from edgekit.device.classifier import Classifier
from edgekit.device.failures import ModelError
from edgekit.device.jobs import JobModel, read_job
from edgekit.device.predictions import accuracy
from edgekit.device.scaling import SCALINGS
from edgekit.device.tensors import Choices

RED_OR_BLUE = np.array([[8.0], [0.0], [-8.0]], np.float32)
"""RGB channels x one score: positive for red, negative for blue."""
WEIGHTS = np.array([[-8, 0, 8], [0, 8, 0], [8, 0, -8]], np.float32)
"""RGB channels x blue, green, red."""


def mean_model(path: Path, feed: list, last: list, weights: np.ndarray, axes: list[int], batch: object = 1) -> str:
    """The mean of each channel times ``weights``, and the operators ``last`` from ``logits`` to ``scores``."""
    nodes = [
        ["ReduceMean", ["image"], ["mean"], {"axes": axes, "keepdims": 0}],
        ["MatMul", ["mean", "weights"], ["scores" if not last else "logits"], {}],
        *last,
    ]
    return build(path, feed, nodes, {"weights": weights}, {"scores": [batch, weights.shape[1]]})


def opened(path: str, scaling: str = "unit", **given: object) -> Classifier:
    entry = JobModel("m", path, scaling=SCALINGS[scaling], **given)
    return Classifier(entry, entry.open(1))


SIGMOID, SOFTMAX = ["Sigmoid", ["logits"], ["scores"], {}], ["Softmax", ["logits"], ["scores"], {}]
ODD = ["Add", ["logits", "logits"], ["scores"], {}]
"""An operator that does not tell what it returns."""


@pytest.mark.parametrize(("last", "applied"), [([SIGMOID], "none"), ([], "sigmoid"), ([ODD], "sigmoid")])
def test_one_output_is_two_classes(tmp_path, last, applied):
    path = mean_model(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], last, RED_OR_BLUE, [1, 2])
    model = opened(path)
    assert model.classes == 2
    blue, red = (model.classify(colour_pixels(label)) for label in ("blue", "red"))
    assert blue.shape == red.shape == (2,)
    assert (blue.argmax(), red.argmax()) == (0, 1)
    assert float(red.sum()) == pytest.approx(1)
    assert model.activation == applied


def test_classes_that_do_not_exclude_each_other_stay_as_they_are(tmp_path):
    """Softmax over probabilities makes nearly equal numbers of them: confident nonsense."""
    model = opened(mean_model(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], [SIGMOID], WEIGHTS, [1, 2]))
    scores = model.classify(colour_pixels("red"))
    assert model.activation == "none"
    assert scores.max() > 0.95
    assert scores.sum() > 1.2


def test_logits_are_known_by_their_operator_and_not_by_the_first_image(tmp_path):
    """The logits of a grey image can be probabilities by chance; those of the next image are not."""
    small = WEIGHTS / 8 + np.float32(0.3)
    model = opened(mean_model(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], [], small, [1, 2]))
    for pixels in (np.full((SIDE, SIDE, 3), 90, np.uint8), colour_pixels("red")):
        assert model.classify(pixels).sum() == pytest.approx(1, abs=1e-6)
    assert model.activation == "softmax"


def test_an_unknown_operator_that_misled_is_refused(tmp_path):
    model = opened(mean_model(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], [ODD], WEIGHTS, [1, 2]))
    model.classify(np.zeros((SIDE, SIDE, 3), np.uint8))
    with pytest.raises(ModelError, match="--activation"):
        model.classify(colour_pixels("red"))
    chosen = opened(model.entry.path, activation="softmax")
    assert chosen.classify(colour_pixels("red")).argmax() == 2


@pytest.mark.parametrize(("feed", "axes"), [([1, 20, 28, 1], [1, 2]), ([1, 1, 20, 28], [2, 3])])
def test_grey_images_that_are_not_square(tmp_path, colours, feed, axes):
    path = mean_model(tmp_path / "m.onnx", feed, [SIGMOID], np.array([[4.0]], np.float32), axes)
    model = opened(path)
    assert (model.geometry.height, model.geometry.width, model.geometry.channels) == (20, 28, 1)
    pixels = model.geometry.load(str(colours / "red/0.png"))
    assert pixels.shape == (20, 28, 1)
    expected = 1 / (1 + np.exp(-4 * pixels.mean() / 255))
    assert model.classify(pixels)[1] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ModelError, match="grey"):
        opened(path, "imagenet")


@pytest.mark.parametrize(("feed", "axes"), [(["n", "h", "w", 3], [1, 2]), ([None, 3, None, None], [2, 3])])
def test_dynamic_sizes_are_chosen(tmp_path, feed, axes):
    path = mean_model(tmp_path / "m.onnx", feed, [SOFTMAX], WEIGHTS, axes, batch="n")
    with pytest.raises(ModelError, match="--image-size"):
        opened(path)
    model = opened(path, choices=Choices(image_size=(24, 40)))
    assert sorted(model.model.input.shape) == [1, 3, 24, 40]
    assert model.model.input.dynamic_batch
    assert LABELS[int(model.classify(np.tile(colour_pixels("green"), (1, 2, 1))[:24, :40]).argmax())] == "green"


def test_a_chosen_size_has_to_be_that_of_the_file(tmp_path):
    path = mean_model(tmp_path / "m.onnx", [1, 24, 24, 3], [SOFTMAX], WEIGHTS, [1, 2])
    with pytest.raises(ModelError, match="24x24"):
        opened(path, choices=Choices(image_size=(32, 32)))


def test_a_batch_of_several_images(tmp_path, colours):
    paths = [
        mean_model(tmp_path / f"{n}.onnx", [n, SIDE, SIDE, 3], [SOFTMAX], WEIGHTS, [1, 2], batch=n) for n in (1, 4)
    ]
    one, four = (opened(path) for path in paths)
    assert four.model.input.shape == (4, SIDE, SIDE, 3)
    for label in LABELS:
        assert np.allclose(one.classify(colour_pixels(label)), four.classify(colour_pixels(label)), atol=1e-6)
    events: list[dict] = []
    entries = [{"key": name, "path": path, "scaling": "unit"} for name, path in zip("ab", paths)]
    files = [f"{label}/0.png" for label in LABELS]
    import json

    accuracy(
        read_job(json.dumps({"models": entries, "threads": 2, "root": str(colours), "files": files})), events.append
    )
    found = {event["key"]: event["count"] for event in events if event["event"] == "predictions"}
    assert found == {"a": 3, "b": 3}


def test_one_of_several_outputs(tmp_path):
    nodes = [
        ["ReduceMean", ["image"], ["mean"], {"axes": [1, 2], "keepdims": 0}],
        ["MatMul", ["mean", "weights"], ["logits"], {}],
        ["Softmax", ["logits"], ["scores"], {}],
    ]
    outputs = {"logits": [1, 3], "scores": [1, 3]}
    path = build(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], nodes, {"weights": WEIGHTS}, outputs)
    with pytest.raises(ModelError, match="0: logits, 1: scores"):
        opened(path)
    with pytest.raises(ModelError, match="no output 'classes'"):
        opened(path, choices=Choices(output="classes"))
    found = [opened(path, choices=Choices(output=name)) for name in ("logits", "0", "scores", "1")]
    rows = [model.classify(colour_pixels("blue")) for model in found]
    assert [model.activation for model in found] == ["softmax", "softmax", "none", "none"]
    assert all(np.allclose(row, rows[0], atol=1e-6) for row in rows)


def test_a_scaling_that_the_quantization_cannot_hold(tflite_models):
    """The input holds -1 to 1: pixels of 0 to 255 would nearly all be stored as the same number."""
    path = str(tflite_models / "int8.tflite")
    with pytest.raises(ModelError, match="symmetric") as refused:
        opened(path, "none")
    assert "from -0.99" in refused.value.reason
    assert "best first: symmetric, unit" in refused.value.reason
    assert LABELS[int(opened(path, "symmetric").classify(colour_pixels("red")).argmax())] == "red"
    opened(path, "unit")  # coarser than it could be, but every second value stays apart


@pytest.fixture(scope="module")
def convert(tmp_path_factory):
    tf = pytest.importorskip("tensorflow")

    def make(name: str, function, shape: tuple) -> str:
        concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        path = tmp_path_factory.mktemp("tflite") / f"{name}.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
        return str(path)

    return make


class TestTflite:
    """The same in the other format."""

    def test_dynamic_grey_sigmoid(self, convert):
        import tensorflow as tf

        path = convert(
            "grey",
            lambda image: tf.nn.sigmoid(4 * tf.reduce_mean(image, axis=[1, 2])),
            (None, None, None, 1),
        )
        with pytest.raises(ModelError, match="--image-size"):
            opened(path)
        model = opened(path, choices=Choices(image_size=(20, 28)))
        assert model.model.input.shape == (1, 20, 28, 1)
        assert (model.classes, model.model.input.dynamic_batch) == (2, True)
        assert model.model.output.operator == "sigmoid"
        pixels = np.full((20, 28, 1), 255, np.uint8)
        assert model.classify(pixels)[1] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-5)

    def test_logits_in_a_batch(self, convert):
        import tensorflow as tf

        path = convert("logits", lambda image: tf.reduce_mean(image, axis=[1, 2]) @ tf.constant(WEIGHTS), (3, 8, 8, 3))
        model = opened(path)
        assert model.model.input.batch == 3
        assert model.model.output.operator == "scores"
        found = model.classify(colour_pixels("green")[:8, :8])
        assert (found.argmax(), model.activation) == (1, "softmax")
