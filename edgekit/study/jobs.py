"""The jobs of a study, and the outcomes that their processes report: typed settings instead of command-line flags.

Every step of a study runs in its own process, so that a crash costs one step, a kill ends everything, and steps
can run on another machine. The process reads a :class:`JobSettings` from a file and prints an :class:`Outcome`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgekit.documents.base import Document, Part
from edgekit.recipe import Recipe
from edgekit.render.text import plural


class TrainJob(Part):
    """Train one cell into its run folder."""

    kind: Literal["train"] = "train"
    recipe: Recipe
    run: Path
    resume: bool = False

    @property
    def subject(self) -> str:
        """What the job works on, for error messages."""
        return str(self.run)


class ExportJob(Part):
    """Export a trained run to the files named in ``exports`` (``tflite-int8``)."""

    kind: Literal["export"] = "export"
    run: Path
    exports: tuple[str, ...]
    warnings: bool = True
    """Whether to print the warnings about the files. Those of an untrained network say nothing."""

    @property
    def subject(self) -> str:
        """What the job works on, for error messages."""
        return str(self.run)


class BenchJob(Part):
    """Measure the exported files of all runs in one session on each target."""

    kind: Literal["bench"] = "bench"
    runs: tuple[Path, ...]
    targets: tuple[str, ...]
    protocol: str
    threads: tuple[int, ...]
    images: int | None = None
    latency: bool = True
    """False: only score the images."""
    tune: bool = False
    """Also look for the fastest setting of each file."""

    @property
    def subject(self) -> str:
        """What the job works on, for error messages."""
        return f"{plural(len(self.runs), 'run')} on {', '.join(self.targets)}"


class RobustnessJob(Part):
    """Store the predictions of a run's models on corrupted test images."""

    kind: Literal["robustness"] = "robustness"
    run: Path
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    seed: int
    images: int | None = None

    @property
    def subject(self) -> str:
        """What the job works on, for error messages."""
        return str(self.run)


class ReportJob(Part):
    """Write the report of a study."""

    kind: Literal["report"] = "report"
    study: Path

    @property
    def subject(self) -> str:
        """What the job works on, for error messages."""
        return str(self.study)


Job = TrainJob | ExportJob | BenchJob | RobustnessJob | ReportJob


class JobSettings(Document):
    """The file that a job's process starts from."""

    job: Annotated[Job, Field(discriminator="kind")]
    quiet: bool = False
    """Whether the process shows no progress on stderr."""


class Problem(Part):
    """Why a job failed, as :class:`edgekit.errors.EdgekitError` says it."""

    problem: str
    where: str | None = None
    hint: str | None = None
    exit_code: int = 1


class Outcome(Document):
    """What a job's process prints when it ends by itself."""

    error: Problem | None = None
    failed_files: tuple[str, ...] = ()
    """Of a benchmark: files that could not be measured, each with its target and the reason."""
    target_errors: dict[str, str] = Field(default_factory=dict)
    """Of a benchmark: why a target measured nothing."""
