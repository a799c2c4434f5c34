"""The calibration report: counting values outside their ranges, its summary and its warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import Dataset
from edgekit.export.check.clipping import IMAGES, calibration_report, clipping_warnings, summary
from edgekit.export.base import ActivationRange
from edgekit.export.sample_images import Samples
from edgekit.recipe import Calibration


class TwoTensors:
    """Makes of every image its pixels, and twice its pixels; both quantized for 0 to 100 in steps of 1."""

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        return [ActivationRange("a", "first", 0.0, 100.0, 1.0), ActivationRange("b", None, 0.0, 100.0, 1.0)]

    def activations(self, names: list[str], pixels: np.ndarray) -> Iterator[list[np.ndarray]]:
        assert names == ["a", "b"]
        for image in pixels.astype(np.float32):
            yield [image, 2 * image]


def samples(split: str, levels: list[float], count: int = 2) -> Samples:
    """``count`` images whose pixels take the ``levels`` in equal parts."""
    pixels = np.tile(np.array(levels, np.uint8), (count, 4, 1))[..., np.newaxis].repeat(3, axis=-1)
    return Samples(split, Dataset.from_rows([], Path(), "x", "a"), np.arange(count), pixels, 0)


@pytest.fixture
def report() -> dict:
    return calibration_report(
        TwoTensors(), b"", Calibration(), samples("train", [0, 20, 50, 50]), samples("val", [0, 20, 50, 100])
    )


def test_values_outside_are_counted_by_tensor(report):
    first, second = report["tensors"]
    assert (first["layer"], second["layer"]) == ("first", None)
    assert first["validation"] == {"outside": 0.0, "values": 96, "low": 0.0, "high": 100.0}
    assert second["calibration"] == {"outside": 0.0, "values": 96, "low": 0.0, "high": 100.0}
    assert second["validation"] == {"outside": 0.25, "values": 96, "low": 0.0, "high": 200.0}


def test_half_a_step_is_rounding_and_not_outside():
    maker = TwoTensors()
    maker.activation_ranges = lambda content: [  # type: ignore[method-assign]
        ActivationRange("a", "first", 0.0, 99.6, 1.0),
        ActivationRange("b", None, 0.0, 99.4, 1.0),
    ]
    maker.activations = lambda names, pixels: ([x, x] for x in pixels.astype(np.float32))  # type: ignore
    found = calibration_report(maker, b"", Calibration(), samples("train", [100]), samples("val", [100]))
    assert [tensor["validation"]["outside"] for tensor in found["tensors"]] == [0.0, 1.0]


def test_summary_and_warning(report):
    found = summary(report)
    assert (found["tensors"], found["outside"], found["outside_calibration"]) == (2, 0.125, 0.0)
    assert [(entry["layer"], entry["outside"]) for entry in found["worst"]] == [("b", 0.25)]
    assert "b 25.0%" in clipping_warnings(found)[0]


def test_one_of_few_values_is_no_warning():
    """The last layer has one value a class."""
    worst = {"layer": "probabilities", "outside": 1 / 63, "outside_calibration": 0.0, "values": 63}
    assert clipping_warnings({"worst": [worst]}) == []
    assert clipping_warnings({"worst": [{**worst, "values": 63_000}]}) != []


def test_what_a_method_cuts_off_on_purpose_is_no_warning():
    both = [0, 20, 50, 100]
    found = summary(calibration_report(TwoTensors(), b"", Calibration(), samples("train", both), samples("val", both)))
    assert found["worst"][0]["outside"] == 0.25
    assert clipping_warnings(found) == []


def test_it_looks_at_a_few_images_of_all(monkeypatch):
    seen = []
    maker = TwoTensors()
    real = maker.activations

    def counted(names: list[str], pixels: np.ndarray) -> Iterator[list[np.ndarray]]:
        seen.append(len(pixels))
        return real(names, pixels)

    maker.activations = counted  # type: ignore[method-assign]
    calibration_report(maker, b"", Calibration(), samples("train", [1], 100), samples("val", [1], 5))
    assert seen == [IMAGES, 5]
