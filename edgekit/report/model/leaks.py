"""What the audit of a study's images says, and what is left of every accuracy without the leaked test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.documents.base import read_json
from edgekit.report.model.reading import Answers, RunData
from edgekit.report.model.rows import Score, model_title, strategy_title

AUDIT_FILE = "audit.json"


@dataclass(frozen=True)
class LeakedPair:
    """A test image and the training image that it repeats; ``pictures`` are the bytes of their JPEGs, or empty."""

    train: str
    test: str
    exact: bool
    distance: int
    pictures: tuple[bytes, bytes]


@dataclass(frozen=True)
class WithAndWithout:
    """Accuracy of one Keras model on all test images, without exact copies of training images, and without near ones.

    ``leaked`` is on the left-out images alone; None where there are none.
    """

    title: str
    everything: Score
    without_exact: Score | None
    without_any: Score | None
    leaked: Score | None

    def document(self) -> dict[str, Any]:
        return {
            "title": self.title,
            **{
                name: score and {"accuracy": score.accuracy, "n_samples": score.n_samples, "ci95": list(score.ci95)}
                for name, score in (
                    ("all", self.everything),
                    ("without_exact", self.without_exact),
                    ("without_exact_and_near", self.without_any),
                    ("leaked", self.leaked),
                )
            },
        }


@dataclass(frozen=True)
class AuditView:
    """The audit beside the runs of the study."""

    document: dict[str, Any]
    pairs: list[LeakedPair]
    accuracies: list[WithAndWithout]

    @property
    def n_exact(self) -> int:
        return sum(leak["exact"] for leak in self.document["leaked_test_images"])

    @property
    def n_near(self) -> int:
        return len(self.document["leaked_test_images"]) - self.n_exact

    @property
    def n_test(self) -> int:
        return int(self.document["splits"].get("test", 0))

    @property
    def sentence(self) -> str:
        """What a reader of the accuracies must know."""
        if not self.document["leaked_test_images"]:
            return "No test image was found in the training or validation images, neither the same nor nearly."
        return (
            f"Of the {self.n_test:,} test images {self.n_exact:,} also stand in the training or validation images "
            f"pixel for pixel and {self.n_near:,} nearly so: every accuracy on them is too high. Without them: see "
            "Audit of the images."
        )


def audit_view(folder: Path, runs: Sequence[RunData]) -> AuditView | None:
    """The audit that a study left in its folder; None where there is none."""
    file = folder / AUDIT_FILE
    if not file.is_file():
        return None
    document = read_json(file)
    leaks = document["leaked_test_images"]
    pictures = {entry["path"]: folder / entry["file"] for entry in document.get("pictures", [])}
    pairs = [
        LeakedPair(leak["a"], leak["b"], leak["exact"], leak["distance"], (a.read_bytes(), b.read_bytes()))
        for leak in leaks
        if (a := pictures.get(leak["a"])) and (b := pictures.get(leak["b"])) and a.is_file() and b.is_file()
    ]
    exact = {leak["b"] for leak in leaks if leak["exact"]}
    both = {leak["b"] for leak in leaks}
    accuracies = [_with_and_without(run, exact, both) for run in runs if run.answers]
    return AuditView(document, pairs, accuracies)


def _with_and_without(run: RunData, exact: set[str], both: set[str]) -> WithAndWithout:
    document = run.document
    everything = _score(run.answers)
    assert everything is not None
    return WithAndWithout(
        title=f"{model_title(document)}, {strategy_title(document)}, seed {document['seed']}",
        everything=everything,
        without_exact=_score({file: right for file, right in run.answers.items() if file not in exact}),
        without_any=_score({file: right for file, right in run.answers.items() if file not in both}),
        leaked=_score({file: right for file, right in run.answers.items() if file in both}),
    )


def _score(answers: Answers) -> Score | None:
    return Score.count(sum(answers.values()), len(answers)) if answers else None
