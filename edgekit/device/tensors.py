"""The input and output of a classifier: shapes, types, quantization, probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .failures import ModelError
from .scaling import SCALINGS, Scaling

DTYPES = ("uint8", "int8", "float32", "float16")


@dataclass(frozen=True)
class InputSpec:
    """The one image input of a model, batch 1. ``scale`` and ``zero_point``: real = scale * (stored - zero_point)."""

    name: str
    dtype: str
    height: int
    width: int
    layout: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        if self.layout == "NCHW":
            return (1, 3, self.height, self.width)
        return (1, self.height, self.width, 3)

    @property
    def needs_scaling(self) -> bool:
        """A float input does not say what range it expects; integers are pixels unless a scaling is given."""
        return self.dtype.startswith("float")

    def prepare(self, pixels: np.ndarray, scaling: Scaling | None) -> np.ndarray:
        """``pixels`` uint8 (H, W, 3) RGB as the input tensor, shape (1, H, W, 3) or (1, 3, H, W).

        Without ``scaling``, an integer input receives the pixels themselves (int8: shifted by 128).
        """
        if self.needs_scaling:
            tensor = (scaling or SCALINGS["none"]).apply(pixels).astype(self.dtype)
        elif scaling is not None and self.scale:
            limits = np.iinfo(self.dtype)
            stored = np.rint(scaling.apply(pixels) / self.scale) + self.zero_point
            tensor = np.clip(stored, limits.min, limits.max).astype(self.dtype)
        elif self.dtype == "int8":
            tensor = (pixels.astype(np.int16) - 128).astype(np.int8)
        else:
            tensor = pixels
        if self.layout == "NCHW":
            tensor = tensor.transpose(2, 0, 1)
        return np.ascontiguousarray(tensor[np.newaxis])


@dataclass(frozen=True)
class OutputSpec:
    """The one output of a classifier: (1, classes). ``classes`` is None if the file does not say."""

    name: str
    dtype: str
    classes: int | None
    scale: float | None = None
    zero_point: int = 0


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether ``scores`` (classes,) can be probabilities. 8-bit outputs do not sum to exactly 1."""
    slack = 0.02 + len(scores) / 256
    return bool(scores.min() >= -1e-3 and scores.max() <= 1.001 and abs(float(scores.sum()) - 1) <= slack)


def input_spec(name: str, dtype: Any, shape: list[Any], quantization: Any, path: str) -> InputSpec:
    """Check the input that a runtime reports. Entries of ``shape`` that are not positive numbers are dynamic.

    ``quantization`` is (scale, zero point) or None. Raises :class:`ModelError` if the input is not one RGB image.
    """
    kind = _dtype_name(dtype, "input", path)
    sides = [int(s) if isinstance(s, (int, np.integer)) and s > 0 else None for s in shape]
    if len(sides) == 4 and sides[0] in (1, None):
        scale, zero_point = _quantization(quantization)
        if sides[3] == 3 and sides[1] and sides[2]:
            return InputSpec(name, kind, sides[1], sides[2], "NHWC", scale, zero_point)
        if sides[1] == 3 and sides[2] and sides[3]:
            return InputSpec(name, kind, sides[2], sides[3], "NCHW", scale, zero_point)
    raise ModelError(f"input {name!r} has shape {shape}; expected (1, H, W, 3) or (1, 3, H, W) of a fixed size", path)


def output_spec(name: str, dtype: Any, shape: list[Any], quantization: Any, path: str) -> OutputSpec:
    """Check the output that a runtime reports. Raises :class:`ModelError` if it is not one score per class."""
    kind = _dtype_name(dtype, "output", path)
    known = [int(s) for s in shape if isinstance(s, (int, np.integer)) and s > 1]
    dynamic_axes = [s for s in shape[1:] if not isinstance(s, (int, np.integer)) or s < 1]
    if len(known) > 1 or (not known and not dynamic_axes):
        raise ModelError(f"output {name!r} has shape {shape}; expected scores of at least two classes", path)
    scale, zero_point = _quantization(quantization)
    return OutputSpec(name, kind, None if dynamic_axes else known[0], scale, zero_point)


def _dtype_name(dtype: Any, kind: str, path: str) -> str:
    name = np.dtype(dtype).name if dtype is not None else "unknown"
    if name not in DTYPES:
        raise ModelError(f"the {kind} has type {name}; supported are {', '.join(DTYPES)}", path)
    return name


def _quantization(quantization: Any) -> tuple[float | None, int]:
    scale, zero_point = quantization or (0.0, 0)
    return (float(scale), int(zero_point)) if scale else (None, 0)
