"""TensorFlow Model Optimization's scheme for 8 bits with two differences, which make it what the file computes.

A depthwise kernel has a range for every channel. The original takes one for the whole kernel, in which the channels of
a MobileNet, some a hundred times as large as others, are lost. And a layer before a ReLU has its weights quantized but
not its output: the file computes both in one operator. The original leaves the weights of such a layer in float unless
a BatchNorm stands in between.

Imported only where it is used: it imports TensorFlow Model Optimization.
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


class PerChannel(quantizers.LastValueQuantizer):  # type: ignore[misc]
    """For depthwise kernels (height, width, channels, 1): TensorFlow quantizes by the last axis only.

    ``off``: kernels go through as they are.
    """

    def __init__(self) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
        self.off = False

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        def limit(end: str, value: float) -> Any:
            start = tf_keras.initializers.Constant(value)
            return layer.add_weight(f"{name}_{end}", shape=(tensor_shape[-2],), initializer=start, trainable=False)

        return {"min_var": limit("min", -6.0), "max_var": limit("max", 6.0)}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        if self.off:
            return inputs
        turned = tf.transpose(inputs, (0, 1, 3, 2))
        return tf.transpose(super().__call__(turned, training, weights, **kwargs), (0, 1, 3, 2))


class DepthwiseConfig(default_8bit_quantize_registry.Default8BitQuantizeConfig):  # type: ignore[misc]
    """A depthwise convolution, its kernel by channel."""

    def __init__(self, activation_attrs: list[str]) -> None:
        super().__init__(["depthwise_kernel"], activation_attrs, False)
        self.weight_quantizer = PerChannel()


class Registry(default_8bit_quantize_registry.Default8BitQuantizeRegistry):  # type: ignore[misc]
    """What is quantized of each layer; ``before_relu`` are names."""

    def __init__(self, before_relu: frozenset[str]) -> None:
        super().__init__()
        self._before_relu = before_relu

    def get_quantize_config(self, layer: Any) -> Any:
        config = default_8bit_quantize_registry.Default8BitQuantizeConfig
        fused = layer.name in self._before_relu
        activations = [] if fused else ["activation"]
        if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
            return DepthwiseConfig(activations)
        if isinstance(layer, tf_keras.layers.Conv2D):
            return default_8bit_quantize_registry.Default8BitConvQuantizeConfig(["kernel"], activations, False)
        if isinstance(layer, tf_keras.layers.Dense):
            return config(["kernel"], activations, False)
        return config([], [], False) if fused else super().get_quantize_config(layer)


class Layout(quantize_layout_transform.QuantizeLayoutTransform):  # type: ignore[misc]
    """The network as it is, its input quantized."""

    def apply(self, model: Any, layer_quantize_map: Any) -> Any:
        transforms = [default_8bit_transforms.InputLayerQuantize()]
        names = set(layer_quantize_map)
        return model_transformer.ModelTransformer(model, transforms, names, layer_quantize_map).transform()


class Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
    """Goes to ``quantize_apply``; ``before_relu`` are the layers whose output goes into a ReLU and nowhere else."""

    def __init__(self, before_relu: frozenset[str]) -> None:
        super().__init__()
        self._before_relu = before_relu

    def get_layout_transformer(self) -> Any:
        return Layout()

    def get_quantize_registry(self) -> Any:
        return Registry(self._before_relu)
