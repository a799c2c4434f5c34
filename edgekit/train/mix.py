"""MixUp and CutMix: pairs of images and their labels, mixed in the training step.

Each batch is mixed with one of the two or not at all. Partners are a random permutation of the batch, and a ratio or a
box is drawn for each pair. The random numbers depend only on the seed, the epoch and the position of the batch in the
epoch, so every backbone of a comparison sees the same pairs, on any backend.

Keras has layers for both. Its ``CutMix`` (3.15) is not used because it draws the shape parameter itself at random,
moves boxes into the image instead of clipping them, and mixes labels by the area before it is rounded to pixels. Its
``MixUp`` draws from the generator of the backend, so two backends would not see the same pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edgekit.recipe import Mix

Shape = tuple[int | None, ...]

_PAIR_STREAM = 1 << 33
"""Separates the random numbers for pairs from those for augmentation and order, which use the same seed."""


@dataclass(frozen=True)
class Pairs:
    """What each of the N images of a batch is mixed with.

    ``partner`` (N,) int32: position in the batch of the image that is mixed in. ``keep`` (N,) float32: weight of an
    image's own pixels outside the box; those of its partner have the weight 1 - ``keep``. ``box`` (N, 4) int32: the
    columns [x0, x1) and rows [y0, y1) that come from the partner alone, as x0, y0, x1, y1. ``share`` (N,) float32: how
    much of the result comes from the image itself, which is also the weight of its label.
    """

    partner: NDArray[np.int32]
    keep: NDArray[np.float32]
    box: NDArray[np.int32]
    share: NDArray[np.float32]

    @classmethod
    def alone(cls, n_images: int) -> Pairs:
        """Pairs that leave every image unchanged."""
        one = np.ones(n_images, np.float32)
        return cls(np.arange(n_images, dtype=np.int32), one, np.zeros((n_images, 4), np.int32), one)

    @property
    def plan(self) -> NDArray[np.float32]:
        """``keep`` and ``box`` as one float32 array (N, 5) for the training step."""
        return np.concatenate([self.keep[:, None], self.box], axis=1, dtype=np.float32)


def draw_pairs(mix: Mix, n_images: int, image_size: int, seed: int, epoch: int, batch: int) -> Pairs:
    """The pairs of one batch (the ``batch``-th of the ``epoch``-th epoch, counted over all phases)."""
    random = np.random.Generator(np.random.Philox(key=[seed + _PAIR_STREAM, epoch], counter=[0, 0, 0, batch]))
    method = random.uniform()
    partner = random.permutation(n_images).astype(np.int32)
    if method < mix.mixup.probability:
        return _mixup(mix.mixup.alpha, partner, random)
    if method < mix.mixup.probability + mix.cutmix.probability:
        return _cutmix(mix.cutmix.alpha, partner, image_size, random)
    return Pairs.alone(n_images)


def mix_on_cpu(images: NDArray[np.uint8], pairs: Pairs) -> NDArray[np.uint8]:
    """Mix a batch (N, H, W, 3) with OpenCV. Blended pixels are rounded to integers."""
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

    The loss of a mixed image is ``share`` times the weighted loss for its own label, plus the rest times that for the
    label of its partner. Because cross-entropy is linear in the label, one label and one weight give the same loss:
    the weights mixed by ``share``, and the labels mixed by ``share`` times weight. Label smoothing, which is linear
    too, is applied afterwards.
    """
    own = pairs.share * weights
    other = (1 - pairs.share) * weights[pairs.partner]
    total = own + other
    mixed = (own[:, None] * targets + other[:, None] * targets[pairs.partner]) / total[:, None]
    return mixed.astype(np.float32), total.astype(np.float32)


class ApplyPairs(keras.layers.Layer):  # type: ignore[misc]
    """Mixes pairs inside the training step, for an accelerator.

    Call it with ``[images, partner, plan]`` of shapes (N, H, W, 3), (N,), (N, 5); see :class:`Pairs`. Returns float32.
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        images, partner, plan = inputs
        images = ops.cast(images, "float32")
        others = ops.take(images, partner, axis=0)
        keep = plan[:, 0][:, None, None, None]
        return ops.where(inside_boxes(images, plan[:, 1:]), others, keep * images + (1 - keep) * others)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return input_shape[0]


def inside_boxes(images: keras.KerasTensor, boxes: keras.KerasTensor) -> keras.KerasTensor:
    """Which pixels of ``images`` (N, H, W, 3) lie in ``boxes`` (N, 4) of x0, y0, x1, y1: bool (N, H, W, 1)."""
    x0, y0, x1, y1 = (boxes[:, i][:, None, None, None] for i in range(4))
    columns = ops.arange(images.shape[2], dtype="float32")[None, None, :, None]
    rows = ops.arange(images.shape[1], dtype="float32")[None, :, None, None]
    inside_x = ops.logical_and(columns >= x0, columns < x1)
    return ops.logical_and(inside_x, ops.logical_and(rows >= y0, rows < y1))


def _mixup(alpha: float, partner: NDArray[np.int32], random: np.random.Generator) -> Pairs:
    """Zhang et al. 2018 (arXiv 1710.09412), equation 1: mix pixels and labels in a ratio from Beta(alpha, alpha)."""
    share = random.beta(alpha, alpha, len(partner)).astype(np.float32)
    return Pairs(partner, share, np.zeros((len(partner), 4), np.int32), share)


def _cutmix(alpha: float, partner: NDArray[np.int32], image_size: int, random: np.random.Generator) -> Pairs:
    """Yun et al. 2019 (arXiv 1905.04899), equations 1 and 2: paste a box of the partner with 1 - ratio of the area.

    The centre of the box is uniform, and the box is clipped at the border. Labels follow the area that is pasted.
    """
    n_images = len(partner)
    ratio = random.beta(alpha, alpha, n_images)
    centre = random.integers(0, image_size, (n_images, 2))
    half = (image_size * np.sqrt(1.0 - ratio)).astype(np.int64)[:, None] // 2
    low, high = np.clip(centre - half, 0, image_size), np.clip(centre + half, 0, image_size)
    pasted = (high - low).prod(axis=1) / image_size**2
    box = np.concatenate([low, high], axis=1).astype(np.int32)
    return Pairs(partner, np.ones(n_images, np.float32), box, (1.0 - pasted).astype(np.float32))
