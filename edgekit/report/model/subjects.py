"""The subjects of claims: kinds of model over all their seeds, and the pairs of them that a claim compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from edgekit.documents.corruptions import KERAS, CorruptedPredictions
from edgekit.recipe import CORRUPTED, Claim, Side
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.planned import PlannedCell, files_without, networks_without, planned_cells
from edgekit.report.model.source import Correct, Losses, RunData, Source


@dataclass
class Subject:
    """One kind of model over all its seeds: Keras models, or exported files where ``file`` is not None."""

    title: str
    backbone: str
    strategy: str
    arm: str | None
    file: str | None
    target: str | None
    runs: list[RunData] = field(default_factory=list)
    files: list[ExportedFile] = field(default_factory=list)
    corrupted: dict[int, CorruptedPredictions] = field(default_factory=dict)
    """By seed: predictions for corrupted images; only where the claim is about those."""
    missing: list[str] = field(default_factory=list)
    """What the study planned of it and did not measure, by name."""

    @property
    def kind(self) -> tuple[str, str, str | None]:
        """Backbone, strategy and arm: how a published figure names it."""
        return self.backbone, self.strategy, self.arm

    def fits(self, side: Side) -> bool:
        """Whether a side of a claim includes it; a None in the side matches everything."""
        pairs = (
            (side.backbone, self.backbone),
            (side.strategy, self.strategy),
            (side.arm, self.arm),
            (side.file, self.file),
        )
        return all(wanted in (None, mine) for wanted, mine in pairs)

    def correct(self) -> dict[int, Correct]:
        """By seed: which test images are classified correctly."""
        if self.file is not None:
            return {file.seed: file.correct for file in self.files if file.correct and not file.failed}
        return {run.seed: run.correct for run in self.runs if run.correct}

    def losses(self) -> dict[int, Losses]:
        """By seed: the cross-entropy of each test image in nats, of the Keras models."""
        return {run.seed: run.losses for run in self.runs if run.losses}


def opponents(claim: Claim, source: Source, files: Sequence[ExportedFile]) -> Iterator[tuple[Subject, Subject]]:
    """Every pair of kinds of model that the claim is about: those that the study planned, measured or not."""
    subjects = _subjects(claim, source, files)
    against_keras = claim.right.file == KERAS
    rivals = _networks(claim, source) if against_keras else subjects
    for a in subjects:
        if not a.fits(claim.left):
            continue
        for b in rivals:
            if b is not a and (against_keras or b.target == a.target) and _opposes(b, claim.right, a):
                yield a, b


def _opposes(b: Subject, right: Side, a: Subject) -> bool:
    """Whether the right side of a claim includes ``b``, and ``b`` equals ``a`` in everything else."""
    same_backbone = (
        b.backbone != a.backbone if right.backbone == "others" else b.backbone == (right.backbone or a.backbone)
    )
    return (
        same_backbone
        and b.strategy == (right.strategy or a.strategy)
        and (right.arm or a.arm) in (None, b.arm)
        and (right.file == KERAS or (right.file or a.file) in (None, b.file))
    )


def _subjects(claim: Claim, source: Source, files: Sequence[ExportedFile]) -> list[Subject]:
    """Kinds of model, over all seeds: Keras models, or exported files where the claim is about files."""
    of_files = claim.metric in ("latency", "size_bytes") or claim.left.file is not None
    if claim.metric in CORRUPTED:
        return _evaluated_on_corrupted_images(claim, source, of_files)
    return _files(claim, source, files) if of_files else _networks(claim, source)


def _networks(claim: Claim, source: Source) -> list[Subject]:
    found: dict[str, Subject] = {}
    for run in source.runs:
        found.setdefault(run.title, _subject(run, run.title, None, None)).runs.append(run)
    for planned, missing in networks_without(claim.metric, planned_cells(source)):
        found.setdefault(planned.title, _unmeasured(planned, planned.title, None, None)).missing.append(missing)
    return list(found.values())


def _files(claim: Claim, source: Source, files: Sequence[ExportedFile]) -> list[Subject]:
    of_target = claim.metric in ("latency", "accuracy")
    targets = list(dict.fromkeys(file.target for file in files if file.target is not None)) if of_target else []
    several = len(targets) > 1
    found: dict[tuple[str, str | None], Subject] = {}
    for file in files:
        target = file.target if of_target else None
        if claim.target not in (None, file.target) or (target is None and targets):
            continue
        title = f"{file.title} on {target}" if several else file.title
        subject = found.setdefault((title, target), _subject(file.run, title, file.key, target))
        if file.seed not in {other.seed for other in subject.files}:
            subject.files.append(file)
            subject.runs.append(file.run)
    cells = planned_cells(source)
    planned_files = source.recipe.export.files if cells and source.recipe is not None else []
    wanted: list[str | None] = [claim.target] if claim.target is not None and of_target else [*targets] or [None]
    for key, target in product(planned_files, wanted):
        for planned, missing in files_without(claim, cells, key, target, files):
            title = f"{planned.title}, {key}" + (f" on {target}" if several else "")
            subject = found.setdefault((title, target), _unmeasured(planned, title, key, target))
            subject.missing.append(missing)
    return list(found.values())


def _evaluated_on_corrupted_images(claim: Claim, source: Source, of_files: bool) -> list[Subject]:
    runs, cells = source.runs, planned_cells(source)
    several = len({model.target for run in runs for model in run.corrupted if model.key != KERAS}) > 1
    found: dict[tuple[str, str], Subject] = {}
    for run in runs:
        for model in run.corrupted:
            if (model.key != KERAS) != of_files or claim.target not in (None, model.target):
                continue
            title = f"{run.title}, {model.key if of_files else 'Keras'}"
            title += f" on {model.target}" if several and of_files else ""
            file = model.key if of_files else None
            subject = found.setdefault((title, model.target), _subject(run, title, file, model.target))
            subject.corrupted.setdefault(run.seed, model)
    # Seeds and kinds that the plan has: which files are evaluated is not in it, so kinds of file are those found.
    files_and_targets = list(dict.fromkeys((subject.file, subject.target) for subject in found.values()))
    for planned, (file, target) in product(cells, files_and_targets):
        title = f"{planned.title}, {file or 'Keras'}" + (f" on {target}" if several and of_files else "")
        subject = found.setdefault((title, target or ""), _unmeasured(planned, title, file, target))
        if planned.cell.seed not in subject.corrupted:
            subject.missing.append(f"{planned.named}, {file or 'Keras'} (not evaluated on corrupted images)")
    return list(found.values())


def _unmeasured(planned: PlannedCell, title: str, file: str | None, target: str | None) -> Subject:
    cell = planned.cell
    return Subject(title, cell.backbone, cell.strategy, cell.arm, file, target)


def _subject(run: RunData, title: str, file: str | None, target: str | None) -> Subject:
    return Subject(title, run.document.backbone, run.document.strategy, run.arm, file, target)
