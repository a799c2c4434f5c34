"""Fake quantization with TensorFlow Model Optimization: apply it, set its ranges, convert the model to int8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ExportFacts, OperatorTable
from edgekit.export.compress.tf_keras_copy import PortableNetwork
from edgekit.export.tflite.maker import finish
from edgekit.export.tflite.operators import tflite_operators
from edgekit.export.tflite.ranges import minimum_width
from edgekit.export.versions import installed_version
from edgekit.support.quiet import quiet_native_output

BATCH_SIZE = 8
PIXELS = (0.0, 255.0)


def fake_quantized(network: PortableNetwork, pixels: NDArray[np.uint8]) -> Any:
    """A tf_keras model that computes as the int8 file will, with ranges from ``pixels`` uint8 (N, H, W, 3).

    TensorFlow Model Optimization initializes every range to [-6, 6] and moves it by a thousandth towards that of each
    batch, so after a few hundred steps the ranges would still not fit. Here calibration sets the initial ranges.
    """
    import tensorflow_model_optimization as optimization
    import tf_keras

    from edgekit.export.compress.qat_scheme import QatScheme

    keras = optimization.quantization.keras
    network = network.with_convolutions_only()
    copy = network.build(tf_keras)
    with quiet_native_output():
        model = keras.quantize_apply(keras.quantize_annotate_model(copy), scheme=QatScheme(_before_relu(network)))
    _set_activation_ranges(model, _observed_ranges(copy, pixels))
    return model


@contextmanager
def _kernels_on_the_grid(model: Any) -> Iterator[None]:
    """In the block, kernels hold the rounded values and the graph does not round them again.

    From values on the grid, the converter finds the range of each channel by itself.
    """
    kernels = [entry[:2] for wrapper in model.layers for entry in getattr(wrapper, "_weight_vars", [])]
    before = [kernel.numpy() for kernel, _ in kernels]
    try:
        for kernel, quantizer in kernels:
            kernel.assign(quantizer.rounded(kernel))
            quantizer.off = True
        yield
    finally:
        for (kernel, quantizer), values in zip(kernels, before):
            kernel.assign(values)
            quantizer.off = False


def int8_file(model: Any, image_size: int) -> bytes:
    """The TFLite file of a fake-quantized model: uint8 input and output, batch 1."""
    import tensorflow as tf

    shape = tf.TensorSpec((1, image_size, image_size, 3), tf.float32)
    with quiet_native_output(), _kernels_on_the_grid(model):
        function = tf.function(lambda image: model(image, training=False)).get_concrete_function(shape)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
        converter.experimental_lower_to_saved_model = False  # that detour takes nine tenths of the time
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter.exclude_conversion_metadata = True
        return bytes(converter.convert())


class QatMaker:
    """Makes the int8 file of a model trained with fake quantization; see :class:`edgekit.export.base.Maker`."""

    def __init__(self, model: Any, facts: ExportFacts) -> None:
        self._model = model
        self._facts = facts

    def make(self, scheme: str) -> bytes:  # noqa: ARG002 - there is only one
        return finish(int8_file(self._model, self._facts.image_size), self._facts)

    def opset(self) -> int | None:
        return None

    def converter(self, scheme: str) -> tuple[str, str]:  # noqa: ARG002
        return "tensorflow", installed_version("tensorflow", "tensorflow-cpu")

    def operators(self, content: bytes) -> OperatorTable:
        return tflite_operators(content)

    def release(self) -> None:
        """Nothing is kept but the model."""


def _observed_ranges(copy: Any, pixels: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Smallest and largest output of every layer over ``pixels``, including 0, and of the ``logits``."""
    import tensorflow as tf
    import tf_keras

    layers, last = copy.layers[1:], copy.layers[-1]
    observer = tf_keras.Model(copy.input, [*(layer.output for layer in layers), last.input])

    def extremes_of(images: Any) -> Any:
        *outputs, before_last = observer(images, training=False)
        outputs.append(tf.matmul(before_last, last.kernel) + last.bias)
        return tf.stack([tf.reduce_min(x) for x in outputs]), tf.stack([tf.reduce_max(x) for x in outputs])

    images = tf.TensorSpec((None, *copy.input.shape[1:]), tf.float32)
    extremes = tf.function(extremes_of, input_signature=[images])
    found = [extremes(pixels[i : i + BATCH_SIZE].astype(np.float32)) for i in range(0, len(pixels), BATCH_SIZE)]
    lowest = np.minimum(np.min([low for low, _ in found], axis=0), 0.0)
    highest = np.maximum(np.max([high for _, high in found], axis=0), 0.0)
    names = [*(layer.name for layer in layers), "logits"]
    ranges = {name: (float(low), float(high)) for name, low, high in zip(names, lowest, highest)}
    _widen_dead_layers(ranges, layers)
    return ranges


def _widen_dead_layers(ranges: dict[str, tuple[float, float]], layers: list[Any]) -> None:
    """Widen the ranges of layers that are (nearly) 0 for every image, as :mod:`edgekit.export.tflite.ranges` does.

    The step of a dead layer would be so fine that LiteRT could not open the file.
    """
    for layer in layers:
        name = "logits" if layer is layers[-1] else layer.name
        activation = type(layer).__name__ in ("ReLU", "Activation")  # fused with the layer before it in the file
        computing = _single_input(layer) if activation else layer
        kernel = getattr(computing, "kernel", getattr(computing, "depthwise_kernel", None))
        source = _single_input(computing) if computing is not None else None
        low, high = ranges[name]
        if kernel is not None and source is not None:
            source_low, source_high = ranges.get(source.name, PIXELS)
            width = minimum_width(source_high - source_low, float(np.abs(kernel.numpy()).max()))
            if high - low < width:
                ranges[name] = (low, low + width)
        elif high == low:
            ranges[name] = (low, low + 1.0) if source is None else ranges.get(source.name, PIXELS)


def _single_input(layer: Any) -> Any:
    """The layer whose output ``layer`` takes; None if it has several inputs."""
    sources = layer.input
    return None if isinstance(sources, (list, tuple)) else sources._keras_history.layer


def _set_activation_ranges(model: Any, ranges: dict[str, tuple[float, float]]) -> None:
    for layer in model.layers:
        name = layer.name.removeprefix("quant_")
        for variable in layer.weights:
            kind, _, end = variable.name.split("/")[-1].split(":")[0].rpartition("_")
            if end not in ("min", "max"):
                continue
            if kind in ("post_activation", "output"):
                low, high = ranges[name]
            elif kind == "pre_activation":
                low, high = ranges["logits"]
            elif kind == name:  # the input: a uint8 file takes the pixel itself (scale 1, zero point 0)
                low, high = PIXELS
            else:
                continue
            variable.assign(low if end == "min" else high)


def _before_relu(network: PortableNetwork) -> frozenset[str]:
    """The layers whose output goes into a ReLU: the file computes both in one operator, with one rounding."""
    relus = [x for x in network.layers if x.kind == "ReLU" or x.settings.get("activation") == "relu"]
    return frozenset(x.inputs[0] for x in relus if x.kind in ("ReLU", "Activation"))
