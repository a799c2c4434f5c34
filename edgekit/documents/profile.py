"""The profile of a bench result: which operators take the time of a run, and which run beside the delegate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

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

    def document(self) -> dict[str, Any]:
        return asdict(self)


def read_profile(stored: Mapping[str, Any] | None) -> Profile | None:
    """The ``profile`` of a bench document, added up by kind of operator; None where none was asked for."""
    if stored is None:
        return None
    runtime = " ".join(str(part) for part in (stored["runtime"], stored["version"]) if part)
    runs = len(stored["run_ns"])
    if stored["reason"] is not None or not runs:
        return Profile(stored["reason"] or "it is empty", runtime, stored["threads"], 0, 0.0, 0.0, [])
    kinds: dict[tuple[str, str], list[list[int]]] = {}
    for node in stored["nodes"]:
        kinds.setdefault((node["operator"], node["where"]), []).append(node["ns"])
    times = {kind: median(map(sum, zip(*nodes))) / 1e6 for kind, nodes in kinds.items()}
    total = sum(times.values())
    rows = [
        OperatorTime(operator, where, len(nodes), times[operator, where], times[operator, where] / (total or 1))
        for (operator, where), nodes in kinds.items()
    ]
    return Profile(
        None,
        runtime,
        stored["threads"],
        runs,
        median(stored["run_ns"]) / 1e6,
        median(map(sum, zip(*(node["ns"] for node in stored["nodes"])))) / 1e6 if stored["nodes"] else 0.0,
        sorted(rows, key=lambda row: -row.ms),
    )
