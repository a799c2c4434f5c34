"""Where a network narrows to a single tensor, where its last stage begins, and where it is cut for fine-tuning."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def stages():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import stages

    return stages


@pytest.fixture(scope="module")
def residual(stages):
    """Three residual blocks; the stride is in the last convolution of the second, as in ResNet50V2."""
    import keras

    layers = keras.layers
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    for number, strides in ((1, 1), (2, 2), (3, 1)):
        shortcut = layers.MaxPooling2D(1, strides=strides, name=f"{number}_shortcut")(x)
        x = layers.Conv2D(6, 3, padding="same", name=f"{number}_conv1")(x)
        x = layers.BatchNormalization(name=f"{number}_norm")(x)
        x = layers.Conv2D(4, 3, strides=strides, padding="same", name=f"{number}_conv2")(x)
        x = layers.Add(name=f"{number}_out")([x, shortcut])
    return keras.Model(image, layers.ReLU(name="relu")(x))


def test_inside_a_residual_block_the_network_is_not_narrow(stages, residual):
    names = [residual.layers[place.position].name for place in stages.bottlenecks(residual.layers, residual.output)]
    assert names == ["image", "stem", "1_out", "2_out", "3_out", "relu"]


def test_a_stage_does_not_begin_inside_a_block(stages, residual):
    """2_conv2 already works at the last resolution, but begins inside a block."""
    backbone = residual.layers[1:]
    assert not backbone[stages.last_stage(backbone)].name.startswith("2_")
    assert backbone[stages.last_stage(backbone)].name == "3_conv1"


@pytest.mark.parametrize(
    ("opened", "cut"),
    [
        (["3_conv1", "3_conv2"], "2_out"),
        (["3_conv2"], "2_out"),  # the shortcut crosses too, so the block is on the trained side
        (["2_conv2", "3_conv1", "3_conv2"], "1_out"),
        (["1_conv1"], "stem"),
    ],
)
def test_the_cut_is_the_last_single_tensor_before_the_opened_layers(stages, residual, opened, cut):
    found = stages.cut_before(residual, opened)
    assert residual.layers[found.position].name == cut
    assert found.tensor is residual.get_layer(cut).output


def test_nothing_is_cut_off_where_no_layer_with_weights_stays_frozen(stages, residual):
    assert stages.cut_before(residual, ["stem"]) is None


def test_layers_without_weights_are_on_the_side_that_stores_less(stages):
    import keras

    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="frozen")(image)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.ZeroPadding2D(name="pad")(x)
    network = keras.Model(image, layers.Conv2D(4, 3, name="trained")(x))
    found = stages.cut_before(network, ["trained"])
    assert network.layers[found.position].name == "pool"
    assert found.size == 8 * 8 * 4


def test_squeeze_and_excitation_does_not_end_a_stage(stages):
    """Its convolutions have outputs of one pixel, in the middle of a stage."""
    import keras

    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="second")(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(4, 1, name="excite")(squeezed)])
    network = keras.Model(image, layers.Conv2D(4, 1, name="third")(x))
    assert network.layers[1:][stages.last_stage(network.layers[1:])].name == "second"
