"""Groups of opened layers that learn at rates of their own: discriminative rates, gradual unfreezing.

Howard and Ruder 2018 (arXiv 1801.06146): layers nearer to the input learn more slowly, and are opened later. A group
that is still closed has the factor 0: its gradients are computed but change nothing, so opening it compiles nothing
anew and an interrupted run goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from edgekit.recipe import FineTuning


@dataclass(frozen=True)
class LayerGroups:
    """How the opened layers of a stage are grouped. Group 0 is the head, 1 the last opened layers, and so on."""

    of_layer: dict[str, int]
    stage: FineTuning

    @classmethod
    def of(cls, opened: Sequence[str], stage: FineTuning) -> LayerGroups | None:
        """``opened`` layers in ``stage.groups`` groups of about as many layers; None where all learn alike."""
        if stage.rate_decay == 1.0 and stage.unfreeze_every is None:
            return None
        count = min(stage.groups, len(opened))
        groups = {name: 1 + position * count // len(opened) for position, name in enumerate(reversed(opened))}
        return cls(groups, stage)

    def factors(self, epoch: int) -> list[float]:
        """Of each group in the stage's epoch (from 0): ``rate_decay`` to the power of the group, 0 while closed."""
        every = self.stage.unfreeze_every or 0
        backbone = range(1, max(self.of_layer.values(), default=0) + 1)
        return [1.0, *(self.stage.rate_decay**g if epoch >= every * (g - 1) else 0.0 for g in backbone)]

    def of_variables(self, model: keras.Model) -> list[int]:
        """The group of each of the model's trainable variables, in their order."""
        groups = {
            id(variable): self.of_layer.get(layer.name, 0)
            for layer in _flat(model)
            for variable in layer.trainable_variables
        }
        return [groups[id(variable)] for variable in model.trainable_variables]


def _flat(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model and of the models in it (the network behind its augmentation)."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [layer for layer in model.layers if layer not in inner] + [x for one in inner for x in _flat(one)]
