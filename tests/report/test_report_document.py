"""``report.json`` as a typed document: what was written earlier still opens, and what is written reads back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_factory import leaky_study, study_of_seeds

from edgekit.documents import report, report_comparisons, report_findings, report_rows
from edgekit.documents.base import Part
from edgekit.documents.report import ReportDocument
from edgekit.errors import InputError
from edgekit.report.build import build_report

RESULTS = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*/report.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_committed_reports_open(path: Path) -> None:
    document = ReportDocument.read(path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    read = document.to_dict()
    for name, value in stored.items():
        if name not in ("runs", "candidates", "schema_version"):  # of older reports, which lack some keys in them
            assert_holds(read[name], value, name)
    assert [file["accuracy"] for file in stored["candidates"]] == [file.accuracy for file in document.candidates]


def assert_holds(read: object, stored: object, where: str) -> None:
    """Everything stored is read, beside keys that are newer than the report."""
    if isinstance(stored, dict) and isinstance(read, dict):
        for key, value in stored.items():
            assert_holds(read[key], value, f"{where}.{key}")
    elif isinstance(stored, list) and isinstance(read, list):
        assert len(read) == len(stored), where
        for i, (a, b) in enumerate(zip(read, stored)):
            assert_holds(a, b, f"{where}[{i}]")
    else:
        assert read == stored, where


def test_there_are_committed_reports() -> None:
    assert len(RESULTS) >= 5


@pytest.mark.parametrize("make", [leaky_study, study_of_seeds])
def test_a_written_report_reads_back(tmp_path: Path, make) -> None:
    study = make(tmp_path / "study")
    built = build_report(study)
    stored = ReportDocument.read(study / "report" / "report.json")
    assert stored == built.model_copy(update={"report_html": None, "report_json": None})


def test_the_calibration_error_has_that_of_chance_beside_it(study: Path) -> None:
    (first, *_) = build_report(study).runs
    assert first.ece_by_chance is not None
    assert 0 < first.ece_by_chance < 0.1
    assert "corrected 0.0" in (study / "report" / "report.html").read_text()


def test_every_field_has_a_description() -> None:
    modules = (report, report_comparisons, report_findings, report_rows)
    parts = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Part) and value.__module__ == module.__name__
    ]
    assert len(parts) > 30
    for part in parts:
        undescribed = [name for name, field in part.model_fields.items() if not field.description]
        assert undescribed == [], part.__name__


def test_a_report_of_a_newer_edgekit_is_refused(study: Path) -> None:
    build_report(study)
    path = study / "report" / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(InputError, match="newer edgekit"):
        ReportDocument.read(path)
