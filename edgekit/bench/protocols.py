"""How long to measure: the named protocols."""

from __future__ import annotations

from edgekit.documents.latency import ProtocolRecord
from edgekit.errors import InputError


def protocol_of(
    name: str,
    processes: int,
    rounds: int,
    block: tuple[int, int],
    warmup: tuple[int, int] = (10, 1_000_000_000),
    cooldown_ns: int = 0,
    cache_test: bool = False,
) -> ProtocolRecord:
    """A protocol of so many processes and rounds. ``block`` and ``warmup``: at least so many runs and nanoseconds."""
    return ProtocolRecord(
        name=name,
        repeats=processes,
        rounds=rounds,
        block_runs=block[0],
        block_ns=block[1],
        warmup_runs=warmup[0],
        warmup_ns=warmup[1],
        cooldown_ns=cooldown_ns,
        cache_test=cache_test,
    )


PROTOCOLS: dict[str, ProtocolRecord] = {
    p.name: p
    for p in (
        protocol_of("check", 1, 3, (1, 0), (1, 0)),
        protocol_of("quick", 2, 8, (4, 125_000_000), (10, 500_000_000)),
        protocol_of("standard", 5, 8, (7, 250_000_000)),
        protocol_of("gate", 6, 6, (4, 60_000_000), (10, 250_000_000)),
        protocol_of("full", 5, 8, (26, 1_500_000_000), cooldown_ns=1_000_000_000, cache_test=True),
    )
}
"""Per file, ``check``: 3 runs, which show that a file runs but are too few for any percentile; ``quick``: 64 runs
and 2 s; ``standard``: 280 runs and 10 s; ``full``: 1040 runs and 60 s. ``gate`` compares two files: 144 runs and 2 s
in more processes than the others, because processes differ more than rounds."""


def get_protocol(name: str) -> ProtocolRecord:
    """The protocol called ``name``; :class:`InputError` with the choices otherwise."""
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise InputError(f"unknown protocol {name!r}", hint=f"choose one of: {', '.join(PROTOCOLS)}") from None
