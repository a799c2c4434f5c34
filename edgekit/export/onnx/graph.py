"""The ONNX graph in the making: nodes, constants, and what a layer leaves to the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALMOST_ZERO = 1e-30
"""What a Pad fills in. ONNX Runtime (1.31 and before) moves padding with exactly 0 into a following MaxPool, where it
becomes padding with minus infinity: wrong for negative values, as in ResNet50V2."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, and what is still to be done to it by its consumer, or before it.

    ``pads``: zeros around height and width (top, left, bottom, right), which a convolution does itself.
    ``affine``: scale and shift per channel of a (N, C) tensor, which the next Dense takes into its weights.
    """

    name: str
    rank: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    affine: tuple[Array, Array] | None = None


@dataclass
class Graph:
    """The ONNX graph in the making; ``folded`` names layers that an earlier node has taken in."""

    consumers: dict[int, list[Any]]
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    folded: set[str] = field(default_factory=set)

    def add(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Append a node with one output; the output's name."""
        from onnx import helper

        output = f"{name}:0"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def plain(self, value: Value, name: str) -> Value:
        """Do now what is still to be done to ``value``, for a consumer that cannot."""
        output = value.name
        if any(value.pads):
            top, left, bottom, right = value.pads
            pads = self.constant(f"{name}/pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            fill = self.constant(f"{name}/fill", np.array(ALMOST_ZERO, np.float32))
            output = self.add("Pad", f"{name}/pad", [output, pads, fill])
        if value.affine is not None:
            output = self.affine(output, *value.affine, f"{name}/affine")
        return Value(output, value.rank)

    def affine(self, output: str, scale: NDArray[Any], shift: NDArray[Any], name: str) -> str:
        """``output * scale + shift``; a factor of 1 costs nothing."""
        if not np.all(scale == 1):
            output = self.add("Mul", f"{name}/mul", [output, self.constant(f"{name}/scale", scale.astype(np.float32))])
        return self.add("Add", f"{name}/add", [output, self.constant(f"{name}/shift", shift.astype(np.float32))])

    def following_batchnorm(self, layer: Any) -> Any | None:
        """The BatchNormalization that alone consumes ``layer``'s output."""
        consumers = self.consumers.get(id(layer.output), [])
        if len(consumers) == 1 and type(consumers[0]).__name__ == "BatchNormalization":
            return consumers[0]
        return None
