"""Tuning of all files of a benchmark, after everything else was measured."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime, timezone

from edgekit.bench.accuracy import Predictions, measure_accuracy
from edgekit.bench.inspection import opens
from edgekit.bench.latency import MeasuredLatency
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.results import SessionPlan, SessionResults
from edgekit.bench.tuning.candidates import Candidate
from edgekit.bench.tuning.confirmation import Duel, confirmation_plan, in_groups
from edgekit.bench.tuning.search import Search, SearchPlan
from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.device.runtime_table import runtimes_for
from edgekit.documents.latency import Latency, ProtocolRecord
from edgekit.documents.tuning import TuningRecord
from edgekit.render.text import plural
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

TOTAL = 3.0
"""A bench with tuning costs at most so many times one without."""

LEAST = 0.5
"""The share of a plain bench that the search may cost where the confirmation takes the rest."""

SHORT_ROUNDS = 6
"""Rounds of a process of the confirmation where the bench measured one thread setting only."""

MEMORY_SHARE = 0.5
"""Of the memory that is available, what opened copies of files may take."""

CHECKED = 3
"""How many runtimes with options have their predictions checked, at most. Threads do not change them."""


def tune(target: Target, results: SessionResults, seed: int, progress: Progress) -> Iterator[None]:
    """Search, check and confirm; yields between measurements. Fills ``results.tuning``."""
    tuning = _Tuning(target, results, seed, progress)
    yield from tuning.search_all()
    yield from tuning.confirm_all()


class _Tuning:
    def __init__(self, target: Target, results: SessionResults, seed: int, progress: Progress) -> None:
        self.target, self.results, self.seed, self.progress = target, results, seed, progress
        self.searches: dict[str, Search] = {}
        self.duels: list[Duel] = []

    @property
    def plan(self) -> SessionPlan:
        return self.results.plan

    @property
    def models(self) -> list[MeasuredModel]:
        """The files that ran."""
        return [model for model in self.plan.models if self.results.latency_of(model)]

    def search_all(self) -> Iterator[None]:
        runtimes = self._runtimes()
        yield
        for model in self.models:
            search = Search(self._search_plan(model, runtimes))
            yield from search.run(self.target, self.progress)
            self.searches[model.id] = search
            yield from self._check(model, search)

    def confirm_all(self) -> Iterator[None]:
        protocol = self._protocol()
        need = {model: record.model_rss_bytes for model, record in self.results.memory.items()}
        for number, group in enumerate(in_groups(self.duels, need, self._free_bytes())):
            plan = confirmation_plan(
                group, self.plan.images, protocol, self.plan.machine.cores, self.seed + 1000 + number
            )
            measured = MeasuredLatency(plan)
            yield from measured.measure(self.target, self.progress, title="confirming settings")
            for duel in group:
                self._confirmed(duel, measured)
        for model in self.models:
            if model.id not in self.results.tuning:
                self._write(model, None, None)

    def _runtimes(self) -> list[str]:
        """The runtimes that work on the target."""
        events = self.target.run(PROBE, ProbeJob(models=[], load_runtimes=True))
        return [event["name"] for event in events if event["event"] == "runtime" and event["error"] is None]

    def _search_plan(self, model: MeasuredModel, working: list[str]) -> SearchPlan:
        able = [one for one in runtimes_for(model.format) if one.name in working and not one.simulated]
        runtimes = [one.name for one in able if one.default or opens(self.target, replace(model, runtime=one.name))]
        default = self._default(model)
        all_cores = self.results.latency_of(model)[-1]
        memory, free = self.results.memory.get(model.id), self._free_bytes()
        fit = 64 if memory is None or free is None else free // max(1, memory.model_rss_bytes)
        return SearchPlan(
            model=model,
            default=default,
            runtimes=[default.runtime] if model.runtime is not None else runtimes,
            cores=self.plan.machine.cores,
            budget_ns=self._share * sum(_cost_ns(latency) for latency in self.results.latency_of(model)),
            load_ns=all_cores.load_ns,
            run_ns=1e6 * all_cores.round_median_ms,
            opened_at_once=max(2, int(fit)),
            rate_hz=self.plan.protocol.rate_hz,
            seed=self.seed,
        )

    def _default(self, model: MeasuredModel) -> Candidate:
        """What runs a file where nothing is set: the first runtime, with all cores."""
        return Candidate(self.plan.machine.runtimes[model.id].name, self.plan.machine.cores)

    @property
    def _share(self) -> float:
        """How much of a plain bench the search may cost, so that all of it stays within :data:`TOTAL`."""
        files, counts = len(self.models), len(self.plan.threads)
        plain = counts * (files + min(3, files))
        confirmation = (2 * files + min(3, 2 * files)) * self._protocol().rounds / self.plan.protocol.rounds
        return max(LEAST, TOTAL - 1 - confirmation / plain) * (files + min(3, files)) / files

    def _protocol(self) -> ProtocolRecord:
        protocol = self.plan.protocol.model_copy(update={"cache_test": False})
        if len(self.plan.threads) > 1:
            return protocol
        return protocol.model_copy(update={"rounds": min(SHORT_ROUNDS, protocol.rounds)})

    def _free_bytes(self) -> int | None:
        now = self.plan.machine.environment
        free = now.memory_available_bytes or now.memory_total_bytes
        return None if free is None else int(MEMORY_SHARE * free)

    def _check(self, model: MeasuredModel, search: Search) -> Iterator[None]:
        """The fastest setting with the predictions of the default becomes the one that is confirmed."""
        default = search.plan.default
        expected = self.results.accuracy.predictions.get(model.id)
        wrong: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {(default.runtime, default.options): 0}
        for candidate in search.winners():
            kernels = (candidate.runtime, candidate.options)
            if kernels not in wrong and len(wrong) > CHECKED:
                search.dropped[candidate] = "its predictions were not checked"
                continue
            if kernels not in wrong:
                here = yield from self._predictions(candidate.applied(model), model.id)
                wrong[kernels] = 0 if here is None or expected is None else _n_different(here, expected)
            if not wrong[kernels]:
                self.duels.append(Duel(model, candidate, default))
                return
            search.dropped[candidate] = f"predicts another class for {plural(wrong[kernels], 'image')}"

    def _predictions(self, model: MeasuredModel, of: str) -> Generator[None, None, Predictions | None]:
        images = self.plan.images.get(of)
        if images is None:
            return None
        found = measure_accuracy(self.target, [model], {model.id: images}, self.progress)
        yield
        return found.predictions.get(model.id)

    def _confirmed(self, duel: Duel, measured: MeasuredLatency) -> None:
        predictions = self.results.accuracy.predictions.get(duel.model.id)
        for model in (duel.default_model, duel.tuned_model):
            measured.check_answers(model.id, predictions)
        self._write(duel.model, duel, measured)

    def _write(self, model: MeasuredModel, duel: Duel | None, measured: MeasuredLatency | None) -> None:
        search = self.searches[model.id]
        tuned = default = None
        if duel is not None and measured is not None:  # that threads do not help is for the ratio to say
            tuned = measured.latency(duel.tuned_model.id, threads_must_help=False)
            default = measured.latency(duel.default_model.id, threads_must_help=False)
        if duel is not None and measured is not None and self._differ(duel, measured, tuned):
            search.dropped[duel.found] = "its timed runs predicted other classes than those of the default"
            duel = tuned = default = None
        images = self.plan.images.get(model.id)
        self.results.tuning[model.id] = TuningRecord(
            default=self._default(model).record(),
            found=None if duel is None else duel.found.record(),
            tried=search.tried(None if duel is None else duel.found),
            confirmation=tuned,
            reference=default,
            controls=() if measured is None or duel is None else tuple(measured.controls()),
            n_images=0 if images is None else len(images.files),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _differ(self, duel: Duel, measured: MeasuredLatency, tuned: Latency | None) -> bool:
        """Whether timed runs said something else: judged by stored predictions, or without images by each other."""
        if tuned is None:
            return True
        if duel.model.id in self.plan.images or not _may_differ(duel.found, duel.default):
            return False
        return measured.n_differing(duel.tuned_model.id, duel.default_model.id) > 0


def _may_differ(one: Candidate, other: Candidate) -> bool:
    """Whether the settings run other kernels; the answers of timed runs are compared in any case."""
    return (one.runtime, one.options) != (other.runtime, other.options)


def _n_different(one: Predictions, other: Predictions) -> int:
    return int((one.probabilities.argmax(axis=1) != other.probabilities.argmax(axis=1)).sum())


def _cost_ns(latency: Latency) -> float:
    """How long the processes of a measurement took, without what lies between the runs."""
    return float(
        sum(
            process.load_ns + process.first_ns + sum(process.warmup_ns) + sum(process.samples_ns)
            for process in latency.processes
        )
    )
