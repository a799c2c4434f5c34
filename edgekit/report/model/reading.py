"""What lies in a run or study folder, read once: documents, curves, bench results, which images were answered right."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.documents.base import read_json
from edgekit.documents.bench import BenchResult, run_results
from edgekit.documents.corruptions import CorruptedPredictions as ShiftedAnswers
from edgekit.documents.corruptions import read_corrupted
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.errors import InputError

Answers = dict[str, bool]
"""By test image: whether the top class was the true one."""

Losses = dict[str, float]
"""By test image: minus the logarithm of the probability of the true class, in nats."""

TEXT_COLUMNS = ("stage",)


@dataclass(frozen=True)
class RunData:
    """One run folder. What is not there yet is empty."""

    folder: RunFolder
    place: str
    """Its path as a person in the study folder would type it."""
    document: dict[str, Any]
    history: list[dict[str, Any]]
    exports: list[tuple[ExportFolder, dict[str, Any]]]
    results: list[tuple[BenchResult, Answers]]
    answers: Answers
    """Of the Keras model; empty before it was evaluated. So are its losses and its truth."""
    losses: Losses
    truth: dict[str, int]
    """By test image: the number of its class."""
    corrupted: list[ShiftedAnswers]
    """Of every model that was shown corrupted images."""
    looks: list[dict[str, Any]]
    """Where the network looks: entries of ``gradcam.json``, ``picture`` being the JPEG's bytes."""


@dataclass(frozen=True)
class Source:
    """What a report is about: one run, or the runs of a study."""

    path: Path
    name: str
    runs: list[RunData]
    study: dict[str, Any] | None
    troubled_cells: list[tuple[str, str]]
    """Cells of the study that failed or have no run folder: name and what is wrong."""

    @property
    def unfinished(self) -> int:
        """How many cells of the study are not trained yet."""
        done = sum(run.document.get("status") == "done" for run in self.runs)
        return len(self.study.get("cells", [])) - done if self.study is not None else 0


def read_source(path: Path) -> Source:
    """Read a run or study folder; :class:`InputError` where it is neither, or holds files of a newer edgekit."""
    if not path.is_dir():
        raise InputError("this folder does not exist", where=str(path), hint="give a folder of a run or a study")
    if (path / "study.json").is_file():
        return _study(path)
    if not (path / "run.json").is_file():
        raise InputError(
            "this is neither a run folder (run.json) nor a study (study.json)",
            where=str(path),
            hint="give a folder that `edgekit train` or `edgekit compare` made",
        )
    run = _run(RunFolder(path), str(path))
    return Source(path, str(run.document.get("run_id", path.name)), [run], None, [])


def _study(path: Path) -> Source:
    document = read_json(path / "study.json")
    runs, troubled = [], []
    for cell in document.get("cells", []):
        name = str(cell["run"])
        folder = RunFolder(path / name)
        if folder.run_json.is_file():
            runs.append(_run(folder, str(folder.path)))
        else:
            troubled.append((name, "this cell of the study has no run yet"))
        if cell.get("status") == "failed":
            troubled.append((name, f"this cell of the study failed: {cell.get('error') or 'no reason is stored'}"))
    return Source(path, str(document.get("name", path.name)), runs, document, troubled)


def _run(folder: RunFolder, place: str) -> RunData:
    stored = _predictions(folder.predictions)
    return RunData(
        folder=folder,
        place=place,
        document=folder.read(),
        history=_history(folder.history),
        exports=[(export, export.read()) for export in folder.done_exports()],
        results=[(result, _answers(_predictions(result.predictions_path()))) for result in run_results(folder)],
        answers=_answers(stored),
        losses=_losses(stored),
        truth=_truth(stored),
        corrupted=read_corrupted(folder),
        looks=_looks(folder),
    )


def _looks(folder: RunFolder) -> list[dict[str, Any]]:
    file = folder.gradcam / "gradcam.json"
    if not file.is_file():
        return []
    entries = read_json(file)["images"]
    return [{**entry, "picture": (folder.gradcam / Path(entry["picture"]).name).read_bytes()} for entry in entries]


def _history(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [
                {key: value if key in TEXT_COLUMNS else _number(value) for key, value in row.items()}
                for row in csv.DictReader(stream)
            ]
    except ValueError as error:
        raise InputError(f"the curves of this run cannot be read: {error}", where=str(path)) from None


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _answers(stored: dict[str, Any] | None) -> Answers:
    """Right or wrong by image; empty where there are no predictions."""
    if stored is None:
        return {}
    right = stored["probabilities"].argmax(axis=1) == stored["labels"]
    return dict(zip(stored["files"].tolist(), right.tolist()))


def _losses(stored: dict[str, Any] | None) -> Losses:
    from edgekit.stats.classification import cross_entropy

    if stored is None:
        return {}
    return dict(zip(stored["files"].tolist(), cross_entropy(stored["labels"], stored["probabilities"]).tolist()))


def _truth(stored: dict[str, Any] | None) -> dict[str, int]:
    return {} if stored is None else dict(zip(stored["files"].tolist(), stored["labels"].tolist()))


def _predictions(path: Path | None) -> dict[str, Any] | None:
    """``labels`` (N,), ``probabilities`` (N, classes) and ``files`` (N,); None where there are none."""
    import numpy as np

    if path is None or not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            stored = {name: arrays[name] for name in ("labels", "probabilities", "files")}
        stored["probabilities"][np.arange(len(stored["labels"])), stored["labels"]]  # every label is a column
    except (KeyError, ValueError, OSError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"these predictions cannot be read: {error}", where=str(path)) from None
    return stored
