"""The size of each kind of exported file, and of the same file as gzip."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class SizeView:
    """One bar per kind of exported file, the smallest first."""

    files: list[ExportedFile]

    @property
    def largest(self) -> int:
        return max(file.export.size_bytes for file in self.files)


def _view(report: Report) -> SizeView:
    kinds: dict[str, ExportedFile] = {}
    for file in report.files:
        # Files of other seeds, on another target or with another runtime are as large.
        kinds.setdefault(f"{file.run.title}, {file.export.key}", file)
    return SizeView(sorted(kinds.values(), key=lambda file: file.export.size_bytes))


SECTION = Section("size", "Size", _view)
