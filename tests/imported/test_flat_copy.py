"""The flat copy of a model: no models inside, nothing that only training needs, one scaling, the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from import_helpers import noise, stir

SIDE = 16


def flat(model: Any) -> Any:
    import keras

    from edgekit.train.flat_copy import FlatCopy, Pixels

    copy = FlatCopy(taken={"image"})
    image = keras.Input((SIDE, SIDE, 3), name="image")
    made = keras.Model(image, copy.apply(model, Pixels.plain(image).then(1 / 127.5, -1.0)))
    copy.copy_weights()
    return made


def check(model: Any, tolerance: float = 1e-4) -> list[str]:
    """The kinds of layers of the flat copy, which predicts what ``model`` predicts for pixels in [-1, 1]."""
    import keras

    made = flat(stir(model))
    pixels = noise(side=SIDE).astype(np.float32)
    expected = np.asarray(model(pixels / 127.5 - 1.0, training=False), np.float32)
    given = np.asarray(made(pixels, training=False))
    assert np.abs(given - expected).max() <= tolerance * np.abs(expected).max()
    assert not [layer for layer in made.layers if isinstance(layer, keras.Model)]
    names = [layer.name for layer in made.layers]
    assert len(set(names)) == len(names)
    return [type(layer).__name__ for layer in made.layers]


def test_models_inside_models_are_dissolved():
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(2, 3, name="same"), layers.ReLU()])
    middle_image = keras.Input((SIDE, SIDE, 3))
    middle = keras.Model(middle_image, layers.BatchNormalization()(inner(middle_image)))
    outer = keras.Sequential([keras.Input((SIDE, SIDE, 3)), middle, layers.Flatten(), layers.Dense(2, name="same")])
    assert check(outer)[1:] == ["Rescaling", "Conv2D", "ReLU", "BatchNormalization", "Flatten", "Dense"]


def test_a_layer_that_is_used_twice_keeps_its_weights():
    import keras
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    check(keras.Model(image, layers.GlobalAveragePooling2D()(shared(shared(image)))))


def test_what_only_training_needs_is_left_out():
    import keras
    from keras import layers

    only_training = [
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.1),
        layers.GaussianNoise(0.1),
        layers.SpatialDropout2D(0.1),
    ]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *only_training, layers.Flatten(), layers.Dense(2)])
    assert check(model)[1:] == ["Rescaling", "Flatten", "Dense"]


def test_scalings_in_a_row_become_one():
    import keras
    from keras import layers

    normalization = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])
    image = keras.Input((SIDE, SIDE, 3))
    x = normalization(layers.Rescaling(0.5, offset=0.1)(layers.RandomFlip()(image)))
    x = (1.0 - x) * np.array([1.0, 2.0, 3.0], np.float32) / 2.0
    kinds = check(keras.Model(image, layers.Flatten()(layers.Conv2D(2, 3)(x))))
    assert kinds[1:] == ["Rescaling", "Conv2D", "Flatten"]


@pytest.mark.parametrize("reverse", ["index", "flip"])
@pytest.mark.parametrize("scaled", ["before", "after", "both"])
def test_channels_in_reverse_order_go_into_the_kernel(reverse, scaled):
    import keras
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3))
    x = image
    if scaled in ("before", "both"):
        x = x - np.array([1.0, 2.0, 3.0], np.float32)
    x = x[..., ::-1] if reverse == "index" else keras.ops.flip(x, -1)
    if scaled in ("after", "both"):
        x = layers.Rescaling([1.0, 2.0, 3.0], offset=[0.3, 0.2, 0.1])(x)
    x = layers.Conv2D(2, 3)(layers.ZeroPadding2D(1)(x))
    kinds = check(keras.Model(image, layers.Flatten()(x)))
    assert kinds[1:] == ["Rescaling", "ZeroPadding2D", "Conv2D", "Flatten"]


def test_pixels_that_several_layers_take_are_scaled_once():
    import keras
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Concatenate()([layers.Conv2D(2, 3)(image), layers.Conv2D(2, 3)(image)])
    assert check(keras.Model(image, layers.GlobalAveragePooling2D()(x))).count("Rescaling") == 1


def test_operations_become_layers_where_there_are_such():
    import keras
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(3, 3, padding="same")(image)
    x = keras.ops.relu(x) * 0.5 + keras.ops.silu(x)
    made = flat(stir(keras.Model(image, keras.ops.mean(x, axis=(1, 2)))))
    assert len(made.operations) == len(made.layers)
    check(keras.Model(image, keras.ops.mean(x, axis=(1, 2))))


def test_a_model_in_half_precision_is_copied_in_float32():
    import keras
    from keras import layers

    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(2, 3, dtype=policy), layers.Flatten(dtype=policy)]
    )
    check(model, tolerance=1e-2)
    assert {weight.dtype for weight in flat(model).weights} == {"float32"}
    assert flat(model).output.dtype == "float32"
