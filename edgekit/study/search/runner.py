"""A search from start to end; every step leaves its result on disk before the next."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgekit.data.loading import open_dataset
from edgekit.documents.study import CandidateRecord, RoundRecord, SearchDocument, SearchRecord
from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import Constraint, Recipe, other_work
from edgekit.recipe.redaction import redact_paths
from edgekit.render.text import plural
from edgekit.study.benchmarking import measure, warn_of_unreachable
from edgekit.study.executors import Executor, open_executor
from edgekit.study.folder import Study
from edgekit.study.leak_audit import audit_study
from edgekit.study.runner import StudyResult
from edgekit.study.scheduler import Scheduler
from edgekit.study.search.candidates import candidates, too_large, too_slow
from edgekit.study.search.halving import affordable, kept, preferred, round_recipe, shares
from edgekit.study.search.probe import probe, probe_recipe, write_noise
from edgekit.support.locks import LOCK_FILE, folder_lock
from edgekit.support.os_errors import check_writable
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import WEB
from edgekit.targets.local import LOCAL
from edgekit.targets.lookup import get_target

SEARCH_FILE = "choose.json"
FINAL = "final"
WAVES = 2
ALLOWED_POINTS = 1.0
"""Points that a network may be behind the best one, where no limit says so."""


def choose(
    recipe: Recipe,
    out: Path,
    limits: Constraint,
    *,
    target: str = LOCAL,
    time_limit_s: float | None = None,
    jobs: int = 1,
    quiet: bool = False,
    progress: Progress = SILENT,
) -> StudyResult:
    """Search for the network to deploy on ``target`` within ``limits``, or resume the search in ``out``.

    The result is the study of the finalists in ``out/final``, whose report recommends an exported file. When
    ``time_limit_s`` (seconds, over all commands that worked on the search) does not allow all rounds, fewer candidates
    are trained; the best one is always trained to the end.

    Raises :class:`InputError` if the search in ``out`` was started with other settings, and :class:`EdgekitError` if no
    network can meet the limits.
    """
    get_target(target)
    if recipe.model.weights not in ("imagenet", "none"):
        raise InputError(
            "a search over backbones and widths cannot use the weights of one network",
            where="model.weights",
            hint="use imagenet or none",
        )
    check_writable(out)
    recipe = recipe.model_copy(update={"constraints": [limits]})
    with folder_lock(out, "another edgekit choose is working on this search"):
        search = _Search.open(recipe, out, limits, target, time_limit_s, progress)
        with open_executor("local", jobs) as pool:
            return search.run(pool, jobs, quiet=quiet)


class _Search:
    def __init__(self, recipe: Recipe, out: Path, document: SearchDocument, progress: Progress) -> None:
        self.recipe, self.out, self.document, self.progress = recipe, out, document, progress
        self._started, self._before = time.monotonic(), document.search.seconds

    @classmethod
    def open(
        cls, recipe: Recipe, out: Path, limits: Constraint, target: str, time_limit_s: float | None, progress: Progress
    ) -> _Search:
        file = out / SEARCH_FILE
        if file.is_file():
            known = SearchDocument.read(file)
            _check_same(known, recipe, limits, target, out)
            search = known.search.model_copy(update={"time_limit_s": time_limit_s})
            return cls(recipe, out, known.model_copy(update={"search": search}), progress)
        if out.is_dir() and any(path.name != LOCK_FILE for path in out.iterdir()):
            raise InputError(
                "this folder is not empty and is not a search", where=str(out), hint="choose another --out folder"
            )
        found = [
            candidate.model_copy(update={"dropped": too_large(candidate, recipe, limits)})
            for candidate in candidates(recipe)
        ]
        search = SearchRecord(target=target, limits=limits, time_limit_s=time_limit_s, candidates=tuple(found))
        document = SearchDocument(
            name=recipe.name,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            recipe=redact_paths(recipe),
            search=search,
        )
        return cls(recipe, out, document, progress)

    @property
    def search(self) -> SearchRecord:
        return self.document.search

    @property
    def left(self) -> list[CandidateRecord]:
        """The candidates that were not dropped."""
        return [candidate for candidate in self.search.candidates if candidate.dropped is None]

    def run(self, pool: Executor, jobs: int, *, quiet: bool) -> StudyResult:
        self._save()
        self.progress.info(plural(len(self.search.candidates), "candidate"))
        if not self.document.probes:
            self._tell_dropped(self.search.candidates)
        self._probe(pool, jobs, quiet=quiet)
        if not self.left:
            raise EdgekitError(
                "no network can meet these limits",
                where=str(self.out / SEARCH_FILE),
                hint=f"allow more, or search smaller networks (choose.alphas, choose.image_sizes); {self._nearest()}",
            )
        self._plan_rounds()
        for number, current in enumerate(self.search.rounds[:-1]):
            if not current.done:
                self._round(number, pool, jobs, quiet=quiet)
        return self._final(pool, jobs, quiet=quiet)

    def _probe(self, pool: Executor, jobs: int, *, quiet: bool) -> None:
        """First the smallest network of each backbone; larger ones only where that one is fast enough."""
        if self.document.probes == WAVES:
            return
        classes = len(open_dataset(self.recipe.data, progress=self.progress).classes)
        images = write_noise(self.out / "noise", classes)
        for wave in range(self.document.probes + 1, WAVES + 1):
            waiting = [candidate for candidate in self.left if not candidate.files]
            if wave == 1:
                waiting = list({candidate.backbone: candidate for candidate in reversed(waiting)}.values())[::-1]
            else:
                probed = [candidate for candidate in self.search.candidates if candidate.files]
                reasons = {c.title: too_slow(c, probed, self.search.limits) for c in waiting}
                self._replace([c.model_copy(update={"dropped": reasons[c.title]}) for c in waiting])
                waiting = [candidate for candidate in waiting if reasons[candidate.title] is None]
            if waiting:
                self.progress.info(f"\nprobing {plural(len(waiting), 'untrained network')} on {self.search.target}")
                self._probe_wave(wave, waiting, images, pool, jobs, quiet=quiet)
            self.document = self.document.model_copy(update={"probes": wave})
            self._save()

    def _probe_wave(
        self, wave: int, waiting: list[CandidateRecord], images: Path, pool: Executor, jobs: int, *, quiet: bool
    ) -> None:
        search = self.search
        found = probe(
            self.out / f"probe-{wave}",
            probe_recipe(self.recipe, waiting, images, search.limits.threads),
            waiting,
            search.limits,
            search.target,
            pool,
            jobs,
            quiet=quiet,
            progress=self.progress,
        )
        self._replace(found)
        self._tell_dropped(found)

    def _plan_rounds(self) -> None:
        if self.search.rounds:
            return
        planned = shares(len(self.left), self.recipe.choose.finalists)
        rounds = [RoundRecord(share=share, members=()) for share in planned]
        rounds[0] = rounds[0].model_copy(update={"members": tuple(candidate.title for candidate in self.left)})
        self._update(rounds=tuple(rounds))

    def _round(self, number: int, pool: Executor, jobs: int, *, quiet: bool) -> None:
        """Train the members of a round and keep the better half of them for the next."""
        rounds = list(self.search.rounds)
        current, following = rounds[number], rounds[number + 1]
        members = [candidate for candidate in self.left if candidate.title in current.members]
        self.progress.info(
            f"\nround {number + 1} of {len(rounds)}: {plural(len(members), 'network')}, "
            f"{current.share:.0%} of the epochs"
        )
        study = Study.open(self.out / f"round-{number + 1}", round_recipe(self.recipe, members, current.share))
        Scheduler(study, pool, jobs, 1, quiet=quiet, progress=self.progress, exports=False).run()
        found = [_trained(study, candidate, number) for candidate in members]
        alive = [candidate for candidate in found if candidate.dropped is None]
        if not alive:
            raise EdgekitError("no network could be trained", where=str(study.file), hint=study.cells[0].error)
        points = self.search.limits.max_points_lost
        keep = max(self.recipe.choose.finalists, (len(alive) + 1) // 2)
        chosen = kept(alive, keep, ALLOWED_POINTS if points is None else points)
        found = _dropped(found, chosen, f"round {number + 1}")
        if self.search.time_limit_s is not None:
            left_s = self.search.time_limit_s - self._seconds()
            shares_left = [one.share for one in rounds[number + 1 :]]
            within = chosen[: affordable(chosen, current.share, shares_left, left_s)]
            found = _dropped(found, within, "the time limit")
            chosen = within
        rounds[number] = current.model_copy(update={"done": True})
        rounds[number + 1] = following.model_copy(update={"members": tuple(c.title for c in chosen)})
        self._replace(found, rounds=tuple(rounds))
        self._tell_dropped(found)

    def _final(self, pool: Executor, jobs: int, *, quiet: bool) -> StudyResult:
        last = self.search.rounds[-1]
        members = [candidate for candidate in self.left if candidate.title in last.members]
        self.progress.info(f"\nlast round: {plural(len(members), 'network')}, all epochs")
        study = Study.open(self.out / FINAL, round_recipe(self.recipe, members, 1.0))
        target = self.search.target
        study.search = self.search
        study.save()
        warn_of_unreachable(study, [target], self.progress)
        audit_study(self.recipe, study.path, self.progress)
        Scheduler(study, pool, jobs, 1, quiet=quiet, progress=self.progress).run()
        exported = [cell for cell in study.cells if cell.status == "exported"]
        if not exported:
            raise EdgekitError("no finalist succeeded", where=str(study.file), hint=study.cells[0].error)
        self._replace([_trained(study, candidate, len(self.search.rounds) - 1) for candidate in members])
        tune = self.recipe.choose.tune and target != WEB and not self._emulated
        unreachable = measure(study, exported, [target], tune=tune, quiet=quiet, progress=self.progress)
        self._update(rounds=(*self.search.rounds[:-1], last.model_copy(update={"done": True})))
        study.search = self.search
        study.save()
        return StudyResult(study.path, study.document(), unreachable)

    @property
    def _emulated(self) -> bool:
        """Whether the target gave no latencies that count."""
        return all(file.latency_ms is None for candidate in self.left for file in candidate.files)

    def _nearest(self) -> str:
        """The candidate that comes closest, for the message that none is left."""
        probed = [(file, c) for c in self.search.candidates for file in c.files if file.latency_ms is not None]
        if not probed:
            return "none was small enough to be probed"
        file, candidate = min(probed, key=lambda pair: (len(pair[0].fails), pair[0].latency_ms or 0.0))
        return f"nearest: {candidate.title} {file.key} with {file.latency_ms:.3g} ms and {file.size_mb:.3g} MB"

    def _tell_dropped(self, found: Sequence[CandidateRecord]) -> None:
        for candidate in found:
            if candidate.dropped is not None:
                self.progress.info(f"dropped {candidate.title}: {candidate.dropped}")

    def _replace(self, found: Sequence[CandidateRecord], rounds: tuple[RoundRecord, ...] | None = None) -> None:
        new = {candidate.title: candidate for candidate in found}
        merged = tuple(new.get(candidate.title, candidate) for candidate in self.search.candidates)
        self._update(candidates=merged, **({} if rounds is None else {"rounds": rounds}))

    def _update(self, **changes: object) -> None:
        search = self.search.model_copy(update=changes)
        self.document = self.document.model_copy(update={"search": search})
        self._save()

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _save(self) -> None:
        search = self.search.model_copy(update={"seconds": self._seconds()})
        self.document = self.document.model_copy(update={"search": search})
        self.document.write(self.out / SEARCH_FILE)


def _trained(study: Study, candidate: CandidateRecord, number: int) -> CandidateRecord:
    """``candidate`` with its accuracy on the validation images after the round ``number``, and the time it took."""
    cell = next(c for c in study.cells if (c.backbone, c.arm) == (candidate.backbone, candidate.arm))
    if not cell.is_trained:
        return candidate.model_copy(update={"dropped": f"its training failed: {cell.error}"})
    metrics = study.folder(cell).read_finished_run().metrics
    accuracies = (*candidate.accuracies[:number], metrics["val"].accuracy)
    return candidate.model_copy(update={"accuracies": accuracies, "seconds": cell.seconds or 0.0})


def _dropped(found: Sequence[CandidateRecord], chosen: Sequence[CandidateRecord], when: str) -> list[CandidateRecord]:
    """``found``, where each that is not among ``chosen`` says when and why it was dropped."""
    titles = {candidate.title for candidate in chosen}
    return [
        candidate
        if candidate.dropped is not None or candidate.title in titles
        else candidate.model_copy(update={"dropped": f"{when}: {preferred(candidate, chosen)}"})
        for candidate in found
    ]


def _check_same(known: SearchDocument, recipe: Recipe, limits: Constraint, target: str, out: Path) -> None:
    changed = other_work(known.recipe.document(), redact_paths(recipe).document())
    changed += ["choose"] if known.recipe.choose != recipe.choose else []
    changed += ["the limits"] if known.search.limits != limits else []
    changed += ["the target"] if known.search.target != target else []
    if changed:
        raise InputError(
            f"this search was started with other settings; changed: {', '.join(changed)}",
            where=str(out),
            hint=f"restore them, or start another search: --out {shlex.quote(str(out))}-2",
        )
