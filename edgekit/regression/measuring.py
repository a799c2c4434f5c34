"""Measures the pairs of a check: sessions of both files together, scores, and repeats of memory and energy."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.bench.energy import measure_energy
from edgekit.bench.evaluation_images import image_sets
from edgekit.bench.inspection import with_runtime
from edgekit.bench.memory import measure_memory
from edgekit.bench.model_collection import collect_models
from edgekit.bench.protocols import get_protocol
from edgekit.bench.session import bench
from edgekit.bench.settings import BenchOptions, image_limit
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.documents.bench import BenchDocument, BenchResult, EnergyRecord, MemoryRecord
from edgekit.regression.baseline import Baseline
from edgekit.regression.evidence import Evidence
from edgekit.regression.pairing import Pair
from edgekit.regression.workspace import Workspace, finished_results, leave_predictions
from edgekit.stats.limits import FEWEST_REPEATS
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.lookup import get_target


@dataclass(frozen=True)
class Plan:
    """How a check measures."""

    baseline: Baseline
    target: str
    options: BenchOptions
    work: Workspace
    progress: Progress

    def bench_of(self, pair: Pair) -> BenchDocument | None:
        """What the baseline has of its file on the target."""
        return self.baseline.bench(pair.run, pair.file, self.target)


@dataclass(frozen=True)
class Together:
    """A pair of which both files are here. ``baseline``: the unpacked file of the baseline."""

    evidence: Evidence
    baseline: Path


def measure_session(
    plan: Plan, members: Sequence[Together], number: int, threads: tuple[int, ...] | None
) -> list[BenchResult]:
    """One session of all ``members``: the new file and the baseline of each, in turn, all interleaved.

    After an interruption, the same call resumes it.
    """
    folder = plan.work.session(number)
    results = finished_results(folder, plan.target, 2 * len(members))
    if results is None:
        _leave_known_predictions(plan, members, number)
        paths = [path for member in members for path in (member.evidence.pair.path, member.baseline)]
        options = replace(plan.options, results=folder, threads=threads or plan.options.threads)
        results = bench(paths, options, plan.progress)
    for place, member in enumerate(members):
        member.evidence.add_session(results[2 * place], results[2 * place + 1], results)
    return results


def _leave_known_predictions(plan: Plan, members: Sequence[Together], number: int) -> None:
    """Predictions that still apply are not made again: those of the baseline, and those of the first session."""
    first = plan.work.session(1)
    for place, member in enumerate(members):
        pair = member.evidence.pair
        folders = [plan.work.session(number) / str(2 * place + side) for side in range(2)]
        if number == 1:
            saved = plan.bench_of(pair)
            if saved is not None and saved.accuracy is not None:
                content = plan.baseline.predictions(pair.run, pair.file, plan.target)
                leave_predictions(folders[1], saved, content)
            continue
        for folder, sha256 in zip(folders, (pair.export.sha256, pair.file.sha256)):
            result = _result_of(first, plan.target, sha256)
            path = None if result is None else result.predictions_path()
            if result is not None and path is not None:
                leave_predictions(folder, result.bench, path.read_bytes())


def _result_of(session: Path, target: str, sha256: str) -> BenchResult | None:
    results = map(BenchResult.read, sorted(session.glob(f"*/bench/{target}/*.json")))
    return next((result for result in results if result.bench.sha256 == sha256), None)


def score(plan: Plan, members: Sequence[Evidence]) -> list[BenchResult]:
    """Only the predictions of the new files, where there is no file to measure them against.

    After an interruption, the images that were scored are not scored again.
    """
    options = replace(plan.options, results=plan.work.scored, latency=False)
    return bench([one.pair.path for one in members], options, plan.progress)


def repeat_memory_and_energy(plan: Plan, members: Sequence[Together]) -> None:
    """Measure memory, and energy where the target measures it, until there are enough single measurements."""
    for _ in range(FEWEST_REPEATS):
        short = [one for one in members if 0 < min(map(len, one.evidence.memory)) < FEWEST_REPEATS]
        if not short:
            return
        paths = [path for one in short for path in (one.evidence.pair.path, one.baseline)]
        places = [(one.evidence, side) for one in short for side in range(2)]
        _measure_once(plan, paths, places, energy=any(one.evidence.energy[0] for one in short))


def repeat_memory(plan: Plan, members: Sequence[Evidence]) -> None:
    """Measure the memory of new files whose baseline is not here but has a comparable measurement."""
    for _ in range(FEWEST_REPEATS if members else 0):
        _measure_once(plan, [one.pair.path for one in members], [(one, 0) for one in members], energy=False)


def _measure_once(plan: Plan, paths: Sequence[Path], places: Sequence[tuple[Evidence, int]], *, energy: bool) -> None:
    """``places``: the evidence of each file, and its side there."""
    threads = places[0][0].memory_threads
    with contextlib.closing(get_target(plan.target, SILENT)) as target:
        models = collect_models(paths, ThirdPartyOptions(), SILENT, results=False)
        models = with_runtime(models, plan.options.runtime, target)
        memory: dict[str, MemoryRecord] = {}
        measure_memory(target, models, threads, plan.progress, memory)
        joules: dict[str, EnergyRecord] = {}
        if energy:
            images = image_sets(models, plan.options.data, image_limit(models, plan.options), SILENT)
            joules = measure_energy(target, models, images, get_protocol(plan.options.protocol or "gate"), threads)
    for model, (evidence, side) in zip(models, places):
        if model.id in memory:
            evidence.memory[side].append(float(memory[model.id].model_rss_bytes))
        per_run = joules[model.id].per_run() if model.id in joules else None
        if per_run is not None:
            evidence.energy[side].append(per_run.joules)
