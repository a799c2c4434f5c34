"""The settings that a file can run with: runtime, threads, pinning, and the options of the runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from edgekit.bench.measured_model import MeasuredModel, RuntimeSetting
from edgekit.device.runtime_table import RUNTIMES
from edgekit.documents.tuning import SettingRecord
from edgekit.render.text import plural

PLACEMENTS = 2
"""How many of the fastest combinations of threads and pinning are combined with options of the runtime."""


@dataclass(frozen=True)
class Candidate:
    """One setting of one file."""

    runtime: str
    threads: int
    pin: bool = False
    options: tuple[tuple[str, str], ...] = ()

    def applied(self, model: MeasuredModel, limit_ns: int | None = None) -> MeasuredModel:
        """``model`` with this setting, under an id of its own. ``limit_ns``: give it up if a run takes longer."""
        setting = RuntimeSetting(self.threads, self.pin, self.options, limit_ns)
        return replace(model, id=f"{model.id} [{self.label}]", runtime=self.runtime, setting=setting)

    @property
    def label(self) -> str:
        """``onnxruntime, 2 threads, pinned, graph=basic``."""
        pinned = ["pinned"] * self.pin
        return ", ".join(
            [self.runtime, plural(self.threads, "thread"), *pinned, *(f"{k}={v}" for k, v in self.options)]
        )

    def record(self) -> SettingRecord:
        return SettingRecord(runtime=self.runtime, threads=self.threads, pin=self.pin, options=dict(self.options))

    def with_option(self, name: str, value: str) -> Candidate:
        return replace(self, options=tuple(sorted({**dict(self.options), name: value}.items())))


def thread_counts(cores: int) -> list[int]:
    """The numbers of threads to try, most first: all cores, one less, and the powers of two."""
    powers = [1 << exponent for exponent in range(cores.bit_length()) if 1 << exponent <= cores]
    return sorted({cores, max(1, cores - 1), *powers}, reverse=True)


def single_changes(default: Candidate, runtimes: Sequence[str], cores: int) -> list[Candidate]:
    """For each runtime its own default, and every setting that differs from that in one thing.

    Pinning is tried with fewer threads than cores; with as many it changes nothing.
    """
    found = []
    for runtime in runtimes:
        base = Candidate(runtime, default.threads)
        counts = [count for count in thread_counts(cores) if count != default.threads]
        found += [base, *(replace(base, threads=count) for count in counts)]
        found += [replace(base, threads=count, pin=True) for count in counts]
        found += [base.with_option(name, value) for name, value in _changes(runtime)]
    return [candidate for candidate in dict.fromkeys(found) if candidate != default]


def combinations(default: Candidate, scores: Mapping[Candidate, float], limit: int) -> list[Candidate]:
    """Settings that combine the changes which help by themselves, the most promising first; none was measured yet.

    ``scores``: the log of each measured setting's latency over that of ``default``. Effects are taken to multiply,
    which only decides what is measured next. The options of each runtime are combined with its fastest threads.
    """
    known = {default: 0.0, **scores}
    promising: dict[Candidate, float] = {}
    for runtime in dict.fromkeys(candidate.runtime for candidate in known):
        base = Candidate(runtime, default.threads)
        if base not in known:
            continue
        own = [candidate for candidate in known if candidate.runtime == runtime]
        placements = sorted((c for c in own if not c.options), key=lambda c: known[c])[:PLACEMENTS]
        effects = {
            (name, value): known[changed] - known[base]
            for name, value in _changes(runtime)
            if (changed := base.with_option(name, value)) in known
        }
        helpful = {change: effect for change, effect in effects.items() if effect < 0}
        for placement, changes in product(placements, _subsets(helpful)):
            combined = placement
            for name, value in changes:
                combined = combined.with_option(name, value)
            promising[combined] = known[placement] + sum(helpful[change] for change in changes)
    ranked = sorted(promising, key=lambda candidate: promising[candidate])
    return [candidate for candidate in ranked if candidate not in known][:limit]


def _changes(runtime: str) -> list[tuple[str, str]]:
    """Every option of a runtime with each of its values but the default."""
    return [(name, value) for name, values in RUNTIMES[runtime].options.items() for value in values[1:]]


def _subsets(effects: Mapping[tuple[str, str], float]) -> Iterable[tuple[tuple[str, str], ...]]:
    """The best value of each option alone, and all of them together."""
    best: dict[str, tuple[str, str]] = {}
    for change in sorted(effects, key=lambda change: effects[change]):
        best.setdefault(change[0], change)
    return [*((change,) for change in best.values()), tuple(best.values())] if best else []
