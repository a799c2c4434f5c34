"""``study.json``: the cells of a study and how far each has come."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from edgekit.documents.base import Document, InnerPath, JsonObject, Migration, Part
from edgekit.documents.run import without_gate_split
from edgekit.errors import InputError
from edgekit.recipe import Recipe

STUDY_FILE = "study.json"

CellStatus = Literal["waiting", "trained", "exported", "failed"]


class ClaimsPlan(Part):
    """The claims of a study before its first result. Other claims were written later."""

    recorded: str
    """When they were recorded (ISO 8601, UTC)."""
    sha256: tuple[str, ...]
    """SHA-256 of each claim."""


class CellRecord(Part):
    """One cell: a backbone, strategy, seed and arm, trained in its own run folder."""

    run: InnerPath
    """The run folder, relative to the study folder."""
    backbone: str
    strategy: str
    seed: int
    arm: str | None = None
    """The training variant, if the study compares several."""
    status: CellStatus = "waiting"
    error: str | None = None
    seconds: float | None = None
    """Wall-clock time of the training command."""
    added_later: bool = False
    """Whether the study had results before this cell was added."""


def _without_claims_plan(old: JsonObject) -> JsonObject:
    """Version 2 did not record when claims were written."""
    return {**old, "claims_plan": None}


class StudyDocument(Document):
    """A study. Its recipe does not contain the paths of images and weights on this machine."""

    VERSION: ClassVar[int] = 3
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: without_gate_split, 2: _without_claims_plan}

    schema_version: int = 3
    """Version of this kind of document."""

    name: str
    created: str
    recipe: Recipe
    cells: tuple[CellRecord, ...]
    claims_plan: ClaimsPlan | None = None
    """The claims before the first result; ``null`` in studies that an older edgekit started."""


def read_study(folder: Path) -> StudyDocument:
    """``study.json`` of a study folder; :class:`InputError` if there is none."""
    file = folder / STUDY_FILE
    if not file.is_file():
        raise InputError(
            "this is not a study folder: it has no study.json",
            where=str(folder),
            hint="pass a folder that `edgekit compare` created",
        )
    return StudyDocument.read(file)
