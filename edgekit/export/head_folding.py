"""Folds the head for conversion: removes its Dropout, and its BatchNorm, which quantizes badly.

In inference, ``probabilities(dropout(batchnorm(relu(dense(x)))))`` is two Dense layers. The magnitude of BatchNorm's
factor moves back through the ReLU into the first; its sign and shift move forward into the second. Converters fold the
whole factor forward. There, a unit that hardly varies (its factor is up to 32 times the others') takes the whole range
of the second kernel: the accuracy of a VGG16 fell from 94% to 34% with int8. Folded backward, the factor only changes
the scale of its own column of the first kernel, which int8 quantizes per channel. Cross-layer equalization is the same
step between any two layers (Nagel et al. 2019, arXiv:1906.04721).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def fold_head(network: Any) -> Any:
    """A network equal to ``network`` in inference, without the BatchNorm after the head's hidden Dense.

    ``network`` comes from :func:`edgekit.train.network.build_network`. A network without such a BatchNorm is returned
    unchanged. The layers of the backbone are shared.
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
