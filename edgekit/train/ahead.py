"""Prepares the next item in another thread while the present one is used."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
