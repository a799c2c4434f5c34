"""Magnitude pruning: the smallest weights of a kernel become 0 while the others are trained on."""

from __future__ import annotations

from typing import Any

from edgekit.export.compress.channel_equalization import with_even_channels, with_weights_of_even
from edgekit.export.compress.checkpoint import Unfinished
from edgekit.export.compress.fine_tuning import Lessons, fine_tune, steps_of
from edgekit.export.compress.tf_keras_copy import PlainNetwork
from edgekit.recipe import Pruning
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output

RISING = 0.6
"""Part of the steps in which the sparsity rises; the rest repairs what was lost."""
UPDATES = 40
"""How often it rises."""


def large_kernels(network: PlainNetwork) -> set[str]:
    """The layers that are pruned or clustered: convolutions but the first one that sees the image, and hidden Dense."""
    names = [layer.name for layer in network.layers[:-1] if layer.kind in ("Conv2D", "Dense")]
    return set(names[1:])


def pruned(
    network: PlainNetwork, lessons: Lessons, settings: Pruning, progress: Progress, unfinished: Unfinished
) -> tuple[PlainNetwork, dict[str, Any]]:
    """The pruned network, and the record of its training.

    The sparsity follows the polynomial of Zhu and Gupta 2017 (arXiv:1710.01878).
    """
    import tensorflow_model_optimization as optimization
    import tf_keras

    keras = optimization.sparsity.keras
    chosen, steps = large_kernels(network), steps_of(lessons, settings)
    rising = max(1, round(RISING * steps))
    schedule = keras.PolynomialDecay(0.0, settings.sparsity, 0, rising, frequency=max(1, rising // UPDATES))

    def wrapped(layer: Any) -> Any:
        return keras.prune_low_magnitude(layer, schedule) if layer.name in chosen else layer

    with quiet_native_output():
        model = tf_keras.models.clone_model(with_even_channels(network).build(tf_keras), clone_function=wrapped)
    record = fine_tune(model, lessons, settings, "pruning", progress, unfinished, [keras.UpdatePruningStep()])
    return with_weights_of_even(network, keras.strip_pruning(model)), {**record, "layers": sorted(chosen)}
