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
from edgekit.train.mix import ApplyPairs, inside_boxes

MID_GREY = 127.5
SMALLEST_ERASED = 0.02
"""Part of the image."""
LONGEST_SIDE = 3.3
"""Of an erased box, relative to the other side."""


@dataclass(frozen=True)
class Draws:
    """What happens to each image of a batch or of a whole split.

    ``warp`` (N, 6) float32: row-major 2x3 matrix that takes output pixel (x, y, 1) to input pixel (x, y).
    ``tone`` (N, 2) float32: contrast factor about mid-grey and brightness offset in 0-255.
    ``erase`` (N, 7) float32: columns [x0, x1) and rows [y0, y1) as x0, y0, x1, y1, and the colour that fills them;
    None where nothing is erased.
    """

    warp: NDArray[np.float32]
    tone: NDArray[np.float32]
    erase: NDArray[np.float32] | None = None

    def __getitem__(self, chosen: NDArray[np.integer[Any]]) -> Draws:
        return Draws(self.warp[chosen], self.tone[chosen], None if self.erase is None else self.erase[chosen])

    def for_step(self) -> list[NDArray[np.float32]]:
        """What the training step takes beside the images."""
        return [self.warp, self.tone, *([] if self.erase is None else [self.erase])]


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
    erase = _draw_boxes(augment, n_images, image_size, random) if augment.erasing else None
    return Draws(warp.astype(np.float32), np.stack([contrast, brightness], -1).astype(np.float32), erase)


def _draw_boxes(augment: Augment, n_images: int, image_size: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Zhong et al. 2020 (arXiv 1708.04896): area and shape uniform within their bounds, anywhere inside the image.

    A side that would be longer than the image is cut to it. The colour is one for the box.
    """
    uniform = random.uniform(0.0, 1.0, (n_images, 5))
    area = (SMALLEST_ERASED + (augment.erasing_area - SMALLEST_ERASED) * uniform[:, 1]) * image_size**2
    shape = np.exp(np.log(LONGEST_SIDE) * (2 * uniform[:, 2] - 1))
    sides = np.rint(np.sqrt(np.stack([area * shape, area / shape], -1))).clip(1, image_size)
    low = np.floor(uniform[:, 3:5] * (image_size - sides + 1))
    boxes = np.concatenate([low, low + sides], axis=1)
    boxes[uniform[:, 0] >= augment.erasing] = 0
    return np.concatenate([boxes, random.integers(0, 256, (n_images, 3))], axis=1).astype(np.float32)


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
        if draws.erase is not None:
            x0, y0, x1, y1 = draws.erase[i, :4].astype(int)
            result[i, y0:y1, x0:x1] = draws.erase[i, 4:].astype(np.uint8)
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


class ApplyErasing(keras.layers.Layer):  # type: ignore[misc]
    """Erasing inside the training step. Call with ``[images, erase]`` of shapes (N, H, W, 3), (N, 7)."""

    def call(self, inputs: Any) -> Any:
        images, erase = inputs
        colour = erase[:, 4:][:, None, None, :]
        return ops.where(inside_boxes(images, erase[:, :4]), colour, ops.cast(images, "float32"))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


@dataclass(frozen=True)
class TrainingModel:
    """What ``fit`` trains: the network behind the changes of its images, sharing its weights."""

    model: keras.Model
    policy: keras.layers.Layer | None
    """RandAugment, where it is asked for."""

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Set what the policy draws from, so that an epoch draws alike after an interrupt too."""
        if self.policy is not None:
            self.policy.generator.state.assign([seed, epoch * 1_000_000])


def training_model(network: keras.Model, augment: Augment | None = None, *, mix: bool = False) -> TrainingModel:
    """``network`` behind the changes of ``augment`` and, with ``mix``, of :class:`ApplyPairs`.

    Inputs: images; with ``augment`` those of :meth:`Draws.for_step`; with ``mix`` partner and plan.
    """
    images = keras.Input(network.input.shape[1:], dtype="uint8", name="images")
    inputs, changed, policy = [images], images, None
    if augment is not None:
        draws = [keras.Input((6,), name="warp"), keras.Input((2,), name="tone")]
        inputs, changed = [*inputs, *draws], ApplyDraws(name="augment", dtype="float32")([changed, *draws])
        if augment.randaugment:
            policy = keras.layers.RandAugment(
                (0, 255), augment.randaugment, augment.randaugment_strength, name="randaugment", dtype="float32"
            )
            changed = policy(changed)
        if augment.erasing:
            erase = keras.Input((7,), name="erase")
            inputs, changed = [*inputs, erase], ApplyErasing(name="erasing", dtype="float32")([changed, erase])
    if mix:
        pairs = [keras.Input((), dtype="int32", name="partner"), keras.Input((5,), name="plan")]
        inputs, changed = [*inputs, *pairs], ApplyPairs(name="mix", dtype="float32")([changed, *pairs])
    return TrainingModel(keras.Model(inputs, network(changed), name="training"), policy)
