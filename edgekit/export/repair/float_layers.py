"""Search for the fewest layers that must compute in float for an int8 file to pass the accuracy gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.export.base import QuantizingMaker
from edgekit.export.check.gate import HELD, Gate
from edgekit.export.check.sensitivity import LayerCost, costliest
from edgekit.support.progress import Progress


@dataclass(frozen=True)
class Candidate:
    """An int8 file whose ``n_float`` costliest layers compute in float, and the result of its gate."""

    n_float: int
    content: bytes
    gate: Gate

    @property
    def held(self) -> bool:
        return self.gate.verdict == HELD


class FloatLayerSearch:
    """Finds the candidate with the fewest float layers for which the gate holds; ``tried`` has all in order."""

    def __init__(
        self, maker: QuantizingMaker, costs: Sequence[LayerCost], judge: Callable[[bytes], Gate], progress: Progress
    ) -> None:
        self._maker = maker
        self._costs = costs
        self._judge = judge
        self._progress = progress
        self._tried: dict[int, Candidate] = {}

    @property
    def tried(self) -> list[Candidate]:
        return list(self._tried.values())

    def run(self) -> Candidate:
        """The result of the search.

        The number of float layers is doubled until the gate holds, then bisected. Where the gate does not even hold
        with all layers in float, the result is the candidate with the smallest drop.
        """
        low, high = self._bracket()
        if not self._try(high).held:
            return min(self.tried, key=lambda candidate: (candidate.gate.drop, candidate.n_float))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._try(middle).held else (middle, high)
        return self._try(high)

    def _bracket(self) -> tuple[int, int]:
        """A number for which the gate does not hold, and a larger one for which it does or which is all layers."""
        low, high, most = 0, 1, len(self._costs)
        while not self._try(min(high, most)).held and high < most:
            low, high = high, 2 * high
        return low, min(high, most)

    def _try(self, n_float: int) -> Candidate:
        if n_float not in self._tried:
            content = self._maker.with_float_layers(costliest(self._costs, n_float))
            candidate = Candidate(n_float, content, self._judge(content))
            drop = 100 * candidate.gate.drop
            self._progress.info(f"repair: with {n_float} of {len(self._costs)} layers in float, {drop:.1f} points lost")
            self._tried[n_float] = candidate
        return self._tried[n_float]
