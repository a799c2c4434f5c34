"""The calibration report: the range of every quantized activation, and how many real values lie outside.

A value outside the range becomes its end. On the calibration images that is what a method cuts off on purpose; on
validation images it also shows ranges that were taken from too few or too different images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.formats import ActivationRange, QuantizingMaker
from edgekit.export.sample_images import Samples
from edgekit.recipe import Calibration
from edgekit.stats.intervals import wilson_interval

IMAGES = 32
"""Images of each split that the report looks at."""

WORST = 5
SATURATED = 0.01
"""So much more of a tensor's values outside its range on validation than on calibration images is warned of."""


def calibration_report(
    maker: QuantizingMaker, content: bytes, method: Calibration, calibration: Samples, validation: Samples
) -> dict[str, Any]:
    """The ``calibration.json`` of an int8 file ``content``.

    ``outside`` is the share of a tensor's values that are further outside its range than half a step; ``low`` and
    ``high`` are the smallest and the largest value seen.
    """
    ranges = maker.activation_ranges(content)
    seen = {
        name: _seen(maker, ranges, samples.pixels[:: max(1, len(samples) // IMAGES)][:IMAGES])
        for name, samples in (("calibration", calibration), ("validation", validation))
    }
    tensors = [
        {
            "tensor": end.tensor,
            "layer": end.layer,
            "low": end.low,
            "high": end.high,
            **{name: rows[position] for name, rows in seen.items()},
        }
        for position, end in enumerate(ranges)
    ]
    return {
        "schema_version": 1,
        "method": method.method,
        "percentile": method.percentile if method.method == "percentile" else None,
        "images": {"calibration": len(calibration), "looked_at": min(IMAGES, len(calibration), len(validation))},
        "tensors": tensors,
    }


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """What ``export.json`` says of the report: how many tensors, and those that lose most on validation images."""
    tensors = report["tensors"]
    worst = sorted(tensors, key=lambda t: -t["validation"]["outside"])[:WORST]
    return {
        "file": "calibration.json",
        "tensors": len(tensors),
        "outside": _mean(tensors, "validation"),
        "outside_calibration": _mean(tensors, "calibration"),
        "worst": [
            {
                "layer": tensor["layer"] or tensor["tensor"],
                "low": tensor["low"],
                "high": tensor["high"],
                "outside": tensor["validation"]["outside"],
                "outside_calibration": tensor["calibration"]["outside"],
                "values": tensor["validation"]["values"],
            }
            for tensor in worst
            if tensor["validation"]["outside"] > 0
        ],
    }


def saturation_warnings(found: dict[str, Any]) -> list[str]:
    """A warning where a layer loses measurably more values on validation than on calibration images.

    ``found`` is as :func:`summary` gives it. One of the few values of the last layer is no news.
    """
    bad = [entry for entry in found["worst"] if _surely_outside(entry) - entry["outside_calibration"] > SATURATED]
    if not bad:
        return []
    names = ", ".join(f"{entry['layer']} {entry['outside']:.1%}" for entry in bad[:3])
    return [f"values of validation images lie outside the calibrated ranges: {names}; more images may help"]


def _surely_outside(entry: dict[str, Any]) -> float:
    """The lower end of the 95% interval of the share outside."""
    return wilson_interval(round(entry["outside"] * entry["values"]), entry["values"])[0]


def _mean(tensors: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([t[name]["outside"] for t in tensors])) if tensors else 0.0


def _seen(maker: QuantizingMaker, ranges: list[ActivationRange], pixels: NDArray[np.uint8]) -> list[dict[str, float]]:
    outside = np.zeros(len(ranges), np.int64)
    counted = np.zeros(len(ranges), np.int64)
    lowest, highest = np.full(len(ranges), np.inf), np.full(len(ranges), -np.inf)
    for values in maker.activations([end.tensor for end in ranges], pixels):
        for position, (end, array) in enumerate(zip(ranges, values)):
            low, high = end.low - end.step / 2, end.high + end.step / 2
            counted[position] += array.size
            least, most = float(array.min()), float(array.max())
            if least < low or most > high:
                outside[position] += int(np.count_nonzero((array < low) | (array > high)))
            lowest[position], highest[position] = min(lowest[position], least), max(highest[position], most)
    return [
        {"outside": float(share), "values": int(count), "low": float(low), "high": float(high)}
        for share, count, low, high in zip(outside / np.maximum(1, counted), counted, lowest, highest)
    ]
