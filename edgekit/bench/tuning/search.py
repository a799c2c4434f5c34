"""Successive halving over the settings of one file: many are measured briefly, the fastest of them for longer.

K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.
Each round of the search is one fresh process that runs its settings and the default interleaved, and costs as much as
any other round. Settings are compared by their ratio to the default, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from edgekit.bench.latency import LatencyPlan, MeasuredLatency
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import protocol_of
from edgekit.bench.tuning.candidates import Candidate, combinations, single_changes
from edgekit.device.protocol.verbs import LATENCY
from edgekit.documents.latency import Latency, ProtocolRecord, paired_rounds
from edgekit.documents.tuning import TriedSetting
from edgekit.stats.process_ratio import log_ratios
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

ROUNDS = (6, 6, 8, 12)
"""Interleaved rounds of each step of the search."""

POOL = 8
"""How many settings go from the first step, which tries single changes, to the second."""

WARMUP_RUNS, BLOCK_RUNS = 2, 2
FEWEST = 4
"""A step tries so many settings even if that costs more than its share."""

TOO_SLOW = 1.1
"""A setting whose ratio to the default is higher is given up at once."""

HOPELESS = 4
"""A setting is not even warmed up if a run takes so many times as long as with the default."""

WORTH = 0.99
"""The ratio to the default in the search from which on a setting is worth a confirmation."""


@dataclass(frozen=True)
class SearchPlan:
    """What the search for one file may use."""

    model: MeasuredModel
    default: Candidate
    runtimes: Sequence[str]
    cores: int
    budget_ns: float
    """Time of all steps together."""
    load_ns: float
    """How long opening the file takes with the default."""
    run_ns: float
    """How long one run takes with the default."""
    opened_at_once: int
    """How many copies of the file fit into memory."""
    rate_hz: float | None
    seed: int


@dataclass
class Search:
    """The search for one file, step by step."""

    plan: SearchPlan
    ratios: dict[Candidate, list[float]] = field(default_factory=dict)
    """The log of each block's median over that of the default, of each setting that was measured."""
    dropped: dict[Candidate, str] = field(default_factory=dict)
    """Why a setting cannot be chosen."""
    halved: dict[Candidate, str] = field(default_factory=dict)
    """At which step a setting that could be chosen was not among the fastest."""

    def run(self, target: Target, progress: Progress) -> Iterator[None]:
        """Measure; yields after each step."""
        plan = self.plan
        pool = self._affordable(single_changes(plan.default, plan.runtimes, plan.cores), ROUNDS[0])
        for step, rounds in enumerate(ROUNDS):
            if not pool:
                return
            yield from self._measure(target, pool, step, rounds, progress)
            fastest = sorted((c for c in pool if self._keeps(c)), key=self.score)
            if step == 0:
                scores = {candidate: self.score(candidate) for candidate in fastest}
                combined = combinations(plan.default, scores, POOL // 2)
                pool = self._halved(fastest, max(1, min(POOL - len(combined), (len(fastest) + 1) // 2)), step)
                pool = self._affordable([*pool, *combined], ROUNDS[1])
            else:
                pool = self._halved(fastest, max(1, len(fastest) // 2), step)
            if step > 0 and len(pool) <= 1:
                return

    def score(self, candidate: Candidate) -> float:
        """The log of the ratio to the default, over all blocks so far."""
        return median(self.ratios[candidate]) if self.ratios.get(candidate) else math.inf

    def winners(self) -> list[Candidate]:
        """The settings that are worth a confirmation: those left, then those that were halved away, fastest first."""
        worth = [c for c in self.ratios if c not in self.dropped and self.score(c) < math.log(WORTH)]
        return sorted(worth, key=lambda candidate: (candidate in self.halved, self.score(candidate)))

    def tried(self, found: Candidate | None) -> tuple[TriedSetting, ...]:
        """Every setting, the fastest first."""
        order = sorted({**self.ratios, **self.dropped}, key=self.score)
        return tuple(
            TriedSetting(
                setting=candidate.record(),
                rounds=len(self.ratios.get(candidate, ())),
                ratio=math.exp(self.score(candidate)) if self.ratios.get(candidate) else None,
                dropped=None if candidate == found else self._reason(candidate),
            )
            for candidate in order
        )

    def _reason(self, candidate: Candidate) -> str:
        return self.dropped.get(candidate) or self.halved.get(candidate) or "no faster than the default"

    def _keeps(self, candidate: Candidate) -> bool:
        if candidate in self.dropped:
            return False
        if self.score(candidate) > math.log(TOO_SLOW):
            self.dropped[candidate] = "slower than the default"
            return False
        return True

    def _halved(self, fastest: Sequence[Candidate], keep: int, step: int) -> list[Candidate]:
        for candidate in fastest[keep:]:
            self.halved[candidate] = f"not among the fastest {keep} after step {step + 1}"
        return list(fastest[:keep])

    def _affordable(self, pool: Sequence[Candidate], rounds: int) -> list[Candidate]:
        """As many of ``pool`` as fit into the time of a step, in that order."""
        plan = self.plan
        least = plan.load_ns + (WARMUP_RUNS + 1 + rounds * BLOCK_RUNS) * plan.run_ns
        keep = max(FEWEST, int(plan.budget_ns / len(ROUNDS) / least) - 1)
        for candidate in pool[keep:]:
            self.dropped[candidate] = "not tried: a run takes too long for so many settings"
        return list(pool[:keep])

    def _measure(
        self, target: Target, pool: Sequence[Candidate], step: int, rounds: int, progress: Progress
    ) -> Iterator[None]:
        """One step. Where memory does not hold all settings at once, it takes several processes."""
        plan = self.plan
        size = max(1, plan.opened_at_once - 1)
        parts = [pool[start : start + size] for start in range(0, len(pool), size)]
        share = plan.budget_ns / len(ROUNDS) / (len(pool) + len(parts))
        block_ns = max(0.0, (share - plan.load_ns - (WARMUP_RUNS + 1) * plan.run_ns) / rounds)
        longest = BLOCK_RUNS, min(100_000_000, int(block_ns))
        protocol = protocol_of("tuning", 1, rounds, longest, (WARMUP_RUNS, 0))
        protocol = protocol.model_copy(update={"rate_hz": plan.rate_hz})
        steps = (len(pool) + len(parts)) * (rounds + 1)
        title = f"tuning {plan.model.key}, step {step + 1} of {len(ROUNDS)}: {len(pool)} settings"
        with progress.bar(title, steps) as bar:
            for number, part in enumerate(parts):
                measured = MeasuredLatency(self._latency_plan(part, protocol, plan.seed + 100 * step + number))
                for job in measured.plan.jobs():
                    for event in target.run(LATENCY, job):
                        measured.add(event)
                        if event["event"] in {"model", "block"}:
                            bar.advance()
                self._take(measured, part)
                yield

    def _latency_plan(self, part: Sequence[Candidate], protocol: ProtocolRecord, seed: int) -> LatencyPlan:
        """Inputs are noise: they cost nothing to prepare, and the time of a run does not depend on them."""
        limit_ns = int(HOPELESS * self.plan.run_ns) + 1_000_000
        tried = [candidate.applied(self.plan.model, limit_ns) for candidate in part]
        models = [self.plan.default.applied(self.plan.model), *tried]
        return LatencyPlan(models, {}, protocol, self.plan.cores, seed, n_controls=0)

    def _take(self, measured: MeasuredLatency, part: Sequence[Candidate]) -> None:
        reference = measured.latency(self.plan.default.applied(self.plan.model).id)
        for candidate in part:
            key = candidate.applied(self.plan.model).id
            latency = measured.latency(key)
            if key in measured.failed:
                self.dropped[candidate] = measured.failed[key]
            elif candidate.pin and not measured.was_pinned(key):
                self.dropped[candidate] = "the target does not allow pinning to cores"
            elif latency is not None and reference is not None:
                self.ratios.setdefault(candidate, []).extend(_block_ratios(latency, reference))


def _block_ratios(latency: Latency, reference: Latency) -> list[float]:
    mine, its = paired_rounds(latency.processes, reference.processes)
    return [float(value) for values in (log_ratios(mine, its) if mine else ()) for value in values]
