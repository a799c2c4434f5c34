"""Magnitude pruning: the smallest weights of each kernel become 0 while the others are fine-tuned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.export.compress.channel_equalization import with_equalized_channels, with_trained_weights
from edgekit.export.compress.checkpoint import Checkpoint
from edgekit.export.compress.fine_tuning import FineTuned, TrainingImages, count_steps, fine_tune
from edgekit.export.compress.tf_keras_copy import PortableNetwork
from edgekit.recipe import Pruning
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output

RAMP = 0.6
"""Share of the steps in which the sparsity rises; the rest recover the lost accuracy."""
UPDATES = 40
"""How often the sparsity rises."""


def large_kernels(network: PortableNetwork) -> set[str]:
    """The layers to prune or cluster: hidden Dense layers and convolutions.

    The first convolution, depthwise convolutions and the last layer are left out: they have few weights, and all of
    them matter.
    """
    names = [layer.name for layer in network.layers[:-1] if layer.kind in ("Conv2D", "Dense")]
    return set(names[1:])


def prune(
    network: PortableNetwork, images: TrainingImages, settings: Pruning, progress: Progress, checkpoint: Checkpoint
) -> tuple[PortableNetwork, FineTuned]:
    """The pruned network and how its training went.

    The sparsity follows the polynomial of Zhu and Gupta 2017 (arXiv:1710.01878).
    """
    import tensorflow_model_optimization as optimization
    import tf_keras

    keras = optimization.sparsity.keras
    chosen, steps = large_kernels(network), count_steps(images, settings)
    ramp = max(1, round(RAMP * steps))
    schedule = keras.PolynomialDecay(0.0, settings.sparsity, 0, ramp, frequency=max(1, ramp // UPDATES))

    def wrapped(layer: Any) -> Any:
        return keras.prune_low_magnitude(layer, schedule) if layer.name in chosen else layer

    with quiet_native_output():
        model = tf_keras.models.clone_model(with_equalized_channels(network).build(tf_keras), clone_function=wrapped)
    tuned = fine_tune(model, images, settings, "pruning", progress, checkpoint, [keras.UpdatePruningStep()])
    return with_trained_weights(network, keras.strip_pruning(model)), replace(tuned, layers=tuple(sorted(chosen)))
