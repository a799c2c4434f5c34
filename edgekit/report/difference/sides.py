"""The two sides of a comparison: run and study folders with every prediction, or ``report.json`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit import __version__
from edgekit.documents.report import ReportDocument
from edgekit.documents.report_rows import ExportedFileRecord
from edgekit.recipe import Recipe
from edgekit.recipe.redaction import redact_paths
from edgekit.report.model.collection import read_sources, with_comparable_images
from edgekit.report.model.document import report_document
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.report import compose
from edgekit.report.model.source import Correct, Source

Kind = tuple[object, ...]
"""What exported files have in common that differ in their seed only."""

REPORT = "report.json"


@dataclass(frozen=True)
class Scored:
    """An accuracy on ``n`` images. ``correct``: whether each image is classified correctly; empty if not known."""

    accuracy: float | None
    n: int | None
    correct: Correct


@dataclass(frozen=True)
class Side:
    """One report. ``files``: its exported files with their predictions, by number; empty for a ``report.json``."""

    name: str
    document: ReportDocument
    files: dict[int, ExportedFile] = field(default_factory=dict)
    correct: dict[str, Correct] = field(default_factory=dict)
    """Of the Keras model of each run, by its id."""
    recipe: Recipe | None = None

    def kinds(self, *, one_run: bool) -> dict[Kind, dict[int, ExportedFileRecord]]:
        """Its exported files by kind, and then by seed. ``one_run``: whether either side is a single run."""
        found: dict[Kind, dict[int, ExportedFileRecord]] = {}
        for record in self.document.candidates:
            training = () if one_run else (record.backbone, record.strategy, record.arm)
            seed = 0 if one_run else record.seed
            found.setdefault((*training, record.format, record.scheme, record.target), {}).setdefault(seed, record)
        return found

    def networks(self, *, one_run: bool) -> dict[Kind, dict[int, Scored]]:
        """The accuracy of its Keras models by kind, and then by seed."""
        found: dict[Kind, dict[int, Scored]] = {}
        for run in self.document.runs:
            kind: Kind = () if one_run else (run.backbone, run.strategy, run.arm)
            scored = Scored(run.accuracy, run.n_samples, self.correct.get(run.run_id, {}))
            found.setdefault(kind, {}).setdefault(0 if one_run else run.seed, scored)
        return found

    @property
    def is_one_run(self) -> bool:
        return len(self.document.runs) == 1


def read_sides(a: Path, b: Path) -> tuple[Side, Side]:
    """Both sides; images of two datasets share a name only where they share the content.

    Raises :class:`InputError` for a path that is neither a report nor a run, a study, or a folder of runs.
    """
    reports = [_report_file(path) for path in (a, b)]
    sources = [None if file is not None else read_sources([path]) for path, file in zip((a, b), reports)]
    if sources[0] is not None and sources[1] is not None:
        runs = with_comparable_images([*sources[0].runs, *sources[1].runs])
        cut = len(sources[0].runs)
        sources = [replace(sources[0], runs=runs[:cut]), replace(sources[1], runs=runs[cut:])]
    sides = [
        _of_source(str(path), source) if source is not None else Side(str(path), ReportDocument.read(file or path))
        for path, source, file in zip((a, b), sources, reports)
    ]
    return sides[0], sides[1]


def _report_file(path: Path) -> Path | None:
    """The ``report.json`` that a path stands for; None for a run, a study, or a folder of runs."""
    if path.is_file():
        return path
    return path / REPORT if (path / REPORT).is_file() else None


def _of_source(name: str, source: Source) -> Side:
    report = compose(source, "", __version__, None)
    recipe = source.recipe
    files: Sequence[ExportedFile] = report.files
    return Side(
        name=name,
        document=report_document(report),
        files={file.number: file for file in files},
        correct={run.id: run.correct for run in report.runs},
        recipe=None if recipe is None else redact_paths(recipe),
    )
