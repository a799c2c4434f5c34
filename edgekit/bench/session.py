"""`edgekit bench`: measures all models under the same conditions in one session."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from edgekit.bench.accuracy import measure_accuracy
from edgekit.bench.agreement import HostPredictions
from edgekit.bench.energy import measure_energy
from edgekit.bench.evaluation_images import image_sets
from edgekit.bench.inspection import inspected, with_runtime, with_target_runtime
from edgekit.bench.latency import measure_latency
from edgekit.bench.memory import measure_memory
from edgekit.bench.model_collection import collect_models
from edgekit.bench.operator_profile import measure_profile
from edgekit.bench.results import SessionResults
from edgekit.bench.settings import BenchOptions, image_limit, settings_for
from edgekit.bench.sustained import measure_sustained
from edgekit.documents.bench import BenchResult
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def bench(
    paths: Sequence[Path], options: BenchOptions, progress: Progress = SILENT, host: HostPredictions | None = None
) -> list[BenchResult]:
    """Measure every model that ``paths`` refer to, interleaved, and write a result for each.

    Everything that can be refused is refused before the first measurement. A model whose output is not finite gets a
    result with ``status: failed``. ``host`` shares this machine's own predictions among several targets. Raises
    :class:`InputError` and :class:`TargetError`.
    """
    with contextlib.closing(get_target(options.target, progress)) as target:
        return bench_on(target, paths, options, progress, host)


def bench_on(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostPredictions | None
) -> list[BenchResult]:
    """:func:`bench` on a target that is already open."""
    results = _measure(target, paths, options, progress)
    target.close()  # others may use it while this machine makes its own predictions
    here = {} if target.name == LOCAL else (host or HostPredictions()).of(results.models, results.images, progress)
    return [results.write(model, here.get(model.id)) for model in results.models]


def _measure(target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress) -> SessionResults:
    found = collect_models(paths, options.third_party, progress)
    settings = settings_for(found, options, target)
    protocol = settings.protocol
    found = with_runtime(with_target_runtime(found, target.runtime), options.runtime)
    models, cores = inspected(target, found, scored=options.data is not None)
    images = image_sets(models, options.data, image_limit(models, options), progress)
    threads = settings.thread_counts(cores)
    latency = [measure_latency(target, models, images, protocol, n, options.seed, progress) for n in threads]
    return SessionResults(
        target=target.name,
        protocol=protocol,
        models=models,
        images=images,
        latency=latency,
        memory=measure_memory(target, models, threads[0], progress),
        energy=measure_energy(target, models, protocol, threads[0]),
        sustained=measure_sustained(target, models, images, options.sustained_s, threads[-1], progress)
        if options.sustained_s is not None
        else {},
        profile=measure_profile(target, models, protocol, threads[0], progress) if options.profile else {},
        accuracy=measure_accuracy(target, models, images, progress),
    )
