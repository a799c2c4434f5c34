"""What a model takes and what it gives: every form becomes RGB pixels in, probabilities out, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from import_helpers import noise, stir

from edgekit.device.scaling import SCALINGS, parse_scaling
from edgekit.errors import InputError

PATH = Path("model.keras")
SIDE = 16


def softmax(values: np.ndarray) -> np.ndarray:
    values = np.exp(values - values.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def sequential(*layers: Any, shape: tuple[int | None, ...] = (SIDE, SIDE, 3)) -> Any:
    import keras

    return stir(keras.Sequential([keras.Input(shape), *layers]))


def imported(model: Any, scaling: str = "unit") -> tuple[Any, np.ndarray, np.ndarray]:
    """The network, its probabilities, and the outputs of ``model`` for the scaled pixels."""
    from edgekit.train.imported import ends, network

    form = ends.input_form(model, None, PATH)
    output = ends.output_form(model, PATH)
    given = parse_scaling(scaling)
    outputs = network.predictor(model)(network.scale_pixels(noise(side=SIDE), given, form))
    output = ends.seen_outputs(output, outputs)
    made = network.imported_network(model, "imported", given, form, output).network
    probabilities = np.asarray(made(noise(side=SIDE).astype(np.float32), training=False))
    assert probabilities == pytest.approx(output.probabilities(outputs), abs=1e-4)
    assert made.input.shape == (None, SIDE, SIDE, 3)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-4)
    return made, probabilities, outputs


@pytest.mark.parametrize("scaling", [*SCALINGS, "100,50"])
@pytest.mark.parametrize("padded", [False, True])
def test_every_scaling_goes_inside(scaling, padded):
    from keras import layers

    first = [layers.ZeroPadding2D(1)] if padded else []
    made, probabilities, outputs = imported(
        sequential(*first, layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, activation="softmax")), scaling
    )
    assert probabilities == pytest.approx(outputs, abs=1e-4)
    kinds = [type(layer).__name__ for layer in made.layers]
    assert kinds.count("Rescaling") == (scaling != "none")  # and no layer more for blue first: the kernel is reversed
    assert kinds.count("Conv2D") == 1


def test_blue_first_before_something_other_than_a_convolution():
    from keras import layers

    model = sequential(layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"))
    _, probabilities, outputs = imported(model, "caffe")
    assert probabilities == pytest.approx(outputs, abs=1e-4)


def test_a_linear_output_gets_a_softmax():
    from keras import layers

    made, probabilities, outputs = imported(sequential(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)))
    assert probabilities == pytest.approx(softmax(outputs), abs=1e-4)
    assert made.layers[-1].name == "probabilities"


@pytest.mark.parametrize("form", ["dense", "activation", "logit", "without_bias"])
def test_one_sigmoid_becomes_two_classes(form):
    from keras import layers

    last = {
        "dense": [layers.Dense(1, activation="sigmoid")],
        "activation": [layers.Dense(1), layers.Activation("sigmoid")],
        "logit": [layers.Dense(1)],
        "without_bias": [layers.Dense(1, activation="sigmoid", use_bias=False)],
    }[form]
    model = sequential(layers.Conv2D(4, 3, activation="tanh"), layers.GlobalAveragePooling2D(), *last)
    made, probabilities, outputs = imported(model)
    second = 1 / (1 + np.exp(-outputs[:, 0])) if form == "logit" else outputs[:, 0]
    assert probabilities[:, 1] == pytest.approx(second, abs=1e-4)
    assert made.layers[-1].activation.__name__ == "softmax"  # which int8 treats like that of any classifier


def test_a_sigmoid_for_each_class_keeps_the_class():
    from keras import layers

    last = layers.Dense(4, activation="sigmoid")
    _, probabilities, outputs = imported(sequential(layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), last))
    assert (probabilities.argmax(1) == outputs.argmax(1)).all()


@pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 3), ("sigmoid", 1)])
@pytest.mark.parametrize("before", ["pooling", "batchnorm", "relu"])
def test_an_activation_after_something_other_than_a_dense_layer(activation, before, n_outputs):
    from keras import layers

    last = {
        "pooling": [layers.Conv2D(n_outputs, 3), layers.GlobalAveragePooling2D()],
        "batchnorm": [layers.Flatten(), layers.Dense(n_outputs), layers.BatchNormalization()],
        "relu": [layers.Flatten(), layers.Dense(n_outputs, activation="relu")],
    }[before]
    _, probabilities, outputs = imported(sequential(*last, layers.Activation(activation)))
    if activation == "softmax":
        assert probabilities == pytest.approx(outputs, abs=1e-4)
    elif n_outputs == 1:
        assert probabilities[:, 1] == pytest.approx(outputs[:, 0], abs=1e-4)
    else:
        assert probabilities == pytest.approx(softmax(np.log(outputs) - np.log1p(-outputs)), abs=1e-4)


def test_a_fully_convolutional_output_is_flattened():
    from keras import layers

    _, probabilities, outputs = imported(
        sequential(layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(3, 1, activation="softmax"))
    )
    assert probabilities == pytest.approx(outputs.reshape(4, 3), abs=1e-4)


def test_probabilities_from_an_operation_are_left_as_they_are():
    import keras
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(image)))
    model = keras.Model(image, keras.ops.softmax(x))
    _, probabilities, outputs = imported(stir(model))
    assert probabilities == pytest.approx(outputs, abs=1e-4)


def test_a_grey_model_takes_colours():
    from keras import layers

    model = sequential(
        layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, activation="softmax"), shape=(SIDE, SIDE, 1)
    )
    _, probabilities, _ = imported(model)
    grey = noise(side=SIDE).astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    assert probabilities == pytest.approx(np.asarray(model(grey[..., None] / 255)), abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((SIDE, 2 * SIDE, 3), "16x32 pixels; a run needs square images"),
        ((SIDE, SIDE, 4), "4 channels"),
        ((3, SIDE, SIDE), "channels first"),
        ((None, None, 3), "images of any size"),
        ((7,), "not that of images"),
    ],
)
def test_inputs_that_are_refused(shape, message):
    from keras import layers

    from edgekit.train.imported.ends import input_form

    body = [layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()] if len(shape) == 3 else []
    with pytest.raises(InputError, match=message):
        input_form(sequential(*body, layers.Dense(2), shape=shape), None, PATH)


def test_the_size_of_a_model_for_any_size_is_given():
    from keras import layers

    from edgekit.train.imported.ends import input_form

    model = sequential(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2), shape=(None, None, 3))
    assert input_form(model, 48, PATH).side == 48
    fixed = sequential(layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2))
    with pytest.raises(InputError, match="takes images of 16x16 pixels, not 48x48"):
        input_form(fixed, 48, PATH)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"units": 1, "activation": "softmax"}, "always 1"),
        ({"units": 3, "activation": "relu"}, "ends with the activation relu"),
    ],
)
def test_outputs_that_are_refused(last, message):
    from keras import layers

    from edgekit.train.imported.ends import output_form

    with pytest.raises(InputError, match=message):
        output_form(sequential(layers.Flatten(), layers.Dense(**last)), PATH)


def test_a_feature_extractor_is_refused_with_the_way_to_train_on_it():
    from keras import layers

    from edgekit.train.imported.ends import output_form

    with pytest.raises(InputError, match="a classifier returns") as error:
        output_form(sequential(layers.Conv2D(2, 3)), PATH)
    assert "--backbone MODEL.keras" in str(error.value.hint)


def test_several_outputs_are_named():
    import keras
    from keras import layers

    from edgekit.train.imported.ends import output_form

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Flatten()(image)
    model = keras.Model(image, [layers.Dense(2, name="kind")(x), layers.Dense(1, name="age")(x)])
    with pytest.raises(InputError, match=r"2 outputs \(kind, age\)"):
        output_form(model, PATH)


@pytest.mark.parametrize("plain", [True, False])
def test_a_plain_head_can_be_explained(plain, tmp_path):
    """Grad-CAM finds the last pooling if only a plain head follows it, also after saving."""
    import keras
    from keras import layers

    from edgekit.train.gradcam import class_activation, last_maps

    hidden = layers.Dense(5, activation="relu" if plain else "tanh", name="head_dense")
    between = [hidden, layers.BatchNormalization(name="head_batchnorm"), layers.Dropout(0.2)]
    body = [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    made, probabilities, _ = imported(sequential(*body, *between, layers.Dense(3, name="probabilities")))
    made.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    names = [layer.name for layer in again.layers]
    assert ("head_pool" in names) is plain
    assert names[-1] == "probabilities"
    assert "head_dense" not in names  # what edgekit does to its own head must not be done to another
    if plain:
        maps = class_activation(again, last_maps(again, noise(side=SIDE)), probabilities.argmax(axis=1))
        assert maps.shape == (4, SIDE - 2, SIDE - 2)
        assert maps.max() > 0
