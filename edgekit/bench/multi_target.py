"""Several targets at once: each measures by itself, and each has its own results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from edgekit.bench.agreement import HostPredictions
from edgekit.bench.session import bench, bench_on
from edgekit.bench.settings import BenchOptions
from edgekit.documents.bench import BenchResult
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import SILENT, Bar, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


class Prefixed(Progress):
    """Progress of one of several targets: messages carry its name, and bars, which would overlap, become messages."""

    def __init__(self, inner: Progress, name: str) -> None:
        self._inner, self._name = inner, name

    def info(self, text: str) -> None:
        self._inner.info(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        self._inner.warn(f"{self._name}: {text}")

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Bar]:
        self.info(description)
        with SILENT.bar(description, total) as bar:
            yield bar


def bench_targets(
    paths: Sequence[Path], names: Sequence[str], options: BenchOptions, progress: Progress = SILENT
) -> tuple[list[BenchResult], dict[str, EdgekitError]]:
    """Measure on every target in ``names``. Returns the results in that order, and the error of each target without.

    The error of a single target is raised. The predictions of this machine, to which other targets are compared, wait
    until its own measurement is over, so that they do not disturb it.
    """
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return bench(paths, replace(options, target=names[0]), progress), {}
    targets = {name: get_target(name, Prefixed(progress, name)) for name in names}
    host = HostPredictions()
    if LOCAL in targets:
        host.idle.clear()
    with ThreadPoolExecutor(len(targets)) as pool:
        futures = {
            name: pool.submit(_measured, target, paths, options, Prefixed(progress, name), host)
            for name, target in targets.items()
            if name != LOCAL
        }
        try:
            if LOCAL in targets:  # in this thread, where an interrupt reaches it
                futures[LOCAL] = _here(targets[LOCAL], paths, options, Prefixed(progress, LOCAL), host)
            return _gathered(names, futures)
        except BaseException:
            host.idle.set()
            for target in targets.values():
                target.abort()
            raise


def _here(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostPredictions
) -> Future[list[BenchResult]]:
    future: Future[list[BenchResult]] = Future()
    try:
        future.set_result(_measured(target, paths, options, progress, host))
    except EdgekitError as error:
        future.set_exception(error)
    finally:
        host.idle.set()
    return future


def _measured(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostPredictions
) -> list[BenchResult]:
    with closing(target):
        return bench_on(target, paths, options, progress, host)


def _gathered(
    names: Sequence[str], futures: dict[str, Future[list[BenchResult]]]
) -> tuple[list[BenchResult], dict[str, EdgekitError]]:
    results: list[BenchResult] = []
    errors: dict[str, EdgekitError] = {}
    for name in names:
        try:
            results += futures[name].result()
        except EdgekitError as error:  # an input error occurs on every target, and leaves no results
            errors[name] = error
    if not results:
        raise next((error for error in errors.values() if isinstance(error, InputError)), next(iter(errors.values())))
    return results, errors
