"""The report as text: Markdown that no name from data breaks, CSV that reads back, cards of files."""

from __future__ import annotations

import csv
from pathlib import Path

from report_factory import leaky_study, study_of_seeds, write_bench, write_run

from edgekit.report.build import build_report


def test_a_study_as_text(tmp_path: Path) -> None:
    study = leaky_study(tmp_path / "study")
    document = build_report(study)
    folder = study / "report"
    text = (folder / "report.md").read_text()
    assert "## Verdict" in text
    assert "- **Most accurate**: ResNet50V2, fine-tuning, tflite-fp32 (#3)" in text
    assert "## Image audit" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert any(line.startswith("| 2 | MobileNetV2, feature-extraction, tflite-int8 | 0 | 92.2 (") for line in tables)
    with (folder / "candidates.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * 2  # files and thread counts
    first = document.candidates[0]
    assert float(rows[0]["accuracy"]) == first.accuracy
    assert float(rows[0]["latency_ms_p50"]) == first.latency[0].latency_ms_p50
    assert rows[0]["sha256"] == first.sha256
    cards = sorted(path.name for path in (folder / "cards").iterdir())
    assert cards == [
        f"brain-{name}-s0-{key}.md" for name in ("mobilenetv2", "resnet50v2") for key in ("tflite-fp32", "tflite-int8")
    ]
    card = (folder / "cards" / cards[1]).read_text()
    for part in (
        "3,100,000 bytes",
        "92.2% of ",
        "p50 4.5",
        "litert 2.3.0",
        "40 of the 400 test images duplicate",
    ):
        assert part in card


def test_over_seeds_the_numbers_are_those_of_the_means(tmp_path: Path) -> None:
    """The verdict's #2 is the second kind of file, not the second file."""
    study = study_of_seeds(tmp_path / "study")
    document = build_report(study)
    text = (study / "report" / "report.md").read_text()
    means = text[text.index("## Means over seeds") : text.index("## Exported files")].splitlines()[4:]
    assert [line.split(" | ")[0] for line in means if line] == [f"| {group.number}" for group in document.groups]
    claim = next(line for line in text.splitlines() if line.startswith("| MobileNetV2 is less accurate"))
    assert "| supported | MobileNetV2" in claim
    assert "| -10 (" in claim


def test_names_from_data_stay_names(tmp_path: Path) -> None:
    evil = ("<script>1</script>", "a | b", "*bold*", "[x](http://y)")
    run = write_run(tmp_path / "run", classes=evil)
    write_bench(run, "tflite-fp32")
    build_report(run.path)
    card = (run.path / "report" / "cards" / "run-tflite-fp32.md").read_text()
    assert r"\<script\>1\</script\>, a \| b, \*bold\*, \[x\](http://y)" in card


def test_a_file_that_was_not_measured_has_a_card(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    build_report(run.path)
    assert "This file has not been measured yet." in (run.path / "report" / "cards" / "run-tflite-int8.md").read_text()
