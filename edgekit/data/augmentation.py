"""Random changes to training images: drawn once per epoch as numbers, and applied on the processor that trains.

The numbers depend only on the seed, the epoch and the position of the image in the training split. Every backbone of
a comparison therefore sees the same changes, with any batch size, on any backend. Rotation, zoom, flip and shift are
combined into one affine warp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.recipe import Augment

MID_GREY = 127.5
SMALLEST_ERASED = 0.02
"""Smallest area of an erased box, as a fraction of the image."""
LONGEST_SIDE = 3.3
"""Largest length of a side of an erased box, relative to the other side."""


@dataclass(frozen=True)
class Draws:
    """What happens to each image of a batch, or of a whole split.

    ``warp`` (N, 6) float32: row-major 2x3 matrix that maps the output pixel (x, y, 1) to the input pixel (x, y).
    ``tone`` (N, 2) float32: contrast factor around mid-grey, and brightness offset in 0-255.
    ``erase`` (N, 7) float32: columns [x0, x1) and rows [y0, y1) as x0, y0, x1, y1, and the RGB colour that fills them;
    ``None`` if nothing is erased.
    """

    warp: NDArray[np.float32]
    tone: NDArray[np.float32]
    erase: NDArray[np.float32] | None = None

    def __getitem__(self, chosen: NDArray[np.integer[Any]]) -> Draws:
        return Draws(self.warp[chosen], self.tone[chosen], None if self.erase is None else self.erase[chosen])

    def for_step(self) -> list[NDArray[np.float32]]:
        """The arrays that the training step takes in addition to the images."""
        return [self.warp, self.tone, *([] if self.erase is None else [self.erase])]


def draw(augment: Augment, n_images: int, image_size: int, seed: int, epoch: int) -> Draws:
    """Draw the changes to all ``n_images`` training images in one epoch, counted over all phases."""
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
    """Zhong et al. 2020 (arXiv 1708.04896): boxes with random area and shape, anywhere inside the image.

    A side that would be longer than the image is shortened to it. Each box has one colour.
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
    """Apply ``draws`` to a batch (N, H, W, 3) with OpenCV; about 50 times faster on a CPU than Keras layers."""
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


_ORDER_STREAM = 1 << 32
"""Separates the random numbers for the order from those for augmentation, which use the same seed."""


def epoch_order(n_images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order (N,) of the training images in one epoch, which is the same for every backbone."""
    return np.random.Generator(np.random.Philox(key=[seed + _ORDER_STREAM, epoch])).permutation(n_images)


def sample_weights(labels: NDArray[np.int32], n_classes: int, *, balanced: bool) -> NDArray[np.float32]:
    """Weights (N,): 1 for every image, or if ``balanced``, n / (classes * images of its class), with a mean of 1."""
    if not balanced:
        return np.ones(len(labels), np.float32)
    per_class = np.bincount(labels, minlength=n_classes)
    return (len(labels) / (n_classes * per_class))[labels].astype(np.float32)
