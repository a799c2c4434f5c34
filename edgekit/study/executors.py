"""Where the cells of a study are trained: on this machine, several at once, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from edgekit.errors import EdgekitError, InputError
from edgekit.study.job_runner import run_job
from edgekit.study.jobs import Job, Outcome

EXECUTORS = ("local", "ray")


class Executor(Protocol):
    """Runs jobs."""

    def submit(self, job: Job | None, quiet: bool, environment: Mapping[str, str]) -> Future[Outcome | None]:
        """Start ``job``; the future gives its outcome. Without a job, it gives None at once.

        The future raises :class:`JobFailed` if the job failed.
        """


class _RunJob(Protocol):
    def __call__(self, job: Job, *, quiet: bool, environment: Mapping[str, str]) -> Outcome: ...


@contextmanager
def open_executor(name: str, jobs: int) -> Iterator[Executor]:
    """The executor ``name`` for up to ``jobs`` jobs at a time.

    Raises :class:`InputError` for an unknown name or fewer than one job, :class:`EdgekitError` if Ray is missing.
    """
    if name not in EXECUTORS:
        raise InputError(f"unknown executor {name!r}", hint=f"choose one of: {', '.join(EXECUTORS)}")
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        with _on_ray() if name == "ray" else _on_this_machine() as run:
            yield _Threads(pool, run)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


class _Threads:
    """A thread waits for each job, wherever it runs."""

    def __init__(self, pool: ThreadPoolExecutor, run: _RunJob) -> None:
        self._pool, self._run = pool, run

    def submit(self, job: Job | None, quiet: bool, environment: Mapping[str, str]) -> Future[Outcome | None]:
        if job is None:
            done: Future[Outcome | None] = Future()
            done.set_result(None)
            return done
        return self._pool.submit(self._run, job, quiet=quiet, environment=environment)


@contextmanager
def _on_this_machine() -> Iterator[_RunJob]:
    yield run_job


@contextmanager
def _on_ray() -> Iterator[_RunJob]:
    """Run jobs where Ray has room. All machines must see the study folder at the same path (a shared disk)."""
    try:
        import ray
    except ModuleNotFoundError:
        raise EdgekitError(
            "--executor ray needs Ray, which is not installed", hint='pip install "edgekit[ray]"'
        ) from None
    ray.init(ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
    # The study itself retries a cell, because it can resume it; Ray would start it from the beginning.
    remote = ray.remote(num_cpus=1, max_retries=0)(run_job)

    def run(job: Job, *, quiet: bool, environment: Mapping[str, str]) -> Outcome:
        try:
            outcome: Outcome = ray.get(remote.remote(job, quiet=quiet, environment=dict(environment)))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        return outcome

    try:
        yield run
    finally:
        ray.shutdown()
