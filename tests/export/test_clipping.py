"""The calibration report: counting clipped values, its summary and its warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import Dataset
from edgekit.documents.export import CalibrationDocument, ClippedTensor, RangesSummary, SeenValues
from edgekit.export.base import ActivationRange, ActivationReader
from edgekit.export.check.clipping import IMAGES, calibration_report, clipping_warnings, summarize
from edgekit.export.sample_images import Samples
from edgekit.recipe import Calibration


class TwoTensors:
    """The activations are the pixels, and twice the pixels; both have the range 0 to 100 in steps of 1."""

    def activation_ranges(self, content: bytes) -> list[ActivationRange]:
        return [ActivationRange("a", "first", 0.0, 100.0, 1.0), ActivationRange("b", None, 0.0, 100.0, 1.0)]

    def activation_reader(self, names: list[str]) -> ActivationReader:
        assert names == ["a", "b"]
        return lambda image: [image.astype(np.float32), 2 * image.astype(np.float32)]


def samples(split: str, levels: list[float], count: int = 2) -> Samples:
    """``count`` images whose pixels take the ``levels`` in equal parts."""
    pixels = np.tile(np.array(levels, np.uint8), (count, 4, 1))[..., np.newaxis].repeat(3, axis=-1)
    return Samples(split, Dataset.from_rows([], Path(), "x", "a"), np.arange(count), pixels, 0)


@pytest.fixture
def report() -> CalibrationDocument:
    return calibration_report(
        TwoTensors(), b"", Calibration(), samples("train", [0, 20, 50, 50]), samples("val", [0, 20, 50, 100])
    )


def test_clipped_values_are_counted_by_tensor(report):
    first, second = report.tensors
    assert (first.layer, second.layer) == ("first", None)
    assert first.validation == SeenValues(outside=0.0, values=96, low=0.0, high=100.0)
    assert second.calibration == SeenValues(outside=0.0, values=96, low=0.0, high=100.0)
    assert second.validation == SeenValues(outside=0.25, values=96, low=0.0, high=200.0)


def test_half_a_step_is_rounding_and_not_clipping():
    maker = TwoTensors()
    maker.activation_ranges = lambda content: [  # type: ignore[method-assign]
        ActivationRange("a", "first", 0.0, 99.6, 1.0),
        ActivationRange("b", None, 0.0, 99.4, 1.0),
    ]
    maker.activation_reader = lambda names: lambda image: 2 * [image.astype(np.float32)]  # type: ignore[method-assign]
    found = calibration_report(maker, b"", Calibration(), samples("train", [100]), samples("val", [100]))
    assert [tensor.validation.outside for tensor in found.tensors] == [0.0, 1.0]


def test_summary_and_warning(report):
    found = summarize(report)
    assert (found.tensors, found.outside, found.outside_calibration) == (2, 0.125, 0.0)
    assert [(tensor.layer, tensor.outside) for tensor in found.worst] == [("b", 0.25)]
    assert "b 25.0%" in clipping_warnings(found)[0]


def test_one_of_few_values_causes_no_warning():
    """The last layer has one value per class."""

    def warnings(values: int) -> tuple[str, ...]:
        clipped = ClippedTensor(
            layer="probabilities", low=0.0, high=1.0, outside=1 / 63, outside_calibration=0.0, values=values
        )
        ranges = RangesSummary(
            file="calibration.json", tensors=1, outside=1 / 63, outside_calibration=0.0, worst=(clipped,)
        )
        return clipping_warnings(ranges)

    assert warnings(63) == ()
    assert warnings(63_000) != ()


def test_values_that_a_method_clips_on_purpose_cause_no_warning():
    both = [0, 20, 50, 100]
    found = summarize(
        calibration_report(TwoTensors(), b"", Calibration(), samples("train", both), samples("val", both))
    )
    assert found.worst[0].outside == 0.25
    assert clipping_warnings(found) == ()


def test_the_report_examines_a_sample_of_the_images():
    seen: list[int] = []
    maker = TwoTensors()

    def reader(names: list[str]) -> ActivationReader:
        return lambda image: seen.append(int(image.max())) or 2 * [image.astype(np.float32)]  # type: ignore[func-returns-value]

    maker.activation_reader = reader  # type: ignore[method-assign]
    calibration_report(maker, b"", Calibration(), samples("train", [1], 100), samples("val", [2], 5))
    assert (seen.count(1), seen.count(2)) == (IMAGES, 5)
