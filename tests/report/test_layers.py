"""The ranking of layers and a repair, as the report shows them."""

from __future__ import annotations

from pathlib import Path

from report_factory import change_export, two_run_study

from edgekit.documents.export import (
    CalibrationRecord,
    ClippedTensor,
    LatencyRatio,
    LayerSensitivity,
    RangesSummary,
    RepairRecord,
)
from edgekit.documents.folders import RunFolder
from edgekit.render.exports import calibration_text, repair_text
from edgekit.report.build import build_report

REPAIR = RepairRecord(
    held=True,
    kept_in_float=("Conv_1", "block_16_project"),
    n_layers=66,
    size_bytes_before=2_900_000,
    size_bytes=4_100_000,
    latency_ratio=LatencyRatio(median=1.25, ci95=(1.21, 1.3), threads=1),
    trials=(),
)
RANKED = (
    LayerSensitivity(layer="Conv_1", divergence_nats=0.8, agreement=0.5),
    LayerSensitivity(layer="block_16_project", divergence_nats=0.4, agreement=0.75),
    LayerSensitivity(layer="Conv1", divergence_nats=0.001, agreement=1.0),
)


def first_run(study: Path) -> RunFolder:
    return RunFolder(next((study / "runs").iterdir()))


def test_sentence() -> None:
    assert repair_text(REPAIR, None) == (
        "2 of 66 layers compute in float (Conv_1, block_16_project): +1.20 MB, "
        "1.25 times the latency (95% interval 1.21 to 1.30)"
    )
    assert repair_text(REPAIR.model_copy(update={"held": False}), None).endswith("; the accuracy gate still fails")


def test_the_page_shows_ranking_and_repair(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "brain")
    change_export(first_run(study), "tflite-int8", sensitivity=RANKED, repair=REPAIR)
    build_report(study)
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("Layers of") == 1
    assert "2 of 66 layers compute in float" in page
    ranking = page[page.index("Layers of") :]
    assert ranking.index("<code>Conv_1</code>") < ranking.index("<code>Conv1</code>")
    assert "width: 50.00%" in ranking
    assert ranking.count(">in float<") == 2


CALIBRATION = CalibrationRecord(
    images=200,
    seed=0,
    split="train",
    per_class=(50, 50, 50, 50),
    method="minmax",
    ranges=RangesSummary(
        file="calibration.json",
        tensors=68,
        outside=0.00012,
        outside_calibration=0.0,
        worst=(ClippedTensor(layer="Conv_1", low=0.0, high=6.0, outside=0.004, outside_calibration=0.0),),
    ),
)


def test_the_page_says_what_lies_outside_the_ranges(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "brain")
    change_export(first_run(study), "tflite-int8", calibration=CALIBRATION)
    build_report(study)
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    text = calibration_text(CALIBRATION)
    assert text.startswith("68 quantization ranges (minmax, 200 images) clip 0.012% of the values of held-out images")
    assert page.count("<h3>Quantization ranges</h3>") == 1
    assert text in page
