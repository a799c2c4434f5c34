"""Further training of the finished network for smaller files: with quantization in the loop, pruned, or clustered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekit.recipe.section import Section


class FurtherTraining(Section):
    """Fine-tuning of the whole network on the run's training images, augmented as they were in training.

    Images are not mixed. The learning rate rises for a tenth of the steps and then falls to 0 (cosine).
    """

    epochs: Annotated[int, Field(ge=1)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """``null``: that of the training."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """At most so many steps in all; ``null``: as many as the epochs have."""


class Qat(FurtherTraining):
    """Quantization-aware training (the scheme ``int8-qat``)."""


class Pruning(FurtherTraining):
    """Magnitude pruning (the schemes ``...-pruned``): the smallest weights of every kernel become 0 step by step."""

    epochs: Annotated[int, Field(ge=1)] = 6
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Part of each convolution's and hidden Dense layer's weights that is 0 in the end. Depthwise convolutions, the
    first convolution and the last layer, which have few weights that all matter, are left alone."""


class Clustering(FurtherTraining):
    """Weight clustering (the schemes ``...-clustered``): every kernel has few different values."""

    epochs: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    clusters: Annotated[int, Field(ge=2, le=256)] = 16
    """Different values of each convolution's and hidden Dense layer's kernel, times a factor for each output channel
    (that of the folded BatchNorm); the same layers as in pruning."""
