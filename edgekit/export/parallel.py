"""Work on many images with all cores: one image a thread, each with one thread in the runtime."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from edgekit.device.probe import memory_available_bytes
from edgekit.device.runtimes import all_cores
from edgekit.device.streams import copies_in

Given = TypeVar("Given")
Found = TypeVar("Found")

AHEAD = 4
"""Results for each core that may wait to be taken, so that memory does not grow with the number of images."""


def for_each(function: Callable[[Given], Found], items: Iterable[Given], memory_bytes: int) -> Iterator[Found]:
    """``function`` of every item, in order, on as many cores as memory allows; ``memory_bytes`` is what one takes.

    The function has to be safe to call in several threads. What it raises ends the others.
    """
    cores = copies_in(memory_available_bytes(), memory_bytes, all_cores())
    workers = ThreadPoolExecutor(cores)
    rest = iter(items)
    try:
        pending = deque(workers.submit(function, item) for item in islice(rest, AHEAD * cores))
        while pending:
            yield pending.popleft().result()
            pending.extend(workers.submit(function, item) for item in islice(rest, 1))
    finally:
        workers.shutdown(cancel_futures=True)
