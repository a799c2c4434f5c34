"""``edgekit gate check``: measures new files, judges them against a baseline, and repeats what noise left open."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgekit import __version__
from edgekit.bench.settings import BenchOptions
from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.documents.regression import GateCheck, worst
from edgekit.errors import InputError
from edgekit.recipe import Recipe
from edgekit.recipe.gates import Gates
from edgekit.regression.baseline import FOLDER, Baseline, read_baseline
from edgekit.regression.evidence import Evidence
from edgekit.regression.files import find_file
from edgekit.regression.judging import NO_FILE, checked_file, gone_file, undecided_latency
from edgekit.regression.measuring import (
    Plan,
    Together,
    measure_session,
    repeat_memory,
    repeat_memory_and_energy,
    score,
)
from edgekit.regression.pairing import Pairing, given_runs, paired
from edgekit.regression.predictions import compare_predictions
from edgekit.regression.workspace import Workspace
from edgekit.support.locks import folder_lock
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

PROTOCOL = "gate"
TIME_LIMIT_S = 300.0
MOST_SESSIONS = 6


@dataclass(frozen=True)
class GateOptions:
    """What the user chose; None stands for the default."""

    folder: Path = FOLDER
    target: str | None = None
    protocol: str | None = None
    threads: tuple[int, ...] | None = None
    data: Path | None = None
    runtime: str | None = None
    recipe: Recipe | None = None
    """Its limits apply instead of those of the baseline."""
    baseline_files: Path | None = None
    """Folder with the exported files of the baseline."""
    latency: bool = True
    time_limit_s: float = TIME_LIMIT_S
    """Sessions after the first start only if they fit into this time since the beginning."""


def check_baseline(name: str, paths: Sequence[Path], options: GateOptions, progress: Progress = SILENT) -> GateCheck:
    """Judge the exported files of runs or studies against the baseline ``name``.

    The first session measures every pair of files. Further ones measure those pairs whose latency is undecided, until
    every latency is decided or the time is up. An interrupted check continues when it is called again.

    Raises :class:`InputError` for input that is refused before anything is measured, and :class:`TargetError`.
    """
    started = time.monotonic()
    baseline = read_baseline(name, options.folder)
    limits = baseline.document.limits if options.recipe is None else options.recipe.gates
    target = _target(baseline, options.target)
    found = paired(baseline, given_runs(paths))
    first = (found.pairs[0].given if found.pairs else found.gone[0].given).folder
    work = Workspace(first.gate(name))
    check_writable(work.path)
    bench = BenchOptions(
        target=target,
        protocol=options.protocol or PROTOCOL,
        threads=options.threads,
        data=options.data,
        runtime=options.runtime,
    )
    plan = Plan(baseline, target, bench, work, progress)
    with folder_lock(work.path, f"another check against {name} is running"):
        if work.start(_identity(baseline, found, options, target)):
            progress.info("resuming the check that was interrupted")
        evidence = [Evidence(pair) for pair in found.pairs]
        _measure(plan, evidence, limits, options, started)
        document = _document(plan, evidence, found, limits, time.monotonic() - started)
        document.write(work.result)
        work.finish()
    return document


def _target(baseline: Baseline, asked: str | None) -> str:
    known = baseline.targets
    if asked is None and len(known) > 1:
        raise InputError(
            "the baseline was measured on several targets", hint=f"choose one: --target {' or --target '.join(known)}"
        )
    if asked is not None and asked not in known:
        raise InputError(
            f"the baseline was not measured on {asked}",
            where=str(baseline.path),
            hint=f"it was measured on {', '.join(known)}; measure it on {asked} and save it again",
        )
    return asked or known[0]


def _identity(baseline: Baseline, found: Pairing, options: GateOptions, target: str) -> object:
    """What an interrupted check must have in common with the one that resumes it."""
    return [
        baseline.document.to_dict(),
        [(str(pair.path), pair.export.sha256, pair.run.folder, pair.file.key) for pair in found.pairs],
        target,
        options.protocol,
        options.threads,
        options.runtime,
        options.latency,
        None if options.data is None else str(options.data),
    ]


def _measure(plan: Plan, evidence: list[Evidence], limits: Gates, options: GateOptions, started: float) -> None:
    together = _together(plan, evidence, options)
    alone = [one for one in evidence if not one.together]
    first_s = 0.0
    if together:
        begun = time.monotonic()
        results = measure_session(plan, together, 1, None)
        first_s = time.monotonic() - begun
        if limits.max_memory_increase is not None or limits.max_energy_increase is not None:
            repeat_memory_and_energy(plan, together)
        for place, member in enumerate(together):
            _compare(plan, member.evidence, results[2 * place], results[2 * place + 1])
    if alone:
        for one, result in zip(alone, score(plan, alone)):
            _compare(plan, one, result, None)
        if options.latency and limits.max_memory_increase is not None:
            repeat_memory(plan, [one for one in alone if one.memory[1]])
    if together:
        _measure_again(plan, together, limits, options.time_limit_s - (time.monotonic() - started), first_s)


def _together(plan: Plan, evidence: list[Evidence], options: GateOptions) -> list[Together]:
    """The pairs that are measured interleaved: the baseline's own file is here, and not the same as the new one."""
    found = []
    named = None if options.baseline_files is None else expanded(options.baseline_files)
    if named is not None and not named.is_dir():
        raise InputError("this folder does not exist", where=str(named))
    for one in evidence:
        if not options.latency:
            one.reasons |= dict.fromkeys(("latency", "memory"), "left out with --no-latency")
            continue
        file = find_file(plan.baseline, one.pair, named, plan.work.baseline / "files")
        if file is None:
            one.reasons["latency"] = NO_FILE
        elif not one.pair.same_file:
            unpacked = plan.work.unpack(plan.baseline, one.pair, file, plan.options.data)
            one.together = True
            found.append(Together(one, unpacked))
    return found


def _compare(plan: Plan, one: Evidence, new: BenchResult, baseline: BenchResult | None) -> None:
    """The predictions of a pair; without the baseline's file also what else of the stored result can be compared."""
    pair = one.pair
    stored = plan.baseline.run(pair.run).dataset.classes
    saved = plan.bench_of(pair)
    content = None
    if saved is not None and saved.accuracy is not None:
        content = saved, plan.baseline.predictions(pair.run, pair.file, plan.target)
    images = plan.work.images(plan.baseline, pair), stored
    compare_predictions(one, new, baseline, content, images, plan.work.baseline / "predictions.npz")
    if baseline is not None or pair.same_file:
        return
    memory = None if saved is None else saved.memory
    if saved is None or memory is None:
        one.reasons.setdefault("memory", "it was not measured for the baseline")
    elif new.bench.runtime != saved.runtime or not _same_machine(new.bench, saved):
        one.reasons.setdefault("memory", "the baseline was measured with another runtime, Python or processor")
    elif "memory" not in one.reasons:
        one.memory[1].append(float(memory.model_rss_bytes))
        one.memory_threads = memory.threads


def _same_machine(new: BenchDocument, old: BenchDocument) -> bool:
    now, then = new.environment.before, old.environment.before
    return (now.cpu, now.python, now.os, now.userland_bits) == (then.cpu, then.python, then.os, then.userland_bits)


def _measure_again(plan: Plan, together: list[Together], limits: Gates, left_s: float, first_s: float) -> None:
    """Sessions of the pairs whose latency is undecided, while there is time."""
    end = time.monotonic() + left_s
    per_pair_s = first_s / len(together)
    for number in range(2, MOST_SESSIONS + 1):
        open_pairs = [(one, threads) for one in together if (threads := undecided_latency(one.evidence, limits))]
        if not open_pairs:
            return
        expected_s = per_pair_s * len(open_pairs)
        if time.monotonic() + expected_s > end:
            plan.progress.info(f"no time for another session of about {expected_s:.0f} s (--time-limit)")
            return
        names = ", ".join(one.evidence.pair.id for one, _ in open_pairs)
        plan.progress.info(f"the latency of {names} is undecided; measuring again (session {number})")
        counts = sorted({count for _, threads in open_pairs for count in threads})
        measure_session(plan, [one for one, _ in open_pairs], number, tuple(counts))


def _document(plan: Plan, evidence: Sequence[Evidence], found: Pairing, limits: Gates, seconds: float) -> GateCheck:
    files = [checked_file(one, limits) for one in evidence] + [gone_file(gone) for gone in found.gone]
    notes = dict.fromkeys([*found.notes, *(note for one in evidence for note in one.notes)])
    return GateCheck(
        name=plan.baseline.document.name,
        outcome=worst([file.outcome for file in files]),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        edgekit_version=__version__,
        baseline_created=plan.baseline.document.created,
        target=plan.target,
        protocol=plan.options.protocol if any(one.looks for one in evidence) else None,
        seconds=seconds,
        limits=limits,
        files=tuple(files),
        notes=tuple(notes),
    )
