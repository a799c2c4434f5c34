"""One job of a study in its own process, which ends when the study does, even if that is killed.

    python -m edgekit.cli.supervised SETTINGS.json

``SETTINGS.json`` is a :class:`edgekit.study.jobs.JobSettings`; an :class:`edgekit.study.jobs.Outcome` is printed on
stdout. The study holds the other end of this process's standard input and never writes to it. When the study ends,
even by ``kill -9``, the system closes it, and this process kills itself and everything it started. Otherwise a killed
study would leave a training behind that writes into the folder on which the resumed study works.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.study.jobs import BenchJob, Job, Outcome, RobustnessJob
    from edgekit.support.progress import Progress


def main() -> None:
    """Do the job in the settings file that the command line names. Always ends with :class:`SystemExit`."""
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # a process group of its own, so that it can be killed as a whole and without the study
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    from edgekit.cli.output import Output
    from edgekit.cli.signals import INTERRUPTED, interrupt
    from edgekit.cli.streams import prepare_streams
    from edgekit.study.jobs import JobSettings
    from edgekit.support.quiet import hide_library_warnings

    signal.signal(signal.SIGTERM, interrupt)
    prepare_streams()
    hide_library_warnings()
    try:
        settings = JobSettings.read(Path(sys.argv[1]))
        outcome = _attempt(settings.job, Output(json_mode=True, quiet=settings.quiet))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.stdout.write(outcome.model_dump_json() + "\n")
    sys.stdout.flush()
    sys.exit(0 if outcome.error is None else outcome.error.exit_code)


def _end_with_the_study() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _attempt(job: Job, progress: Progress) -> Outcome:
    """The outcome of ``job``, also where it fails. With ``EDGEKIT_DEBUG=1`` the exception is raised instead."""
    from edgekit.cli.failures import as_edgekit_error
    from edgekit.study.jobs import Outcome, Problem
    from edgekit.support.interrupts import is_interrupt

    try:
        return _perform(job, progress)
    except Exception as exception:
        if is_interrupt(exception):
            raise KeyboardInterrupt from exception
        if os.environ.get("EDGEKIT_DEBUG") == "1":
            raise
        error = as_edgekit_error(exception)
        return Outcome(
            error=Problem(
                problem=error.problem,
                where=None if error.where is None else str(error.where),
                hint=error.hint,
                exit_code=error.exit_code,
            )
        )


def _perform(job: Job, progress: Progress) -> Outcome:
    from edgekit import api
    from edgekit.study.jobs import BenchJob, ExportJob, Outcome, RobustnessJob, TrainJob
    from edgekit.support.progress import SILENT

    if isinstance(job, TrainJob):
        api.train(job.recipe, run=job.run, resume=job.resume, progress=progress)
    elif isinstance(job, ExportJob):
        api.export(job.run, files=job.exports, progress=progress if job.warnings else SILENT)
    elif isinstance(job, BenchJob):
        return _bench(job, progress)
    elif isinstance(job, RobustnessJob):
        _measure_robustness(job, progress)
    else:
        api.report(job.study, progress=progress)
    return Outcome()


def _bench(job: BenchJob, progress: Progress) -> Outcome:
    from edgekit import api
    from edgekit.study.jobs import Outcome

    measured = api.bench(
        job.runs,
        targets=job.targets,
        protocol=job.protocol,
        threads=job.threads,
        images=job.images,
        latency=job.latency,
        tune=job.tune,
        progress=progress,
    )
    failed = [result.bench for result in measured.results if not result.ok]
    return Outcome(
        failed_files=tuple(f"{one.id} failed on {one.target}: {'; '.join(one.problems)}" for one in failed),
        target_errors={name: error.problem for name, error in measured.errors.items()},
    )


def _measure_robustness(job: RobustnessJob, progress: Progress) -> None:
    from edgekit.cli.corruptions import measure_corrupted
    from edgekit.documents.corruptions import parse_plan
    from edgekit.documents.folders import RunFolder

    severities = ",".join(map(str, job.severities))
    plan = parse_plan(",".join(job.corruptions), severities, job.seed, job.images)
    measure_corrupted(RunFolder(job.run), plan, None, "local", None, progress)


if __name__ == "__main__":
    main()
