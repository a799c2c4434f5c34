"""The contents of a run or study folder, read once: documents, training curves, bench results, predictions."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit.documents.bench import BenchResult, run_results
from edgekit.documents.corruptions import CorruptedPredictions, read_corrupted
from edgekit.documents.export import ExportDocument
from edgekit.documents.folders import RunFolder
from edgekit.documents.history import EpochResult, read_history
from edgekit.documents.run import GradCamDocument, GradCamPicture, ModelRecord, RunDocument, SplitMetrics
from edgekit.documents.study import CellRecord, StudyDocument
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.recipe.redaction import redact_model
from edgekit.registry import backbone_title
from edgekit.stats.calibration_bias import CalibrationError, calibration_error
from edgekit.stats.classification import cross_entropy
from edgekit.stats.intervals import wilson_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CALIBRATION_RESAMPLES = 200
"""Simulated test splits for the calibration error of a run: it takes a fifth of a second."""

Correct = dict[str, bool]
"""By test image: whether the predicted class is the true one."""

Losses = dict[str, float]
"""By test image: minus the logarithm of the probability of the true class, in nats."""


@dataclass(frozen=True)
class Score:
    """Accuracy with its Wilson 95% interval, all 0 to 1."""

    accuracy: float
    n_samples: int
    ci95: tuple[float, float]

    @classmethod
    def count(cls, n_correct: int, n: int) -> Score:
        return cls(n_correct / n, n, wilson_interval(n_correct, n))

    @classmethod
    def of(cls, correct: Correct) -> Score | None:
        """None without predictions."""
        return cls.count(sum(correct.values()), len(correct)) if correct else None


@dataclass(frozen=True)
class GradCam:
    """A Grad-CAM picture: what it shows, and the file of its JPEG, which is read when it is needed."""

    entry: GradCamPicture
    file: Path

    @property
    def size_bytes(self) -> int:
        return self.file.stat().st_size

    @property
    def jpeg(self) -> bytes:
        return self.file.read_bytes()


@dataclass(frozen=True)
class Predictions:
    """Predictions for the test split: ``labels`` (N,), ``probabilities`` (N, classes), ``files`` of the N images."""

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    files: list[str]

    def correct(self) -> Correct:
        return dict(zip(self.files, (self.probabilities.argmax(axis=1) == self.labels).tolist()))

    def losses(self) -> Losses:
        return dict(zip(self.files, cross_entropy(self.labels, self.probabilities).tolist()))

    def truth(self) -> dict[str, int]:
        return dict(zip(self.files, self.labels.tolist()))


@dataclass(frozen=True)
class RunData:
    """One run folder. Missing results are empty."""

    folder: RunFolder
    place: str
    """Its path as a person in the study folder would type it."""
    document: RunDocument
    history: list[EpochResult]
    exports: list[ExportDocument]
    results: list[tuple[BenchResult, Correct]]
    correct: Correct
    """Of the Keras model; empty before it was evaluated, and so are ``losses`` and ``truth``."""
    losses: Losses
    truth: dict[str, int]
    """By test image: the number of its class."""
    probabilities: Predictions | None
    """Of the Keras model; None before it was evaluated."""
    corrupted: list[CorruptedPredictions]
    """Of every model that was evaluated on corrupted images."""
    gradcam: list[GradCam]
    variant: str = ""
    """What tells it from runs of the same backbone and strategy, in a report on runs that no study planned."""

    @property
    def id(self) -> str:
        return self.document.run_id

    @property
    def seed(self) -> int:
        return self.document.seed

    @property
    def arm(self) -> str | None:
        """The training variant of a study that compares several, or of runs that differ in their settings."""
        return ", ".join(filter(None, [self.document.recipe.arm, self.variant])) or None

    @property
    def model(self) -> str:
        return model_title(self.document.backbone, self.document.alpha)

    @property
    def strategy(self) -> str:
        """``fine-tuning``, or with the arm of the study: ``fine-tuning, mixed``."""
        return strategy_title(self.document.strategy, self.arm)

    @property
    def title(self) -> str:
        """``MobileNetV2, fine-tuning``: the kind of model, over all its seeds."""
        return f"{self.model}, {self.strategy}"

    @property
    def test(self) -> SplitMetrics | None:
        return self.document.metrics.get("test")

    @property
    def size(self) -> ModelRecord:
        return self.document.model

    @property
    def train_seconds(self) -> float | None:
        return self.document.timing.train_seconds

    @cached_property
    def calibration(self) -> CalibrationError | None:
        """The calibration error without the bias of few images, with an interval; None before evaluation."""
        found = self.probabilities
        if found is None or not len(found.labels):
            return None
        return calibration_error(found.labels, found.probabilities, resamples=CALIBRATION_RESAMPLES)

    @property
    def score(self) -> Score | None:
        """Test accuracy of the Keras model; None before it was evaluated."""
        test = self.test
        return None if test is None else Score(test.accuracy, test.n_samples, test.accuracy_ci95)


@dataclass(frozen=True)
class TroubledCell:
    """A cell of the study that failed or has no run folder."""

    run: str
    problem: str


@dataclass(frozen=True)
class Source:
    """What a report is about: one run, the runs of a study, or several runs that no study planned (``collected``)."""

    path: Path
    name: str
    runs: list[RunData]
    study: StudyDocument | None
    troubled_cells: list[TroubledCell]
    planned_claims: frozenset[str] | None = None
    """Digests of the claims that were written before the first result; None where that was not recorded."""
    collected: bool = False

    @property
    def kind(self) -> Literal["run", "study", "runs"]:
        """What the report is about."""
        if self.study is not None:
            return "study"
        return "runs" if self.collected else "run"

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of the study or of the run; of several runs, that of the first with what all of them ask for."""
        if self.study is not None:
            return self.study.recipe
        recipes = [run.document.recipe for run in self.runs]
        if not self.collected:
            return recipes[0] if recipes else None
        first, *others = recipes
        shared = {
            name: [entry for entry in getattr(first, name) if all(entry in getattr(other, name) for other in others)]
            for name in ("claims", "reported", "constraints")
        }
        drops = [recipe.export.max_drop for recipe in recipes if recipe.export.max_drop is not None]
        export = first.export.model_copy(update={"max_drop": min(drops, default=None)})
        return first.model_copy(update={**shared, "export": export})

    def shared_place(self, folder: RunFolder | None = None) -> str:
        """The folder, or that of one of its runs, as the report names it: without the folders above it."""
        name = Path(self.path.resolve().name or ".")
        if folder is None:
            return str(name)
        return str(name / os.path.relpath(folder.path.absolute(), self.path.absolute()))

    @property
    def n_untrained(self) -> int:
        """How many cells of the study are not trained yet."""
        done = sum(run.document.done for run in self.runs)
        return len(self.study.cells) - done if self.study is not None else 0

    def with_claims(self, claims: Recipe) -> Source:
        """The same folder, as if it had been started with the claims and reported figures of another recipe."""
        present = () if self.recipe is None else self.recipe.claims
        planned = self.planned_claims
        if planned is None:
            planned = frozenset(claim.digest() for claim in present)
        update = {"claims": claims.claims, "reported": claims.reported}
        if self.study is not None:
            recipe = self.study.recipe.model_copy(update=update)
            return replace(self, study=self.study.model_copy(update={"recipe": recipe}), planned_claims=planned)
        runs = [
            replace(
                run, document=run.document.model_copy(update={"recipe": run.document.recipe.model_copy(update=update)})
            )
            for run in self.runs
        ]
        return replace(self, runs=runs, planned_claims=planned)


def model_title(backbone: str, alpha: float | None = None) -> str:
    """``MobileNetV2``, or with its width where that was chosen: ``MobileNetV2 (alpha 0.35)``."""
    title = backbone_title(backbone)
    return title if alpha in (None, 1.0) else f"{title} (alpha {alpha:g})"


def strategy_title(strategy: str, arm: str | None) -> str:
    """The strategy, followed by the arm of the study where there is one."""
    return f"{strategy}, {arm}" if arm else strategy


def read_source(path: Path) -> Source:
    """Read a run or study folder; :class:`InputError` if it is neither, or holds files of a newer edgekit."""
    need_folder(path)
    if (path / "study.json").is_file():
        return _study(path)
    if not (path / "run.json").is_file():
        raise InputError(
            "this is neither a run folder (run.json) nor a study folder (study.json)",
            where=str(path),
            hint="pass a run folder (from `edgekit train`) or a study folder (from `edgekit compare`)",
        )
    run = read_run(RunFolder(path), str(path))
    return Source(path, run.id, [run], None, [], digests(run.document.recipe))


def need_folder(path: Path) -> None:
    """Raise :class:`InputError` unless ``path`` is a folder."""
    if not path.is_dir():
        problem = "this is a file, not a run or study folder" if path.exists() else "this folder does not exist"
        raise InputError(problem, where=str(path), hint="pass a run folder or a study folder")


def digests(recipe: Recipe) -> frozenset[str]:
    """The digests of its claims."""
    return frozenset(claim.digest() for claim in recipe.claims)


def _study(path: Path) -> Source:
    document = redact_model(StudyDocument.read(path / "study.json"), [path])
    folders = {cell.run: RunFolder(path / cell.run) for cell in document.cells}
    runs = [read_run(folder, str(folder.path)) for folder in folders.values() if folder.run_json.is_file()]
    troubled = [
        TroubledCell(cell.run, problem) for cell in document.cells for problem in _problems(cell, folders[cell.run])
    ]
    planned = None if document.claims_plan is None else frozenset(document.claims_plan.sha256)
    return Source(path, document.name, runs, document, troubled, planned)


def _problems(cell: CellRecord, folder: RunFolder) -> list[str]:
    found = [] if folder.run_json.is_file() else ["this cell of the study has no run yet"]
    if cell.status == "failed":
        found.append(f"this cell of the study failed: {cell.error or 'no reason was recorded'}")
    return found


def read_run(folder: RunFolder, place: str) -> RunData:
    """A run folder; ``place`` is its path as a person would type it."""
    document = redact_model(folder.read_run(), [folder.path])
    classes = len(document.dataset.classes)
    predictions = _predictions(folder.predictions, classes)
    results = run_results(folder)
    return RunData(
        folder=folder,
        place=place,
        document=document,
        history=read_history(folder.history) if folder.history.is_file() else [],
        exports=[redact_model(export.read_export(), [folder.path]) for export in folder.done_exports()],
        results=[(_redacted(one, folder), _correct(one.predictions_path(), classes)) for one in results],
        correct={} if predictions is None else predictions.correct(),
        losses={} if predictions is None else predictions.losses(),
        truth={} if predictions is None else predictions.truth(),
        probabilities=predictions,
        corrupted=read_corrupted(folder),
        gradcam=_gradcam(folder),
    )


def _redacted(result: BenchResult, folder: RunFolder) -> BenchResult:
    """``result`` without the folders of the machine that it was measured on."""
    return replace(result, bench=redact_model(result.bench, [folder.path]))


def _gradcam(folder: RunFolder) -> list[GradCam]:
    file = folder.gradcam / "gradcam.json"
    if not file.is_file():
        return []
    pictures = [(entry, folder.gradcam / entry.picture) for entry in GradCamDocument.read(file).images]
    return [GradCam(entry, picture) for entry, picture in pictures if picture.is_file()]


def _correct(path: Path | None, classes: int) -> Correct:
    predictions = None if path is None else _predictions(path, classes)
    return {} if predictions is None else predictions.correct()


def _predictions(path: Path, classes: int) -> Predictions | None:
    """None if there are none; :class:`InputError` for a damaged file, or one for another number of classes."""
    if not path.is_file():
        return None
    from edgekit.documents.arrays import read_predictions

    stored = read_predictions(path, classes=classes)
    return Predictions(stored.labels, stored.probabilities, list(stored.files))
