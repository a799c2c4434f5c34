"""`edgekit bench`: every file measured alike in one session, results beside the runs they belong to."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.bench.agreement import HostAnswers, agreement
from edgekit.bench.energy_and_sustained import measure_energy, measure_sustained
from edgekit.bench.evaluation_images import ImageSet, image_sets
from edgekit.bench.measure import LatencySession, Predictions, measure_accuracy, measure_latency, measure_memory
from edgekit.bench.model_inspection import inspected, with_runtime, with_target_runtime
from edgekit.bench.models import Candidate, ForeignOptions, collect
from edgekit.bench.operator_profile import measure_profile
from edgekit.bench.protocols import BenchProtocol, get_protocol
from edgekit.documents.base import write_json
from edgekit.documents.bench import BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.support.files import atomic_path
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target


@dataclass(frozen=True)
class BenchOptions:
    """What a person chose; None: as in the recipe of the runs, or the default."""

    target: str = LOCAL
    protocol: str | None = None
    threads: tuple[int, ...] | None = None
    data: Path | None = None
    images: int | None = None
    runtime: str | None = None
    seed: int = 0
    sustained_s: float | None = None
    profile: bool = False
    foreign: ForeignOptions = field(default_factory=ForeignOptions)


def bench(
    paths: Sequence[Path], options: BenchOptions, progress: Progress = SILENT, host: HostAnswers | None = None
) -> list[BenchResult]:
    """Measure every file that ``paths`` stand for, interleaved, and write one document each.

    Everything that can be refused is refused before the first measurement. A file whose output is not finite has
    a document with ``status: failed``. ``host`` shares this machine's own answers among several targets. Raises
    :class:`InputError` and :class:`TargetError`.
    """
    with contextlib.closing(get_target(options.target, progress)) as target:
        return bench_on(target, paths, options, progress, host)


def bench_on(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress, host: HostAnswers | None
) -> list[BenchResult]:
    """:func:`bench` on a target that is open."""
    candidates, sets, session = _measure(target, paths, options, progress)
    target.close()  # it is free for others while this machine answers
    here = {} if target.name == LOCAL else (host or HostAnswers()).of(candidates, sets, progress)
    return [session.write(candidate, sets.get(candidate.id), here.get(candidate.id)) for candidate in candidates]


def _measure(
    target: Target, paths: Sequence[Path], options: BenchOptions, progress: Progress
) -> tuple[list[Candidate], dict[str, ImageSet], _Session]:
    found = collect(paths, options.foreign, progress)
    protocol, threads = _settings(found, options, target)
    found = with_runtime(with_target_runtime(found, target.runtime), options.runtime)
    candidates, cores = inspected(target, found, scored=options.data is not None)
    sets = image_sets(candidates, options.data, _limit(candidates, options), progress)
    threads = list(dict.fromkeys(count or cores for count in threads))
    sessions = [measure_latency(target, candidates, sets, protocol, n, options.seed, progress) for n in threads]
    memory = measure_memory(target, candidates, threads[0], progress)
    extras = {"energy": measure_energy(target, candidates, protocol, threads[0])}
    if options.sustained_s is not None:
        extras["sustained"] = measure_sustained(target, candidates, sets, options.sustained_s, threads[-1], progress)
    if options.profile:
        extras["profile"] = measure_profile(target, candidates, protocol, threads[0], progress)
    predictions, failed = measure_accuracy(target, candidates, sets, progress)
    return candidates, sets, _Session(target.name, protocol, sessions, memory, predictions, failed, extras)


def _settings(
    candidates: Sequence[Candidate], options: BenchOptions, target: Target
) -> tuple[BenchProtocol, list[int]]:
    """Protocol and thread counts: the options', else the target's, else those that the recipes of all runs agree on."""
    recipes = [candidate.run["recipe"].get("bench", {}) for candidate in candidates if candidate.run is not None]
    protocols = {recipe["protocol"] for recipe in recipes if "protocol" in recipe}
    threads = {tuple(recipe["threads"]) for recipe in recipes if "threads" in recipe}
    chosen_threads = options.threads or target.threads
    for name, chosen, found in (("protocol", options.protocol, protocols), ("threads", chosen_threads, threads)):
        if chosen is None and len(found) > 1:
            raise InputError(
                f"the recipes of these runs ask for different values of bench.{name}", hint=f"give one: --{name}"
            )
    counts = chosen_threads or next(iter(threads), (1, 0))
    if any(count < 0 for count in counts):
        raise InputError("a number of threads is 1 or more, or 0 for all cores")
    return get_protocol(options.protocol or next(iter(protocols), "standard")), list(counts)


def _limit(candidates: Sequence[Candidate], options: BenchOptions) -> int | None:
    if options.images is not None:
        return options.images
    limits = [c.run["recipe"].get("bench", {}).get("images") for c in candidates if c.run is not None]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


class _Session:
    """Everything measured at one time, and the documents it becomes."""

    def __init__(
        self,
        target: str,
        protocol: BenchProtocol,
        sessions: list[LatencySession],
        memory: dict[str, dict[str, Any]],
        predictions: dict[str, Predictions],
        failed: dict[str, str],
        extras: dict[str, dict[str, dict[str, Any]]],
    ) -> None:
        self._target = target
        self._protocol = protocol
        self._sessions = sessions
        self._memory = memory
        self._predictions = predictions
        self._extras = extras
        self._failed = {**failed, **{key: reason for s in sessions for key, reason in s.failed.items()}}
        self._id = uuid.uuid4().hex
        self._created = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def write(self, candidate: Candidate, images: ImageSet | None, here: Predictions | None) -> BenchResult:
        """Write the document of ``candidate`` and its predictions; what was there before is replaced.

        ``here``: what this machine answers for the same file and images, where the target is another.
        """
        path = candidate.document_path(self._target)
        document = self._document(candidate)
        if candidate.id in self._predictions and images is not None:
            document["accuracy"] = self._accuracy(candidate, images, path)
            if here is not None:
                document["accuracy"]["agreement_with_host"] = agreement(self._predictions[candidate.id], here, images)
        write_json(path, document)
        return BenchResult.read(path)

    def _document(self, candidate: Candidate) -> dict[str, Any]:
        run = candidate.run or {}
        before, after = self._sessions[0].before, self._sessions[-1].after
        problem = self._failed.get(candidate.id)
        return {
            "status": "ok" if problem is None else "failed",
            "problems": [] if problem is None else [problem],
            **{name: run.get(name) for name in ("run_id", "backbone", "alpha", "strategy", "seed")},
            "format": candidate.format,
            "scheme": candidate.scheme,
            "key": candidate.key,
            "id": candidate.id,
            "model": str(candidate.path),
            "size_bytes": candidate.size_bytes,
            "gzip_bytes": candidate.gzip_bytes,
            "sha256": candidate.sha256,
            "operators": candidate.operators,
            "target": self._target,
            "emulated": before["emulated"] is not None,
            "session_id": self._id,
            "created": self._created,
            "runtime": next((s.runtimes[candidate.id] for s in self._sessions if candidate.id in s.runtimes), None),
            "protocol": self._protocol.document(),
            "latency": [s.entries[candidate.id] for s in self._sessions if candidate.id in s.entries],
            "memory": self._memory.get(candidate.id),
            "accuracy": None,
            **{name: found.get(candidate.id) for name, found in self._extras.items()},
            "control": [session.control for session in self._sessions if session.control is not None],
            "environment": {"before": _plain(before), "after": _plain(after)},
            "warnings": [],
        }

    def _accuracy(self, candidate: Candidate, images: ImageSet, path: Path) -> dict[str, Any]:
        answer = self._predictions[candidate.id]
        name = f"{candidate.key}-predictions.npz"
        with atomic_path(path.parent / name) as temporary:
            np.savez_compressed(
                temporary, labels=images.labels, probabilities=answer.probabilities, files=np.array(images.files)
            )
        guesses = answer.probabilities.argmax(axis=1)
        return {
            "accuracy": float((guesses == images.labels).mean()),
            "n_samples": len(images.labels),
            "n_correct": int((guesses == images.labels).sum()),
            "split": "test",
            "decoder": answer.decoder,
            "activation": answer.activation,
            "agreement_with_keras": None if candidate.run is None else _agreement(candidate, images, guesses),
            "predictions": name,
        }


def _agreement(candidate: Candidate, images: ImageSet, guesses: NDArray[np.int64]) -> float | None:
    """Share of images with the same top class as the Keras model's own predictions; None where there are none."""
    path = RunFolder(candidate.folder).predictions
    if not path.is_file():
        return None
    with np.load(path) as stored:
        keras = dict(zip(stored["files"].tolist(), stored["probabilities"].argmax(axis=1).tolist()))
    same = [keras[file] == guess for file, guess in zip(images.files, guesses.tolist()) if file in keras]
    return sum(same) / len(same) if same else None


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in {"event", "when"}}
