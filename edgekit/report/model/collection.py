"""Several runs as one source of a report: finds them, and tells kinds of model apart that share backbone and strategy.

Runs of a study differ in what the study compares. Runs that were trained one by one may differ in anything: other
settings, other images, or the same training twice. What differs becomes part of the name, so that only seeds of equal
trainings are averaged.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.documents.bench import BenchResult
from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.study import STUDY_FILE, StudyDocument
from edgekit.errors import InputError
from edgekit.recipe import Recipe, differences
from edgekit.recipe.redaction import redact_paths
from edgekit.report.model.source import Correct, RunData, Source, digests, need_folder, read_run, read_source

RUN_FILE = "run.json"

_SAME_KIND = (
    "name",
    "description",
    "arm",
    "claims",
    "reported",
    "constraints",
    "compare",
    "export",
    "bench",
    "robustness",
    "gates",
)
"""Sections of a recipe in which trainings of the same kind may differ."""

_SAME_KEYS = ("train.seed", "train.start_from", "data.path", "schema_version")

_MOST_SETTINGS = 2
"""With more settings that differ, a variant is named after its run."""


def read_sources(paths: Sequence[Path]) -> Source:
    """One run or study, or several runs: those of every path, which is a run, a study, or a folder that contains runs.

    Raises :class:`InputError` for a path without runs, and for documents that cannot be read.
    """
    first, *others = paths
    if not others and _is_one(first):
        return read_source(first)
    folders = list(dict.fromkeys(folder for path in paths for folder in run_folders(path)))
    root = first if not others else Path(os.path.commonpath([folder.absolute() for folder in folders]))
    if not others and len(folders) == 1:
        return read_source(folders[0])
    runs = [read_run(RunFolder(folder), str(folder)) for folder in folders]
    names = {run.folder.path: _below(run.folder.path, root) for run in runs}
    runs = _with_distinct_ids(runs, names)
    name = first.resolve().name if not others else f"{len(runs)} runs"
    planned = frozenset.intersection(*(digests(run.document.recipe) for run in runs))
    return Source(root, name, _told_apart(with_comparable_images(runs)), None, [], planned, collected=True)


def _is_one(path: Path) -> bool:
    """Whether a path is a run or a study, or nothing of which there could be several."""
    return not path.is_dir() or (path / RUN_FILE).is_file() or (path / STUDY_FILE).is_file()


def run_folders(path: Path) -> Iterator[Path]:
    """The run folders that a path (a run, a study, or a folder that contains runs) stands for.

    Raises :class:`InputError` where there are none.
    """
    need_folder(path)
    found = list(_runs_below(path))
    if not found:
        raise InputError(
            "this folder contains no run (run.json) and is no study (study.json)",
            where=str(path),
            hint="pass a run folder (from `edgekit train`), a study folder (from `edgekit compare`), or a folder that "
            "contains runs",
        )
    yield from found


def _runs_below(path: Path, depth: int = 2) -> Iterator[Path]:
    if (path / RUN_FILE).is_file():
        yield path
    elif (path / STUDY_FILE).is_file():
        cells = StudyDocument.read(path / STUDY_FILE).cells
        yield from (path / cell.run for cell in cells if (path / cell.run / RUN_FILE).is_file())
    elif depth:
        for inner in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
            yield from _runs_below(inner, depth - 1)


def _below(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path.absolute(), root.absolute())).as_posix()


def _with_distinct_ids(runs: list[RunData], names: dict[Path, str]) -> list[RunData]:
    """Runs that have the same id (their folders were named alike) are named by their places."""
    ids = [run.id for run in runs]
    return [run if ids.count(run.id) == 1 else _renamed(run, names[run.folder.path]) for run in runs]


def _renamed(run: RunData, name: str) -> RunData:
    def moved(result: BenchResult) -> BenchResult:
        update = {"run_id": name, "id": f"{name}/{result.bench.key}"}
        return replace(result, bench=result.bench.model_copy(update=update))

    return replace(
        run,
        document=run.document.model_copy(update={"run_id": name}),
        results=[(moved(result), correct) for result, correct in run.results],
    )


def with_comparable_images(runs: Sequence[RunData]) -> list[RunData]:
    """Images named so that two runs share a name only where they share the image, its class and the classes.

    Files of two datasets may have the same names. Runs on equally split images need no other names.
    """
    if len({run.document.dataset.fingerprint for run in runs}) == 1:
        return list(runs)
    return [_with_own_names(run) for run in runs]


def _with_own_names(run: RunData) -> RunData:
    dataset = run.document.dataset
    classes = hashlib.sha256("\n".join(dataset.classes).encode()).hexdigest()[:8]
    if run.folder.dataset.is_file():
        contents = {row.path: f"{row.sha256[:16]}/{row.label}" for row in read_dataset_csv(run.folder.dataset)}
    else:
        contents = {}

    def name(file: str) -> str:
        return f"{file}#{contents.get(file, dataset.fingerprint[:16])}/{classes}"

    def renamed(correct: Correct) -> Correct:
        return {name(file): right for file, right in correct.items()}

    return replace(
        run,
        results=[(result, renamed(correct)) for result, correct in run.results],
        correct=renamed(run.correct),
        losses={name(file): loss for file, loss in run.losses.items()},
        truth={name(file): label for file, label in run.truth.items()},
        corrupted=[replace(model, files=tuple(map(name, model.files))) for model in run.corrupted],
    )


def _told_apart(runs: Sequence[RunData]) -> list[RunData]:
    """Runs of equal backbone and strategy that are no seeds of the same training, each with what makes it different."""
    kinds: dict[str, list[RunData]] = {}
    for run in runs:
        kinds.setdefault(run.title, []).append(run)
    variants = {run.folder.path: variant for members in kinds.values() for run, variant in _variants(members)}
    return [replace(run, variant=variants[run.folder.path]) for run in runs]


def _variants(runs: Sequence[RunData]) -> Iterator[tuple[RunData, str]]:
    of: list[list[RunData]] = []
    for run in runs:
        same = next((members for members in of if not _difference(members[0], run)), None)
        if same is None:
            of.append([run])
        else:
            same.append(run)
    settings = sorted({key for members in of[1:] for key in _difference(of[0][0], members[0])})
    for members in of:
        seeds = [run.seed for run in members]
        label = "" if len(of) == 1 else _label(members, settings)
        for run in members:
            repeated = seeds.count(run.seed) > 1
            yield run, ", ".join(filter(None, [label if not repeated or label != run.id else "", run.id * repeated]))


def _label(members: Sequence[RunData], settings: Sequence[str]) -> str:
    """``epochs 20``; the name of a run where too much differs to say it."""
    if 0 < len(settings) <= _MOST_SETTINGS and "images" not in settings:
        return ", ".join(f"{key.rsplit('.', 1)[-1]} {_value(members[0].document.recipe, key)}" for key in settings)
    return members[0].id if len(members) == 1 else f"like {members[0].id}"


def _value(recipe: Recipe, key: str) -> object:
    value: object = recipe.document()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _difference(a: RunData, b: RunData) -> list[str]:
    """The settings of the training in which two runs differ; ``images`` where only those do."""
    documents = [redact_paths(run.document.recipe).document() for run in (a, b)]
    keys = [
        key
        for key in differences(documents[0], documents[1])
        if key.split(".")[0] not in _SAME_KIND and key not in _SAME_KEYS
    ]
    images = a.document.dataset.fingerprint != b.document.dataset.fingerprint
    return sorted(keys) or (["images"] if images else [])
