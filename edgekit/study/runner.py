"""A study from start to end: audit the images, train and export every cell, measure all files in one session.

Every step is a separate process that reads and writes files, so a study that was killed resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.documents.study import StudyDocument
from edgekit.errors import EdgekitError
from edgekit.recipe import Recipe
from edgekit.registry import get_scheme
from edgekit.study.benchmarking import measure, warn_of_unreachable
from edgekit.study.cells import Cell
from edgekit.study.executors import open_executor
from edgekit.study.folder import Study, study_lock
from edgekit.study.job_runner import JobFailed, run_job
from edgekit.study.jobs import ReportJob, RobustnessJob
from edgekit.study.leak_audit import audit_study
from edgekit.study.mlflow_tracking import check_mlflow, log_study
from edgekit.study.scheduler import Scheduler
from edgekit.support.files import temporaries
from edgekit.support.frameworks import need_model_optimization
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


@dataclass(frozen=True)
class StudyResult:
    """A study after a command has worked on it."""

    folder: Path
    document: StudyDocument
    target_errors: Mapping[str, str]
    """Why a target measured nothing, by its name. Running the study again measures on it."""


def run_study(
    recipe: Recipe,
    out: Path,
    *,
    targets: Sequence[str] = (LOCAL,),
    jobs: int = 1,
    retries: int = 1,
    executor: str = "local",
    mlflow: str | None = None,
    latency: bool = True,
    quiet: bool = False,
    progress: Progress = SILENT,
) -> StudyResult:
    """Run or resume the study of ``recipe`` in ``out``.

    ``jobs`` cells are trained at once, on this machine or by Ray. A cell that fails is retried ``retries`` times and
    then recorded as failed; it does not stop the others, and the next call tries it again. ``mlflow`` is the address
    of an MLflow server that every cell is logged to at the end. Without ``latency``, exported files are only scored;
    the next call with it measures the rest. Raises :class:`EdgekitError` if no cell succeeded,
    :class:`InputError` if another process works on this study, and :class:`TargetError`, before anything is
    trained, for an unknown target.
    """
    for target in targets:
        get_target(target)
    if mlflow is not None:
        check_mlflow(mlflow)
    if any(get_scheme(key).compression for key in recipe.export.files):
        need_model_optimization()
    check_writable(out)
    study = Study.open(out, recipe)
    with study_lock(study.path):
        for stale in list(temporaries(study.path)):
            stale.unlink(missing_ok=True)
        study.save()  # the claims may be new
        warn_of_unreachable(study, targets, progress)
        audit_study(recipe, study.path, progress)
        with open_executor(executor, jobs) as pool:
            Scheduler(study, pool, jobs, retries, quiet=quiet, progress=progress).run()
        exported = [cell for cell in study.cells if cell.status == "exported"]
        if not exported:
            raise EdgekitError("no cell of the study succeeded", where=str(study.file), hint=study.cells[0].error)
        unreachable = measure(
            study, exported, list(dict.fromkeys(targets)), latency=latency, quiet=quiet, progress=progress
        )
        _measure_robustness(study, exported, quiet, progress)
        if mlflow is not None:
            run_job(ReportJob(study=study.path), quiet=True)
            log_study(study.path, mlflow, progress=progress)
    return StudyResult(study.path, study.document(), unreachable)


def _measure_robustness(study: Study, cells: list[Cell], quiet: bool, progress: Progress) -> None:
    """Run every model on the corrupted test images that the recipe asks for; stored predictions are kept."""
    wanted = study.recipe.robustness
    if not wanted.corruptions:
        return
    for number, cell in enumerate(cells, 1):
        progress.info(f"\ncorrupted images [{number}/{len(cells)}] {cell.title}")
        job = RobustnessJob(
            run=study.folder(cell).path,
            corruptions=tuple(wanted.corruptions),
            severities=tuple(wanted.severities),
            seed=wanted.seed,
            images=wanted.images,
        )
        try:
            run_job(job, quiet=quiet)
        except JobFailed as error:
            study.update(cell, cell.status, str(error))
            progress.warn(f"{cell.run}: {error.problem}")
