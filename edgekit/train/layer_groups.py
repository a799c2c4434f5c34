"""Groups of layers with their own learning rates: discriminative learning rates and gradual unfreezing.

Howard and Ruder 2018 (arXiv 1801.06146): layers closer to the input learn more slowly and are unfrozen later. A group
that is still frozen has a learning rate of 0. Its gradients are computed but change nothing, so unfreezing it does not
compile the step again, and an interrupted run resumes as if it had not been interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from edgekit.recipe import FineTuning


@dataclass(frozen=True)
class LayerGroups:
    """How the trained layers of a phase are grouped. Group 0 is the head, group 1 the last trained layers, etc."""

    of_layer: dict[str, int]
    """Group of each backbone layer by its name."""
    phase: FineTuning

    @classmethod
    def of(cls, opened: Sequence[str], phase: FineTuning) -> LayerGroups | None:
        """The layers ``opened`` in groups of about equal size; ``None`` if all have the same learning rate."""
        if phase.rate_decay == 1.0 and phase.unfreeze_every is None:
            return None
        count = min(phase.groups, len(opened))
        groups = {name: 1 + position * count // len(opened) for position, name in enumerate(reversed(opened))}
        return cls(groups, phase)

    def factors(self, epoch: int) -> list[float]:
        """Factor of each group's learning rate in an epoch of the phase (counted from 0).

        It is ``rate_decay`` to the power of the group, and 0 while the group is frozen.
        """
        every = self.phase.unfreeze_every or 0
        backbone = range(1, max(self.of_layer.values(), default=0) + 1)
        return [1.0, *(self.phase.rate_decay**g if epoch >= every * (g - 1) else 0.0 for g in backbone)]

    def of_variables(self, model: keras.Model) -> list[int]:
        """The group of each trainable variable of the model, in order."""
        groups = {
            id(variable): self.of_layer.get(layer.name, 0)
            for layer in _flat(model)
            for variable in layer.trainable_variables
        }
        return [groups[id(variable)] for variable in model.trainable_variables]


def _flat(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model and of the models inside it (the network behind its augmentation layers)."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [layer for layer in model.layers if layer not in inner] + [x for one in inner for x in _flat(one)]
