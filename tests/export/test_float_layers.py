"""The search for the fewest float layers, on files whose gate depends on one number."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.documents.gate import GateRecord, gate_limits, gate_record
from edgekit.export.check.sensitivity import LayerCost
from edgekit.export.repair.float_layers import FloatLayerSearch
from edgekit.support.progress import SILENT

LAYERS = 20
COSTS = [LayerCost(f"layer {number}", 1.0 / (1 + number), 0.5) for number in range(LAYERS)]
N_IMAGES = 100


class OneByteALayer:
    """A maker whose int8 files are as long as they have float layers."""

    def with_float_layers(self, layers: frozenset[str], scheme: str) -> bytes:
        assert layers == {cost.layer for cost in COSTS[: len(layers)]}
        return b"f" * len(layers)


def search(n_needed: int) -> FloatLayerSearch:
    """Files lose 2 points for each float layer fewer than ``n_needed``; 1 point is allowed."""

    def judge(content: bytes) -> GateRecord:
        labels = np.zeros(N_IMAGES, np.int64)
        exported = (np.arange(N_IMAGES) < 2 * max(0, n_needed - len(content))).astype(np.int64)
        names = (["a", "b"], [str(number) for number in range(N_IMAGES)])
        return gate_record(labels, exported, labels, names, gate_limits(1, 90, 10), split="val")

    return FloatLayerSearch(OneByteALayer(), COSTS, judge, SILENT)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_needed", range(1, LAYERS + 1))
def test_the_fewest_layers_are_found_without_trying_all(n_needed):
    tried = search(n_needed)
    best = tried.run()
    assert (best.n_float, best.suits, len(best.content)) == (n_needed, True, n_needed)
    assert len(tried.tried) == len({one.n_float for one in tried.tried}) <= 10


def test_where_no_choice_holds_the_smallest_drop_is_kept():
    tried = search(LAYERS + 5)
    best = tried.run()
    assert (best.n_float, best.suits) == (LAYERS, False)
    assert [one.n_float for one in tried.tried] == [1, 2, 4, 8, 16, 20]
