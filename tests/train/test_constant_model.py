"""Frozen layers with their weights as constants predict what the Keras model predicts."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50V2", "EfficientNetB0"])
def test_a_graph_of_constants_gives_the_outputs_of_the_model(name):
    """With batch normalization that changes something, for the batch sizes that follow the first one too."""
    from edgekit.train.backend import prepare_backend

    on_cpu = prepare_backend("cpu").on_cpu
    import keras

    from edgekit.train.constant_model import ConstantModel, fastest_form

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(1).uniform(0.5, 1.5, v.shape) for v in layer.get_weights()])
    form = fastest_form(model, on_cpu=on_cpu)
    assert isinstance(form, ConstantModel) is (keras.backend.backend() == "tensorflow")
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    for batch in (images, images[:2], images.astype(np.float32)):
        expected, found = np.asarray(model.predict_on_batch(batch)), form.predict_on_batch(batch)
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
        assert np.abs(expected).max() > 0


def test_a_model_in_half_precision_stays_as_it_is():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    import keras

    from edgekit.train.constant_model import fastest_form

    layer = keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16")
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    assert fastest_form(model, on_cpu=True) is model
