"""How long to measure: the named protocols, as numbers that are stored with every result."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edgekit.device.protocol.jobs import BlockSettings
from edgekit.documents.bench import ProtocolRecord
from edgekit.errors import InputError


@dataclass(frozen=True)
class BenchProtocol:
    """``repeats`` fresh processes of ``rounds`` rounds; in each round every model has one block.

    A block has at least ``block_runs`` runs and ``block_ns`` of run time, so a model is measured for at least
    ``repeats * rounds`` times both. Every process warms up first.
    """

    name: str
    repeats: int
    rounds: int
    block_runs: int
    block_ns: int
    warmup_runs: int
    warmup_ns: int
    cooldown_ns: int = 0
    """Pause before every block."""

    @property
    def total_runs(self) -> int:
        """The smallest number of runs of one model."""
        return self.repeats * self.rounds * self.block_runs

    @property
    def total_ns(self) -> int:
        """The shortest run time of one model."""
        return self.repeats * self.rounds * self.block_ns

    def blocks(self) -> BlockSettings:
        """One repeat, as the device program measures it."""
        return {
            "warmup_runs": self.warmup_runs,
            "warmup_ns": self.warmup_ns,
            "rounds": self.rounds,
            "block_runs": self.block_runs,
            "block_ns": self.block_ns,
            "cooldown_ns": self.cooldown_ns,
        }

    def record(self) -> ProtocolRecord:
        """The protocol as it is stored with a result."""
        return ProtocolRecord(**asdict(self))


PROTOCOLS: dict[str, BenchProtocol] = {
    p.name: p
    for p in (
        BenchProtocol("check", 1, 3, 1, 0, 1, 0),
        BenchProtocol("quick", 1, 16, 4, 125_000_000, 10, 500_000_000),
        BenchProtocol("standard", 5, 8, 7, 250_000_000, 10, 1_000_000_000),
        BenchProtocol("full", 5, 8, 26, 1_500_000_000, 10, 1_000_000_000, cooldown_ns=1_000_000_000),
    )
}
"""Per model, ``check``: 3 runs, which show that a model runs but are too few for any percentile; ``quick``: 64 runs
and 2 s; ``standard``: 280 runs and 10 s; ``full``: 1040 runs and 60 s."""


def get_protocol(name: str) -> BenchProtocol:
    """The protocol called ``name``; :class:`InputError` with the choices otherwise."""
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise InputError(f"unknown protocol {name!r}", hint=f"choose one of: {', '.join(PROTOCOLS)}") from None
