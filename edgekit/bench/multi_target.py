"""One command, several targets: all at the same time, each with results of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from edgekit.bench.agreement import HostAnswers
from edgekit.bench.session import BenchOptions, bench, bench_on
from edgekit.documents.bench import BenchResult
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import SILENT, Bar, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


class Prefixed(Progress):
    """What one target of several has to say; bars of several at once would hide each other."""

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


def bench_several(
    paths: Sequence[Path], names: Sequence[str], options: BenchOptions, progress: Progress = SILENT
) -> tuple[list[BenchResult], dict[str, EdgekitError]]:
    """Measure on every target of ``names``; the results in their order, and why a target has none.

    One target: its error is raised. This machine's own measurement is never disturbed by the comparison with it,
    which waits until it is over.
    """
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return bench(paths, replace(options, target=names[0]), progress), {}
    targets = {name: get_target(name, Prefixed(progress, name)) for name in names}
    host = HostAnswers()
    if LOCAL in targets:
        host.quiet.clear()
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
            host.quiet.set()
            for target in targets.values():
                target.abort()
            raise


def _here(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostAnswers
) -> Future[list[BenchResult]]:
    future: Future[list[BenchResult]] = Future()
    try:
        future.set_result(_measured(target, paths, options, progress, host))
    except EdgekitError as error:
        future.set_exception(error)
    finally:
        host.quiet.set()
    return future


def _measured(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostAnswers
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
        except EdgekitError as error:  # wrong use is wrong on every target: then no results are left
            errors[name] = error
    if not results:
        raise next((error for error in errors.values() if isinstance(error, InputError)), next(iter(errors.values())))
    return results, errors
