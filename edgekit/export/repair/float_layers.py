"""Search for the fewest layers that must compute in float for an int8 file to stay within its limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.documents.gate import GateRecord
from edgekit.export.base import QuantizingMaker
from edgekit.export.check.sensitivity import LayerCost, costliest
from edgekit.support.progress import Progress


@dataclass(frozen=True)
class Candidate:
    """An int8 file whose costliest ``layers`` compute in float, and its gate on the images that choose.

    ``n_float`` is the number of costs that they have: a cost is that of one layer, or of a few in a large network. It
    suits where the observed loss is within the limits. Whether that is shown is judged on other images, of which
    there are too few here.
    """

    n_float: int
    layers: tuple[str, ...]
    content: bytes
    gate: GateRecord

    @property
    def suits(self) -> bool:
        return not self.gate.beyond_limits


class FloatLayerSearch:
    """Finds the candidate with the fewest float layers that suits; ``tried`` has all in order."""

    def __init__(
        self,
        maker: QuantizingMaker,
        costs: Sequence[LayerCost],
        judge: Callable[[bytes], GateRecord],
        progress: Progress,
        scheme: str = "int8",
    ) -> None:
        self._maker = maker
        self._scheme = scheme
        self._costs = costs
        self._judge = judge
        self._progress = progress
        self._tried: dict[int, Candidate] = {}

    @property
    def tried(self) -> list[Candidate]:
        return list(self._tried.values())

    def run(self) -> Candidate:
        """The result of the search.

        The number of float layers is doubled until a candidate suits, then bisected. Where not even the one with all
        layers in float does, the result is the candidate with the smallest drop.
        """
        low, high = self._bracket()
        if not self._try(high).suits:
            return min(self.tried, key=lambda candidate: (candidate.gate.drop_points, candidate.n_float))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._try(middle).suits else (middle, high)
        return self._try(high)

    def _bracket(self) -> tuple[int, int]:
        """A number of float layers that does not suit, and a larger one that does or that is all layers."""
        low, high, most = 0, 1, len(self._costs)
        while not self._try(min(high, most)).suits and high < most:
            low, high = high, 2 * high
        return low, min(high, most)

    def _try(self, n_float: int) -> Candidate:
        if n_float not in self._tried:
            layers = costliest(self._costs, n_float)
            content = self._maker.with_float_layers(frozenset(layers), self._scheme)
            candidate = Candidate(n_float, layers, content, self._judge(content))
            total, drop = sum(len(cost.layers) for cost in self._costs), candidate.gate.drop_points
            self._progress.info(f"repair: with {len(layers)} of {total} layers in float, {drop:.1f} points lost")
            self._tried[n_float] = candidate
        return self._tried[n_float]
