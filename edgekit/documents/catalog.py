"""Every kind of document, by the name under which its JSON Schema is published."""

from __future__ import annotations

from edgekit.documents.audit import AuditDocument, BaselinesDocument
from edgekit.documents.base import Document
from edgekit.documents.bench import BenchDocument
from edgekit.documents.bench_summary import BenchSummary
from edgekit.documents.corruptions import CorruptionRecord, RobustnessSummary
from edgekit.documents.export import CalibrationDocument, ExportDocument
from edgekit.documents.images import CorruptedCopyDocument, DownloadDocument, SuggestionDocument
from edgekit.documents.report import ReportDocument
from edgekit.documents.run import GradCamDocument, RunDocument
from edgekit.documents.study import SearchDocument, StudyDocument
from edgekit.documents.verification import DeploymentReport, PredictionReport, VerificationReport

DOCUMENTS: dict[str, type[Document]] = {
    "run": RunDocument,
    "gradcam": GradCamDocument,
    "export": ExportDocument,
    "calibration": CalibrationDocument,
    "bench": BenchDocument,
    "bench-summary": BenchSummary,
    "corruptions": CorruptionRecord,
    "robustness": RobustnessSummary,
    "study": StudyDocument,
    "choose": SearchDocument,
    "report": ReportDocument,
    "audit": AuditDocument,
    "baselines": BaselinesDocument,
    "verification": VerificationReport,
    "deployment": DeploymentReport,
    "predictions": PredictionReport,
    "suggestion": SuggestionDocument,
    "corrupted-copy": CorruptedCopyDocument,
    "download": DownloadDocument,
}
