"""Multiply-accumulates, counted by hand and against the table of backbones."""

from __future__ import annotations

import pytest
from backbones import backbones

from edgekit.registry import BACKBONES


def test_small_layers_by_hand() -> None:
    import keras

    from edgekit.train.macs import multiply_accumulates

    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.DepthwiseConv2D(3, padding="same")])
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 5, strides=2, padding="same"),  # 8 x 8 x 4 outputs of 5 x 5 x 3
            inner,  # 8 x 8 x 4 outputs of 3 x 3
            keras.layers.SeparableConv2D(4, 3, padding="same"),  # 8 x 8 x 4 of 3 x 3, then 8 x 8 x 4 of 4
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(6, 1, groups=2),  # 8 x 8 x 6 outputs of 2
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),  # 6 x 10
        ]
    )
    assert multiply_accumulates(network) == 64 * (4 * 75 + 4 * 9 + 4 * 9 + 4 * 4 + 6 * 2) + 60


@pytest.mark.parametrize("name", backbones())
def test_the_table_of_backbones_is_right(name: str) -> None:
    import keras

    from edgekit.train.macs import multiply_accumulates

    backbone = BACKBONES[name]
    network = getattr(keras.applications, backbone.keras_class)(
        weights=None, include_top=False, input_shape=(224, 224, 3)
    )
    assert multiply_accumulates(network) == backbone.macs
    assert network.count_params() == backbone.parameters
