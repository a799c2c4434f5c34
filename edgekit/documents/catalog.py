"""Every kind of document, by the name under which its JSON Schema is published."""

from __future__ import annotations

from edgekit.documents.audit import AuditDocument
from edgekit.documents.base import Document
from edgekit.documents.bench import BenchDocument
from edgekit.documents.corruptions import CorruptionRecord
from edgekit.documents.export import CalibrationDocument, ExportDocument
from edgekit.documents.images import CorruptedCopyDocument, DownloadDocument, SuggestionDocument
from edgekit.documents.run import GradCamDocument, RunDocument
from edgekit.documents.study import StudyDocument

DOCUMENTS: dict[str, type[Document]] = {
    "run": RunDocument,
    "gradcam": GradCamDocument,
    "export": ExportDocument,
    "calibration": CalibrationDocument,
    "bench": BenchDocument,
    "corruptions": CorruptionRecord,
    "study": StudyDocument,
    "audit": AuditDocument,
    "suggestion": SuggestionDocument,
    "corrupted-copy": CorruptedCopyDocument,
    "download": DownloadDocument,
}
