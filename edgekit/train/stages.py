"""The graph of a backbone: where it narrows to a single tensor, and where its last stage begins.

All of this follows from the shapes and the connections of the layers, so that it holds for any backbone of Keras.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

import keras


class Bottleneck(NamedTuple):
    """A place in the network where everything that follows depends on one tensor only."""

    position: int
    """Index of the layer after which the network narrows."""
    tensor: keras.KerasTensor
    """The tensor that crosses; its shape is (N, ...)."""

    @property
    def size(self) -> int:
        """Number of values of one image."""
        return prod(self.tensor.shape[1:])


def bottlenecks(layers: Sequence[keras.layers.Layer], output: keras.KerasTensor) -> list[Bottleneck]:
    """The places among ``layers``, which are in topological order, where a single tensor crosses to later layers.

    ``output`` is the tensor that is used after the last of the layers. Inside a residual block, two tensors cross: the
    shortcut and the branch.
    """
    last_use: dict[int, int] = {id(output): len(layers)}
    tensors: dict[int, keras.KerasTensor] = {}
    made: list[list[int]] = []
    for position, layer in enumerate(layers):
        for tensor in keras.tree.flatten(layer.input):
            last_use[id(tensor)] = max(last_use.get(id(tensor), 0), position)
        outputs = keras.tree.flatten(layer.output)
        tensors |= {id(tensor): tensor for tensor in outputs}
        made.append([id(tensor) for tensor in outputs])
    crossing: set[int] = set()
    found = []
    for position, new in enumerate(made):
        crossing = {key for key in (*crossing, *new) if last_use.get(key, -1) > position}
        if len(crossing) == 1:
            found.append(Bottleneck(position, tensors[next(iter(crossing))]))
    return found


def last_stage(layers: Sequence[keras.layers.Layer]) -> int:
    """The position of the first backbone layer of the last stage.

    The last stage is the last group of layers with weights that work at one resolution: none of them has outputs with
    more rows and columns than the last one. It begins where the network has narrowed to a single tensor, if it does so
    within the group. It is block5 in VGG16 and conv5 in ResNet50, and begins in the middle of block_13 in MobileNetV2.
    """
    weighted = [position for position, layer in enumerate(layers) if layer.weights]
    if not weighted:
        return 0
    final = _pixels(layers[weighted[-1]])
    larger = [position for position in weighted if _pixels(layers[position]) > final]
    first = larger[-1] + 1 if larger else 0
    narrow = [place.position for place in bottlenecks(layers, layers[-1].output)]
    begins = next((position + 1 for position in narrow if position + 1 >= first), first)
    if begins > weighted[-1]:
        begins = first
    return next(position for position in weighted if position >= begins)


def cut_before(network: keras.Model, opened: Iterable[str]) -> Bottleneck | None:
    """The last place before all ``opened`` layers where a single tensor crosses; the smallest tensor of several.

    Everything before it is frozen, and its outputs can be computed once. Layers without weights, such as a pooling,
    are on the side that gives the smaller tensor. ``None`` if no layer with weights is before any such place.
    """
    layers = network.layers
    trained = set(opened)
    first = next(position for position, layer in enumerate(layers) if layer.name in trained)
    places = [place for place in bottlenecks(layers, network.output) if place.position < first]
    if not places:
        return None
    end = places[-1].position
    same = [place for place in places if not any(layer.weights for layer in layers[place.position + 1 : end + 1])]
    best = min(reversed(same), key=lambda place: place.size)
    return best if any(layer.weights for layer in layers[: best.position + 1]) else None


def _pixels(layer: keras.layers.Layer) -> int:
    """Rows times columns of the outputs of a layer (N, rows, columns, channels); 1 for any other shape."""
    shape = keras.tree.flatten(layer.output)[0].shape
    return int(prod(shape[1:-1])) if len(shape) == 4 and None not in shape[1:] else 1
