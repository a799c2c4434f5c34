"""Work on many images with all cores: one image a thread, each with one thread in the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from edgekit.device.probe import memory_available_bytes
from edgekit.device.runtimes import all_cores
from edgekit.device.streams import copies_in, in_order

ACTIVATIONS_BYTES = 200_000_000
"""What the activations of one image may take, at most, where all of them are kept (VGG16 at 224x224: 110 MB)."""

Given = TypeVar("Given")
Found = TypeVar("Found")


def for_each(function: Callable[[Given], Found], items: Iterable[Given], memory_bytes: int) -> Iterator[Found]:
    """``function`` of every item, in order, on as many cores as memory allows; ``memory_bytes`` is what one takes.

    The function has to be safe to call in several threads. What it raises ends the others.
    """
    return in_order(function, items, copies_in(memory_available_bytes(), memory_bytes, all_cores()))
