"""What a study planned: the kinds of model that its claims are about, with the seeds that were not measured.

A cell that failed, or an exported file that failed its checks, leaves no numbers behind. Without the plan it would drop
out of a claim, and the rest, which may be the better part, would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgekit.documents.study import CellRecord
from edgekit.recipe import Claim
from edgekit.render.text import listing
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.source import RunData, Source, model_title, strategy_title


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the study with its run, if it has one."""

    cell: CellRecord
    run: RunData | None
    title: str

    @property
    def why(self) -> str:
        """Why a cell has no numbers."""
        if self.cell.status == "failed":
            return "training failed"
        return "not trained yet" if self.run is None or not self.run.document.done else "not measured"

    @property
    def named(self) -> str:
        return f"{self.title}, seed {self.cell.seed}"


def planned_cells(source: Source) -> list[PlannedCell]:
    """Every cell of the study; none for a single run, whose recipe plans no comparison."""
    if source.study is None:
        return []
    by_folder = {run.folder.path: run for run in source.runs}
    kinds = {(run.document.backbone, run.document.strategy, run.arm): run.title for run in source.runs}
    found = []
    for cell in source.study.cells:
        title = kinds.get((cell.backbone, cell.strategy, cell.arm))
        if title is None:
            title = f"{model_title(cell.backbone)}, {strategy_title(cell.strategy, cell.arm)}"
        found.append(PlannedCell(cell, by_folder.get(source.path / cell.run), title))
    return found


_NEEDED: dict[str, Callable[[RunData], bool]] = {
    "accuracy": lambda run: bool(run.correct),
    "loss": lambda run: bool(run.losses),
    "train_seconds": lambda run: run.train_seconds is not None,
    "epoch_seconds": lambda run: bool(run.history),
}
"""By metric of Keras models: whether a run has it. The other metrics do not depend on the seed."""


def networks_without(metric: str, cells: Sequence[PlannedCell]) -> Iterator[tuple[PlannedCell, str]]:
    """The cells whose Keras model lacks ``metric``, each with the reason in words."""
    with_any = {cell.title for cell in cells if cell.run is not None}
    needed = _NEEDED.get(metric)
    for cell in cells:
        there = cell.title in with_any if needed is None else cell.run is not None and needed(cell.run)
        if not there:
            yield cell, f"{cell.named} ({cell.why})"


def files_without(
    claim: Claim, cells: Sequence[PlannedCell], key: str, target: str | None, files: Sequence[ExportedFile]
) -> Iterator[tuple[PlannedCell, str]]:
    """The cells whose exported file ``key`` lacks the claim's metric on ``target``, each with the reason in words.

    Accuracy needs every seed; latency and size do not depend on it, so that one seed of a kind is enough.
    """
    mine = [file for file in files if file.key == key]
    usable = [file for file in mine if not file.failed and _measured(claim, file, target)]
    kinds = {file.run.title for file in usable}
    for cell in cells:
        there = any(file.run is cell.run for file in usable)
        if not there and (claim.metric == "accuracy" or cell.title not in kinds):
            yield cell, f"{cell.named}, {key} ({_why(cell, mine)})"


def absent_files(source: Source, files: Sequence[ExportedFile]) -> list[str]:
    """The exported files that the study planned and that are not there, or failed, by name; once for all targets."""
    cells = planned_cells(source)
    if not cells or source.recipe is None:
        return []
    seeds: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        if cell.run is None or not cell.run.document.done:
            seeds.setdefault((cell.title, cell.why), []).append(cell.cell.seed)
            continue
        for key in source.recipe.export.files:
            mine = [file for file in files if file.run is cell.run and file.key == key]
            if not any(not file.failed for file in mine):
                seeds.setdefault((f"{cell.title}, {key}", _why(cell, mine)), []).append(cell.cell.seed)
    return [f"{title} ({why}: {_seeds(numbers)})" for (title, why), numbers in seeds.items()]


def _seeds(numbers: Sequence[int]) -> str:
    """``seed 2``, ``seeds 0, 1 and 2``."""
    return f"seed{'s' if len(numbers) > 1 else ''} {listing([str(n) for n in numbers], 6)}"


def _measured(claim: Claim, file: ExportedFile, target: str | None) -> bool:
    if target is not None and file.target != target:
        return False
    if claim.metric == "accuracy":
        return bool(file.correct)
    return claim.metric != "latency" or file.timing(claim.threads) is not None


def _why(cell: PlannedCell, files: Sequence[ExportedFile]) -> str:
    mine = [file for file in files if file.run is cell.run]
    if not mine:
        return "not exported" if cell.run is not None and cell.run.document.done else cell.why
    return "failed a check" if any(file.failed for file in mine) else "not measured"
