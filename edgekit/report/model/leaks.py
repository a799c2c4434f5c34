"""What the audit of a study's images found, and the accuracy without the leaked test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.documents.audit import AuditDocument
from edgekit.documents.report_findings import LeakDifference, LeakEffect, LeakSummary, ScoreRecord
from edgekit.render.baselines import NEAR_THE_NETWORK, as_good_text, baselines_text
from edgekit.render.numbers import points
from edgekit.report.model.source import RunData, Score
from edgekit.stats.class_standardised import LeakComparison, compare_leaked

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
    compared: LeakComparison | None
    """Within classes: plain accuracies of the parts mostly show that leaks are not spread evenly over the classes."""

    @property
    def difference_text(self) -> str:
        """``+1.2 points (95% interval −0.8 to +3.1): may be too high``."""
        found = self.compared
        if found is None:
            return ""
        if found.difference is None:
            return found.verdict
        d = found.difference
        return f"{points(d.estimate)} points (95% interval {points(d.low)} to {points(d.high)}): {found.verdict}"

    def document(self) -> LeakEffect:
        return LeakEffect(
            title=self.title,
            all=_record(self.everything),
            without_exact=_record(self.without_exact),
            without_exact_and_near=_record(self.without_any),
            leaked=_record(self.leaked),
            standardised=None if self.compared is None else _difference(self.compared),
        )


def _difference(found: LeakComparison) -> LeakDifference:
    difference = found.difference
    return LeakDifference(
        leaked=None if found.leaked is None else found.leaked.estimate,
        clean=None if found.clean is None else found.clean.estimate,
        difference=None if difference is None else difference.estimate,
        difference_ci95=None if difference is None else (difference.low, difference.high),
        verdict=found.verdict,
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
            found = (
                "The audit found no test image that is an exact or near duplicate of a training or validation image."
            )
            return " ".join(filter(None, [found, self.baselines]))
        n = len(self.audit.leaked_test_images)
        verb = "duplicates" if n == 1 else "duplicate"
        return (
            f"{n:,} of the {self.n_test:,} test images {verb} a training or validation "
            f"image ({self.n_exact:,} exactly, {self.n_near:,} nearly). Accuracy on this test set may be optimistic."
            f"{' ' * bool(self.baselines)}{self.baselines}"
        )

    @property
    def baselines(self) -> str:
        """What is reached without any network; empty where an older audit did not look."""
        return "" if self.audit.baselines is None else baselines_text(self.audit.baselines)

    @property
    def as_good_as_a_network(self) -> bool:
        """Whether the nearest neighbour is within two points of the best Keras model, or above it."""
        if self.audit.baselines is None or not self.accuracies:
            return False
        return self.audit.baselines.nearest_neighbour.accuracy > self._best - NEAR_THE_NETWORK

    @property
    def _best(self) -> float:
        """The accuracy of the best Keras model."""
        return max(row.everything.accuracy for row in self.accuracies)

    @property
    def doubt(self) -> str:
        """Why the accuracies may be too high; empty where nothing of the kind was found."""
        if self.as_good_as_a_network and self.audit.baselines is not None:
            return as_good_text(self.audit.baselines.nearest_neighbour.accuracy, self._best)
        return self.sentence if self.audit.leaked_test_images else ""

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
            baselines=self.audit.baselines,
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
    groups = _duplicate_groups(audit)
    accuracies = [_with_and_without(run, run.correct, exact, both, groups) for run in runs if run.correct]
    return Leaks(audit, pairs, accuracies)


def _duplicate_groups(audit: AuditDocument) -> dict[str, str]:
    """By image: the first one of its group of duplicates, exact or near."""
    groups = (*audit.near_duplicates.groups, *audit.exact_duplicates.groups)
    first: dict[str, str] = {}
    for members in groups:
        name = next((first[file] for file in members if file in first), members[0])
        first.update(dict.fromkeys(members, name))
    return first


def _compared(
    run: RunData, correct: dict[str, bool], leaked: set[str], groups: dict[str, str]
) -> LeakComparison | None:
    files = [file for file in correct if file in run.truth]
    if not files or not leaked & set(files):
        return None
    return compare_leaked(
        np.array([correct[file] for file in files], dtype=np.float64),
        np.array([run.truth[file] for file in files]),
        np.array([file in leaked for file in files]),
        [groups.get(file, file) for file in files],
    )


def _with_and_without(
    run: RunData, correct: dict[str, bool], exact: set[str], both: set[str], groups: dict[str, str]
) -> WithAndWithout:
    return WithAndWithout(
        title=f"{run.title}, seed {run.seed}",
        everything=Score.count(sum(correct.values()), len(correct)),
        without_exact=Score.of({file: right for file, right in correct.items() if file not in exact}),
        without_any=Score.of({file: right for file, right in correct.items() if file not in both}),
        leaked=Score.of({file: right for file, right in correct.items() if file in both}),
        compared=_compared(run, correct, both, groups),
    )
