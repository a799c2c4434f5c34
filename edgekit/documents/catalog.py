"""Every kind of document, by the name under which its JSON Schema is published."""

from __future__ import annotations

from edgekit.documents.audit import AuditDocument, BaselinesDocument
from edgekit.documents.base import Document
from edgekit.documents.bench import BenchDocument
from edgekit.documents.bench_summary import BenchSummary
from edgekit.documents.corruptions import CorruptionRecord, RobustnessSummary
from edgekit.documents.difference import DiffDocument
from edgekit.documents.drift_reference import DriftReference
from edgekit.documents.export import CalibrationDocument, ExportDocument
from edgekit.documents.images import CorruptedCopyDocument, DownloadDocument, SuggestionDocument
from edgekit.documents.regression import BaselineDocument, GateCheck, SavedBaseline
from edgekit.documents.report import ReportDocument
from edgekit.documents.run import GradCamDocument, RunDocument
from edgekit.documents.study import SearchDocument, StudyDocument
from edgekit.documents.verification import DeploymentReport, PredictionReport, SampleReport, VerificationReport
from edgekit.documents.web_page import WebPage, WebPageReport

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
    "sample": SampleReport,
    "drift-reference": DriftReference,
    "web-page": WebPage,
    "web-deployment": WebPageReport,
    "predictions": PredictionReport,
    "suggestion": SuggestionDocument,
    "corrupted-copy": CorruptedCopyDocument,
    "download": DownloadDocument,
    "baseline": BaselineDocument,
    "saved-baseline": SavedBaseline,
    "gate-check": GateCheck,
    "diff": DiffDocument,
}
