"""What ``edgekit gate`` writes: the list in a saved baseline, and the result of a check against it."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgekit.documents.base import Document, FileName, Part
from edgekit.recipe.gates import Gates

Outcome = Literal["passed", "failed", "undecided", "not compared"]

PASSED: Outcome = "passed"
FAILED: Outcome = "failed"
UNDECIDED: Outcome = "undecided"
NOT_COMPARED: Outcome = "not compared"

CheckName = Literal[
    "exported", "accuracy", "class accuracy", "agreement", "size", "memory", "latency", "energy"
]  # fmt: skip


class BaselineFile(Part):
    """One exported file of a baseline."""

    key: FileName
    """``tflite-int8``: format and scheme."""
    sha256: str
    """SHA-256 of the file."""
    size_bytes: int
    """Size of the file."""
    path: str
    """Where the file was when the baseline was saved, relative to the folder of the baseline."""
    embedded: bool
    """Whether the baseline contains the file itself."""
    targets: tuple[FileName, ...]
    """The targets that it was measured on."""


class BaselineRun(Part):
    """One run of a baseline, with the exported files that were saved."""

    folder: FileName
    """Its folder inside the baseline."""
    run_id: str
    """Name of the run."""
    backbone: str
    """The backbone."""
    alpha: float | None
    """Width multiplier."""
    strategy: str
    """Training strategy."""
    arm: str | None
    """Training variant of the study, if it compares several."""
    seed: int
    """Random seed."""
    files: tuple[BaselineFile, ...]
    """The exported files."""


class BaselineDocument(Document):
    """``baseline.json`` inside the file that ``edgekit gate save`` writes: what the baseline contains."""

    VERSION: ClassVar[int] = 1

    name: FileName
    """Name of the baseline."""
    created: str
    """Time in UTC (ISO 8601)."""
    edgekit_version: str
    """Version of edgekit."""
    limits: Gates
    """How much worse than the baseline a file may be."""
    runs: tuple[BaselineRun, ...]
    """The runs."""


class SavedBaseline(Document):
    """What ``edgekit gate save --json`` prints."""

    VERSION: ClassVar[int] = 1

    file: str
    """The file that was written."""
    size_bytes: int
    """Its size."""
    baseline: BaselineDocument
    """What it contains."""


class Check(Part):
    """One figure of a file against that of its baseline."""

    check: CheckName
    """What is compared. ``exported``: whether the run still has the file at all."""
    threads: int | None = None
    """Number of threads of a latency."""
    outcome: Outcome
    """``passed``: shown to be within the limit. ``failed``: shown to be beyond it. ``undecided``: neither is shown.
    ``not compared``: the two figures cannot be compared, or nothing was measured."""
    baseline: float | None = None
    """Figure of the baseline: accuracy and agreement from 0 to 1, bytes, milliseconds or joules."""
    new: float | None = None
    """Figure of the new file in the same unit."""
    unit: Literal["points", "percent"] | None = None
    """Unit of ``change`` and ``limit``: percentage points of accuracy, or percent of the baseline."""
    change: float | None = None
    """New minus baseline; negative where accuracy is lost. Of an agreement, the agreement itself in percent."""
    change_interval: tuple[float, float] | None = None
    """What the measurements leave possible for ``change``; the outcome follows from it. ``null`` for an exact figure.
    Each bound is wrong in at most 5% of cases, also after several sessions."""
    limit: float | None = None
    """Largest allowed loss in points or increase in percent; of an agreement, the smallest allowed one in percent."""
    reason: str = ""
    """Why the outcome is not ``passed``, or what to know about it."""


class CheckedFile(Part):
    """One exported file against its baseline."""

    id: str
    """Run and exported file."""
    run_id: str
    """The new run."""
    key: str
    """``tflite-int8``: format and scheme."""
    sha256: str | None
    """SHA-256 of the new file; ``null`` if there is none."""
    baseline_run_id: str
    """The run of the baseline."""
    baseline_sha256: str
    """SHA-256 of the baseline's file."""
    measured_together: bool
    """Whether both files were measured in the same sessions, so that latencies can be compared."""
    sessions: int
    """How many sessions measured the latency of both."""
    unstable: tuple[str, ...] = ()
    """Why the target was not quiet; empty on a quiet machine. Other load makes intervals wider."""
    checks: tuple[Check, ...]
    """Every figure."""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its checks."""
        return worst([check.outcome for check in self.checks])


class GateCheck(Document):
    """The result of ``edgekit gate check``, stored as ``gate.json``."""

    VERSION: ClassVar[int] = 1

    name: str
    """Name of the baseline."""
    outcome: Outcome
    """``failed`` if a check failed, otherwise ``undecided`` if a check is undecided, otherwise ``passed``."""
    created: str
    """Time in UTC (ISO 8601)."""
    edgekit_version: str
    """Version of edgekit."""
    baseline_created: str
    """When the baseline was saved."""
    target: str
    """Name of the target."""
    protocol: str | None
    """Name of the protocol; ``null`` if no latency was measured."""
    seconds: float
    """Wall-clock time of the check."""
    limits: Gates
    """The limits that were applied."""
    files: tuple[CheckedFile, ...]
    """Every exported file of the baseline that was compared."""
    notes: tuple[str, ...] = ()
    """What to know about the comparison as a whole."""

    @property
    def checks(self) -> list[tuple[CheckedFile, Check]]:
        """Every check with its file."""
        return [(file, check) for file in self.files for check in file.checks]

    def count(self, outcome: Outcome) -> int:
        """How many checks have this outcome."""
        return sum(check.outcome == outcome for _, check in self.checks)


def worst(outcomes: list[Outcome]) -> Outcome:
    """``failed`` before ``undecided`` before ``passed``; ``not compared`` counts only where nothing else is there."""
    return next((one for one in (FAILED, UNDECIDED, PASSED) if one in outcomes), NOT_COMPARED)
