"""Augmentation and erasing as layers inside the training step; ``data/augmentation.py`` draws the random numbers."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import ops

from edgekit.data.augmentation import MID_GREY
from edgekit.recipe import Augment
from edgekit.train.mix import ApplyPairs, Shape, inside_boxes


class ApplyDraws(keras.layers.Layer):  # type: ignore[misc]
    """Applies :class:`~edgekit.data.augmentation.Draws` inside the training step, for an accelerator.

    Call it with ``[images, warp, tone]`` of shapes (N, H, W, 3), (N, 6), (N, 2). Returns float32 images in 0-255.
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        images, warp, tone = inputs
        images = ops.cast(images, "float32")
        transform = ops.concatenate([warp, ops.zeros_like(warp[:, :2])], axis=1)
        images = ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="reflect")
        contrast, brightness = tone[:, 0][:, None, None, None], tone[:, 1][:, None, None, None]
        return ops.clip((images - MID_GREY) * contrast + MID_GREY + brightness, 0.0, 255.0)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return input_shape[0]


class ApplyErasing(keras.layers.Layer):  # type: ignore[misc]
    """Random erasing inside the training step. Call it with ``[images, erase]`` of shapes (N, H, W, 3), (N, 7)."""

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        images, erase = inputs
        colour = erase[:, 4:][:, None, None, :]
        return ops.where(inside_boxes(images, erase[:, :4]), colour, ops.cast(images, "float32"))

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return input_shape[0]


@dataclass(frozen=True)
class TrainingModel:
    """The model that ``fit`` trains: the network behind its augmentation layers. It shares the network's weights."""

    model: keras.Model
    policy: keras.layers.Layer | None
    """The RandAugment layer, if there is one."""

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Seed the policy for an epoch, so that a resumed run draws the same."""
        if self.policy is not None:
            self.policy.generator.state.assign([seed, epoch * 1_000_000])


def training_model(network: keras.Model, augment: Augment | None = None, *, mix: bool = False) -> TrainingModel:
    """``network`` behind the layers for ``augment`` and, with ``mix``, for :class:`ApplyPairs`.

    Its inputs are the images; with ``augment``, the arrays of :meth:`Draws.for_step`; with ``mix``, partner and plan.
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
