"""The network under TensorFlow Model Optimization's fake quantization: made, given ranges, turned into an int8 file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.formats import FileFacts, installed_version
from edgekit.export.operators import OperatorTable, tflite_operators
from edgekit.export.plain import PlainNetwork
from edgekit.export.tflite import finish
from edgekit.quiet import quiet_native_output

BATCH_SIZE = 8
PIXELS = (0.0, 255.0)


def fake_quantized(network: PlainNetwork, pixels: NDArray[np.uint8]) -> Any:
    """A tf_keras model that computes as the int8 file will, its ranges from ``pixels`` uint8 (N, H, W, 3).

    TensorFlow Model Optimization begins every range at [-6, 6] and moves it by a thousandth towards that of each
    batch, so a few hundred steps would end with ranges that fit nothing. Here they begin as calibration finds them.
    """
    import tensorflow_model_optimization as optimization
    import tf_keras

    keras = optimization.quantization.keras
    network = network.with_convolutions_only()
    twin = network.build(tf_keras)
    with quiet_native_output():
        model = keras.quantize_apply(keras.quantize_annotate_model(twin), scheme=_scheme(_before_relu(network)))
    _set_activation_ranges(model, _observed_ranges(twin, pixels))
    set_weight_ranges(model)
    return model


def set_weight_ranges(model: Any) -> None:
    """Give every kernel the range of the values it has now, as the last training step left them."""
    for wrapper in model.layers:
        for kernel, quantizer, ranges in getattr(wrapper, "_weight_vars", []):
            values = np.abs(kernel.numpy())
            if not quantizer.per_axis:
                largest = values.max()
            elif "depthwise" in kernel.name:
                largest = values.max(axis=(0, 1, 3))
            else:
                largest = values.max(axis=tuple(range(values.ndim - 1)))
            # A channel that is all zero still needs a step.
            largest = np.maximum(largest, np.float32(1e-8))
            ranges["min_var"].assign(-largest)
            ranges["max_var"].assign(largest)


def int8_file(model: Any, image_size: int) -> bytes:
    """The TFLite file of a fake-quantized model, uint8 in and out, batch 1."""
    import tensorflow as tf

    shape = tf.TensorSpec((1, image_size, image_size, 3), tf.float32)
    with quiet_native_output():
        function = tf.function(lambda image: model(image, training=False)).get_concrete_function(shape)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
        converter.exclude_conversion_metadata = True
        return bytes(converter.convert())


class QatMaker:
    """Makes the one file of a model trained with fake quantization; see :class:`edgekit.export.formats.Maker`."""

    def __init__(self, model: Any, facts: FileFacts) -> None:
        self._model = model
        self._facts = facts

    def make(self, scheme: str) -> bytes:  # noqa: ARG002 - it has only one
        return finish(int8_file(self._model, self._facts.image_size), self._facts)

    def opset(self) -> int | None:
        return None

    def converter(self, scheme: str) -> tuple[str, str]:  # noqa: ARG002
        return "tensorflow", installed_version("tensorflow", "tensorflow-cpu")

    def operators(self, content: bytes) -> OperatorTable:
        return tflite_operators(content)

    def quantizable(self) -> list[str]:
        """None that could be kept in float: the network was trained for 8 bits throughout."""
        return []

    def mixed(self, floats: frozenset[str]) -> bytes:
        raise NotImplementedError(f"layers cannot be kept in float after quantization-aware training: {sorted(floats)}")


def _observed_ranges(twin: Any, pixels: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Smallest and largest output of every layer over ``pixels``, 0 included; ``logits`` before the softmax too."""
    import tensorflow as tf
    import tf_keras

    layers, last = twin.layers[1:], twin.layers[-1]
    observer = tf_keras.Model(twin.input, [*(layer.output for layer in layers), last.input])

    @tf.function(input_signature=[tf.TensorSpec((None, *twin.input.shape[1:]), tf.float32)])
    def extremes(images: Any) -> Any:
        *outputs, before_last = observer(images, training=False)
        outputs.append(tf.matmul(before_last, last.kernel) + last.bias)
        return tf.stack([tf.reduce_min(x) for x in outputs]), tf.stack([tf.reduce_max(x) for x in outputs])

    found = [extremes(pixels[i : i + BATCH_SIZE].astype(np.float32)) for i in range(0, len(pixels), BATCH_SIZE)]
    lowest = np.minimum(np.min([low for low, _ in found], axis=0), 0.0)
    highest = np.maximum(np.max([high for _, high in found], axis=0), 0.0)
    names = [*(layer.name for layer in layers), "logits"]
    return {name: (float(low), float(high)) for name, low, high in zip(names, lowest, highest)}


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


def _before_relu(network: PlainNetwork) -> frozenset[str]:
    """The layers whose output goes into a ReLU: the file computes both in one operator, with one rounding."""
    relus = [x for x in network.layers if x.kind == "ReLU" or x.settings.get("activation") == "relu"]
    return frozenset(x.inputs[0] for x in relus if x.kind in ("ReLU", "Activation"))


def _scheme(before_relu: frozenset[str]) -> Any:
    """TensorFlow Model Optimization's scheme for 8 bits with two differences, which make it what the file computes.

    A depthwise kernel has a range for every channel. Its own scheme takes one for the whole kernel, in which the
    channels of a MobileNet, some a hundred times as large as others, are lost. And a layer ``before_relu`` has its
    weights quantized, but not its output. Its own scheme leaves the weights of such a layer in float, unless a
    BatchNorm stands in between.
    """
    import tensorflow as tf
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras import (
        quantize_layout_transform,
        quantizers,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry as registry,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_scheme as scheme,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_transforms as transforms,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

    class PerChannel(quantizers.LastValueQuantizer):  # type: ignore[misc]
        """For kernels (height, width, channels, 1): TensorFlow quantizes by the last axis only."""

        def __init__(self) -> None:
            super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            def limit(end: str, value: float) -> Any:
                start = tf_keras.initializers.Constant(value)
                return layer.add_weight(f"{name}_{end}", shape=(tensor_shape[-2],), initializer=start, trainable=False)

            return {"min_var": limit("min", -6.0), "max_var": limit("max", 6.0)}

        def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
            turned = tf.transpose(inputs, (0, 1, 3, 2))
            return tf.transpose(super().__call__(turned, training, weights, **kwargs), (0, 1, 3, 2))

    class Depthwise(registry.Default8BitQuantizeConfig):  # type: ignore[misc]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.weight_quantizer = PerChannel()

    class Registry(registry.Default8BitQuantizeRegistry):  # type: ignore[misc]
        def get_quantize_config(self, layer: Any) -> Any:
            activations = [] if layer.name in before_relu else ["activation"]
            if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
                return Depthwise(["depthwise_kernel"], activations, False)
            if isinstance(layer, tf_keras.layers.Conv2D):
                return registry.Default8BitConvQuantizeConfig(["kernel"], activations, False)
            if isinstance(layer, tf_keras.layers.Dense):
                return registry.Default8BitQuantizeConfig(["kernel"], activations, False)
            if layer.name in before_relu:
                return registry.Default8BitQuantizeConfig([], [], False)
            return super().get_quantize_config(layer)

    class Layout(quantize_layout_transform.QuantizeLayoutTransform):  # type: ignore[misc]
        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            given = (model, [transforms.InputLayerQuantize()], set(layer_quantize_map), layer_quantize_map)
            return model_transformer.ModelTransformer(*given).transform()

    class Scheme(scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
        def get_layout_transformer(self) -> Any:
            return Layout()

        def get_quantize_registry(self) -> Any:
            return Registry()

    return Scheme()
