"""Turns the measurements of a session into a result document for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edgekit.bench.accuracy import AccuracyRun, Predictions
from edgekit.bench.agreement import agreement
from edgekit.bench.evaluation_images import SPLIT, ImageSet
from edgekit.bench.inspection import InspectedTarget, assumptions
from edgekit.bench.keras_comparison import compare_with_keras
from edgekit.bench.latency import LatencyPlan, MeasuredLatency
from edgekit.bench.measured_model import MeasuredModel
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
from edgekit.documents.latency import Latency, ProtocolRecord
from edgekit.documents.machine import EnvironmentRecord
from edgekit.documents.profile import OperatorProfile
from edgekit.documents.tuning import TuningRecord
from edgekit.registry import RUNTIMES
from edgekit.render.text import plural
from edgekit.support.files import atomic_path

NOT_MEASURED = "latency and memory (left out with --no-latency)"

ACCURACY = "accuracy"


@dataclass(frozen=True)
class SessionPlan:
    """What a session is going to measure. Mappings are by model id."""

    target: str
    machine: InspectedTarget
    protocol: ProtocolRecord
    models: Sequence[MeasuredModel]
    images: Mapping[str, ImageSet]
    threads: tuple[int, ...]
    latency: Sequence[LatencyPlan]
    """One for each thread setting; none where only images are scored."""
    earlier: Mapping[str, BenchResult]
    """Results of the same files from earlier sessions."""
    tune: bool = False
    """Whether to look for a faster setting of each file."""


@dataclass
class SessionResults:
    """Everything that a session has measured so far. Mappings are by model id."""

    plan: SessionPlan
    session_id: str
    sittings: Sequence[str]
    latency: list[MeasuredLatency] = field(default_factory=list)
    memory: dict[str, MemoryRecord] = field(default_factory=dict)
    energy: dict[str, EnergyRecord] = field(default_factory=dict)
    sustained: dict[str, SustainedRecord] = field(default_factory=dict)
    profile: dict[str, OperatorProfile] = field(default_factory=dict)
    tuning: dict[str, TuningRecord] = field(default_factory=dict)
    accuracy: AccuracyRun = field(default_factory=AccuracyRun)
    scoring_done: bool = False
    scored: dict[str, str | None] = field(default_factory=dict)
    """When the images were scored, for predictions that an earlier session made."""

    def check_answers(self) -> None:
        """Compare the answers of timed runs with the predictions that are known by now."""
        for measured in self.latency:
            for model in self.plan.models:
                measured.check_answers(model.id, self.accuracy.predictions.get(model.id))

    def write(self, model: MeasuredModel, here: Predictions | None) -> BenchResult:
        """Write the result of ``model`` and its predictions, in place of an earlier result.

        ``here``: what this machine predicts with the same model and images, where the target is another machine.
        """
        path = model.result_path(self.plan.target)
        document = self._document(model, *self._accuracy(model, here, path))
        document.write(path)
        return BenchResult(path, document)

    def write_incomplete(self, model: MeasuredModel) -> bool:
        """Write what there is of ``model``, unless a complete result would be lost. Returns whether there is any."""
        earlier = self.plan.earlier.get(model.id)
        if not self.latency_of(model) and model.id not in self.accuracy.predictions:
            return False
        if earlier is None or earlier.bench.incomplete:
            self.write(model, None)
        return True

    def latency_of(self, model: MeasuredModel) -> tuple[Latency, ...]:
        """What was measured of ``model``, by thread setting."""
        records = [measured.latency(model.id) for measured in self.latency]
        return tuple(record for record in records if record is not None)

    def _missing(self, model: MeasuredModel) -> tuple[str, ...]:
        """What is missing of ``model``, in words: the session has not come to it yet, or left it out."""
        if self._problem(model) is not None:
            return ()
        if not self.plan.latency:
            found: list[str | None] = [NOT_MEASURED]
        else:
            found = [measured.missing for measured in self.latency]
            found += [MeasuredLatency(plan).missing for plan in self.plan.latency[len(self.latency) :]]
            found += [None if model.id in self.memory else "memory"]
        images = self.plan.images.get(model.id)
        if images is not None and not self.scoring_done and model.id not in self.accuracy.predictions:
            found.append(f"{ACCURACY}: {self.accuracy.n_scored.get(model.id, 0)} of {len(images.files)} images scored")
        if self.plan.tune and model.id not in self.tuning:
            found.append("tuning")
        return tuple(text for text in found if text is not None)

    def _document(
        self, model: MeasuredModel, accuracy: AccuracyRecord | None, gate: GateRecord | None
    ) -> BenchDocument:
        run = model.run
        measured = [one for one in self.latency if one.before is not None]
        now = self.plan.machine.environment
        before = measured[0].before if measured else None
        after = next((one.after for one in reversed(measured) if one.after is not None), None)
        problem = self._problem(model)
        runtimes = [one.runtimes for one in measured]
        document = BenchDocument(
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
            target=self.plan.target,
            emulated=(before or now).emulated is not None or _is_simulated(model),
            session_id=self.session_id,
            sittings=tuple(self.sittings),
            incomplete=self._missing(model),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            runtime=next((known[model.id] for known in runtimes if model.id in known), None)
            or self.plan.machine.runtimes.get(model.id),
            protocol=self.plan.protocol,
            latency=self.latency_of(model),
            memory=self.memory.get(model.id),
            accuracy=accuracy,
            gate=gate,
            energy=self.energy.get(model.id),
            sustained=self.sustained.get(model.id),
            profile=self.profile.get(model.id),
            preprocessing=model.preprocessing,
            tuning=self.tuning.get(model.id),
            control=tuple(control for one in self.latency for control in one.controls()),
            cache_test=tuple(test for one in self.latency for test in one.cache_tests()),
            environment=EnvironmentRecord(before=before or now, after=after or before or now),
            warnings=(*assumptions(model), *self._warnings(model)),
        )
        return self._with_earlier(model, document)

    def _with_earlier(self, model: MeasuredModel, document: BenchDocument) -> BenchDocument:
        """``document`` with what an earlier session measured of the same file and this one leaves out."""
        earlier = self.plan.earlier.get(model.id)
        if earlier is None or earlier.bench.runtime != document.runtime:
            return document
        if not self.plan.latency and earlier.latency:
            scored = {name: getattr(document, name) for name in ("status", "problems", "accuracy", "gate")}
            left = tuple(text for text in earlier.bench.incomplete if not text.startswith(ACCURACY))
            return earlier.bench.model_copy(update={**scored, "incomplete": left})
        if document.tuning is None:
            document = document.model_copy(update={"tuning": earlier.bench.tuning})
        if model.id not in self.plan.images and earlier.bench.accuracy is not None:
            accuracy = earlier.bench.accuracy
            kept = accuracy.model_copy(update={"scored": accuracy.scored or earlier.bench.created})
            return document.model_copy(update={"accuracy": kept, "gate": earlier.bench.gate})
        return document

    def _warnings(self, model: MeasuredModel) -> tuple[str, ...]:
        found = []
        for latency in self.latency_of(model):
            if latency.n_invalid:
                blocks = sum(len(process.blocks) for process in latency.processes)
                found.append(
                    f"with {plural(latency.threads, 'thread')}, {latency.n_invalid} of {blocks} blocks do not count: "
                    "the prediction of a timed run was wrong"
                )
            if self.plan.protocol.pin and latency.pinned is None:
                found.append("the target does not allow pinning to cores, so the processes were free to move (--pin)")
        return tuple(dict.fromkeys(found))

    def _problem(self, model: MeasuredModel) -> str | None:
        """Why the model failed, according to the last measurement that failed; None if none did."""
        reasons = [self.accuracy.failed.get(model.id), *(one.failed.get(model.id) for one in self.latency)]
        if any(one.all_invalid(model.id) for one in self.latency):
            reasons.append("every block had a timed run with a wrong prediction")
        return next((reason for reason in reversed(reasons) if reason is not None), None)

    def _accuracy(
        self, model: MeasuredModel, here: Predictions | None, path: Path
    ) -> tuple[AccuracyRecord | None, GateRecord | None]:
        """The accuracy of ``model`` and its gate; its predictions are written beside the document ``path``."""
        predictions, images = self.accuracy.predictions.get(model.id), self.plan.images.get(model.id)
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
            scored=self.scored.get(model.id),
        )
        return record, None if keras is None else keras.gate


def _is_simulated(model: MeasuredModel) -> bool:
    return model.runtime is not None and RUNTIMES[model.runtime].simulated


def _write_predictions(path: Path, images: ImageSet, predictions: Predictions) -> None:
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary, labels=images.labels, probabilities=predictions.probabilities, files=np.array(images.files)
        )


def _agreement_with_host(there: Predictions, here: Predictions | None, images: ImageSet) -> HostAgreement | None:
    return None if here is None else agreement(there, here, images)
