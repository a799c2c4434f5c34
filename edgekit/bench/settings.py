"""The settings of a session: from the options, or the target, or the recipes of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.protocols import get_protocol
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.documents.latency import ProtocolRecord
from edgekit.errors import InputError
from edgekit.recipe.section import MOST_THREADS
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL

MIN_RATE_HZ, MAX_RATE_HZ = 0.01, 10_000.0


@dataclass(frozen=True)
class BenchOptions:
    """What the user chose; None stands for the value in the recipes of the runs, or the default."""

    target: str = LOCAL
    protocol: str | None = None
    threads: tuple[int, ...] | None = None
    data: Path | None = None
    images: int | None = None
    runtime: str | None = None
    seed: int = 0
    sustained_s: float | None = None
    profile: bool = False
    pin: bool = False
    tune: bool = False
    """Also look for the fastest setting of each file."""
    rate_hz: float | None = None
    latency: bool = True
    """False: score the images only. Latency that was measured before stays in the result."""
    third_party: ThirdPartyOptions = field(default_factory=ThirdPartyOptions)
    results: Path | None = None
    """Folder for the results, with a numbered folder for each file. By default they go into the run folders."""


@dataclass(frozen=True)
class BenchSettings:
    """The protocol and the thread counts of a session; a count of 0 stands for all cores."""

    protocol: ProtocolRecord
    threads: tuple[int, ...]

    def thread_counts(self, cores: int) -> list[int]:
        """The thread counts on a target with ``cores`` cores, each once."""
        return list(dict.fromkeys(count or cores for count in self.threads))


def settings_for(models: Sequence[MeasuredModel], options: BenchOptions, target: Target) -> BenchSettings:
    """Raises :class:`InputError` if the recipes of the runs differ and neither options nor target decide."""
    recipes = [model.run.recipe.bench for model in models if model.run is not None]
    protocols = {recipe.protocol for recipe in recipes}
    threads = {tuple(recipe.threads) for recipe in recipes}
    chosen_threads = options.threads or target.threads
    for name, chosen, found in (("protocol", options.protocol, protocols), ("threads", chosen_threads, threads)):
        if chosen is None and len(found) > 1:
            raise InputError(f"the recipes of these runs disagree on bench.{name}", hint=f"pass --{name}")
    counts = chosen_threads or next(iter(threads), (1, 0))
    if any(not 0 <= count <= MOST_THREADS for count in counts):
        raise InputError(f"the number of threads must be 1 to {MOST_THREADS}, or 0 for all cores")
    if options.rate_hz is not None and not MIN_RATE_HZ <= options.rate_hz <= MAX_RATE_HZ:
        raise InputError(f"the rate must be between {MIN_RATE_HZ:g} and {MAX_RATE_HZ:g} runs per second")
    protocol = get_protocol(options.protocol or next(iter(protocols), "standard"))
    protocol = protocol.model_copy(update={"pin": options.pin, "rate_hz": options.rate_hz})
    return BenchSettings(protocol, tuple(counts))


def image_limit(models: Sequence[MeasuredModel], options: BenchOptions) -> int | None:
    """The largest number of images to score on; None for all."""
    if options.images is not None:
        return options.images
    limits = [model.run.recipe.bench.images for model in models if model.run is not None]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None
