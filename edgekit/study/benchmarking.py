"""The last step of a study: all its files in one session on every target; a target that is away costs no other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.documents.base import read_json
from edgekit.errors import EdgekitError, TargetError
from edgekit.recipe import Recipe
from edgekit.study.cells import Cell, Study
from edgekit.study.job_runner import StepFailed, run_command
from edgekit.support.progress import Progress
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def warn_of_absent(study: Study, targets: Sequence[str], progress: Progress) -> None:
    """Try every target that is still to be measured on before hours of training; one that is away may be back then."""
    for name in targets:
        if name == LOCAL or is_measured(study, study.cells, name):
            continue
        with contextlib.closing(get_target(name)) as target:
            try:
                for _ in target.run(PROBE, ProbeJob()):
                    pass
            except EdgekitError as error:
                progress.warn(
                    f"{name} cannot measure now; the study goes on and tries it again after the training\n{error}"
                )


def measure(
    study: Study, cells: Sequence[Cell], targets: Sequence[str], *, quiet: bool, progress: Progress
) -> dict[str, str]:
    """Bench the files of ``cells`` on ``targets``; by the name of each target that has no result: why.

    Targets that have measured every file as it is now are not asked again.
    """
    missing = [target for target in targets if not is_measured(study, cells, target)]
    if not missing:
        progress.info("\nall files measured before")
        return {}
    progress.info(f"\nmeasuring the files of {len(cells)} models on {', '.join(missing)}")
    runs = [str(study.folder(cell).path) for cell in cells]
    where = [word for target in missing for word in ("--target", target)]
    try:
        document = run_command(["bench", *runs, *where, *_settings(study.recipe)], quiet=quiet, partly=True)
    except StepFailed as error:
        if error.code != TargetError.exit_code:
            raise
        return dict.fromkeys(missing, error.problem)
    for row in document["results"]:
        if row["status"] != "ok":
            progress.warn(f"{row['id']} failed on {row['target']}: {'; '.join(row['problems'])}")
    return dict(document.get("errors", {}))


def is_measured(study: Study, cells: Sequence[Cell], target: str) -> bool:
    """Whether one session has measured every file as it is now: only such latencies may be compared."""
    sessions = set()
    for cell in cells:
        run = study.folder(cell)
        for export in run.done_exports():
            file = export.read()
            if file["status"] != "ok":
                continue
            result = run.bench_json(target, export.key)
            if not result.is_file():
                return False
            document = read_json(result)
            if document["sha256"] != file["sha256"]:
                return False
            sessions.add(document["session_id"])
    return len(sessions) == 1


def _settings(recipe: Recipe) -> list[str]:
    bench = recipe.bench
    images = [] if bench.images is None else ["--images", str(bench.images)]
    return ["--protocol", bench.protocol, "--threads", ",".join(map(str, bench.threads)), *images]
