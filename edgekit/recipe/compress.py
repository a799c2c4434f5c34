"""Compression: fine-tuning the trained network with quantization in the loop, with pruning, or with clustering."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekit.recipe.section import Count, Section


class CompressionTraining(Section):
    """Fine-tuning of the whole network on the run's training images, augmented as in training but never mixed.

    The learning rate rises during the first tenth of the steps and then falls to 0 along a cosine.
    """

    epochs: Count = 3
    """Number of epochs (at least 1)."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Peak learning rate of Adam (above 0)."""
    batch_size: Count | None = None
    """Images per step (at least 1). ``null`` uses ``train.batch_size``."""
    max_steps: Count | None = None
    """Upper limit on the number of steps (at least 1). ``null`` runs every step of the epochs."""


class Qat(CompressionTraining):
    """Quantization-aware training (the scheme ``int8-qat``)."""


class Pruning(CompressionTraining):
    """Magnitude pruning (schemes ending in ``-pruned``): the smallest weights of each kernel gradually become 0."""

    epochs: Count = 6
    """Number of epochs (at least 1)."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Peak learning rate of Adam (above 0)."""
    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Fraction of the weights that are 0 at the end (between 0 and 1), in every convolution and hidden dense layer.
    Depthwise convolutions, the first convolution and the last layer are not pruned: they have few weights, and all of
    them matter."""


class Clustering(CompressionTraining):
    """Weight clustering (schemes ending in ``-clustered``): each kernel has only a few distinct values."""

    epochs: Count = 4
    """Number of epochs (at least 1)."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Peak learning rate of Adam (above 0)."""
    clusters: Annotated[int, Field(ge=2, le=256)] = 16
    """Number of distinct values in each kernel (2 to 256), for the same layers as in pruning. Each output channel
    multiplies them by the factor of its folded BatchNorm."""
