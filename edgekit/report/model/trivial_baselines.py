"""What is reached without any network on the test images: in every report, with an audit and without one."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.documents.audit import BaselineAccuracy, Baselines, BaselinesDocument, NearestNeighbourAccuracy
from edgekit.documents.report_findings import TrivialBaselines
from edgekit.render.baselines import NEAR_THE_NETWORK, as_good_text, baselines_text, majority_text
from edgekit.report.model.leaks import Leaks
from edgekit.report.model.source import RunData, Source


@dataclass(frozen=True)
class Trivial:
    """``nearest_neighbour`` is None for runs of an older edgekit; ``best`` is the accuracy of the best Keras model."""

    majority: BaselineAccuracy
    nearest_neighbour: NearestNeighbourAccuracy | None
    best: float | None

    @property
    def sentence(self) -> str:
        """Both accuracies and what they mean."""
        if self.nearest_neighbour is None:
            return majority_text(self.majority)
        return baselines_text(Baselines(majority=self.majority, nearest_neighbour=self.nearest_neighbour))

    @property
    def doubt(self) -> str:
        """Why accuracy may say little; empty where a network clearly exceeds the nearest neighbour."""
        near = self.nearest_neighbour
        if near is None or self.best is None or near.accuracy <= self.best - NEAR_THE_NETWORK:
            return ""
        return as_good_text(near.accuracy, self.best)

    def document(self) -> TrivialBaselines:
        return TrivialBaselines(majority=self.majority, nearest_neighbour=self.nearest_neighbour)


def trivial_baselines(source: Source, audited: Leaks | None) -> Trivial | None:
    """Of the audit or of a run; None where the runs have different images, or no test images."""
    if len({run.document.dataset.fingerprint for run in source.runs}) != 1:
        return None
    best = max((run.score.accuracy for run in source.runs if run.score is not None), default=None)
    known = audited.audit.baselines if audited is not None else None
    known = known or next((found for run in source.runs if (found := _stored(run)) is not None), None)
    if known is not None:
        return Trivial(known.majority, known.nearest_neighbour, best)
    majority = _majority(source.runs[0])
    return None if majority is None else Trivial(majority, None, best)


def _stored(run: RunData) -> Baselines | None:
    file = run.folder.baselines
    if not file.is_file():
        return None
    found = BaselinesDocument.read(file)
    return found.baselines if found.fingerprint == run.document.dataset.fingerprint else None


def _majority(run: RunData) -> BaselineAccuracy | None:
    """From the numbers of images: how many of the test images have the largest class of the training images."""
    counts = run.document.dataset.counts
    train, test = counts.get("train", {}), counts.get("test", {})
    total = sum(test.values())
    if not train or not total:
        return None
    return BaselineAccuracy(accuracy=test.get(max(train, key=lambda name: train[name]), 0) / total, n_samples=total)
