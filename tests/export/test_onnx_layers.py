"""Every layer that edgekit writes as ONNX, and networks with others, which tf2onnx converts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ConversionFailed
from edgekit.export.network import TrainedNetwork, prepare_keras
from edgekit.export.onnx.from_tensorflow import onnx_from_tensorflow
from edgekit.export.onnx.graph import UnsupportedLayer
from edgekit.export.onnx.layers import LAYERS, build_onnx

SIDE = 16

Body = Callable[[Any, Any], Any]
"""Takes ``keras.layers`` and a tensor (N, 16, 16, 3); gives (N, H, W, C), or (N, C)."""


def squeeze_and_excitation(layers: Any, x: Any) -> Any:
    factor = layers.Dense(3, activation="silu")(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([x, layers.Conv2D(3, 1, activation="hard_sigmoid")(layers.Reshape((1, 1, 3))(factor))])


def separable(layers: Any, x: Any) -> Any:
    x = layers.SeparableConv2D(5, 3, strides=2, use_bias=False)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    return layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, activation="relu")(
        layers.BatchNormalization()(x)
    )


def convnext(layers: Any, x: Any) -> Any:
    from keras.src.applications.convnext import LayerScale

    x = layers.Dense(4)(layers.LayerNormalization(epsilon=1e-6)(x))
    return LayerScale(0.5, 5)(layers.Dense(5)(layers.Activation("gelu")(x)))


def activations(layers: Any, x: Any) -> Any:
    names = ("hard_silu", "hard_sigmoid", "silu", "tanh", "elu", "selu", "sigmoid", "softplus", "softsign", "relu6")
    return layers.Add()([layers.Activation(name)(x) for name in names])


def used_twice(layers: Any, x: Any) -> Any:
    shared = layers.Conv2D(3, 3)
    return shared(shared(x))


BODIES: dict[str, Body] = {
    "average pooling": lambda layers, x: layers.AveragePooling2D(3, 2, padding="same")(x),
    "average pooling after padding": lambda layers, x: layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(x)),
    "squeeze and excitation": squeeze_and_excitation,
    "separable": separable,
    "concatenate": lambda layers, x: layers.Concatenate()(
        [x, layers.Cropping2D(((1, 2), (2, 1)))(layers.ZeroPadding2D(((2, 1), (1, 2)))(x))]
    ),
    "concatenate rows": lambda layers, x: layers.Concatenate(axis=1)([x, layers.ReLU()(x)]),
    "convnext": convnext,
    "activations": activations,
    "leaky": lambda layers, x: layers.PReLU(shared_axes=[1, 2])(layers.ELU(0.7)(layers.LeakyReLU(0.2)(x))),
    "prelu": lambda layers, x: layers.PReLU()(x),
    "arithmetic": lambda layers, x: layers.Maximum()(
        [layers.Subtract()([x, layers.MaxPooling2D(3, 1, padding="same")(x)]), layers.Minimum()([x, layers.ReLU()(x)])]
    ),
    "reshape": lambda layers, x: layers.Reshape((8, 32, 3))(layers.Activation("relu")(x)),
    "flatten": lambda layers, x: layers.Dense(6, activation="relu")(layers.Flatten()(layers.MaxPooling2D(4)(x))),
    "global maximum": lambda layers, x: layers.BatchNormalization()(layers.GlobalMaxPooling2D()(x)),
    "normalized features": lambda layers, x: layers.LayerNormalization()(layers.GlobalAveragePooling2D()(x)),
    "scaled features": lambda layers, x: layers.Rescaling(2.0, offset=1.0)(layers.GlobalAveragePooling2D()(x)),
}

BY_TF2ONNX: dict[str, Body] = {
    "group normalization": lambda layers, x: layers.ReLU()(layers.GroupNormalization(3)(x)),
    "transposed convolution": lambda layers, x: layers.Conv2DTranspose(4, 3, strides=2)(x),
    "operation": lambda layers, x: __import__("keras").ops.exp(x * 0.5),
    "layer used twice": used_twice,
}


def network_of(body: Body) -> Any:
    prepare_keras(need_tensorflow=True)
    import keras

    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = body(layers, layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image))
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(x))
    random = np.random.default_rng(0)
    for weight in network.weights:
        variance = "variance" in weight.path
        weight.assign(random.uniform(0.5, 2, weight.shape) if variance else random.normal(0.2, 0.4, weight.shape))
    return network


def difference(model: Any, network: Any) -> float:
    """Largest difference between the ONNX model and the Keras network, for pixels; their predictions must vary."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    given = np.concatenate([session.run(None, {"image": one[None]})[0] for one in pixels])
    expected = np.asarray(network(pixels.astype(np.float32), training=False))
    assert expected.std(axis=0).max() > 1e-4
    return float(np.abs(given - expected).max())


@pytest.mark.parametrize("name", BODIES)
def test_layers_that_edgekit_writes(name):
    network = network_of(BODIES[name])
    model = build_onnx(network, SIDE)
    assert difference(model, network) < 1e-5
    layers = {layer.name for layer in network.layers}
    assert {node.name.split("/")[0] for node in model.graph.node} <= layers | {"input"}


def test_every_layer_of_the_table_is_tested():
    bodies = [network_of(body) for body in BODIES.values()]
    used = {type(layer).__name__ for network in bodies for layer in network.layers}
    # These are tested with whole networks, and in test_export_parts.
    assert set(LAYERS) - used <= {"Dropout", "Softmax", "DepthwiseConv2D"}


@pytest.mark.parametrize("name", BY_TF2ONNX)
def test_networks_with_other_layers_are_converted_by_tf2onnx(name):
    network = network_of(BY_TF2ONNX[name])
    with pytest.raises(UnsupportedLayer) as error:
        build_onnx(network, SIDE)
    trained = TrainedNetwork(network, SIDE, ["a", "b", "c"], "")
    model = onnx_from_tensorflow(trained, error.value)
    assert difference(model, network) < 1e-5
    owners = {node.name.split("/")[0] for node in model.graph.node}
    assert "scaling" in owners
    assert owners & {layer.name for layer in network.layers} > {"scaling"}


def test_what_nobody_converts_is_an_error_of_this_file_only():
    network = network_of(lambda layers, x: __import__("keras").ops.erfinv(x * 0.5))
    with pytest.raises(UnsupportedLayer) as error:
        build_onnx(network, SIDE)
    with pytest.raises(ConversionFailed, match="nor does tf2onnx"):
        onnx_from_tensorflow(TrainedNetwork(network, SIDE, ["a", "b", "c"], ""), error.value)
