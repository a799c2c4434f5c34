"""The calibration report: the range of every quantized activation, and the share of real values that are clipped.

A value outside the range is clipped to its nearest end. On calibration images, a calibration method clips values on
purpose; on validation images, clipping also reveals ranges that rest on too few or unrepresentative images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.export.base import ActivationRange, QuantizingMaker
from edgekit.export.sample_images import Samples
from edgekit.recipe import Calibration
from edgekit.stats.intervals import wilson_interval

IMAGES = 32
"""Images of each split that the report examines."""

WORST = 5
CLIPPED_SHARE = 0.01
"""Warn where the clipped share on validation images exceeds that on calibration images by more than this."""


def calibration_report(
    maker: QuantizingMaker, content: bytes, method: Calibration, calibration: Samples, validation: Samples
) -> dict[str, Any]:
    """The ``calibration.json`` of an int8 file ``content``.

    ``outside`` is the share of a tensor's values that are further outside its range than half a step; ``low`` and
    ``high`` are the smallest and the largest value seen.
    """
    ranges = maker.activation_ranges(content)
    seen = {
        name: _observe(maker, ranges, samples.pixels[:: max(1, len(samples) // IMAGES)][:IMAGES])
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


def summarize(report: dict[str, Any]) -> dict[str, Any]:
    """The summary of the report for ``export.json``, with the tensors that are clipped most on validation images."""
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


def clipping_warnings(found: dict[str, Any]) -> list[str]:
    """A warning where measurably more values of a layer are clipped on validation than on calibration images.

    ``found`` comes from :func:`summarize`. A single clipped value of the small last layer causes no warning.
    """
    clipped = [entry for entry in found["worst"] if _lower_bound(entry) - entry["outside_calibration"] > CLIPPED_SHARE]
    if not clipped:
        return []
    names = ", ".join(f"{entry['layer']} {entry['outside']:.1%}" for entry in clipped[:3])
    return [f"values of validation images are clipped by the quantization ranges: {names}; more calibration images may help"]


def _lower_bound(entry: dict[str, Any]) -> float:
    """The lower end of the 95% interval of the clipped share."""
    return wilson_interval(round(entry["outside"] * entry["values"]), entry["values"])[0]


def _mean(tensors: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([t[name]["outside"] for t in tensors])) if tensors else 0.0


def _observe(maker: QuantizingMaker, ranges: list[ActivationRange], pixels: NDArray[np.uint8]) -> list[dict[str, float]]:
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
