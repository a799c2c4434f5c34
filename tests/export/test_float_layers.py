"""The search for the fewest float layers, on files whose gate depends on one number."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.export.check.gate import Gate
from edgekit.export.check.sensitivity import LayerCost
from edgekit.export.repair.float_layers import FloatLayerSearch
from edgekit.support.progress import SILENT

LAYERS = 20
COSTS = [LayerCost(f"layer {number}", 1.0 / (1 + number), 0.5) for number in range(LAYERS)]
N_IMAGES = 100


class OneByteALayer:
    """A maker whose int8 files are as long as they have float layers."""

    def with_float_layers(self, layers: frozenset[str]) -> bytes:
        assert layers == {cost.layer for cost in COSTS[: len(layers)]}
        return b"f" * len(layers)


def search(n_needed: int) -> FloatLayerSearch:
    """Files lose 2 points for each float layer fewer than ``n_needed``; 1 point is allowed."""

    def judge(content: bytes) -> Gate:
        n_worse = 2 * max(0, n_needed - len(content))
        empty = np.empty(0, np.int64)
        return Gate(0.01, N_IMAGES, 1 - n_worse / N_IMAGES, np.arange(n_worse, dtype=np.int64), empty)

    return FloatLayerSearch(OneByteALayer(), COSTS, judge, SILENT)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_needed", range(1, LAYERS + 1))
def test_the_fewest_layers_are_found_without_trying_all(n_needed):
    tried = search(n_needed)
    best = tried.run()
    assert (best.n_float, best.held, len(best.content)) == (n_needed, True, n_needed)
    assert len(tried.tried) == len({one.n_float for one in tried.tried}) <= 10


def test_where_no_choice_holds_the_smallest_drop_is_kept():
    tried = search(LAYERS + 5)
    best = tried.run()
    assert (best.n_float, best.held) == (LAYERS, False)
    assert [one.n_float for one in tried.tried] == [1, 2, 4, 8, 16, 20]
