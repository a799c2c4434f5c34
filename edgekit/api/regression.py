"""Baselines of exported files, and checks against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.api.folders import AnyPath, folder_of, path_of
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

if TYPE_CHECKING:
    from edgekit.documents.regression import GateCheck, SavedBaseline
    from edgekit.documents.run import RunDocument
    from edgekit.documents.study import StudyDocument
    from edgekit.recipe import Recipe

    Measured = RunDocument | StudyDocument | AnyPath


def gate_save(
    name: str,
    folders: Measured | Sequence[Measured],
    *,
    target: str | None = None,
    recipe: Recipe | AnyPath | None = None,
    with_models: bool = False,
    replace: bool = False,
    dir: AnyPath = "gates",
    progress: Progress = SILENT,
) -> SavedBaseline:
    """Save the bench results of exported files as a baseline, a small file to commit.

    Args:
        name: Name of the baseline.
        folders: Runs or studies (folders or documents), or exported files of runs.
        target: Save only what was measured on this target. Default: on every target.
        recipe: Take the limits (``gates``) from this recipe. Default: from the recipes of the runs.
        with_models: Also save the exported files.
        replace: Replace the baseline of this name.
        dir: Folder of the baselines.

    Raises:
        InputError: Nothing has been measured, or the baseline exists.
    """
    from edgekit.recipe.resolve import resolve_recipe
    from edgekit.regression.saving import save_baseline

    return save_baseline(
        name,
        _paths(folders),
        folder=expanded(dir),
        target=target,
        recipe=None if recipe is None else resolve_recipe(recipe),
        models=with_models,
        replace=replace,
        progress=progress,
    )


def gate_check(
    name: str,
    folders: Measured | Sequence[Measured],
    *,
    target: str | None = None,
    recipe: Recipe | AnyPath | None = None,
    data: AnyPath | None = None,
    baseline_files: AnyPath | None = None,
    time_limit_s: float = 300.0,
    threads: Sequence[int] | None = None,
    protocol: str = "gate",
    runtime: str | None = None,
    latency: bool = True,
    dir: AnyPath = "gates",
    progress: Progress = SILENT,
) -> GateCheck:
    """Measure new exported files and judge each against its counterpart in a baseline.

    A failed check raises nothing; see :attr:`GateCheck.outcome`. An interrupted call keeps what it has measured; the
    same call continues it.

    Args:
        name: Name of the baseline.
        folders: Runs or studies (folders or documents), or exported files of runs.
        target: Target to measure on. Default: that of the baseline.
        recipe: Take the limits (``gates``) from this recipe. Default: those saved with the baseline.
        data: Where the images are now.
        baseline_files: Folder with the baseline's exported files, if they are not where they were.
        time_limit_s: Seconds in which undecided latencies may be measured again.
        threads: Thread counts; 0 is all cores. Default: the recipe's, else 1 and 0.
        protocol: ``gate``, ``quick``, ``standard`` or ``full``.
        runtime: Runtime to use.
        latency: If false, only compare accuracy, agreement and size.
        dir: Folder of the baselines.

    Raises:
        InputError: There is no such baseline, or no file has a counterpart in it.
        TargetError: The target could not be reached or prepared.
    """
    from edgekit.recipe.resolve import resolve_recipe
    from edgekit.regression.checking import GateOptions, check_baseline

    options = GateOptions(
        folder=expanded(dir),
        target=target,
        protocol=protocol,
        threads=None if threads is None else tuple(threads),
        data=path_of(data),
        runtime=runtime,
        recipe=None if recipe is None else resolve_recipe(recipe),
        baseline_files=path_of(baseline_files),
        latency=latency,
        time_limit_s=time_limit_s,
    )
    return check_baseline(name, _paths(folders), options, progress)


def _paths(folders: Measured | Sequence[Measured]) -> list[Path]:
    if isinstance(folders, Sequence) and not isinstance(folders, str):
        return [folder_of(one) for one in folders]
    return [folder_of(folders)]
