"""Studies, reports and the audit of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, folder_of, path_of
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.documents.audit import AuditDocument
    from edgekit.documents.difference import DiffDocument
    from edgekit.documents.report import ReportDocument
    from edgekit.documents.run import RunDocument
    from edgekit.documents.study import StudyDocument
    from edgekit.recipe import Recipe
    from edgekit.study.runner import StudyResult


def compare(
    recipe: Recipe | AnyPath,
    *,
    data: AnyPath | None = None,
    settings: Mapping[str, object] | None = None,
    out: AnyPath | None = None,
    targets: str | Sequence[str] = "local",
    jobs: int = 1,
    retries: int = 1,
    executor: str = "local",
    mlflow: str | None = None,
    latency: bool = True,
    quiet: bool = True,
    progress: Progress = SILENT,
) -> StudyResult:
    """Run or resume a study: train, export and measure every backbone, strategy, arm and seed of a recipe.

    Each step runs in its own process, so the study survives a step that crashes and can be killed and resumed.

    Args:
        recipe: A recipe, the path of a recipe file, or the name of a shipped recipe.
        data: Folder of labelled images.
        settings: Other recipe settings by dotted key.
        out: Study folder. Default: ``studies/`` and the recipe's name.
        targets: Name of a target, or several names.
        jobs: Cells to train at the same time.
        retries: How often a failed cell is retried.
        executor: ``local``, or ``ray`` for a Ray cluster with a shared disk.
        latency: If false, only score the exported files. Calling this again without it measures the rest.
        mlflow: Address of an MLflow server to log every cell to.
        quiet: Whether to hide the progress of the study's processes on stderr.

    Raises:
        EdgekitError: No cell succeeded.
        InputError: The recipe is incompatible with the study in ``out``, or another process is working on it.
        TargetError: A target is unknown.
    """
    from edgekit.recipe.resolve import resolve_recipe, training_settings
    from edgekit.study.runner import run_study

    resolved = resolve_recipe(recipe, training_settings(data=data) | dict(settings or {}))
    return run_study(
        resolved,
        path_of(out) or Path("studies") / resolved.name,
        targets=[targets] if isinstance(targets, str) else list(targets),
        jobs=jobs,
        retries=retries,
        executor=executor,
        mlflow=mlflow,
        latency=latency,
        quiet=quiet,
        progress=progress,
    )


def choose(
    recipe: Recipe | AnyPath,
    *,
    data: AnyPath | None = None,
    settings: Mapping[str, object] | None = None,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    max_points_lost: float | None = None,
    threads: int | None = None,
    target: str = "local",
    time_limit_s: float | None = None,
    out: AnyPath | None = None,
    jobs: int = 1,
    quiet: bool = True,
    progress: Progress = SILENT,
) -> StudyResult:
    """Search backbones, widths and image sizes for the network to deploy, or resume a search.

    The search exports every network untrained, measures it on the target and drops those that exceed a limit. It
    trains the others in rounds, the better half of them for twice as long, and ends with a study of the finalists.
    Call :func:`report` with its folder for the recommendation.

    Args:
        recipe: A recipe, the path of a recipe file, or the name of a shipped recipe. Its section ``choose`` says what
            to search.
        data: Folder of labelled images.
        settings: Other recipe settings by dotted key.
        max_latency_ms: Largest median latency at batch size 1, in milliseconds.
        max_size_mb: Largest size of the exported file, in megabytes.
        max_points_lost: How many points of accuracy the file may lose against the most accurate one.
        threads: Number of threads for the latency. Default: 1. Without any of these four, the recipe's only constraint.
        target: Name of the target to measure on.
        time_limit_s: Time for the search in seconds, over all calls that work on it. With too little, fewer networks
            are trained.
        out: Folder of the search. Default: ``choices/`` and the recipe's name.
        jobs: Networks to train at the same time.
        quiet: Whether to hide the progress of the processes on stderr.

    Returns:
        The study of the finalists, with its folder.

    Raises:
        EdgekitError: No network meets the limits, or none could be trained.
        InputError: There are no limits, or the search in ``out`` was started with other settings.
        TargetError: The target is unknown.
    """
    from edgekit.recipe.resolve import resolve_recipe, training_settings
    from edgekit.study.search.limits import search_limits
    from edgekit.study.search.runner import choose as search

    resolved = resolve_recipe(recipe, training_settings(data=data) | dict(settings or {}))
    given = {"latency_ms": max_latency_ms, "size_mb": max_size_mb, "points_lost": max_points_lost, "threads": threads}
    return search(
        resolved,
        path_of(out) or Path("choices") / resolved.name,
        search_limits(resolved, {name: value for name, value in given.items() if value is not None}),
        target=target,
        time_limit_s=time_limit_s,
        jobs=jobs,
        quiet=quiet,
        progress=progress,
    )


def report(
    folder: RunDocument | StudyDocument | AnyPath | Sequence[RunDocument | StudyDocument | AnyPath],
    *,
    claims: Recipe | AnyPath | None = None,
    constraints: Mapping[str, float] | None = None,
    out: AnyPath | None = None,
    progress: Progress = SILENT,
) -> ReportDocument:
    """Write the report of a run, a study, or several runs.

    Args:
        folder: A run or a study: its folder, or its document. Also a folder that contains runs, or several of these.
        claims: A recipe whose claims are judged instead of those of the run or study.
        constraints: What the recommended exported file must meet: ``{"latency_ms": 30, "size_mb": 5}``. Names are
            ``latency_ms``, ``size_mb``, ``memory_mb``, ``points_lost`` and ``threads``.
        out: Folder for the report. By default ``report`` in the folder of the run, study or runs.

    Returns:
        The document of ``report.json``, with the paths of the written files as ``report_html`` and ``report_json``.

    Raises:
        InputError: The folder is neither a run nor a study, or its documents cannot be read.
    """
    from edgekit.recipe import constraint_of
    from edgekit.recipe.resolve import resolve_recipe
    from edgekit.report.build import build_report

    judged = None if claims is None else resolve_recipe(claims)
    if isinstance(folder, Sequence) and not isinstance(folder, str):
        folders = [folder_of(entry) for entry in folder]
    else:
        folders = [folder_of(folder)]
    asked = None if constraints is None else constraint_of(constraints)
    return build_report(folders, out=path_of(out), claims=judged, constraint=asked, progress=progress)


def diff(a: RunDocument | StudyDocument | AnyPath, b: RunDocument | StudyDocument | AnyPath) -> DiffDocument:
    """Compare two reports, and leave out what noise explains.

    Args:
        a: A run, a study, a folder of runs, or a ``report.json``.
        b: The same, to compare it with.

    Raises:
        InputError: A path is none of these, or its documents cannot be read.
    """
    from edgekit.report.difference.comparing import diff as compare

    return compare(folder_of(a), folder_of(b))


def audit(
    data: AnyPath, *, labels_from: str = "auto", near_bits: int | None = None, progress: Progress = SILENT
) -> AuditDocument:
    """Audit an image folder: duplicates within and across splits, label conflicts, corrupt files and shortcuts.

    Args:
        data: Folder of labelled images.
        labels_from: Where the labels are, as ``data.labels_from`` in a recipe.
        near_bits: Largest number of differing bits, of 256, in near duplicates. Default: 26.

    Raises:
        InputError: The folder does not contain images in class folders.
    """
    from edgekit.data.audit.duplicates import NEAR_BITS
    from edgekit.data.audit.summary import audit_folder

    bits = NEAR_BITS if near_bits is None else near_bits
    return audit_folder(expanded(data), labels_from=labels_from, near_bits=bits, progress=progress).document()
