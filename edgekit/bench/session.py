"""`edgekit bench`: measures all models under the same conditions in one session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.bench.accuracy import measure_accuracy
from edgekit.bench.agreement import HostPredictions
from edgekit.bench.checkpoint import Checkpoints
from edgekit.bench.earlier_result import earlier_result, is_repeatable, stored_predictions
from edgekit.bench.energy import measure_energy
from edgekit.bench.evaluation_images import image_sets
from edgekit.bench.inspection import ALL, InspectedTarget, inspected, opened_by_their_runtimes, with_runtimes
from edgekit.bench.journal import Journal, open_journal
from edgekit.bench.latency import LatencyPlan, MeasuredLatency
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.memory import measure_memory
from edgekit.bench.model_collection import collect_models
from edgekit.bench.operator_profile import measure_profile
from edgekit.bench.recorded_target import RecordedTarget
from edgekit.bench.results import SessionPlan, SessionResults
from edgekit.bench.settings import BenchOptions, image_limit, settings_for
from edgekit.bench.sustained import measure_sustained
from edgekit.bench.tuning.session import tune
from edgekit.bench.web_files import check_web_options, for_web
from edgekit.documents.bench import BenchResult
from edgekit.documents.latency import ProtocolRecord
from edgekit.errors import InputError
from edgekit.render.text import plural
from edgekit.support.files import temporaries
from edgekit.support.locks import folder_lock
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import WEB, Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


def bench(
    paths: Sequence[Path], options: BenchOptions, progress: Progress = SILENT, host: HostPredictions | None = None
) -> list[BenchResult]:
    """Measure every model that ``paths`` refer to, interleaved, and write a result for each.

    Everything that can be refused is refused before the first measurement. A model whose output is not finite gets a
    result with ``status: failed``. ``host`` shares this machine's own predictions among several targets.

    An interrupted session keeps what it has measured, in a journal and in results marked incomplete; the same call
    continues it. Raises :class:`InputError` and :class:`TargetError`.
    """
    with contextlib.closing(get_target(options.target, progress)) as target:
        return bench_on(target, paths, options, progress, host)


def bench_on(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostPredictions | None
) -> list[BenchResult]:
    """:func:`bench` on a target that is already open."""
    plan = _plan(target, paths, options, progress)
    with _locked(plan.models, target.name), open_journal(target.name, plan.models, latency=options.latency) as journal:
        results = SessionResults(plan, journal.session_id, journal.sittings)
        _tell_resumed(journal, progress)
        _measure(RecordedTarget(target, journal), results, options, progress)
        target.close()  # others may use it while this machine makes its own predictions
        here = {} if target.name == LOCAL else (host or HostPredictions()).of(plan.models, plan.images, progress)
        results.check_answers()
        written = [results.write(model, here.get(model.id)) for model in plan.models]
        journal.remove()
    return written


@contextlib.contextmanager
def _locked(models: Sequence[MeasuredModel], target: str) -> Iterator[None]:
    """Keep other processes from writing results of ``target`` beside these, and remove what killed ones left."""
    with contextlib.ExitStack() as held:
        for folder in sorted({model.result_path(target).parent for model in models}):
            held.enter_context(folder_lock(folder, f"another benchmark of this folder is running on {target}"))
            for stale in list(temporaries(folder)):
                stale.unlink(missing_ok=True)
        yield


def _plan(target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress) -> SessionPlan:
    _check(options)
    found = collect_models(paths, options.third_party, progress, results=options.results is None)
    if target.name == WEB:
        found = for_web(found, progress)
    if options.results is not None:
        found = [replace(model, results=options.results / str(number)) for number, model in enumerate(found)]
    settings = settings_for(found, options, target)
    found = with_runtimes(found, options.runtime, target)
    if options.runtime == ALL:
        found = opened_by_their_runtimes(found, target, progress)
    models, machine = inspected(target, found, scored=options.data is not None)
    if options.tune:
        _check_tunable(settings.protocol, machine, target.name)
    images = image_sets(models, options.data, image_limit(models, options), progress)
    if not options.latency and not images:
        raise InputError("there is nothing to score: these models have no images", hint="pass --data DIR")
    counts = settings.thread_counts(machine.cores)
    return SessionPlan(
        target=target.name,
        machine=machine,
        protocol=settings.protocol,
        models=models,
        images=images,
        threads=tuple(counts),
        latency=[LatencyPlan(models, images, settings.protocol, count, options.seed) for count in counts]
        if options.latency
        else [],
        tune=options.tune,
        earlier={model.id: known for model in models if (known := earlier_result(model, target.name)) is not None},
    )


def _check(options: BenchOptions) -> None:
    check_web_options(options)
    if options.tune and options.pin:
        raise InputError("--tune cannot be combined with --pin, because it tries pinning itself")
    if options.latency:
        return
    for name, given in (
        ("--images 0", options.images == 0),
        ("--sustained", options.sustained_s is not None),
        ("--profile", options.profile),
        ("--tune", options.tune),
    ):
        if given:
            raise InputError(
                f"--no-latency cannot be combined with {name}, because it only scores images",
                hint="leave one of them out",
            )


def _check_tunable(protocol: ProtocolRecord, machine: InspectedTarget, target: str) -> None:
    if protocol.repeats < 2:
        raise InputError(
            f"--tune needs more than the protocol {protocol.name!r}, which only shows that a file runs",
            hint="use quick, standard or full",
        )
    if machine.environment.emulated is not None:
        raise InputError(
            f"--tune needs real latencies, and {target} is emulated: {machine.environment.emulated}",
            hint="measure without --tune",
        )


def _tell_resumed(journal: Journal, progress: Progress) -> None:
    if journal.resumed and not journal.is_empty:
        progress.info(
            f"resuming the benchmark that was started at {journal.sittings[0]} and interrupted "
            f"({plural(journal.sitting, 'time')}); to start again instead, delete {journal.path}"
        )


def _measure(target: Target, results: SessionResults, options: BenchOptions, progress: Progress) -> None:
    """Fill ``results``. Whatever ends the session early leaves results that are marked incomplete."""
    checkpoints = Checkpoints(results)
    try:
        for _ in _steps(target, results, options, progress):
            checkpoints.step()
    except BaseException:
        if checkpoints.last():
            progress.info("what was measured is kept; rerun the same command to continue")
        raise


def _steps(target: Target, results: SessionResults, options: BenchOptions, progress: Progress) -> Iterator[None]:
    """Yields between measurements."""
    plan, protocol = results.plan, results.plan.protocol
    _keep_accuracy(results, progress)
    for latency in plan.latency:
        measured = MeasuredLatency(latency)
        results.latency.append(measured)
        yield from measured.measure(target, progress)
    if options.latency:
        measure_memory(target, plan.models, plan.threads[0], progress, results.memory)
        yield
        results.energy.update(measure_energy(target, plan.models, plan.images, protocol, plan.threads[0]))
        yield
    if options.sustained_s is not None:
        seconds = options.sustained_s
        results.sustained.update(
            measure_sustained(target, plan.models, plan.images, seconds, plan.threads[-1], progress)
        )
        yield
    if options.profile:
        measure_profile(target, plan.models, protocol, plan.threads[0], progress, results.profile)
        yield
    unscored = [model for model in plan.models if model.id not in results.accuracy.predictions]
    measure_accuracy(target, unscored, plan.images, progress, results.accuracy)
    results.scoring_done = True
    if plan.tune:
        yield
        yield from tune(target, results, options.seed, progress)


def _keep_accuracy(results: SessionResults, progress: Progress) -> None:
    """Take over the predictions of earlier results that lack something else."""
    plan, kept = results.plan, 0
    for model in plan.models:
        earlier, images = plan.earlier.get(model.id), plan.images.get(model.id)
        if earlier is None or images is None:
            continue
        if not earlier.bench.incomplete and earlier.bench.session_id != results.session_id:
            continue
        predictions = stored_predictions(earlier, images)
        if predictions is not None and is_repeatable(earlier.bench, model, plan.machine):
            results.accuracy.predictions[model.id] = predictions
            results.scored[model.id] = _scored(earlier, results.session_id)
            kept += 1
    if kept:
        progress.info(f"the accuracy of {plural(kept, 'file')} is known from an earlier benchmark")


def _scored(earlier: BenchResult, session_id: str) -> str | None:
    """When an earlier session scored the images; None if it was this one, before an interruption."""
    assert earlier.bench.accuracy is not None
    created = None if earlier.bench.session_id == session_id else earlier.bench.created
    return earlier.bench.accuracy.scored or created
