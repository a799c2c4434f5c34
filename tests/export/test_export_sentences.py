"""The sentences about an exported file that the terminal and the report share, and the terminal's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.cli.render.exports import exports_summary
from edgekit.documents.export import ClippedTensor, ExportDocument, LatencyRatio, RangesSummary, RepairRecord
from edgekit.render.exports import calibration_text, repair_text, training_text

FROZEN = Path(__file__).parents[1] / "documents" / "frozen"


def document(key: str) -> ExportDocument:
    return ExportDocument.read(FROZEN / f"export-v1-{key}.json")


def test_repair():
    repair = RepairRecord(
        held=True,
        kept_in_float=("a", "b", "c", "d", "e"),
        n_layers=66,
        size_bytes_before=2_900_000,
        size_bytes=4_100_000,
        latency_ratio=LatencyRatio(median=1.25, ci95=(1.21, 1.3), threads=1),
        trials=(),
    )
    gate = document("tflite-int8-repaired").gate
    assert gate is not None
    assert repair_text(repair, gate) == (
        "5 of 66 layers compute in float (a, b, c, d and 1 more): +1.20 MB, "
        "1.25 times the latency (95% interval 1.21 to 1.30)"
    )
    broken, undecided = (gate.model_copy(update={"status": status}) for status in ("failed", "undecided"))
    not_held = repair.model_copy(update={"held": False})
    assert repair_text(not_held, broken).endswith("; the accuracy gate still fails")
    assert repair_text(not_held, undecided).endswith("; the accuracy gate is undecided")


def test_calibration():
    calibration = document("tflite-int8-repaired").calibration
    worst = tuple(
        ClippedTensor(layer=layer, low=0.0, high=6.0, outside=outside, outside_calibration=0.0, values=1000)
        for layer, outside in (("Conv_1", 0.004), ("Conv1", 0.00001))
    )
    ranges = RangesSummary(file="calibration.json", tensors=68, outside=0.00012, outside_calibration=0.0, worst=worst)
    assert calibration_text(calibration.model_copy(update={"ranges": ranges})) == (
        "68 quantization ranges (minmax, 51 images) clip 0.012% of the values of held-out images and 0.000% of those "
        "of calibration images; most in Conv_1 0.40%"
    )
    assert calibration_text(calibration.model_copy(update={"ranges": None})) == ""


@pytest.mark.parametrize(
    ("key", "start", "part"),
    [
        ("tflite-int8-qat", "quantization-aware training: 2 steps in ", "agree on"),
        ("tflite-fp32-pruned", "fine-tuned with magnitude pruning: 2 steps in ", "weights in the file are 0"),
        ("tflite-int8-clustered", "fine-tuned with clustered weights: 2 steps in ", "at most 16 distinct values"),
    ],
)
def test_compression(key, start, part):
    text = training_text(document(key))
    assert text.startswith(start)
    assert part in text
    assert "the file and the network trained for it agree on 2" in text


def test_a_file_without_compression_has_no_such_sentence():
    assert training_text(document("onnx-fp32")) == ""


def test_the_summary_fits_a_terminal():
    text = exports_summary([ExportDocument.read(path) for path in sorted(FROZEN.glob("export-*.json"))])
    assert max(map(len, text.splitlines())) <= 80
    assert "tflite-int8 was repaired: " in text
    assert "tflite-int8: the most sensitive of " in text
