"""Files that other people have: of Keras 2 and 3, damaged ones, and ones that contain code."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from import_helpers import SIDE, noise, stir

from edgekit.errors import InputError
from edgekit.train.keras_files.model_file import open_keras_model


@pytest.fixture(scope="module")
def keras2():
    """Keras 2 under its present name."""
    pytest.importorskip("tf_keras")
    from edgekit.export.compress.compressor import import_model_optimization

    import_model_optimization()
    import tf_keras

    return tf_keras


@pytest.fixture(scope="module")
def teachable_machine(keras2) -> Any:
    """Like keras_model.h5 of Teachable Machine: Sequential in Sequential, part of a MobileNet, groups=1."""
    base = keras2.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    cut = keras2.Model(base.input, base.get_layer("conv_pw_3_relu").output, name="model1")
    body = keras2.Sequential([cut, keras2.layers.GlobalAveragePooling2D()])
    dense = keras2.layers.Dense
    head = keras2.Sequential([dense(16, activation="relu"), dense(3, use_bias=False, activation="softmax")])
    model = keras2.Sequential([body, head])
    model.build((None, SIDE, SIDE, 3))
    return stir(model)


@pytest.fixture(scope="module")
def tutorial(keras2) -> Any:
    """The transfer learning of the TensorFlow tutorials: preprocess_input and augmentation in the model, a frozen base.

    Some layers of the base are trained, so that the file stores its weights in another order than the layers have.
    """
    layers = keras2.layers
    whole = keras2.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    base = keras2.Model(whole.input, whole.get_layer("conv_pw_3_relu").output, name="base")
    for layer in base.layers[:-8]:
        layer.trainable = False
    image = keras2.Input((SIDE, SIDE, 3))
    x = keras2.applications.mobilenet_v2.preprocess_input(layers.RandomFlip()(image))
    x = layers.GlobalAveragePooling2D()(base(x, training=False))
    return stir(keras2.Model(image, layers.Dense(3)(layers.Dropout(0.2)(x))))


@pytest.mark.parametrize("kind", ["h5", "keras", "savedmodel"])
@pytest.mark.parametrize("model", ["teachable_machine", "tutorial"])
def test_a_file_of_keras_2_predicts_the_same(request, tmp_path, model, kind):
    original = request.getfixturevalue(model)
    path = tmp_path / ("model" if kind == "savedmodel" else f"model.{kind}")
    original.save(path, **({"save_format": "tf"} if kind == "savedmodel" else {}))
    opened = open_keras_model(path)
    assert (opened.format, opened.keras_version[0]) == (kind, "2")
    pixels = noise().astype(np.float32)
    expected = original.predict(pixels, verbose=0)
    given = np.asarray(opened.model(pixels, training=False))
    assert expected.std() > 1e-3  # predictions that do not depend on the image would prove nothing
    assert np.abs(given - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


def test_the_caffe_preprocessing_of_keras_2_is_translated(keras2, tmp_path):
    image = keras2.Input((SIDE, SIDE, 3))
    x = keras2.applications.resnet50.preprocess_input(image)
    x = keras2.layers.GlobalAveragePooling2D()(keras2.layers.Conv2D(4, 3, activation="relu")(x))
    original = keras2.Model(image, keras2.layers.Dense(3)(x))
    original.save(tmp_path / "model.h5")
    pixels = noise().astype(np.float32)
    opened = open_keras_model(tmp_path / "model.h5")
    assert np.asarray(opened.model(pixels)) == pytest.approx(original.predict(pixels, verbose=0), abs=1e-3)


def test_an_operation_without_a_translation_is_named(keras2, tmp_path):
    import tensorflow as tf

    image = keras2.Input((SIDE, SIDE, 3))
    x = tf.image.adjust_contrast(image, 2.0)
    keras2.Model(image, keras2.layers.Dense(2)(keras2.layers.Flatten()(x))).save(tmp_path / "model.h5")
    with pytest.raises(InputError, match=r"applies tf\..*, which edgekit does not translate"):
        open_keras_model(tmp_path / "model.h5")


def test_an_activation_that_means_something_else_today_is_refused(keras2, tmp_path):
    layers = [
        keras2.layers.Conv2D(2, 3, activation="hard_sigmoid", input_shape=(SIDE, SIDE, 3)),
        keras2.layers.Flatten(),
    ]
    keras2.Sequential(layers).save(tmp_path / "model.h5")
    with pytest.raises(InputError, match="hard_sigmoid, which Keras 2 computed differently"):
        open_keras_model(tmp_path / "model.h5")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, suffix):
    import keras

    marker = tmp_path / "ran"

    def code(x: Any) -> Any:
        Path(os.environ["EDGEKIT_TEST_MARKER"]).touch()
        return x * 2

    os.environ["EDGEKIT_TEST_MARKER"] = str(marker)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Lambda(code, name="scale"), layers.Flatten()])
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    marker.unlink()
    with pytest.raises(InputError, match=r"contains code: Lambda \(layer 'scale'\)") as error:
        open_keras_model(path)
    assert "Rescaling" in str(error.value.hint)
    assert not marker.exists()


def test_layers_of_a_persons_own_are_named(tmp_path):
    import keras

    class Mine(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 1

    model = keras.Sequential([keras.Input((8, 8, 3)), Mine(name="first"), keras.layers.Flatten(), Mine(name="second")])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"Mine \(layer 'first'\), Mine \(layer 'second'\)"):
        open_keras_model(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("keras.utils", "get_file"), ("builtins", "eval"), ("keras.layers", "Lambda")],
)
def test_a_configuration_cannot_name_other_code(tmp_path, module, name):
    """A file that somebody edited: a layer of another module, and an activation that is a function of one."""
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    model.save(tmp_path / "plain.keras")
    for place in ("layer", "activation"):
        path = tmp_path / f"{place}.keras"
        with zipfile.ZipFile(tmp_path / "plain.keras") as plain, zipfile.ZipFile(path, "w") as changed:
            for member in plain.namelist():
                content = plain.read(member)
                if member == "config.json":
                    config = json.loads(content)
                    layer = config["config"]["layers"][1]
                    evil = {"module": module, "class_name": name, "config": {}, "registered_name": name}
                    if place == "layer":
                        config["config"]["layers"][1] = {**evil, "config": {"name": "x"}}
                    else:
                        layer["config"]["activation"] = {**evil, "class_name": "function", "config": name}
                    content = json.dumps(config).encode()
                changed.writestr(member, content)
        with pytest.raises(InputError, match=f"not part of Keras|contains code|{name}"):
            open_keras_model(path)


def test_what_is_no_model_is_told_apart(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    model.save(tmp_path / "good.keras")
    model.save_weights(tmp_path / "only.weights.h5")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "good.keras").read_bytes()[:2000])
    (tmp_path / "text.keras").write_text("a model")
    (tmp_path / "file.tflite").write_bytes(b"TFL3")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hello")
    for name, message in {
        "missing.keras": "does not exist",
        "only.weights.h5": "weights without the model",
        "cut.keras": "damaged",
        "text.keras": "is not a Keras model",
        "file.tflite": "nothing to import",
        "saved_model.pb": "part of a SavedModel",
        "folder": "no saved_model.pb",
        "other.zip": "not a Keras model",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            open_keras_model(tmp_path / name)
        assert error.value.hint


def test_a_savedmodel_without_its_keras_model_is_refused(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    model.export(tmp_path / "exported", verbose=False)
    with pytest.raises(InputError, match="contains a TensorFlow graph, but not the Keras model") as error:
        open_keras_model(tmp_path / "exported")
    assert "from_saved_model" in str(error.value.hint)
