"""Random changes of training images: drawn once per epoch as numbers, applied on whichever processor trains.

The numbers depend on seed, epoch and the image's place in the training split alone, so every backbone of a comparison
sees the same changes, with any batch size, on any backend. Rotation, zoom, flip and shift are one affine warp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edgekit.recipe import Augment
from edgekit.train.mix import ApplyPairs

MID_GREY = 127.5


@dataclass(frozen=True)
class Draws:
    """What happens to each image of a batch or of a whole split.

    ``warp`` (N, 6) float32: row-major 2x3 matrix that takes output pixel (x, y, 1) to input pixel (x, y).
    ``tone`` (N, 2) float32: contrast factor about mid-grey and brightness offset in 0-255.
    """

    warp: NDArray[np.float32]
    tone: NDArray[np.float32]

    def __getitem__(self, chosen: NDArray[np.integer[Any]]) -> Draws:
        return Draws(self.warp[chosen], self.tone[chosen])


def draw(augment: Augment, n_images: int, image_size: int, seed: int, epoch: int) -> Draws:
    """The changes of all ``n_images`` training images in one epoch (counted over all stages)."""
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    uniform = random.uniform(-1.0, 1.0, (n_images, 8))
    angle = np.deg2rad(augment.rotation) * uniform[:, 0]
    scale = 1.0 + augment.zoom * uniform[:, 1]
    shift = augment.shift * uniform[:, 2:4] * image_size
    flip_x = np.where((uniform[:, 4] < 0) & (augment.flip in ("horizontal", "both")), -1.0, 1.0)
    flip_y = np.where((uniform[:, 5] < 0) & (augment.flip in ("vertical", "both")), -1.0, 1.0)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    linear = np.stack(
        [np.stack([cosine * flip_x, -sine * flip_x], -1), np.stack([sine * flip_y, cosine * flip_y], -1)], axis=1
    )
    centre = np.full(2, (image_size - 1) / 2)
    offset = centre - linear @ centre - shift
    warp = np.concatenate([linear, offset[:, :, None]], axis=2).reshape(n_images, 6)
    contrast = 1.0 + augment.contrast * uniform[:, 6]
    brightness = 255.0 * augment.brightness * uniform[:, 7]
    return Draws(warp.astype(np.float32), np.stack([contrast, brightness], -1).astype(np.float32))


def apply_on_cpu(images: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """Warp and re-tone a batch (N, H, W, 3) with OpenCV: about 50 times cheaper there than Keras's layers."""
    import cv2

    height, width = images.shape[1:3]
    levels = np.arange(256, dtype=np.float32)
    result = np.empty_like(images)
    for i, image in enumerate(images):
        matrix = draws.warp[i].reshape(2, 3)
        warped = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )
        contrast, brightness = draws.tone[i]
        if contrast != 1.0 or brightness != 0.0:
            toned = (levels - MID_GREY) * contrast + MID_GREY + brightness
            warped = cv2.LUT(warped, np.clip(np.rint(toned), 0, 255).astype(np.uint8))
        result[i] = warped
    return result


class ApplyDraws(keras.layers.Layer):  # type: ignore[misc]
    """The same changes inside the training step, for an accelerator.

    Call with ``[images, warp, tone]`` of shapes (N, H, W, 3), (N, 6), (N, 2); gives float32 images in 0-255.
    """

    def call(self, inputs: Any) -> Any:
        images, warp, tone = inputs
        images = ops.cast(images, "float32")
        transform = ops.concatenate([warp, ops.zeros_like(warp[:, :2])], axis=1)
        images = ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="reflect")
        contrast, brightness = tone[:, 0][:, None, None, None], tone[:, 1][:, None, None, None]
        return ops.clip((images - MID_GREY) * contrast + MID_GREY + brightness, 0.0, 255.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def training_model(network: keras.Model, *, augment: bool = True, mix: bool = False) -> keras.Model:
    """``network`` behind :class:`ApplyDraws` and :class:`ApplyPairs`, sharing its weights.

    Inputs: images; with ``augment`` warp and tone; with ``mix`` partner and plan.
    """
    images = keras.Input(network.input.shape[1:], dtype="uint8", name="images")
    inputs, changed = [images], images
    if augment:
        draws = [keras.Input((6,), name="warp"), keras.Input((2,), name="tone")]
        inputs, changed = [*inputs, *draws], ApplyDraws(name="augment", dtype="float32")([changed, *draws])
    if mix:
        pairs = [keras.Input((), dtype="int32", name="partner"), keras.Input((5,), name="plan")]
        inputs, changed = [*inputs, *pairs], ApplyPairs(name="mix", dtype="float32")([changed, *pairs])
    return keras.Model(inputs, network(changed), name="training")
