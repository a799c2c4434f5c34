"""The last step of a study: measure all exported files in one session on every target.

A target that cannot be reached does not keep the others from being measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.documents.bench import BenchDocument
from edgekit.errors import EdgekitError, TargetError
from edgekit.render.text import plural
from edgekit.study.cells import Cell
from edgekit.study.folder import Study
from edgekit.study.job_runner import JobFailed, run_job
from edgekit.study.jobs import BenchJob
from edgekit.support.progress import Progress
from edgekit.targets.base import WEB, WEB_FORMAT
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def warn_of_unreachable(study: Study, targets: Sequence[str], progress: Progress) -> None:
    """Try every target that has yet to measure, before hours of training; an unreachable one may be back by then."""
    for name in targets:
        if name == LOCAL or is_measured(study, study.cells, name):
            continue
        with contextlib.closing(get_target(name)) as target:
            try:
                for _ in target.run(PROBE, ProbeJob()):
                    pass
            except EdgekitError as error:
                progress.warn(
                    f"{name} cannot measure now; the study continues and tries it again after training\n{error}"
                )


def measure(
    study: Study,
    cells: Sequence[Cell],
    targets: Sequence[str],
    *,
    latency: bool = True,
    tune: bool = False,
    quiet: bool,
    progress: Progress,
) -> dict[str, str]:
    """Measure the exported files of ``cells`` on ``targets``; return why a target measured nothing, by its name.

    A target that has measured every file in its present form is skipped. Without ``latency``, images are only scored.
    """
    missing = tuple(target for target in targets if not is_measured(study, cells, target, latency=latency, tuned=tune))
    if not missing:
        progress.info("\nall exported files are already measured")
        return {}
    progress.info(f"\nmeasuring the exported files of {plural(len(cells), 'model')} on {', '.join(missing)}")
    bench = study.recipe.bench
    job = BenchJob(
        runs=tuple(study.folder(cell).path for cell in cells),
        targets=missing,
        protocol=bench.protocol,
        threads=tuple(bench.threads),
        images=bench.images,
        latency=latency,
        tune=tune,
    )
    try:
        outcome = run_job(job, quiet=quiet)
    except JobFailed as error:
        if error.code != TargetError.exit_code:
            raise
        return dict.fromkeys(missing, error.problem)
    for failed in outcome.failed_files:
        progress.warn(failed)
    return outcome.target_errors


def is_measured(study: Study, cells: Sequence[Cell], target: str, *, latency: bool = True, tuned: bool = False) -> bool:
    """Whether one session has measured every file in its present form: only such latencies may be compared.

    Without ``latency``: whether every file was scored, in any session. With ``tuned``: whether every file that runs was
    tuned, too.
    """
    sessions = set()
    for cell in cells:
        run = study.folder(cell)
        for folder in run.done_exports():
            export = folder.read_export()
            if not export.ok or (target == WEB and export.format != WEB_FORMAT):
                continue
            path = run.bench_json(target, folder.key)
            if not path.is_file():
                return False
            result = BenchDocument.read(path)
            if result.sha256 != export.sha256 or (latency and result.incomplete):
                return False
            if tuned and result.ok and result.tuning is None:
                return False
            if not latency and result.accuracy is None and result.ok:
                return False
            sessions.add(result.session_id)
    return len(sessions) == 1 or (not latency and bool(sessions))
