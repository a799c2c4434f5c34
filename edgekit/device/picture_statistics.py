"""What a few numbers say about a picture and its prediction, and their distribution on the test split.

`edgekit deploy` writes the distribution beside the model. The drift check compares it with what the device sees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .failures import DeviceError

VERSION = 1
MOST_BYTES = 16_000_000

BRIGHTNESS, CONTRAST, SHARPNESS = "brightness", "contrast", "sharpness"
SATURATION, WARMTH = "saturation", "warmth"
CONFIDENCE = "confidence"

GREY_FEATURES = (BRIGHTNESS, CONTRAST, SHARPNESS)
COLOUR_FEATURES = (*GREY_FEATURES, SATURATION, WARMTH)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def picture_features(pixels: np.ndarray) -> dict[str, float]:
    """Numbers that describe ``pixels`` uint8 (H, W, 3) or (H, W, 1), all in units of a pixel value (0 to 255).

    ``brightness``: mean luma. ``contrast``: its standard deviation. ``sharpness``: mean absolute difference of
    neighbours. ``saturation``: mean of the largest minus the smallest channel. ``warmth``: mean red minus mean blue.
    A grey image has the first three.
    """
    values = pixels.astype(np.float32)
    luma = values[..., 0] if values.shape[-1] == 1 else values @ _LUMA
    steps = [np.abs(np.diff(luma, axis=axis)).mean() for axis in (0, 1) if luma.shape[axis] > 1]
    found = {
        BRIGHTNESS: float(luma.mean()),
        CONTRAST: float(luma.std()),
        SHARPNESS: float(np.mean(steps)) if steps else 0.0,
    }
    if values.shape[-1] == 3:
        found[SATURATION] = float((values.max(axis=-1) - values.min(axis=-1)).mean())
        found[WARMTH] = float(values[..., 0].mean() - values[..., 2].mean())
    return {name: comparable(value) for name, value in found.items()}


def comparable(value: float) -> float:
    """The precision to which values are stored; equal values stay equal on every device."""
    return round(float(value), 4)


@dataclass(frozen=True)
class Reference:
    """The test split as the deployed model sees it.

    ``values``: for each feature and for ``confidence`` (the probability of the top class), one value for each of
    ``n_images`` images. ``predicted``: how many images were assigned to each class.
    """

    model_sha256: str
    n_images: int
    values: Mapping[str, np.ndarray]
    predicted: np.ndarray


def read_reference(path: Path) -> Reference:
    """Read what `edgekit deploy` wrote. Raises :class:`DeviceError` if it is damaged or of a newer edgekit."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        return _parsed(content)
    except OSError as error:
        raise DeviceError(f"cannot read the statistics of the test split: {error.strerror}", str(path)) from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DeviceError(f"cannot use the statistics of the test split: {error}", str(path)) from None


def _parsed(content: bytes) -> Reference:
    if len(content) > MOST_BYTES:
        raise ValueError("it is too large")
    document = json.loads(content)
    if document["schema_version"] != VERSION:
        raise ValueError("it was written by another version of edgekit; deploy the model again")
    count = int(document["n_images"])
    values = {str(name): _numbers(given, count) for name, given in document["values"].items()}
    predicted = np.array([int(number) for number in document["predicted"]], np.int64)
    if count < 1 or CONFIDENCE not in values or predicted.sum() != count or (predicted < 0).any():
        raise ValueError("its numbers of images contradict each other")
    return Reference(str(document["model_sha256"]), count, values, predicted)


def _numbers(given: Sequence[float], count: int) -> np.ndarray:
    values = np.array(given, np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(f"a list does not have {count} numbers")
    return values
