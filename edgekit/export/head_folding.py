"""The head as converters should get it: without its BatchNorm, which quantizes badly, and without Dropout.

``probabilities(dropout(batchnorm(relu(dense(x)))))`` is, in inference, two Dense layers: BatchNorm's positive factor
goes through the ReLU back into the first, its sign and its shift forward into the second. Folded forward as a whole,
as converters do by themselves, a unit that hardly varies (its factor is up to 32 times the others') takes the whole
range of the second kernel: a VGG16 fell from 94% to 34% with int8. Backwards it only changes the scale of its own
column of the first kernel, which int8 quantizes per channel. Cross-layer equalization is the same step between any
two layers (Nagel et al. 2019, arXiv:1906.04721).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def fold_head(network: Any) -> Any:
    """A network equal to ``network`` in inference whose head has no BatchNorm behind its hidden Dense.

    ``network`` is as :func:`edgekit.train.network.build_network` makes it; one without such a BatchNorm is returned
    as it is. The layers of the backbone are shared.
    """
    import keras

    layers = {layer.name: layer for layer in network.layers}
    if not {"head_dense", "head_batchnorm"} <= set(layers):
        return network
    dense, batchnorm, last = layers["head_dense"], layers["head_batchnorm"], layers["probabilities"]
    mean, variance = (np.asarray(v, np.float64) for v in (batchnorm.moving_mean, batchnorm.moving_variance))
    factor = np.asarray(batchnorm.gamma, np.float64) / np.sqrt(variance + batchnorm.epsilon)
    shift = np.asarray(batchnorm.beta, np.float64) - mean * factor
    kernel, bias = (np.asarray(v, np.float64) for v in (dense.kernel, dense.bias))
    last_kernel, last_bias = (np.asarray(v, np.float64) for v in (last.kernel, last.bias))

    hidden = keras.layers.Dense(dense.units, activation="relu", name=dense.name)
    outputs = keras.layers.Dense(last.units, activation="softmax", name=last.name)
    folded = keras.Model(network.input, outputs(hidden(layers["head_pool"].output)), name=network.name)
    hidden.set_weights([kernel * np.abs(factor), bias * np.abs(factor)])
    outputs.set_weights([last_kernel * np.sign(factor)[:, np.newaxis], last_bias + shift @ last_kernel])
    return folded
