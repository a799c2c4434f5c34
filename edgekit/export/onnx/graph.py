"""An ONNX graph under construction: nodes, constants, and operations that a layer defers to the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConversionFailed

ALMOST_ZERO = 1e-30
"""The fill value of a Pad. ONNX Runtime (up to 1.31) moves padding with exactly 0 into a following MaxPool, where it
becomes padding with minus infinity, which is wrong for negative values, as in ResNet50V2."""

Array = NDArray[np.float32]


class UnsupportedLayer(ConversionFailed):
    """A layer that has no translation to ONNX."""


def unsupported(layer: Any, what: str) -> UnsupportedLayer:
    """The error for a ``layer`` that computes ``what``."""
    return UnsupportedLayer(
        f"ONNX export does not support {what}",
        where=f"layer {layer.name}",
        hint="to add a layer, see edgekit/export/onnx/layers.py",
    )


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, with the operations that its consumer has to apply.

    ``pads``: zeros around height and width (top, left, bottom, right), which a convolution adds itself.
    ``affine``: scale and shift per channel of a (N, C) tensor, which the next Dense folds into its weights.
    """

    name: str
    rank: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    affine: tuple[Array, Array] | None = None


@dataclass
class Graph:
    """An ONNX graph under construction; ``folded`` names layers that an earlier node includes."""

    consumers: dict[int, list[Any]]
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    folded: set[str] = field(default_factory=set)

    def add(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        from onnx import helper

        output = f"{name}:0"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def materialize(self, value: Value, name: str) -> Value:
        """Apply the deferred operations of ``value``, for a consumer that cannot apply them itself."""
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
        """``output * scale + shift``; a factor of 1 and a shift of 0 add no node."""
        if not np.all(scale == 1):
            output = self.add("Mul", f"{name}/mul", [output, self.constant(f"{name}/scale", scale.astype(np.float32))])
        if not np.any(shift):
            return output
        return self.add("Add", f"{name}/add", [output, self.constant(f"{name}/shift", shift.astype(np.float32))])

    def following_batchnorm(self, layer: Any) -> Any | None:
        """The BatchNormalization that is the only consumer of ``layer``'s output; None if there is no such layer."""
        consumers = self.consumers.get(id(layer.output), [])
        if len(consumers) == 1 and type(consumers[0]).__name__ == "BatchNormalization":
            return consumers[0]
        return None
