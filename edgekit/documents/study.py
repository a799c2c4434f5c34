"""``study.json``: the cells of a study and how far each has come."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from edgekit.documents.base import Document, InnerPath, JsonObject, Migration, Part
from edgekit.documents.run import without_gate_split
from edgekit.errors import InputError
from edgekit.recipe import Constraint, Recipe

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


class ProbedFile(Part):
    """One exported file of an untrained candidate."""

    key: str
    size_mb: float
    latency_ms: float | None
    """Median latency at batch size 1; ``null`` if it could not be measured."""
    latency_ms_ci95: tuple[float, float] | None = None
    fails: tuple[str, ...] = ()
    """The limits that it exceeds."""


class CandidateRecord(Part):
    """One network that `edgekit choose` considered."""

    backbone: str
    arm: str
    """Width and image size: ``w050-96px``."""
    alpha: float
    image_size: int
    macs: int | None = None
    """Multiply-accumulates for one image, estimated from the table of backbones; ``null`` if they are not known."""
    parameters: int | None = None
    """Number of weights, estimated likewise."""
    files: tuple[ProbedFile, ...] = ()
    """What the untrained network takes on the target; empty if it was not probed."""
    accuracies: tuple[float, ...] = ()
    """Accuracy on validation images at the end of each round of training."""
    seconds: float = 0.0
    """Time of its training so far."""
    dropped: str | None = None
    """Why it was dropped; ``null`` if it was trained to the end."""

    @property
    def title(self) -> str:
        """``mobilenetv2 w050-96px``."""
        return f"{self.backbone} {self.arm}"

    @property
    def latency_ms(self) -> float | None:
        """Latency of its fastest file that exceeds no limit."""
        known = [file.latency_ms for file in self.files if not file.fails and file.latency_ms is not None]
        return min(known, default=None)


class RoundRecord(Part):
    """One round of training: all candidates that were left, from the start, for the same share of the epochs."""

    share: float
    """Of the epochs of the recipe (above 0, up to 1)."""
    members: tuple[str, ...]
    """Titles of the candidates."""
    done: bool = False


class SearchRecord(Part):
    """The search that a study is the last round of."""

    target: str
    limits: Constraint
    time_limit_s: float | None = None
    seconds: float = 0.0
    """Time that the search took, over all commands that worked on it."""
    candidates: tuple[CandidateRecord, ...]
    rounds: tuple[RoundRecord, ...] = ()


class SearchDocument(Document):
    """``choose.json``: how far a search by `edgekit choose` has come."""

    name: str
    created: str
    recipe: Recipe
    probes: int = 0
    """How many of the two waves of probes are done: the smallest network of each backbone, and the others."""
    search: SearchRecord


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
    search: SearchRecord | None = None
    """The search by `edgekit choose` that selected the cells; ``null`` for other studies."""


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
