"""The order in which the verb ``latency`` measures its blocks, which both sides know. Standard library only."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def block_order(keys: Sequence[str], rounds: int, seed: int) -> Iterator[list[str]]:
    """The keys of each round in the order of their blocks: shuffled again for every round."""
    order, shuffled = random.Random(seed), list(keys)
    for _ in range(rounds):
        order.shuffle(shuffled)
        yield list(shuffled)
