"""What the audit of a study's images found, and the accuracy without the leaked test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.documents.audit import AuditDocument
from edgekit.documents.report_findings import LeakEffect, LeakSummary, ScoreRecord
from edgekit.report.model.source import RunData, Score

AUDIT_FILE = "audit.json"


@dataclass(frozen=True)
class LeakedPair:
    """A test image and the training image that it duplicates, with the bytes of their thumbnails (JPEG)."""

    train: str
    test: str
    exact: bool
    distance: int
    pictures: tuple[bytes, bytes]


@dataclass(frozen=True)
class WithAndWithout:
    """Accuracy of one Keras model on all test images, without exact copies of training images, and without near ones.

    ``leaked`` is on the left-out images alone; None if there are none.
    """

    title: str
    everything: Score
    without_exact: Score | None
    without_any: Score | None
    leaked: Score | None

    def document(self) -> LeakEffect:
        return LeakEffect(
            title=self.title,
            all=_record(self.everything),
            without_exact=_record(self.without_exact),
            without_exact_and_near=_record(self.without_any),
            leaked=_record(self.leaked),
        )


def _record(score: Score | None) -> ScoreRecord | None:
    return None if score is None else ScoreRecord(accuracy=score.accuracy, n_samples=score.n_samples, ci95=score.ci95)


@dataclass(frozen=True)
class Leaks:
    """The audit beside the runs of the study."""

    audit: AuditDocument
    pairs: list[LeakedPair]
    accuracies: list[WithAndWithout]

    @property
    def n_exact(self) -> int:
        return sum(leak.exact for leak in self.audit.leaked_test_images)

    @property
    def n_near(self) -> int:
        return len(self.audit.leaked_test_images) - self.n_exact

    @property
    def n_test(self) -> int:
        return self.audit.splits.get("test", 0)

    @property
    def sentence(self) -> str:
        """The effect of leaked images on accuracy, in a sentence."""
        if not self.audit.leaked_test_images:
            return "The audit found no test image that is an exact or near duplicate of a training or validation image."
        n = len(self.audit.leaked_test_images)
        verb = "duplicates" if n == 1 else "duplicate"
        return (
            f"{n:,} of the {self.n_test:,} test images {verb} a training or validation image "
            f"({self.n_exact:,} exactly, {self.n_near:,} nearly). Accuracy on this test set may be optimistic."
        )

    @property
    def limit(self) -> str:
        """The same, for the list of what the numbers do not prove."""
        more = ' The section "Image audit" shows it without these images.' if self.audit.leaked_test_images else ""
        return self.sentence + more

    def document(self) -> LeakSummary:
        return LeakSummary(
            leaked_exact=self.n_exact,
            leaked_near=self.n_near,
            n_test=self.n_test,
            accuracies=tuple(row.document() for row in self.accuracies),
            shortcuts=self.audit.shortcuts,
        )


def leaks(folder: Path, runs: Sequence[RunData]) -> Leaks | None:
    """The audit that a study left in its folder; None if there is none."""
    file = folder / AUDIT_FILE
    if not file.is_file():
        return None
    audit = AuditDocument.read(file)
    leaked = audit.leaked_test_images
    pictures = {entry.path: folder / entry.file for entry in audit.pictures or ()}
    pairs = [
        LeakedPair(leak.a, leak.b, leak.exact, leak.distance, (a.read_bytes(), b.read_bytes()))
        for leak in leaked
        if (a := pictures.get(leak.a)) and (b := pictures.get(leak.b)) and a.is_file() and b.is_file()
    ]
    exact = {leak.b for leak in leaked if leak.exact}
    both = {leak.b for leak in leaked}
    accuracies = [_with_and_without(run, run.correct, exact, both) for run in runs if run.correct]
    return Leaks(audit, pairs, accuracies)


def _with_and_without(run: RunData, correct: dict[str, bool], exact: set[str], both: set[str]) -> WithAndWithout:
    return WithAndWithout(
        title=f"{run.title}, seed {run.seed}",
        everything=Score.count(sum(correct.values()), len(correct)),
        without_exact=Score.of({file: right for file, right in correct.items() if file not in exact}),
        without_any=Score.of({file: right for file, right in correct.items() if file not in both}),
        leaked=Score.of({file: right for file, right in correct.items() if file in both}),
    )
