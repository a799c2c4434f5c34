"""Grad-CAM: the gradient, the map, and the choice of images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from train_helpers import SIDE, coloured_noise, tiny_network

from edgekit.documents.base import read_json


@pytest.fixture(scope="module")
def cam():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import gradcam

    return gradcam


@pytest.fixture(scope="module")
def network(cam):
    """Two convolutions and the usual head, its BatchNorm with statistics of its own."""
    network = tiny_network(seed=3)
    random = np.random.default_rng(0)
    norm = network.get_layer("head_batchnorm")
    norm.set_weights([random.uniform(*bounds, 8) for bounds in ((0.5, 2), (-1, 1), (-0.5, 0.5), (0.1, 2))])
    return network


def scores(network, pooled: np.ndarray) -> np.ndarray:
    """The scores before the softmax, computed by the layers themselves."""
    values = pooled.astype(np.float32)
    for name in ("head_dense", "head_batchnorm", "head_dropout"):
        values = network.get_layer(name)(values, training=False)
    last = network.get_layer("probabilities")
    return np.asarray(values) @ np.asarray(last.kernel) + np.asarray(last.bias)


def test_the_gradient_of_the_score_matches_finite_differences(cam, network):
    pooled = np.random.default_rng(1).uniform(0, 2, (6, 8))
    classes = np.array([0, 1, 2, 0, 1, 2])
    gradient = cam.score_gradient(network, pooled, classes)
    places = np.arange(6)
    for channel in range(8):
        step = np.zeros(8)
        step[channel] = 1e-2
        change = (scores(network, pooled + step) - scores(network, pooled - step))[places, classes] / 2e-2
        assert np.allclose(gradient[:, channel], change, atol=2e-3)
    assert np.abs(gradient).max() > 0.01


def test_the_map_is_where_the_pixels_matter(cam):
    """A network that only sees red: the map of that class follows the red, and the map of the other class is empty."""
    import keras

    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(image)
    x = keras.layers.Conv2D(1, 4, strides=4, use_bias=False, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    network = keras.Model(image, keras.layers.Dense(2, activation="softmax", name="probabilities")(x))
    kernel = np.zeros((4, 4, 3, 1), np.float32)
    kernel[:, :, 0] = 1
    network.get_layer("conv").set_weights([kernel])
    network.get_layer("probabilities").set_weights([np.array([[2.0, -1.0]]), np.zeros(2)])
    pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    pixels[:, 8:16, 20:28, 0] = 255
    found = cam.class_activation(network, cam.last_maps(network, pixels), np.array([0, 1]))
    assert found.shape == (2, 8, 8)
    inside = np.zeros((8, 8), bool)
    inside[2:4, 5:7] = True
    assert np.allclose(found[0][inside], 16 * 2 / 64)
    assert np.allclose(found[0][~inside], 0)
    assert np.allclose(found[1], 0)


def test_the_most_and_least_confident_correct_and_the_most_confident_wrong_images_are_chosen(cam):
    labels = np.array([0] * 6 + [1] * 2)
    sure = [0.9, 0.6, 0.7, 0.55, 0.95, 0.8, 0.9, 0.8]
    answers = [0, 0, 0, 1, 1, 1, 1, 0]
    probabilities = np.zeros((8, 2), np.float32)
    for i, (p, answer) in enumerate(zip(sure, answers)):
        probabilities[i, answer], probabilities[i, 1 - answer] = p, 1 - p
    assert cam.choose(labels, probabilities) == [0, 1, 4, 5, 6, 7]


def test_with_many_classes_those_with_most_errors_are_shown(cam):
    labels = np.repeat(np.arange(20), 3)
    probabilities = np.eye(20, dtype=np.float32)[labels]
    probabilities[51] = np.eye(20)[0]  # the first of class 17 is taken for class 0
    chosen = cam.choose(labels, probabilities)
    assert 51 in chosen
    assert len(np.unique(labels[chosen])) == cam.MOST_CLASSES


def test_a_picture_is_the_image_and_its_map(cam):
    image = coloured_noise(1)[0].astype(np.uint8)
    hot = np.zeros((4, 4))
    hot[0, 0] = 1.0
    both = np.asarray(cam.picture(image, hot)).astype(int)
    assert both.shape == (cam.SIDE, 2 * cam.SIDE, 3)
    corner, opposite = both[:20, cam.SIDE : cam.SIDE + 20], both[-20:, -20:]
    assert (corner[..., 0] - corner[..., 2]).mean() > 60
    assert np.abs(opposite[..., 0] - opposite[..., 2]).mean() < 5
    empty = np.asarray(cam.picture(image, np.zeros((4, 4))))
    assert np.array_equal(empty[..., 0][:, cam.SIDE :], empty[..., 2][:, cam.SIDE :])


def test_a_trained_run_has_pictures_of_its_test_images(trained):
    entries = read_json(trained.folder.gradcam / "gradcam.json")["images"]
    files = {row.split(",")[0] for row in trained.folder.dataset.read_text().splitlines() if ",test," in row}
    assert {entry["label"] for entry in entries} == {"amber", "blue", "green"}
    for entry in entries:
        assert entry["file"] in files
        assert entry["right"] == (entry["label"] == entry["predicted"])
        with Image.open(trained.folder.gradcam / entry["picture"]) as picture:
            assert picture.size == (320, 160)
