"""What the audit of the images found, and the accuracy without leaked test images."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.render.markdown import escaped, table
from edgekit.report.model.leaks import Leaks
from edgekit.report.model.report import Report
from edgekit.report.sections.exported_files import score_text
from edgekit.report.sections.section import Section


def _view(report: Report) -> Leaks | None:
    return report.leaks


def _markdown(_: Report, leaks: Leaks) -> Iterator[str]:
    yield escaped(leaks.sentence)
    if leaks.audit.leaked_test_images:
        headers = [
            "Keras model",
            "all test images, %",
            "without exact duplicates",
            "without exact and near duplicates",
            "leaked less clean, within classes",
        ]
        yield table(
            headers,
            (
                [
                    row.title,
                    score_text(row.everything),
                    score_text(row.without_exact),
                    score_text(row.without_any),
                    row.difference_text,
                ]
                for row in leaks.accuracies
            ),
        )


SECTION = Section("audit", "Image audit", _view, _markdown)
