"""TensorFlow Model Optimization's 8-bit scheme, changed in two places so that it computes what the file computes.

First, every kernel has a range for each channel. The original scheme uses one range for a whole depthwise kernel, which
loses most channels of a MobileNet (some are a hundred times as large as others), and one for a whole Dense kernel.
Second, a layer before a ReLU has quantized weights but no quantized output, because the file computes both in one
operator. The original scheme leaves the weights of such a layer in float unless a BatchNorm stands in between.

This module imports TensorFlow Model Optimization, so import it only where it is used.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quantize_layout_transform, quantizers
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_registry,
    default_8bit_quantize_scheme,
    default_8bit_transforms,
)
from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import model_transformer

LEVELS = 127
SMALLEST_RANGE = 1e-8
"""An all-zero channel needs a step too."""


class PerChannel(quantizers.Quantizer):  # type: ignore[misc]
    """Rounds a kernel to 8 bits per output channel, symmetrically, in the range of its current values.

    The gradient passes through unchanged. This uses plain operations: TensorFlow's FakeQuantWithMinMaxVarsPerChannel
    and its gradient take four fifths of a step on a CPU, and only support the last axis. With ``off``, kernels are
    not rounded.
    """

    def __init__(self, channel_axis: int) -> None:
        self.channel_axis = channel_axis
        self.off = False

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:  # noqa: ARG002
        return inputs if self.off else self.rounded(inputs)

    def rounded(self, kernel: Any) -> Any:
        """``kernel`` with every value on the grid of its channel."""
        axes = [axis for axis in range(kernel.shape.rank) if axis != self.channel_axis % kernel.shape.rank]
        largest = tf.maximum(tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True), SMALLEST_RANGE)
        return _to_grid(kernel, largest / LEVELS)

    def get_config(self) -> dict[str, Any]:
        return {"channel_axis": self.channel_axis}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _to_grid(values: Any, step: Any) -> Any:
    return tf.round(values / step) * step, lambda gradient: (gradient, None)


class KernelConfig(default_8bit_quantize_registry.Default8BitQuantizeConfig):  # type: ignore[misc]
    """The configuration of a layer whose kernel is the weight called ``name``."""

    def __init__(self, name: str, channel_axis: int, activation_attrs: list[str]) -> None:
        super().__init__([name], activation_attrs, False)
        self.weight_quantizer = PerChannel(channel_axis)


class Registry(default_8bit_quantize_registry.Default8BitQuantizeRegistry):  # type: ignore[misc]
    """What to quantize in each layer; ``before_relu`` are names of layers."""

    def __init__(self, before_relu: frozenset[str]) -> None:
        super().__init__()
        self._before_relu = before_relu

    def get_quantize_config(self, layer: Any) -> Any:
        fused = layer.name in self._before_relu
        activations = [] if fused else ["activation"]
        if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
            return KernelConfig("depthwise_kernel", -2, activations)
        if isinstance(layer, (tf_keras.layers.Conv2D, tf_keras.layers.Dense)):
            return KernelConfig("kernel", -1, activations)
        if fused:
            return default_8bit_quantize_registry.Default8BitQuantizeConfig([], [], False)
        return super().get_quantize_config(layer)


class Layout(quantize_layout_transform.QuantizeLayoutTransform):  # type: ignore[misc]
    """Leaves the network as it is and quantizes its input."""

    def apply(self, model: Any, layer_quantize_map: Any) -> Any:
        transforms = [default_8bit_transforms.InputLayerQuantize()]
        names = set(layer_quantize_map)
        return model_transformer.ModelTransformer(model, transforms, names, layer_quantize_map).transform()


class QatScheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
    """The scheme for ``quantize_apply``; ``before_relu`` are the layers whose output only goes into a ReLU."""

    def __init__(self, before_relu: frozenset[str]) -> None:
        super().__init__()
        self._before_relu = before_relu

    def get_layout_transformer(self) -> Any:
        return Layout()

    def get_quantize_registry(self) -> Any:
        return Registry(self._before_relu)
