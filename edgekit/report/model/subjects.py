"""What a claim is about: kinds of model over all their seeds, and which of them stand against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgekit.documents.corruptions import KERAS
from edgekit.documents.corruptions import CorruptedPredictions as ShiftedAnswers
from edgekit.recipe import CORRUPTED
from edgekit.report.model.reading import Answers, RunData
from edgekit.report.model.rows import Candidate, model_title, strategy_title


@dataclass
class Subject:
    """One kind of model over all its seeds: Keras models, or files where ``file`` is not None."""

    title: str
    backbone: str
    strategy: str
    arm: str | None
    file: str | None
    target: str | None
    runs: list[RunData] = field(default_factory=list)
    files: list[Candidate] = field(default_factory=list)
    shifted: dict[int, ShiftedAnswers] = field(default_factory=dict)
    """By seed: answers to corrupted images; only where the claim is about those."""

    @property
    def kind(self) -> tuple[str, str, str | None]:
        """Backbone, strategy and arm: how a published figure names it."""
        return self.backbone, self.strategy, self.arm

    def fits(self, side: Mapping[str, Any]) -> bool:
        """Whether it is what a side of a claim asks for; None asks for nothing."""
        mine = {"backbone": self.backbone, "strategy": self.strategy, "arm": self.arm, "file": self.file}
        return all(side.get(name) in (None, value) for name, value in mine.items())

    def answers(self) -> dict[int, Answers]:
        """By seed: which test images were answered right."""
        if self.file is not None:
            return {c.seed: c.answers for c in self.files if c.answers and not c.failed}
        return {int(run.document["seed"]): run.answers for run in self.runs if run.answers}

    def losses(self) -> dict[int, dict[str, float]]:
        """By seed: the cross-entropy of each test image in nats, of the Keras models."""
        return {int(run.document["seed"]): run.losses for run in self.runs if run.losses}


def opponents(
    claim: Mapping[str, Any], runs: Sequence[RunData], candidates: Sequence[Candidate]
) -> Iterator[tuple[Subject, Subject]]:
    """Every pair of kinds of model that the claim is about, of those in the folder."""
    subjects = _subjects(claim, runs, candidates)
    for a in subjects:
        if not a.fits(claim["left"]):
            continue
        for b in subjects:
            if b is not a and b.target == a.target and b.fits(_opposite(claim["right"], a, b)):
                yield a, b


def _opposite(right: Mapping[str, Any], a: Subject, b: Subject) -> dict[str, Any]:
    """What ``b`` has to be to stand against ``a``: as the claim says, in everything else like ``a``."""
    wanted = {
        "backbone": right["backbone"] or a.backbone,
        "strategy": right["strategy"] or a.strategy,
        "arm": right.get("arm") or a.arm,
        "file": right["file"] or a.file,
    }
    if right["backbone"] == "others":
        wanted["backbone"] = None if b.backbone != a.backbone else "others"
    return wanted


def _subjects(claim: Mapping[str, Any], runs: Sequence[RunData], candidates: Sequence[Candidate]) -> list[Subject]:
    """Kinds of model, over all seeds: Keras models, or exported files where the claim is about files."""
    of_files = claim["metric"] in ("latency", "size_bytes") or claim["left"]["file"] is not None
    if claim["metric"] in CORRUPTED:
        return _shown_corrupted(claim, runs, of_files)
    return _files(claim, candidates) if of_files else _networks(runs)


def _networks(runs: Sequence[RunData]) -> list[Subject]:
    found: dict[str, Subject] = {}
    for run in runs:
        found.setdefault(_title(run), _subject(run, _title(run), None, None)).runs.append(run)
    return list(found.values())


def _files(claim: Mapping[str, Any], candidates: Sequence[Candidate]) -> list[Subject]:
    several = len({candidate.target for candidate in candidates if candidate.target is not None}) > 1
    found: dict[tuple[str, str | None], Subject] = {}
    for candidate in candidates:
        target = candidate.target if claim["metric"] in ("latency", "accuracy") else None
        if claim["target"] is not None and target != claim["target"]:
            continue
        title = f"{candidate.title} on {target}" if several and target is not None else candidate.title
        subject = found.setdefault((title, target), _subject(candidate.run, title, candidate.key, target))
        if candidate.seed not in {other.seed for other in subject.files}:
            subject.files.append(candidate)
            subject.runs.append(candidate.run)
    return list(found.values())


def _shown_corrupted(claim: Mapping[str, Any], runs: Sequence[RunData], of_files: bool) -> list[Subject]:
    several = len({answers.target for run in runs for answers in run.corrupted if answers.key != KERAS}) > 1
    found: dict[tuple[str, str], Subject] = {}
    for run in runs:
        for answers in run.corrupted:
            if (answers.key != KERAS) != of_files or claim["target"] not in (None, answers.target):
                continue
            title = f"{_title(run)}, {answers.key if of_files else 'Keras'}"
            title += f" on {answers.target}" if several and of_files else ""
            file = answers.key if of_files else None
            subject = found.setdefault((title, answers.target), _subject(run, title, file, answers.target))
            subject.shifted.setdefault(int(run.document["seed"]), answers)
    return list(found.values())


def _subject(run: RunData, title: str, file: str | None, target: str | None) -> Subject:
    document = run.document
    arm = (document.get("recipe") or {}).get("arm")
    return Subject(title, str(document["backbone"]), str(document["strategy"]), arm, file, target)


def _title(run: RunData) -> str:
    return f"{model_title(run.document)}, {strategy_title(run.document)}"
