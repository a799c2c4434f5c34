"""The plan of an export, and the table of formats that it draws on."""

from __future__ import annotations

import pytest

from edgekit.errors import InputError
from edgekit.export.makers import MAKERS
from edgekit.export.plan import ExportPlan, plan_export
from edgekit.recipe import Export
from edgekit.registry import FORMATS, SCHEMES


def plan(*keys: str, **settings: object) -> ExportPlan:
    return plan_export(keys, Export(**settings))


def test_every_format_has_a_maker():
    assert tuple(MAKERS) == FORMATS


def test_files_keep_their_order_without_repetitions():
    planned = plan("onnx-int8", "tflite-fp32", "onnx-int8")
    assert [one.key for one in planned.files] == ["onnx-int8", "tflite-fp32"]


def test_an_unknown_file_is_refused():
    with pytest.raises(InputError, match="unknown export 'tflite-int4'"):
        plan("tflite-int4")


def test_the_formats_include_those_of_the_sources():
    assert plan("onnx-fp32").formats == {"onnx"}
    assert plan("onnx-int8-tflite").formats == {"onnx", "tflite"}


@pytest.mark.parametrize("key", SCHEMES)
def test_only_int8_files_that_edgekit_quantizes_are_inspected(key):
    (planned,) = plan(key).files
    assert planned.inspected == (key in ("tflite-int8", "onnx-int8", "onnx-int8-s8s8"))
    assert plan(key).calibrated == SCHEMES[key].calibrated


@pytest.mark.parametrize(
    ("keys", "repair", "fallback"),
    [
        (["tflite-int8"], True, "tflite-int8-qat"),
        (["tflite-int8"], False, None),
        (["onnx-int8"], True, None),
        (["tflite-int8", "tflite-int8-qat"], True, None),
    ],
)
def test_a_repair_has_a_fallback_that_is_not_planned_already(keys, repair, fallback):
    planned = plan(*keys, repair=repair).fallback
    assert (planned and planned.key) == fallback
