"""Turns the measurements of a session into a result document for each model."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edgekit.bench.accuracy import AccuracyRun, Predictions
from edgekit.bench.agreement import agreement
from edgekit.bench.evaluation_images import SPLIT, ImageSet
from edgekit.bench.inspection import assumptions
from edgekit.bench.keras_comparison import compare_with_keras
from edgekit.bench.latency import LatencySession
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.documents.bench import (
    AccuracyRecord,
    BenchDocument,
    BenchResult,
    EnergyRecord,
    HostAgreement,
    MemoryRecord,
    SustainedRecord,
)
from edgekit.documents.gate import GateRecord
from edgekit.documents.machine import EnvironmentRecord
from edgekit.documents.profile import OperatorProfile
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class SessionResults:
    """Everything that was measured in one session. Mappings are by model id."""

    target: str
    protocol: BenchProtocol
    models: Sequence[MeasuredModel]
    images: Mapping[str, ImageSet]
    latency: Sequence[LatencySession]
    memory: Mapping[str, MemoryRecord]
    energy: Mapping[str, EnergyRecord]
    sustained: Mapping[str, SustainedRecord]
    profile: Mapping[str, OperatorProfile]
    accuracy: AccuracyRun
    session_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    def write(self, model: MeasuredModel, here: Predictions | None) -> BenchResult:
        """Write the result of ``model`` and its predictions, in place of an earlier result.

        ``here``: what this machine predicts with the same model and images, where the target is another machine.
        """
        path = model.result_path(self.target)
        document = self._document(model, *self._accuracy(model, here, path))
        document.write(path)
        return BenchResult(path, document)

    def _document(
        self, model: MeasuredModel, accuracy: AccuracyRecord | None, gate: GateRecord | None
    ) -> BenchDocument:
        run = model.run
        before, after = self.latency[0].before, self.latency[-1].after
        problem = self._problem(model)
        return BenchDocument(
            status="ok" if problem is None else "failed",
            problems=() if problem is None else (problem,),
            run_id=None if run is None else run.run_id,
            backbone=None if run is None else run.backbone,
            alpha=None if run is None else run.alpha,
            strategy=None if run is None else run.strategy,
            seed=None if run is None else run.seed,
            format=model.format,
            scheme=model.scheme,
            key=model.key,
            id=model.id,
            model=str(model.path),
            size_bytes=model.size_bytes,
            gzip_bytes=model.gzip_bytes,
            sha256=model.sha256,
            operators=model.operators,
            target=self.target,
            emulated=before.emulated is not None,
            session_id=self.session_id,
            created=self.created,
            runtime=next((s.runtimes[model.id] for s in self.latency if model.id in s.runtimes), None),
            protocol=self.protocol.record(),
            latency=tuple(session.latency[model.id] for session in self.latency if model.id in session.latency),
            memory=self.memory.get(model.id),
            accuracy=accuracy,
            gate=gate,
            energy=self.energy.get(model.id),
            sustained=self.sustained.get(model.id),
            profile=self.profile.get(model.id),
            preprocessing=model.preprocessing,
            warnings=tuple(assumptions(model)),
            control=tuple(session.control for session in self.latency if session.control is not None),
            environment=EnvironmentRecord(before=before, after=after),
        )

    def _problem(self, model: MeasuredModel) -> str | None:
        """Why the model failed, according to the last measurement that failed; None if none did."""
        reasons = [self.accuracy.failed.get(model.id), *(session.failed.get(model.id) for session in self.latency)]
        return next((reason for reason in reversed(reasons) if reason is not None), None)

    def _accuracy(
        self, model: MeasuredModel, here: Predictions | None, path: Path
    ) -> tuple[AccuracyRecord | None, GateRecord | None]:
        """The accuracy of ``model`` and its gate; its predictions are written beside the document ``path``."""
        predictions, images = self.accuracy.predictions.get(model.id), self.images.get(model.id)
        if predictions is None or images is None:
            return None, None
        name = f"{model.key}-predictions.npz"
        _write_predictions(path.parent / name, images, predictions)
        classes = predictions.probabilities.argmax(axis=1)
        n_correct = int((classes == images.labels).sum())
        keras = compare_with_keras(model, images, classes)
        record = AccuracyRecord(
            accuracy=n_correct / len(images.labels),
            n_samples=len(images.labels),
            n_correct=n_correct,
            split=SPLIT,
            decoder=predictions.decoder,
            activation=predictions.activation,
            agreement_with_keras=None if keras is None else keras.agreement,
            predictions=name,
            agreement_with_host=_agreement_with_host(predictions, here, images),
        )
        return record, None if keras is None else keras.gate


def _write_predictions(path: Path, images: ImageSet, predictions: Predictions) -> None:
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, labels=images.labels, probabilities=predictions.probabilities, files=np.array(images.files)
        )


def _agreement_with_host(there: Predictions, here: Predictions | None, images: ImageSet) -> HostAgreement | None:
    return None if here is None else agreement(there, here, images)
