"""The calibration report: the range of every quantized activation, and the share of real values that are clipped.

A value outside the range is clipped to its nearest end. On calibration images, a calibration method clips values on
purpose; on images that were held out, clipping also reveals ranges that rest on too few or unrepresentative images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.export import (
    CalibrationDocument,
    CalibrationImages,
    ClippedTensor,
    RangesSummary,
    SeenValues,
    TensorRange,
)
from edgekit.export.base import ActivationRange, ActivationReader, QuantizingMaker
from edgekit.export.parallel import ACTIVATIONS_BYTES, for_each
from edgekit.export.sample_images import Samples
from edgekit.recipe import Calibration
from edgekit.stats.intervals import wilson_interval

IMAGES = 32
"""Images of each split that the report examines."""

WORST = 5
CLIPPED_SHARE = 0.01
"""Warn where the clipped share on held-out images exceeds that on calibration images by more than this."""


def calibration_report(
    maker: QuantizingMaker, content: bytes, method: Calibration, calibration: Samples, validation: Samples
) -> CalibrationDocument:
    """The ``calibration.json`` of the int8 file ``content``."""
    ranges = maker.activation_ranges(content)
    read = maker.activation_reader([one.tensor for one in ranges])
    seen, unseen = (_observe(read, ranges, _subset(samples)) for samples in (calibration, validation))
    tensors = (
        TensorRange(
            tensor=one.tensor,
            layer=one.layer,
            low=one.low,
            high=one.high,
            calibration=seen[position],
            validation=unseen[position],
        )
        for position, one in enumerate(ranges)
    )
    return CalibrationDocument(
        method=method.method,
        percentile=method.percentile if method.method == "percentile" else None,
        images=CalibrationImages(
            calibration=len(calibration), looked_at=min(IMAGES, len(calibration), len(validation))
        ),
        tensors=tuple(tensors),
    )


def summarize(report: CalibrationDocument) -> RangesSummary:
    """The summary of the report for ``export.json``, with the tensors that are clipped most on held-out images."""
    clipped = [tensor for tensor in report.tensors if tensor.validation.outside > 0]
    worst = (
        ClippedTensor(
            layer=tensor.layer or tensor.tensor,
            low=tensor.low,
            high=tensor.high,
            outside=tensor.validation.outside,
            outside_calibration=tensor.calibration.outside,
            values=tensor.validation.values,
        )
        for tensor in sorted(clipped, key=lambda tensor: -tensor.validation.outside)[:WORST]
    )
    return RangesSummary(
        file="calibration.json",
        tensors=len(report.tensors),
        outside=_mean_outside([tensor.validation for tensor in report.tensors]),
        outside_calibration=_mean_outside([tensor.calibration for tensor in report.tensors]),
        worst=tuple(worst),
    )


def clipping_warnings(summary: RangesSummary) -> tuple[str, ...]:
    """A warning where measurably more values of a layer are clipped on validation than on calibration images.

    A single clipped value of the small last layer causes no warning.
    """
    clipped = [one for one in summary.worst if _lower_bound(one) - one.outside_calibration > CLIPPED_SHARE]
    if not clipped:
        return ()
    names = ", ".join(f"{one.layer} {one.outside:.1%}" for one in clipped[:3])
    return (f"the quantization ranges clip values of held-out images: {names}; more calibration images may help",)


def _lower_bound(tensor: ClippedTensor) -> float:
    """The lower end of the 95% interval of the clipped share."""
    values = tensor.values or 1
    return wilson_interval(round(tensor.outside * values), values)[0]


def _mean_outside(seen: Sequence[SeenValues]) -> float:
    return float(np.mean([values.outside for values in seen])) if seen else 0.0


def _subset(samples: Samples) -> NDArray[np.uint8]:
    return samples.pixels[:: max(1, len(samples) // IMAGES)][:IMAGES]


def _observe(read: ActivationReader, ranges: list[ActivationRange], pixels: NDArray[np.uint8]) -> list[SeenValues]:
    """The values of each tensor. One further than half a step outside the range counts as outside."""

    def of_image(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(tensors, 4): values, values outside, lowest and highest value."""
        return np.array([_counted(one, array) for one, array in zip(ranges, read(image))]).reshape(-1, 4)

    # The runtime keeps the activations, and the reader returns them once more.
    found = np.stack(list(for_each(of_image, pixels, 2 * ACTIVATIONS_BYTES)))
    counted, outside = found[..., 0].sum(axis=0), found[..., 1].sum(axis=0)
    lowest, highest = found[..., 2].min(axis=0), found[..., 3].max(axis=0)
    return [
        SeenValues(outside=float(share), values=int(count), low=float(low), high=float(high))
        for share, count, low, high in zip(outside / np.maximum(1, counted), counted, lowest, highest)
    ]


def _counted(one: ActivationRange, array: NDArray[np.float32]) -> tuple[int, int, float, float]:
    low, high = one.low - one.step / 2, one.high + one.step / 2
    least, most = float(array.min()), float(array.max())
    outside = int(np.count_nonzero((array < low) | (array > high))) if least < low or most > high else 0
    return array.size, outside, least, most
