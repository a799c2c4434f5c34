"""The profile of a bench result: which operators take the time of a run, and which run outside the delegate."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from edgekit.documents.base import Part

DELEGATE = "XNNPACK"


@dataclass(frozen=True)
class OperatorTime:
    """One kind of operator. ``ms`` of one run, median over runs; ``share`` of all operators' time together."""

    operator: str
    where: str
    calls: int
    ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """``run_ms``: a whole run while it is profiled; ``operators_ms``: its operators together; both medians.

    ``reason``: why there is no profile.
    """

    reason: str | None
    runtime: str
    threads: int | None
    runs: int
    run_ms: float
    operators_ms: float
    operators: list[OperatorTime]
    """The longest first."""

    @property
    def beside_delegate(self) -> list[OperatorTime]:
        """Operators that the delegate left to the runtime's own kernels; none where there is no delegate at all."""
        if not any(row.where == DELEGATE for row in self.operators):
            return []
        return [row for row in self.operators if row.where != DELEGATE]


class OperatorNode(Part):
    """One operator of the graph with its time in each profiled run."""

    name: str
    operator: str
    where: str
    ns: tuple[int, ...]


class OperatorProfile(Part):
    """What the runtime's profiler measured; ``reason`` says why there is no profile."""

    threads: int | None
    runtime: str | None
    version: str | None
    reason: str | None
    run_ns: tuple[int, ...]
    nodes: tuple[OperatorNode, ...]

    def by_operator(self) -> Profile:
        """The profile added up by kind of operator."""
        runtime = " ".join(part for part in (self.runtime, self.version) if part)
        runs = len(self.run_ns)
        if self.reason is not None or not runs:
            return Profile(self.reason or "it is empty", runtime, self.threads, 0, 0.0, 0.0, [])
        kinds: dict[tuple[str, str], list[tuple[int, ...]]] = {}
        for node in self.nodes:
            kinds.setdefault((node.operator, node.where), []).append(node.ns)
        times = {kind: median(map(sum, zip(*nodes))) / 1e6 for kind, nodes in kinds.items()}
        total = sum(times.values())
        rows = [
            OperatorTime(operator, where, len(nodes), times[operator, where], times[operator, where] / (total or 1))
            for (operator, where), nodes in kinds.items()
        ]
        return Profile(
            None,
            runtime,
            self.threads,
            runs,
            median(self.run_ns) / 1e6,
            median(map(sum, zip(*(node.ns for node in self.nodes)))) / 1e6 if self.nodes else 0.0,
            sorted(rows, key=lambda row: -row.ms),
        )
