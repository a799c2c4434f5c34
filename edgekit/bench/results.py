"""From the measurements of a session to the result document of each model."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.accuracy import AccuracyRun, Predictions
from edgekit.bench.agreement import agreement
from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.latency import LatencySession
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import BenchProtocol
from edgekit.documents.base import write_json
from edgekit.documents.bench import BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.support.files import atomic_path


@dataclass(frozen=True)
class SessionResults:
    """Everything that was measured in one session. Dictionaries are by model id."""

    target: str
    protocol: BenchProtocol
    models: Sequence[MeasuredModel]
    images: Mapping[str, ImageSet]
    latency: Sequence[LatencySession]
    memory: Mapping[str, dict[str, Any]]
    energy: Mapping[str, dict[str, Any]]
    sustained: Mapping[str, dict[str, Any]] | None
    profile: Mapping[str, dict[str, Any]] | None
    accuracy: AccuracyRun
    session_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    def write(self, model: MeasuredModel, here: Predictions | None) -> BenchResult:
        """Write the result of ``model`` and its predictions, in place of an earlier result.

        ``here``: what this machine predicts with the same model and images, where the target is another machine.
        """
        path = model.result_path(self.target)
        document = self._document(model)
        predictions, images = self.accuracy.predictions.get(model.id), self.images.get(model.id)
        if predictions is not None and images is not None:
            document["accuracy"] = _accuracy(model, images, predictions, path)
            if here is not None:
                document["accuracy"]["agreement_with_host"] = agreement(predictions, here, images)
        write_json(path, document)
        return BenchResult.read(path)

    def _problem(self, model: MeasuredModel) -> str | None:
        """Why the model failed: in the last session that says so."""
        reasons = [self.accuracy.failed.get(model.id), *(session.failed.get(model.id) for session in self.latency)]
        return next((reason for reason in reversed(reasons) if reason is not None), None)
