"""Work in another thread: the next item while the present one is used, or a task beside training."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """``make(item)`` for each item in order, each made in another thread while the one before it is used."""
    rest = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(make, item) for item in itertools.islice(rest, 1)]
        while waiting:
            made = waiting.pop().result()
            waiting = [pool.submit(make, item) for item in itertools.islice(rest, 1)]
            yield made


def beside(task: Callable[[], Made]) -> Callable[[], Made]:
    """Start ``task`` in another thread, which does not keep the program alive; returns what waits for its result."""
    future: Future[Made] = Future()

    def work() -> None:
        try:
            future.set_result(task())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    Thread(target=work, name="edgekit-beside", daemon=True).start()
    return future.result
