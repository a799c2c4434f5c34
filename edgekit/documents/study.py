"""``study.json``: the cells of a study and how far each has come."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.base import Document, Part
from edgekit.recipe import Recipe

CellStatus = Literal["waiting", "trained", "exported", "failed"]


class CellRecord(Part):
    """One cell: a backbone, strategy, seed and arm, trained in a run folder of its own."""

    run: str
    """The run folder, relative to the study folder."""
    backbone: str
    strategy: str
    seed: int
    arm: str | None = None
    """The training variant, where the study compares several."""
    status: CellStatus = "waiting"
    error: str | None = None
    seconds: float | None = None
    """Wall-clock time of the training command."""


class StudyDocument(Document):
    """A study. Its recipe does not say where on this machine images and weights are."""

    name: str
    created: str
    recipe: Recipe
    cells: tuple[CellRecord, ...]
