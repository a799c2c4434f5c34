"""The parts of an export on their own: choosing images, comparing predictions, single layers, options."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from edgekit.cli.export import choose_keys
from edgekit.data.splits import stratified_choice
from edgekit.errors import EdgekitError, InputError
from edgekit.export.check.findings import Findings
from edgekit.export.check.parity import compare
from edgekit.export.onnx.layers import LAYERS, build_onnx
from edgekit.export.tflite.flatbuffer import unpack
from edgekit.export.tflite.ranges import full_range, with_ranges


class TestStratifiedChoice:
    LABELS = np.repeat(np.arange(3, dtype=np.int32), [60, 30, 10])

    def test_shares_and_number(self):
        chosen = stratified_choice(self.LABELS, 20, seed=0)
        assert np.bincount(self.LABELS[chosen]).tolist() == [12, 6, 2]
        assert len(np.unique(chosen)) == 20
        assert (np.diff(chosen) > 0).all()

    def test_number_is_exact_where_shares_are_not_whole(self):
        for count in range(1, 100):
            assert len(stratified_choice(self.LABELS, count, seed=1)) == count

    def test_seed(self):
        first, again, other = (stratified_choice(self.LABELS, 20, seed=s).tolist() for s in (0, 0, 1))
        assert first == again != other

    def test_all_where_there_are_fewer(self):
        assert stratified_choice(self.LABELS, 500, seed=0).tolist() == list(range(100))


def test_calibration_shows_the_whole_range_and_leaves_its_input_alone():
    grey = np.full((3, 8, 8, 3), 100, np.uint8)
    images = full_range(grey)
    assert (images.min(), images.max()) == (0, 255)
    assert (images[1:] == 100).all()
    assert (grey == 100).all()


def test_ranges_of_calibration(finished_run):
    """Those of the Keras model's layers, for every tensor that TensorFlow's own calibrator gives one to."""
    import keras
    import tensorflow as tf
    from tensorflow.lite.python.optimize import calibrator

    from edgekit.export.network import constant_graph, load_network

    network = load_network(finished_run, finished_run.read_finished_run())
    graph, image, probabilities = constant_graph(network)
    content = bytes(tf.compat.v1.lite.TFLiteConverter(graph, [image], [probabilities]).convert())
    pixels = full_range(np.random.default_rng(0).integers(30, 200, (4, 32, 32, 3), np.uint8))
    found = _ranges(with_ranges(content, pixels))
    assert found["image"] == (0, 255)

    feed = ([pixel[np.newaxis].astype(np.float32)] for pixel in pixels)
    official = _ranges(calibrator.Calibrator(content, [], []).calibrate(lambda: feed))
    assert len(official) > 60
    assert set(official) <= set(found)
    for name, (low, high) in official.items():
        # Wider where the next operator works in place: it looks at the tensor when that has been overwritten.
        slack = 1e-3 * (high - low)
        assert low - slack <= found[name][0] <= found[name][1] <= high + slack, name

    model = network.keras_model
    layers = [layer for layer in model.layers if layer.name.endswith("project_BN") or layer.name == "scaling"]
    outputs = keras.Model(model.input, [layer.output for layer in layers])(pixels.astype(np.float32), training=False)
    assert len(layers) == 18
    for layer, output in zip(layers, outputs):
        (name,) = (name for name in found if name.startswith(f"{layer.name}_1/") and not name.endswith("/mul"))
        expected = np.asarray(output)
        np.testing.assert_allclose(found[name], (expected.min(), expected.max()), rtol=1e-3, atol=1e-4, err_msg=name)


def _ranges(content: bytes) -> dict[str, tuple[float, float]]:
    """Name of every tensor that has one and is no constant -> (smallest, largest) value."""
    model = unpack(content)
    found = {}
    for tensor in model.subgraphs[0].tensors:
        quantization, constant = tensor.quantization, model.buffers[tensor.buffer].data is not None
        if quantization is not None and quantization.min is not None and not constant:
            found[tensor.name.decode()] = (quantization.min[0], quantization.max[0])
    return found


class TestCompare:
    KERAS = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.float32)
    LABELS = np.array([0, 1, 0], np.int32)

    def test_counts(self):
        exported = np.array([[0.8, 0.2], [0.3, 0.7], [0.55, 0.45]], np.float32)
        record, findings = compare(self.KERAS, exported, self.LABELS, "int8", "val")
        assert findings == Findings()
        assert (record.split, record.n_images, record.n_disagree) == ("val", 3, 1)
        assert record.agreement == pytest.approx(2 / 3)
        assert record.max_abs_difference == pytest.approx(0.15)
        assert record.mean_abs_difference == pytest.approx(0.35 / 3)
        assert record.keras_accuracy == pytest.approx(2 / 3)
        assert record.accuracy == 1.0

    def test_fp32_has_to_agree(self):
        near, far = self.KERAS + np.float32(5e-4), self.KERAS + np.float32(2e-3)
        assert self.findings(self.KERAS, near, "fp32").problems == ()
        assert "differ from the Keras model" in self.findings(self.KERAS, far, "fp32").problems[0]
        assert self.findings(self.KERAS, far, "int8").problems == ()

    def findings(self, keras, exported, scheme="int8", labels=LABELS):
        return compare(keras, exported, labels, scheme, "val")[1]

    def test_constant_predictions(self):
        same = np.full((3, 2), 0.5, np.float32)
        assert "predicts the same for all 3 images" in self.findings(self.KERAS, same).problems[0]
        dead = self.findings(same, same)
        assert dead.problems == ()
        assert "nearly" in dead.warnings[0]

    def test_one_class_for_every_image(self):
        keras = np.array([[0.9, 0.1], [0.2, 0.8]] * 5, np.float32)
        labels = np.array([0, 1] * 5, np.int32)
        stuck = np.array([[0.9, 0.1], [0.6, 0.4]] * 5, np.float32)
        problem = self.findings(keras, stuck, labels=labels).problems[0]
        assert "same class for all 10 images; the Keras model predicts its most frequent class for 50%" in problem
        # A network that itself hardly ever gives another class proves nothing.
        mostly = np.array([[0.9, 0.1]] * 9 + [[0.2, 0.8]], np.float32)
        assert self.findings(mostly, np.repeat(stuck[:1], 10, axis=0) - mostly / 100, labels=labels) == Findings()


class TestOnnxLayers:
    """Layers in the ways that the backbones do not use them, against Keras."""

    def check(self, layers, tolerance=1e-5):
        import keras
        import onnx
        import onnxruntime as ort

        image = keras.Input((13, 13, 3), name="image")
        x = keras.layers.Rescaling([0.01, 0.02, 0.03], offset=[-1.0, 0.5, 0.0])(image)
        for layer in layers:
            x = layer(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        network = keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
        generator = np.random.default_rng(0)
        for variable in network.weights:
            positive = "gamma" in variable.path or "variance" in variable.path
            shape = variable.shape
            variable.assign(generator.uniform(0.5, 1.5, shape) if positive else generator.normal(0, 0.5, shape))
        model = build_onnx(network, 13)
        onnx.checker.check_model(model, full_check=True)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        pixels = generator.integers(0, 256, (1, 13, 13, 3), np.uint8)
        expected = np.asarray(network(pixels.astype(np.float32), training=False))
        assert np.ptp(expected) > 1e-3
        np.testing.assert_allclose(session.run(None, {"image": pixels})[0], expected, atol=tolerance)
        return model

    def test_convolutions(self):
        from keras import layers

        self.check(
            [
                layers.Conv2D(6, (3, 5), strides=2, padding="same", use_bias=False),
                layers.BatchNormalization(scale=False),
                layers.DepthwiseConv2D((3, 3), depth_multiplier=2, padding="same", activation="relu6"),
                layers.BatchNormalization(center=False),
                layers.Conv2D(8, 3, dilation_rate=2, padding="same", groups=4, activation="relu"),
            ]
        )

    def test_batchnorm_that_two_layers_need_is_not_folded(self):
        import keras
        from keras import layers

        class Branches:
            def __call__(self, x):
                y = layers.Conv2D(5, 3, padding="same")(x)
                return keras.layers.Add()([layers.BatchNormalization()(y), y])

        self.check([Branches()])

    def test_zero_padding_before_a_maximum_of_negative_values(self):
        """ONNX Runtime makes padding with minus infinity of a plain Pad here."""
        from keras import layers

        model = self.check(
            [layers.Rescaling(-1.0, offset=-3.0), layers.ZeroPadding2D(((1, 2), (0, 1))), layers.MaxPooling2D(3, 2)]
        )
        assert [node.op_type for node in model.graph.node].count("Pad") == 1

    def test_zero_padding_goes_into_a_convolution(self):
        from keras import layers

        model = self.check([layers.ZeroPadding2D(((0, 1), (1, 2))), layers.Conv2D(4, 3, strides=2)])
        assert "Pad" not in [node.op_type for node in model.graph.node]

    def test_pooling_and_activations(self):
        from keras import layers

        self.check(
            [
                layers.ReLU(),
                layers.MaxPooling2D(3, 2, padding="same"),
                layers.Activation("relu6"),
                layers.ReLU(max_value=2.0),
                layers.Dropout(0.5),
            ]
        )

    def test_unknown_layer_is_named(self):
        import keras

        image = keras.Input((8, 8, 3))
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.UpSampling2D(2, name="unusual")(image))
        network = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
        assert "UpSampling2D" not in LAYERS
        with pytest.raises(EdgekitError, match="does not support UpSampling2D") as error:
            build_onnx(network, 8)
        assert error.value.where == "layer unusual"


class TestChooseKeys:
    NAMED: ClassVar[list[str]] = ["tflite-int8", "onnx-fp32"]

    @pytest.mark.parametrize(
        ("file_format", "schemes", "keys"),
        [
            ("all", [], ["tflite-int8", "onnx-fp32"]),
            ("tflite", [], ["tflite-int8"]),
            ("all", ["int8"], ["tflite-int8", "onnx-int8"]),
            ("all", ["fp16"], ["tflite-fp16", "onnx-fp16", "ncnn-fp16"]),
            (None, ["fp16"], ["tflite-fp16", "onnx-fp16"]),
            (None, [], ["tflite-int8", "onnx-fp32"]),
            ("ncnn", ["fp32", "fp16"], ["ncnn-fp32", "ncnn-fp16"]),
            ("onnx", ["int8", "fp32"], ["onnx-fp32", "onnx-int8"]),
        ],
    )
    def test_meaning(self, file_format, schemes, keys):
        assert choose_keys(file_format, schemes, self.NAMED) == keys

    def test_format_without_that_scheme(self):
        with pytest.raises(InputError, match="onnx has no int4 files") as error:
            choose_keys("onnx", ["int4"], self.NAMED)
        assert "fp32, fp16, dynamic, int8" in str(error.value)

    def test_ncnn_files_that_the_recipe_names(self):
        named = ["tflite-int8", "ncnn-fp16"]
        assert choose_keys(None, [], named) == named
        with pytest.raises(InputError, match="ncnn has no int8 files"):
            choose_keys("ncnn", ["int8"], named)

    def test_unknown_format(self):
        with pytest.raises(InputError, match="unknown format 'coreml'"):
            choose_keys("coreml", [], self.NAMED)

    def test_recipe_without_files_of_the_format(self):
        with pytest.raises(InputError, match="names no onnx file"):
            choose_keys("onnx", [], ["tflite-fp32"])
