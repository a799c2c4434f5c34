"""Every core classifies images of its own: copies of the opened models with one thread each, shared by a few threads.

A runtime that splits the layers of one image over its threads keeps two cores about 1.6 times as busy as one, and four
even less; images of their own keep every core busy all the time. Runtimes, decoders and NumPy release Python's lock, so
threads are enough.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Callable, TypeVar

import numpy as np

from .classifier import Classifier
from .failures import DeviceError
from .jobs import JobModel
from .memory import resident_bytes
from .probe import memory_available_bytes

MEMORY_SHARE = 0.5
"""Share of the available memory that further copies may take."""


SLICE = 8
"""Images that a thread takes at once: enough that a model's weights stay in the cache for a while."""

AHEAD = 4
"""Results for each core that may wait to be taken."""

Given = TypeVar("Given")
Found = TypeVar("Found")


class ClassifierPool:
    """Up to ``size`` copies of one opened model, each used by one thread at a time. Copies open when they are needed.

    :attr:`first` is the copy that was opened first.
    """

    def __init__(self, first: Classifier, size: int) -> None:
        self.first = first
        self._idle: queue.LifoQueue[Classifier] = queue.LifoQueue()
        self._idle.put(first)
        self._unopened = size - 1
        self._lock = Lock()

    @contextmanager
    def borrowed(self) -> Iterator[Classifier]:
        """A copy for this thread alone; waits until one is free if no further copy may open."""
        classifier = self._taken()
        try:
            yield classifier
        finally:
            self._idle.put(classifier)

    def _taken(self) -> Classifier:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        with self._lock:
            opens = self._unopened > 0
            self._unopened -= opens
        if opens:
            try:
                return self.first.copy()
            except (DeviceError, MemoryError):  # it opened before, so memory is short: fewer copies do, too
                pass
        return self._idle.get()


def open_pools(
    models: Sequence[JobModel], cores: int, opening: Callable[[JobModel], object] = lambda _: None
) -> dict[str, ClassifierPool]:
    """Open every model, with as many copies as ``cores`` where memory allows. ``opening`` is called before each.

    Where memory allows fewer copies, each has several threads.
    """
    before = resident_bytes()
    classifiers = {}
    for entry in models:
        opening(entry)
        classifiers[entry.key] = Classifier(entry, entry.open(1))
    copies = copies_in(memory_available_bytes(), resident_bytes() - before, cores)
    threads = cores // copies
    if threads > 1:
        classifiers.clear()
        for entry in models:
            classifiers[entry.key] = Classifier(entry, entry.open(threads))
    return {key: ClassifierPool(classifier, copies) for key, classifier in classifiers.items()}


def copies_in(available: int | None, each: int, cores: int) -> int:
    """How many copies, at most ``cores``, fit: the first has been opened, and ``available`` bytes are left after it.

    ``each`` is what one copy takes, in bytes; ``available`` is None where the system does not say.
    """
    if available is None or each <= 0:
        return cores
    return max(1, min(cores, 1 + int(MEMORY_SHARE * available) // each))


def classify_all(pool: ClassifierPool, pixels: np.ndarray, cores: int) -> np.ndarray:
    """Probabilities (N, classes) of ``pixels`` uint8 (N, H, W, 3), already of the model's size.

    Raises :class:`edgekit.device.failures.OutputError` if one is NaN or infinite.
    """

    def classify(start: int) -> np.ndarray:
        with pool.borrowed() as classifier:
            return np.stack([classifier.classify(image) for image in pixels[start : start + SLICE]])

    return np.concatenate(list(in_order(classify, range(0, len(pixels), SLICE), cores)))


def in_order(function: Callable[[Given], Found], items: Iterable[Given], cores: int) -> Iterator[Found]:
    """``function`` of every item in ``cores`` threads, in the order of the items. What it raises ends the others.

    Few results wait to be taken, so that memory does not grow with the number of items.
    """
    rest = iter(items)
    workers = ThreadPoolExecutor(cores)
    try:
        pending = deque(workers.submit(function, item) for item in islice(rest, AHEAD * cores))
        while pending:
            yield pending.popleft().result()
            pending.extend(workers.submit(function, item) for item in islice(rest, 1))
    finally:
        workers.shutdown(cancel_futures=True)
