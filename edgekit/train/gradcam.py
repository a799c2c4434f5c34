"""Where the network looks: Grad-CAM for a few correctly and incorrectly classified test images of each class.

Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2: the last feature maps are weighted by the mean gradient of
a class score before the softmax, and the positive part of their sum is kept. Only average pooling and a small head
follow the feature maps, so the gradient is computed here layer by layer: it is exact, and the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekit.data.dataset import Dataset
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import GradCamDocument, GradCamPicture
from edgekit.train.network import head_layers

PER_KIND = 2
"""Number of correctly classified images per class, and of incorrectly classified ones."""
MOST_CLASSES = 12
"""If there are more classes, those with the most incorrectly classified images are shown."""
SIDE = 160
"""Side of a picture in pixels."""
BATCH = 16

Values = NDArray[np.float64]


def explain_run(
    run: RunFolder,
    network: keras.Model,
    dataset: Dataset,
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    feature_maps: Callable[[NDArray[np.int64]], NDArray[Any]] | None = None,
) -> None:
    """Write pictures and ``gradcam.json`` for some of the images at ``rows`` (N,), replacing earlier ones.

    ``pixels`` (M, H, W, 3) are the images of the whole dataset, and ``probabilities`` (N, classes) the predictions of
    ``network``. ``feature_maps`` computes its last feature maps for rows of the images, if that is compiled already.
    """
    labels, classes = dataset.labels[rows], dataset.classes
    chosen = choose(labels, probabilities)
    run.gradcam.mkdir(parents=True, exist_ok=True)
    for old in run.gradcam.glob("[0-9][0-9][0-9].jpg"):
        old.unlink()
    (run.gradcam / "gradcam.json").unlink(missing_ok=True)
    pictures: list[GradCamPicture] = []
    for start in range(0, len(chosen), BATCH):
        part = chosen[start : start + BATCH]
        images = pixels[rows[part]]
        predicted = probabilities[part].argmax(axis=1)
        maps = last_maps(network, images) if feature_maps is None else np.asarray(feature_maps(rows[part]), np.float64)
        for i, image, cam, top in zip(part, images, class_activation(network, maps, predicted), predicted):
            name = f"{len(pictures):03d}.jpg"
            picture(image, cam).save(run.gradcam / name, quality=85)
            pictures.append(
                GradCamPicture(
                    picture=name,
                    file=dataset.files[rows[i]],
                    label=classes[labels[i]],
                    predicted=classes[top],
                    probability=float(probabilities[i, top]),
                    right=bool(top == labels[i]),
                )
            )
    GradCamDocument(images=tuple(pictures)).write(run.gradcam / "gradcam.json")


def choose(labels: NDArray[np.int32], probabilities: NDArray[np.float32]) -> list[int]:
    """Positions of the images to show, class by class.

    For each class: the most and the least confident correct predictions, and the most confident wrong ones.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = predicted != labels
    classes = sorted(np.unique(labels).tolist(), key=lambda c: -int(wrong[labels == c].sum()))[:MOST_CLASSES]
    chosen: list[int] = []
    for label in sorted(classes):
        right_ones = np.flatnonzero((labels == label) & ~wrong)
        right_ones = right_ones[np.argsort(-confidence[right_ones], kind="stable")]
        wrong_ones = np.flatnonzero((labels == label) & wrong)
        wrong_ones = wrong_ones[np.argsort(-confidence[wrong_ones], kind="stable")]
        ends = [right_ones[0], right_ones[-1]] if len(right_ones) >= PER_KIND else right_ones.tolist()
        chosen += [int(i) for i in (*ends, *wrong_ones[:PER_KIND])]
    return chosen


def maps_model(network: keras.Model) -> keras.Model:
    """The network up to its last feature maps (N, h, w, channels)."""
    return keras.Model(network.input, network.get_layer("head_pool").input)


def last_maps(network: keras.Model, images: NDArray[np.uint8]) -> Values:
    """The last feature maps (N, h, w, channels) for ``images`` (N, H, W, 3), at most 16."""
    model, values = maps_model(network), images.astype(np.float32)
    if keras.backend.backend() != "jax":
        return np.asarray(keras.ops.convert_to_numpy(model(values, training=False)), np.float64)
    # JAX would compile each layer for itself, so it gets batches of one size instead.
    batch = np.concatenate([values, np.repeat(values[-1:], BATCH - len(values), axis=0)])
    return np.asarray(model.predict_on_batch(batch), np.float64)[: len(values)]


def class_activation(network: keras.Model, maps: Values, classes: NDArray[np.integer[Any]]) -> Values:
    """Grad-CAM (N, h, w), 0 or more, of one class for each of N images, from the last feature ``maps``."""
    # The gradient of a mean over h * w positions is the same at each of them, so its mean is just that gradient:
    # 1 / (h * w) of the gradient with respect to the pooled features.
    gradient = score_gradient(network, maps.mean(axis=(1, 2)), classes) / (maps.shape[1] * maps.shape[2])
    return np.asarray(np.maximum(np.einsum("nhwc,nc->nhw", maps, gradient), 0))


def score_gradient(network: keras.Model, pooled: Values, classes: NDArray[np.integer[Any]]) -> Values:
    """Gradient (N, channels) of the score of one class before the softmax, with respect to ``pooled`` (N, channels)."""
    back: list[Callable[[Values], Values]] = []
    values = pooled
    layers = head_layers(network)
    for layer in layers:
        if isinstance(layer, keras.layers.Dense):
            kernel = _numbers(layer.kernel)
            values = values @ kernel + _numbers(layer.bias)
            back.append(partial(_through_dense, kernel))
            if layer is not layers[-1]:  # ReLU; the softmax of the last layer is left out
                back.append(partial(np.multiply, values > 0))
                values = np.maximum(values, 0)
        elif isinstance(layer, keras.layers.BatchNormalization):
            scale = _numbers(layer.gamma) / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
            values = (values - _numbers(layer.moving_mean)) * scale + _numbers(layer.beta)
            back.append(partial(np.multiply, scale))
    gradient: Values = np.eye(values.shape[1])[classes]
    for step in reversed(back):
        gradient = step(gradient)
    return gradient


def _through_dense(kernel: Values, gradient: Values) -> Values:
    return np.asarray(gradient @ kernel.T)


def _numbers(weight: keras.Variable) -> Values:
    return np.asarray(keras.ops.convert_to_numpy(weight), np.float64)


def picture(image: NDArray[np.uint8], cam: Values) -> Image.Image:
    """The image next to a copy with its map: red where the class score comes from."""
    size = (SIDE, SIDE)
    plain = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    share = cam / cam.max() if cam.max() > 0 else cam
    heat = np.asarray(Image.fromarray(share.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    grey = np.asarray(plain.convert("L"), np.float64)[:, :, None].repeat(3, axis=2)
    warm = np.stack([255 * np.ones_like(heat), 210 * (1 - heat), 60 * (1 - heat)], axis=2)
    strength = 0.75 * heat[:, :, None]
    over = Image.fromarray(np.rint(grey * (1 - strength) + warm * strength).astype(np.uint8))
    both = Image.new("RGB", (2 * SIDE, SIDE))
    both.paste(plain, (0, 0))
    both.paste(over, (SIDE, 0))
    return both
