"""The search for the fewest float layers, on files whose gate depends on one number."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.documents.gate import GateRecord, gate_limits, gate_record
from edgekit.export.check.sensitivity import MOST_WRITTEN, LayerCost, layer_groups
from edgekit.export.repair.float_layers import FloatLayerSearch
from edgekit.support.progress import SILENT

LAYERS = 20
COSTS = [LayerCost((f"layer {number}",), 1.0 / (1 + number), 0.5) for number in range(LAYERS)]
N_IMAGES = 100


class OneByteALayer:
    """A maker whose int8 files are as long as they have float layers."""

    def with_float_layers(self, layers: frozenset[str], scheme: str) -> bytes:
        assert layers == {layer for cost in COSTS[: len(layers)] for layer in cost.layers}
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


def test_a_large_network_is_ranked_a_few_layers_at_a_time():
    """Each file of the ranking holds all weights, so there are fewer files where there are more weights."""
    layers = [f"layer {number}" for number in range(217)]
    assert layer_groups(layers, 7_000_000) == [(layer,) for layer in layers]
    groups = layer_groups(layers, 42_600_000)
    assert [layer for group in groups for layer in group] == layers
    assert {len(group) for group in groups[:-1]} == {4}
    assert len(groups) * 42_600_000 <= MOST_WRITTEN


def test_layers_that_were_ranked_together_stay_in_float_together():
    costs = [LayerCost(("a", "b", "c"), 0.5, 0.9), LayerCost(("d", "e"), 0.1, 1.0)]

    class Sizes:
        def with_float_layers(self, layers: frozenset[str], scheme: str) -> bytes:
            return b"f" * len(layers)

    tried = FloatLayerSearch(Sizes(), costs, search(5)._judge, SILENT)  # type: ignore[arg-type]
    best = tried.run()
    assert best.layers == ("a", "b", "c", "d", "e")
    assert [len(one.layers) for one in tried.tried] == [3, 5]
    assert (costs[0].record().layer, costs[0].record().with_next) == ("a", 2)
