"""Latency as it is stored: single runs in blocks, blocks in the processes that measured them.

A process is what repeats independently: rounds of one process share its memory layout, its cores and its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

from pydantic import Field

from edgekit.device.protocol.jobs import BlockSettings
from edgekit.documents.base import JsonObject, Part
from edgekit.stats.latency import percentile
from edgekit.stats.process_ratio import percentile_over_processes

Runs = tuple[tuple[int, ...], ...]
"""[round][run], in nanoseconds."""


FEWEST_IMAGES = 16
"""Images in a block, unless a protocol is only to see whether a file runs."""


class ProtocolRecord(Part):
    """How long to measure: ``repeats`` processes of ``rounds`` rounds; in each round every file has one block.

    A block has at least ``block_runs`` runs and ``block_ns`` of run time, so a file is measured for at least
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
    cache_test: bool = False
    """Whether a file is measured on one image again and again, too."""
    rate_hz: float | None = None
    """Runs per second of every file; ``null``: as fast as possible."""
    pin: bool = False
    """Whether to pin each process to as many cores as it has threads."""

    @property
    def images_per_round(self) -> int:
        """How many different images the runs of a block take, where they run often enough."""
        return max(FEWEST_IMAGES, self.block_runs) if self.block_ns else self.block_runs

    @property
    def total_runs(self) -> int:
        """The smallest number of runs of one file."""
        return self.repeats * self.rounds * self.block_runs

    @property
    def total_ns(self) -> int:
        """The shortest run time of one file."""
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
            "period_ns": 0 if self.rate_hz is None else round(1e9 / self.rate_hz),
        }


class Block(Part):
    """Single runs of one file in one round of a process."""

    round: int
    ns: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1)
    n_answers: int = 0
    """How many of the runs had their prediction checked."""
    n_wrong: int = 0
    """How many of those predictions were wrong; if any, the block does not count."""

    @property
    def valid(self) -> bool:
        """Whether the block counts."""
        return self.n_wrong == 0


class MeasuredProcess(Part):
    """What one process measured of one file: loading it, the first run, the warm-up, and the blocks."""

    number: int
    """The same for all files that the process measured."""
    sitting: int = 0
    """Index into the sittings of the session: above 0 for what was measured after an interruption."""
    load_ns: int
    first_ns: int
    warmup_ns: tuple[int, ...]
    blocks: tuple[Block, ...] = Field(min_length=1)

    @property
    def samples_ns(self) -> list[int]:
        """All measured runs of valid blocks, in order."""
        return [ns for block in self.valid_blocks for ns in block.ns]

    @property
    def valid_blocks(self) -> tuple[Block, ...]:
        """The blocks without a wrong prediction."""
        return tuple(block for block in self.blocks if block.valid)

    @property
    def round_medians_ns(self) -> list[float]:
        """The median of each valid block."""
        return [float(median(block.ns)) for block in self.valid_blocks]


class Latency(Part):
    """One thread setting of one file, batch 1."""

    threads: int
    threads_effective: float
    """How many cores were busy while it ran."""
    processes: tuple[MeasuredProcess, ...] = Field(min_length=1)
    preprocess_ns: tuple[int, ...]
    """Decoding, resizing and scaling of single images."""
    postprocess_ns: tuple[int, ...]
    unstable: tuple[str, ...]
    """Reasons why this measurement cannot win a comparison; empty on a quiet machine."""
    n_images: int = 0
    """How many different images the runs took; 0: noise, or in older documents one image."""
    pinned: tuple[int, ...] | None = None
    """The cores that the processes were pinned to; ``null`` if they were not pinned."""

    @property
    def load_ns(self) -> int:
        """How long the first process took to load the file."""
        return self.processes[0].load_ns

    @property
    def first_ns(self) -> int:
        """The first run in the first process."""
        return self.processes[0].first_ns

    @property
    def rounds(self) -> Runs:
        """The valid blocks of all processes, in order."""
        return tuple(block.ns for process in self.processes for block in process.valid_blocks)

    @property
    def n_answers(self) -> int:
        """How many timed runs had their prediction checked."""
        return sum(block.n_answers for process in self.processes for block in process.blocks)

    @property
    def n_invalid(self) -> int:
        """How many blocks do not count because the prediction of a timed run was wrong."""
        return sum(not block.valid for process in self.processes for block in process.blocks)

    @property
    def sittings(self) -> int:
        """In how many sittings it was measured; more than one after an interruption."""
        return len({process.sitting for process in self.processes})

    @property
    def samples_ns(self) -> list[int]:
        """All measured runs, in order."""
        return [sample for block in self.rounds for sample in block]

    @property
    def round_median_ms(self) -> float:
        """The median of the medians of the rounds, in milliseconds, however few runs there are."""
        return median(median(block) for block in self.rounds) / 1e6

    def percentile_ms(self, p: int) -> float | None:
        """The ``p``-th percentile in milliseconds; None if there are too few runs to support it.

        The 50th is the median of the medians of the rounds: a block lasts as long for every file, so that a fast round
        has more runs than a slow one, and would count for more.
        """
        value = percentile(self.samples_ns, p)
        if value is None:
            return None
        return self.round_median_ms if p == 50 else value / 1e6

    def interval_ms(self, p: int) -> tuple[float, float] | None:
        """95% interval of the ``p``-th percentile of any process, in milliseconds, from those of the processes.

        None if there are too few runs for the percentile, or only one process.
        """
        processes = [process for process in self.processes if process.valid_blocks]
        if self.percentile_ms(p) is None or len(processes) < 2:
            return None
        if p == 50:
            found = percentile_over_processes([process.round_medians_ns for process in processes], p)
        else:
            found = percentile_over_processes([process.samples_ns for process in processes], p)
        return None if found is None else (found[0] / 1e6, found[1] / 1e6)


class CacheTest(Part):
    """One file on varied images and on the same image again and again, by the same processes."""

    model: str
    threads: int
    varied: tuple[MeasuredProcess, ...]
    same: tuple[MeasuredProcess, ...]


class ControlRecord(Part):
    """The A/A control: one file measured as if it were two, by the same processes."""

    model: str
    threads: int
    first: tuple[MeasuredProcess, ...]
    second: tuple[MeasuredProcess, ...]


def paired_rounds(
    first: Sequence[MeasuredProcess], second: Sequence[MeasuredProcess]
) -> tuple[tuple[Runs, ...], tuple[Runs, ...]]:
    """The rounds that the same process measured of both files, as [process][round][run] of either.

    Empty for files of different sessions that happen to have no process in common; the caller checks the session.
    """
    others = {process.number: {block.round: block.ns for block in process.valid_blocks} for process in second}
    found: list[tuple[Runs, Runs]] = []
    for process in first:
        other = others.get(process.number, {})
        pairs = [(block.ns, other[block.round]) for block in process.valid_blocks if block.round in other]
        if pairs:
            found.append((tuple(mine for mine, _ in pairs), tuple(its for _, its in pairs)))
    return tuple(mine for mine, _ in found), tuple(its for _, its in found)


def grouped_by_process(document: JsonObject) -> JsonObject:
    """A bench document of version 1, whose rounds were not grouped by process, as one of version 2.

    ``protocol`` says how many processes there were and how many rounds each had. Where that does not fit the stored
    rounds (or a process was started again), all rounds count as one process: they are not taken for independent.
    """
    if "protocol" not in document:
        return document  # damaged, as its validation says
    protocol = document["protocol"]
    for latency in document.get("latency", ()):
        starts = [
            {name: latency.pop(name) for name in ("load_ns", "first_ns", "warmup_ns")},
            *latency.pop("later_starts", ()),
        ]
        latency["processes"] = _processes(latency.pop("rounds"), starts, protocol)
    for control in document.get("control", ()):
        starts = [{"load_ns": 0, "first_ns": 0, "warmup_ns": []}] * int(protocol["repeats"])
        control["first"] = _processes(control.pop("rounds_a"), starts, protocol)
        control["second"] = _processes(control.pop("rounds_b"), starts, protocol)
    return document


def _processes(rounds: list[list[int]], starts: Sequence[JsonObject], protocol: JsonObject) -> list[JsonObject]:
    size = int(protocol["rounds"])
    if len(rounds) != size * int(protocol["repeats"]) or len(starts) != int(protocol["repeats"]):
        size, starts = max(len(rounds), 1), starts[:1]
    return [
        {
            "number": number,
            **{name: start[name] for name in ("load_ns", "first_ns", "warmup_ns")},
            "blocks": [
                {"round": place, "ns": ns} for place, ns in enumerate(rounds[number * size : (number + 1) * size])
            ],
        }
        for number, start in enumerate(starts)
    ]
