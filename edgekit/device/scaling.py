"""How pixels become the numbers a model expects. Files exported by edgekit scale their input in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .failures import DeviceError
from .protocol.values import ScalingDocument


@dataclass(frozen=True)
class Scaling:
    """``(pixel - mean) / std`` for each channel, pixels RGB in 0-255; ``bgr`` swaps red and blue first.

    This is the normalization of TFLite metadata (NormalizationOptions), with one value per channel.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    @property
    def identity(self) -> bool:
        return self == SCALINGS["none"]

    @property
    def uniform(self) -> bool:
        """Whether all channels are scaled alike, so that it fits grey images, too."""
        return len(set(self.mean)) == len(set(self.std)) == 1

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """``pixels`` uint8 (H, W, 3) RGB, or (H, W, 1) grey, as float32 of the same shape."""
        values = pixels[..., ::-1] if self.bgr else pixels
        channels = pixels.shape[-1]
        mean, std = np.array(self.mean[:channels], np.float32), np.array(self.std[:channels], np.float32)
        return np.asarray((values.astype(np.float32) - mean) / std)

    def document(self) -> ScalingDocument:
        """The JSON form that :func:`parse_scaling` reads."""
        return {"mean": list(self.mean), "std": list(self.std), "bgr": self.bgr}


SCALINGS: dict[str, Scaling] = {
    "none": Scaling((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "unit": Scaling((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "symmetric": Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "imagenet": Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": Scaling((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), bgr=True),
}
"""``none`` 0-255, ``unit`` [0, 1], ``symmetric`` [-1, 1], ``imagenet`` torchvision's mean and standard deviation,
``caffe`` BGR minus the ImageNet mean."""


def parse_scaling(value: object) -> Scaling:
    """A name of :data:`SCALINGS`, the text ``mean,std``, or a document with ``mean`` and ``std``.

    Raises :class:`DeviceError`, which lists the choices, for anything else.
    """
    if isinstance(value, str) and value in SCALINGS:
        return SCALINGS[value]
    if isinstance(value, dict) and "mean" in value and "std" in value:
        return Scaling(_channels(value["mean"]), _divisors(value["std"]), bool(value.get("bgr", False)))
    if isinstance(value, str) and value.count(",") == 1:
        mean, std = value.split(",")
        return Scaling(_channels([mean]), _divisors([std]))
    raise DeviceError(f"unknown scaling {value!r}: choose {', '.join(SCALINGS)}, or MEAN,STD for pixels in 0-255")


def _divisors(values: object) -> tuple[float, float, float]:
    channels = _channels(values)
    if 0.0 in channels:
        raise DeviceError("the standard deviation of a scaling must not be 0")
    return channels


def _channels(values: object) -> tuple[float, float, float]:
    """One number for all channels, or one per channel."""
    try:
        numbers = [float(v) for v in values]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise DeviceError(f"a scaling consists of numbers, not {values!r}") from None
    if len(numbers) == 1:
        numbers = numbers * 3
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise DeviceError(f"a scaling has one finite number or three, not {values!r}")
    return numbers[0], numbers[1], numbers[2]
