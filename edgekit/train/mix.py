"""MixUp and CutMix: pairs of images and of labels, mixed in the training step.

A batch is mixed by one of the two or left alone; partners are a random permutation of the batch, ratios and boxes are
drawn for each pair. The numbers depend on seed, epoch and the batch's place in the epoch alone, so every backbone of a
comparison sees the same pairs on any backend.

Keras has layers of both. Its ``CutMix`` (3.15) is not used: it draws the shape parameter itself at random, moves boxes
inside instead of clipping them, and mixes labels by the area before it is rounded to pixels. Its ``MixUp`` draws from
the backend's own generator, so no two backends would see the same pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edgekit.recipe import Mix

_PAIR_STREAM = 1 << 33
"""Keeps the draws of pairs apart from those of augmentation and order, which use the same seed."""


@dataclass(frozen=True)
class Pairs:
    """What each of the N images of a batch is mixed with.

    ``partner`` (N,) int32: place in the batch of the image that is mixed in. ``keep`` (N,) float32: factor of an
    image's own pixels outside the box; its partner has 1 - ``keep``. ``box`` (N, 4) int32: the columns [x0, x1) and
    rows [y0, y1) that are the partner's altogether. ``share`` (N,) float32: how much of the result is the image's
    own, which is also the share of its label.
    """

    partner: NDArray[np.int32]
    keep: NDArray[np.float32]
    box: NDArray[np.int32]
    share: NDArray[np.float32]

    @classmethod
    def alone(cls, n_images: int) -> Pairs:
        """Every image stays as it is."""
        one = np.ones(n_images, np.float32)
        return cls(np.arange(n_images, dtype=np.int32), one, np.zeros((n_images, 4), np.int32), one)

    @property
    def plan(self) -> NDArray[np.float32]:
        """``keep`` and ``box`` as one float32 array (N, 5) for the training step."""
        return np.concatenate([self.keep[:, None], self.box], axis=1, dtype=np.float32)


def draw_pairs(mix: Mix, n_images: int, image_size: int, seed: int, epoch: int, batch: int) -> Pairs:
    """The pairs of one batch (the ``batch``-th of the ``epoch``-th epoch, counted over all stages)."""
    random = np.random.Generator(np.random.Philox(key=[seed + _PAIR_STREAM, epoch], counter=[0, 0, 0, batch]))
    method = random.uniform()
    partner = random.permutation(n_images).astype(np.int32)
    if method < mix.mixup.probability:
        return _mixup(mix.mixup.alpha, partner, random)
    if method < mix.mixup.probability + mix.cutmix.probability:
        return _cutmix(mix.cutmix.alpha, partner, image_size, random)
    return Pairs.alone(n_images)


def mix_on_cpu(images: NDArray[np.uint8], pairs: Pairs) -> NDArray[np.uint8]:
    """Mix a batch (N, H, W, 3) with OpenCV; blends are rounded to whole levels."""
    import cv2

    result: NDArray[np.uint8] = images.copy()
    for i, (partner, keep, (x0, y0, x1, y1)) in enumerate(zip(pairs.partner, pairs.keep, pairs.box)):
        if keep < 1.0:
            result[i] = cv2.addWeighted(images[i], float(keep), images[partner], 1.0 - float(keep), 0.0)
        result[i, y0:y1, x0:x1] = images[partner, y0:y1, x0:x1]
    return result


def mix_targets(
    targets: NDArray[np.float32], weights: NDArray[np.float32], pairs: Pairs
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Soft labels (N, classes) that sum to 1, and sample weights (N,), of a mixed batch.

    The loss of a mixed image is ``share`` times the weighted loss of its own label plus the rest times that of its
    partner's. Cross-entropy is linear in the label, so one label and one weight say the same: the weights mixed by
    ``share``, and the labels mixed by ``share`` times weight. Label smoothing is linear too and comes afterwards.
    """
    own = pairs.share * weights
    other = (1 - pairs.share) * weights[pairs.partner]
    total = own + other
    mixed = (own[:, None] * targets + other[:, None] * targets[pairs.partner]) / total[:, None]
    return mixed.astype(np.float32), total.astype(np.float32)


class ApplyPairs(keras.layers.Layer):  # type: ignore[misc]
    """The same mixing inside the training step, for an accelerator.

    Call with ``[images, partner, plan]`` of shapes (N, H, W, 3), (N,), (N, 5) as in :class:`Pairs`; gives float32.
    """

    def call(self, inputs: Any) -> Any:
        images, partner, plan = inputs
        images = ops.cast(images, "float32")
        others = ops.take(images, partner, axis=0)
        keep = plan[:, 0][:, None, None, None]
        return ops.where(inside_boxes(images, plan[:, 1:]), others, keep * images + (1 - keep) * others)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


def inside_boxes(images: Any, boxes: Any) -> Any:
    """Which pixels of (N, H, W, 3) are inside ``boxes`` (N, 4), x0, y0, x1, y1: bool (N, H, W, 1)."""
    x0, y0, x1, y1 = (boxes[:, i][:, None, None, None] for i in range(4))
    columns = ops.arange(images.shape[2], dtype="float32")[None, None, :, None]
    rows = ops.arange(images.shape[1], dtype="float32")[None, :, None, None]
    inside_x = ops.logical_and(columns >= x0, columns < x1)
    return ops.logical_and(inside_x, ops.logical_and(rows >= y0, rows < y1))


def _mixup(alpha: float, partner: NDArray[np.int32], random: np.random.Generator) -> Pairs:
    """Zhang et al. 2018 (arXiv 1710.09412), equation 1: pixels and labels by a ratio from Beta(alpha, alpha)."""
    share = random.beta(alpha, alpha, len(partner)).astype(np.float32)
    return Pairs(partner, share, np.zeros((len(partner), 4), np.int32), share)


def _cutmix(alpha: float, partner: NDArray[np.int32], image_size: int, random: np.random.Generator) -> Pairs:
    """Yun et al. 2019 (arXiv 1905.04899), equations 1 and 2: a box of the partner, of 1 - ratio of the area.

    Its centre is uniform and it is clipped at the border; labels follow the area that was really pasted.
    """
    n_images = len(partner)
    ratio = random.beta(alpha, alpha, n_images)
    centre = random.integers(0, image_size, (n_images, 2))
    half = (image_size * np.sqrt(1.0 - ratio)).astype(np.int64)[:, None] // 2
    low, high = np.clip(centre - half, 0, image_size), np.clip(centre + half, 0, image_size)
    pasted = (high - low).prod(axis=1) / image_size**2
    box = np.concatenate([low, high], axis=1).astype(np.int32)
    return Pairs(partner, np.ones(n_images, np.float32), box, (1.0 - pasted).astype(np.float32))
