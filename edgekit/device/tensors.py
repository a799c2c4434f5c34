"""The input and output of a classifier: shapes, types, quantization, probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .failures import ModelError
from .protocol.events import OutputOperator
from .scaling import SCALINGS, Scaling

DTYPES = ("uint8", "int8", "float32", "float16")


@dataclass(frozen=True)
class InputSpec:
    """The one image input of a model. ``scale`` and ``zero_point``: real = scale * (stored - zero_point).

    ``channels``: 3 for RGB, 1 for grey. ``batch``: the images that each run takes; it is 1 where the file leaves it
    open (``dynamic_batch``).
    """

    name: str
    dtype: str
    height: int
    width: int
    layout: str
    scale: float | None = None
    zero_point: int = 0
    channels: int = 3
    batch: int = 1
    dynamic_batch: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        if self.layout == "NCHW":
            return (self.batch, self.channels, self.height, self.width)
        return (self.batch, self.height, self.width, self.channels)

    @property
    def needs_scaling(self) -> bool:
        """A float input does not say what range it expects; integers are pixels unless a scaling is given."""
        return self.dtype.startswith("float")

    def prepare(self, pixels: np.ndarray, scaling: Scaling | None) -> np.ndarray:
        """``pixels`` uint8 (H, W, channels) as the input tensor, of :attr:`shape`. A batch repeats the image.

        Without ``scaling``, an integer input receives the pixels themselves (int8: shifted by 128).
        """
        if self.needs_scaling:
            tensor = (scaling or SCALINGS["none"]).apply(pixels).astype(self.dtype)
        elif scaling is not None and self.scale:
            tensor = self._stored(scaling.apply(pixels))
        elif self.dtype == "int8":
            tensor = (pixels.astype(np.int16) - 128).astype(np.int8)
        else:
            tensor = pixels
        if self.layout == "NCHW":
            tensor = tensor.transpose(2, 0, 1)
        if self.batch > 1:
            return np.repeat(tensor[np.newaxis], self.batch, axis=0)
        return np.ascontiguousarray(tensor[np.newaxis])

    def levels(self, scaling: Scaling) -> int:
        """How many of the 256 values of a pixel stay apart when they are scaled and stored, in the worst channel."""
        if self.needs_scaling or not self.scale:
            return 256
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis], self.channels, axis=2)
        stored = self._stored(scaling.apply(ramp))
        return min(len(np.unique(stored[..., channel])) for channel in range(self.channels))

    def _stored(self, real: np.ndarray) -> np.ndarray:
        limits = np.iinfo(self.dtype)
        stored = np.rint(real / self.scale) + self.zero_point
        return np.asarray(np.clip(stored, limits.min, limits.max).astype(self.dtype))


@dataclass(frozen=True)
class OutputSpec:
    """The output of a classifier: (N, classes). ``classes`` is None if the file does not say; 1 is one score for the
    second of two classes.
    """

    name: str
    dtype: str
    classes: int | None
    scale: float | None = None
    zero_point: int = 0
    operator: OutputOperator = ""
    """What computes it: ``softmax``, ``sigmoid``, ``scores`` (an operator whose results have no limits), or empty."""


@dataclass(frozen=True)
class Choices:
    """What a person chose where a file leaves it open. ``image_size``: height and width of a dynamic input;
    ``output``: name or number of one of several outputs. ``options``: settings of the runtime by name, as its entry in
    :data:`edgekit.device.runtime_table.RUNTIMES` lists them; its default applies to what is not among them.
    """

    image_size: tuple[int, int] | None = None
    output: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, default: str) -> str:
        """The value of a setting of the runtime."""
        return dict(self.options).get(name, default)


NO_CHOICES = Choices()


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of logits, over the last axis."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Probability of a logit, element by element."""
    return np.asarray(1 / (1 + np.exp(-scores.astype(np.float64))), np.float32)


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether each of ``scores`` (classes,) can be a probability. Those of independent classes need not sum to 1."""
    return bool(scores.min() >= -1e-3 and scores.max() <= 1.001)


def input_spec(
    name: str, dtype: Any, shape: list[Any], quantization: Any, path: str, choices: Choices = NO_CHOICES
) -> InputSpec:
    """Check the input that a runtime reports. Entries of ``shape`` that are not positive numbers are dynamic.

    ``quantization`` is (scale, zero point) or None. Raises :class:`ModelError` if the input is not one image, or has
    no fixed size and ``choices`` gives none.
    """
    kind = _dtype_name(dtype, "input", path)
    sides = [int(s) if isinstance(s, (int, np.integer)) and s > 0 else None for s in shape]
    found = _layout(sides)
    if found is None:
        raise ModelError(
            f"input {name!r} has shape {shape}; expected images: (N, H, W, 3) or (N, 3, H, W), or 1 for grey", path
        )
    layout, channels, size = found
    height, width = (chosen or side for side, chosen in zip(size, choices.image_size or (None, None)))
    if height is None or width is None:
        raise ModelError(
            f"the height and width of the input {name!r} are not fixed ({shape}): choose them with --image-size", path
        )
    if any(side not in (None, chosen) for side, chosen in zip(size, (height, width))):
        raise ModelError(f"--image-size is {height}x{width}, but the input takes {size[0]}x{size[1]} pixels", path)
    scale, zero_point = _quantization(quantization)
    return InputSpec(
        name, kind, height, width, layout, scale, zero_point, channels, sides[0] or 1, dynamic_batch=sides[0] is None
    )


def _layout(sides: list[int | None]) -> tuple[str, int, tuple[int | None, int | None]] | None:
    """Layout, channels, height and width of a shape with four sides; None if it is not that of images."""
    if len(sides) != 4:
        return None
    for channels in (3, 1):
        if sides[3] == channels:
            return "NHWC", channels, (sides[1], sides[2])
        if sides[1] == channels:
            return "NCHW", channels, (sides[2], sides[3])
    return None


def output_spec(
    name: str, dtype: Any, shape: list[Any], quantization: Any, path: str, batch: int = 1, operator: OutputOperator = ""
) -> OutputSpec:
    """Check the output that a runtime reports. Raises :class:`ModelError` if it is not one score per class.

    ``batch``: of the input. ``operator``: see :class:`OutputSpec`.
    """
    kind = _dtype_name(dtype, "output", path)
    rest = shape[1:] if len(shape) > 1 or (shape and shape[0] == batch > 1) else shape
    known = [int(s) for s in rest if isinstance(s, (int, np.integer)) and s > 1]
    dynamic_axes = [s for s in rest if not isinstance(s, (int, np.integer)) or s < 1]
    if len(known) > 1:
        raise ModelError(f"output {name!r} has shape {shape}; expected one score for each class", path)
    scale, zero_point = _quantization(quantization)
    classes = None if dynamic_axes else known[0] if known else 1
    return OutputSpec(name, kind, classes, scale, zero_point, operator)


def chosen_output(names: list[str], choices: Choices, path: str) -> int:
    """The number of the output with the scores. Raises :class:`ModelError` if several could be it."""
    wanted = choices.output
    if wanted is None:
        if len(names) != 1:
            raise ModelError(
                f"this file has {len(names)} outputs: choose the one with the scores with --output "
                f"({', '.join(f'{number}: {name}' for number, name in enumerate(names[:10]))})",
                path,
            )
        return 0
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise ModelError(f"there is no output {wanted!r}; this file has {', '.join(names[:10])}", path)


def _dtype_name(dtype: Any, kind: str, path: str) -> str:
    name = np.dtype(dtype).name if dtype is not None else "unknown"
    if name not in DTYPES:
        raise ModelError(f"the {kind} has type {name}; supported are {', '.join(DTYPES)}", path)
    return name


def _quantization(quantization: Any) -> tuple[float | None, int]:
    scale, zero_point = quantization or (0.0, 0)
    return (float(scale), int(zero_point)) if scale else (None, 0)
