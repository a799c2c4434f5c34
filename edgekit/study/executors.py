"""Where the cells of a study are trained: on this machine, several at once, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from edgekit.errors import EdgekitError, InputError
from edgekit.study.job_runner import run_command

EXECUTORS = ("local", "ray")


class Executor(Protocol):
    """Runs commands of edgekit."""

    def submit(
        self, arguments: list[str] | None, quiet: bool, environment: Mapping[str, str]
    ) -> Future[dict[str, Any] | None]:
        """The command's document when it is done; None at once where there is nothing to do.

        The future raises :class:`StepFailed` where the command failed.
        """


@contextmanager
def open_executor(name: str, jobs: int) -> Iterator[Executor]:
    """The executor called ``name`` for up to ``jobs`` commands at a time.

    Raises :class:`InputError` for an unknown name or fewer than one job, :class:`EdgekitError` where Ray is missing.
    """
    if name not in EXECUTORS:
        raise InputError(f"no executor is called {name!r}", hint=f"choose one of: {', '.join(EXECUTORS)}")
    if jobs < 1:
        raise InputError(f"--jobs is at least 1, not {jobs}")
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        with _ray_runs_commands() if name == "ray" else _here() as run:
            yield _Threads(pool, run)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


class _Threads:
    """A thread waits for each command, wherever it runs."""

    def __init__(self, pool: ThreadPoolExecutor, run: Any) -> None:
        self._pool, self._run = pool, run

    def submit(
        self, arguments: list[str] | None, quiet: bool, environment: Mapping[str, str]
    ) -> Future[dict[str, Any] | None]:
        if arguments is None:
            done: Future[dict[str, Any] | None] = Future()
            done.set_result(None)
            return done
        return self._pool.submit(self._run, arguments, quiet=quiet, environment=environment)


@contextmanager
def _here() -> Iterator[Any]:
    yield run_command


@contextmanager
def _ray_runs_commands() -> Iterator[Any]:
    """Commands run where Ray has room; all machines see the study's folder under the same path (a shared disk)."""
    try:
        import ray
    except ModuleNotFoundError:
        raise EdgekitError(
            "--executor ray needs Ray, which is not installed", hint='pip install "edgekit[ray]"'
        ) from None
    ray.init(ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
    # A cell is tried again by the study, which knows what can be gone on with; Ray would begin it anew.
    remote = ray.remote(num_cpus=1, max_retries=0)(run_command)

    def run(arguments: list[str], *, quiet: bool, environment: Mapping[str, str]) -> dict[str, Any]:
        try:
            return dict(ray.get(remote.remote(arguments, quiet=quiet, environment=dict(environment))))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None

    try:
        yield run
    finally:
        ray.shutdown()
