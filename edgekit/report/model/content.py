"""Everything one report says, in one place: the HTML shows it, report.json stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.documents.profile import read_profile
from edgekit.report.model.claim_verdicts import JudgedClaim, judged_claims, recipe_of
from edgekit.report.model.classes import ClassComparison, class_comparisons
from edgekit.report.model.corruption_figures import figures, pairs
from edgekit.report.model.corruption_rows import Robustness, robustness
from edgekit.report.model.efficiency import EfficiencyRow, EqualTerms, choose, efficiency, equal_terms
from edgekit.report.model.groups import Group, front, grouped
from edgekit.report.model.leaks import AuditView, audit_view
from edgekit.report.model.learning import Learning, learning
from edgekit.report.model.notes import limits, missing, warnings
from edgekit.report.model.ranking import AccuracyRanking, accuracy_ranking
from edgekit.report.model.reading import RunData, Source
from edgekit.report.model.rows import Candidate, Timing, candidates, model_title, run_score
from edgekit.report.model.sessions import noise_floors
from edgekit.report.model.target_facts import device_document
from edgekit.report.model.verdict import Finding, Winner, findings, thread_counts


@dataclass(frozen=True)
class Reported:
    """A published figure named in a recipe; never measured by edgekit."""

    model: str
    strategy: str
    """With the arm, as :func:`strategy_title` gives it."""
    accuracy: float | None
    n_samples: int
    ci95: tuple[float, float] | None
    source: str
    val_accuracy: float | None
    val_ci95: tuple[float, float] | None
    """Where ``n_samples`` are the validation images, because there is no ``accuracy``."""
    loss: float | None
    val_loss: float | None
    train_seconds: float | None
    size_bytes: float | None
    """Of whatever file the source means."""

    @property
    def kind(self) -> tuple[str, str]:
        return self.model, self.strategy


@dataclass(frozen=True)
class Report:
    """The content of a report."""

    source: Source
    created: str
    edgekit_version: str
    candidates: list[Candidate]
    groups: list[Group]
    findings: list[Finding]
    limits: list[str]
    warnings: list[tuple[str, list[str]]]
    missing: list[tuple[str, str]]
    reported: list[Reported]
    robustness: Robustness | None
    claims: list[JudgedClaim]
    audit: AuditView | None
    efficiency: dict[str, list[EfficiencyRow]]
    """By target, with the fewest threads that were measured there; so is ``equal``."""
    equal: dict[str, EqualTerms]
    ranking: dict[str, AccuracyRanking]
    learning: Learning | None
    classes: list[ClassComparison]

    @property
    def runs(self) -> list[RunData]:
        return self.source.runs

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(c.target for c in self.candidates if c.target is not None))

    @property
    def threads(self) -> list[int]:
        return thread_counts(self.groups)

    @property
    def several_seeds(self) -> bool:
        return any(len(group.members) > 1 for group in self.groups)

    def of_target(self, target: str | None) -> list[Group]:
        return [group for group in self.groups if group.first.target == target]

    def front(self, target: str | None, threads: int) -> list[Group]:
        return front(self.of_target(target), threads)

    def on_front(self, candidate: Candidate) -> bool:
        """Whether its group is on the front of its target with the fewest threads."""
        threads = thread_counts(self.of_target(candidate.target))
        return bool(threads) and any(candidate in g.members for g in self.front(candidate.target, threads[0]))

    def _below(self, path: Path) -> str:
        return path.relative_to(self.source.path).as_posix()

    def document(self) -> dict[str, Any]:
        """What goes into ``report.json`` (beside ``schema_version``). Paths are below the folder it is about."""
        results = [c.result for c in self.candidates if c.result is not None]
        return {
            "kind": "run" if self.source.study is None else "study",
            "name": self.source.name,
            "created": self.created,
            "edgekit_version": self.edgekit_version,
            "verdict": [
                {
                    "question": finding.question,
                    "winners": [asdict(winner) for winner in finding.winners],
                    "figure": finding.figure,
                    "remark": finding.remark,
                }
                for finding in self.findings
            ],
            "limits": self.limits,
            "claims": [claim.document() for claim in self.claims],
            "reported": [asdict(row) for row in self.reported],
            "audit": self.audit
            and {
                "leaked_exact": self.audit.n_exact,
                "leaked_near": self.audit.n_near,
                "n_test": self.audit.n_test,
                "accuracies": [row.document() for row in self.audit.accuracies],
                "shortcuts": self.audit.document["shortcuts"],
            },
            "efficiency": {target: [row.document() for row in rows] for target, rows in self.efficiency.items()},
            "ranking": {target: ranking.document() for target, ranking in self.ranking.items()},
            "equal_terms": {target: terms.document() for target, terms in self.equal.items()},
            "learning_curves": None if self.learning is None else self.learning.document(),
            "class_differences": [comparison.document() for comparison in self.classes],
            "runs": [{**_run_document(run), "run_dir": self._below(run.folder.path)} for run in self.runs],
            "candidates": [
                {
                    **_candidate_document(c, on_front=self.on_front(c)),
                    "result": None if c.result is None else self._below(c.result.path),
                }
                for c in self.candidates
            ],
            "groups": [_group_document(g, on_front=self.on_front(g.first)) for g in self.groups]
            if self.several_seeds
            else [],
            "noise_floor": [
                {"session_id": session, "threads": threads, "model": model, **ratio.document()}
                | {"floor": [floor.low, floor.high]}
                for (session, threads), (model, ratio, floor) in noise_floors(results).items()
            ],
            "warnings": [{"text": text, "about": about} for text, about in self.warnings],
            "robustness": _robustness_document(self.runs),
            "robustness_of_files": [] if self.robustness is None else [d.document() for d in self.robustness.files],
            "robustness_of_arms": [] if self.robustness is None else [d.document() for d in self.robustness.arms],
            "missing": [{"text": text, "command": command} for text, command in self.missing],
        }


def compose(source: Source, created: str, edgekit_version: str) -> Report:
    """Everything the folder's documents say."""
    rows = candidates(source.runs)
    groups = grouped(rows)
    audit = audit_view(source.path, source.runs)
    targets = _by_target(groups)
    return Report(
        source=source,
        created=created,
        edgekit_version=edgekit_version,
        candidates=rows,
        groups=groups,
        findings=[*findings(source.runs, groups), *_choices(source, targets)],
        limits=limits(source, groups, audit.sentence if audit else None),
        warnings=warnings(source, rows),
        missing=missing(source, rows),
        reported=_reported(source),
        robustness=robustness(source.runs),
        claims=judged_claims(source, rows),
        audit=audit,
        efficiency={target: efficiency(members, threads) for target, (members, threads) in targets.items()},
        equal={t: found for t, (members, threads) in targets.items() if (found := equal_terms(members, threads))},
        ranking={t: ranked for t, (members, _) in targets.items() if (ranked := accuracy_ranking(members))},
        learning=learning(source.runs),
        classes=class_comparisons(groups),
    )


def _by_target(groups: Sequence[Group]) -> dict[str, tuple[list[Group], int]]:
    """The groups measured on each target, and the fewest threads they were measured with."""
    targets = list(dict.fromkeys(group.first.target for group in groups if group.first.target is not None))
    of = {target: [group for group in groups if group.first.target == target] for target in targets}
    return {target: (members, thread_counts(members)[0]) for target, members in of.items() if thread_counts(members)}


def _choices(source: Source, targets: dict[str, tuple[list[Group], int]]) -> list[Finding]:
    """The answers to the recipe's constraints, as lines of the verdict."""
    found = []
    for constraint in recipe_of(source).get("constraints", []):
        for target, (members, _) in targets.items():
            choice = choose(constraint, members, constraint["threads"])
            where = f" on {target}" if len(targets) > 1 else ""
            figure = "" if choice.winner else "none of them"
            remark = choice.remark
            if choice.nearest is not None:
                remark = f"nearest is {choice.nearest.title} (No. {choice.nearest.number}); {choice.remark}"
            winners = (Winner(choice.winner.title, choice.winner.number),) if choice.winner else ()
            found.append(Finding(f"{choice.question[0].upper()}{choice.question[1:]}{where}", winners, figure, remark))
    return found


def _robustness_document(runs: Sequence[RunData]) -> list[dict[str, Any]]:
    """For each run that was shown corrupted images, its figures."""
    return [
        {
            "run_id": run.document["run_id"],
            "models": [figures(a).model_dump(mode="json") for a in run.corrupted],
            "paired": [pair.model_dump(mode="json") for pair in pairs(run.corrupted)],
        }
        for run in runs
        if run.corrupted
    ]


def _reported(source: Source) -> list[Reported]:
    """The published figures of the recipe, each once, of the kinds of model that were trained."""
    trained = {_kind(run.document, run.document.get("recipe", {}).get("arm")) for run in source.runs}
    found: dict[tuple[Any, ...], Reported] = {}
    for entry in recipe_of(source).get("reported", []):
        if _kind(entry, entry.get("arm")) in trained:
            row = _reported_row(entry)
            found.setdefault((row.model, row.strategy, row.source), row)
    return list(found.values())


def _kind(entry: dict[str, Any], arm: str | None) -> tuple[Any, ...]:
    return entry["backbone"], entry["strategy"], arm


def _reported_row(entry: dict[str, Any]) -> Reported:
    from edgekit.stats.intervals import wilson_interval

    n, accuracy, val_accuracy = int(entry["n_samples"]), entry.get("accuracy"), entry.get("val_accuracy")
    arm = entry.get("arm")
    return Reported(
        model=model_title(entry),
        strategy=f"{entry['strategy']}, {arm}" if arm else entry["strategy"],
        accuracy=accuracy,
        n_samples=n,
        ci95=None if accuracy is None else wilson_interval(round(accuracy * n), n),
        source=str(entry["source"]),
        val_accuracy=val_accuracy,
        val_ci95=wilson_interval(round(val_accuracy * n), n) if accuracy is None and val_accuracy else None,
        loss=entry.get("loss"),
        val_loss=entry.get("val_loss"),
        train_seconds=entry.get("train_seconds"),
        size_bytes=None if entry.get("size_mb") is None else entry["size_mb"] * 1e6,
    )


def _run_document(run: RunData) -> dict[str, Any]:
    score = run_score(run)
    test = (run.document.get("metrics") or {}).get("test") or {}
    return {
        **{name: run.document[name] for name in ("run_id", "backbone", "strategy", "seed", "status")},
        "arm": run.document.get("recipe", {}).get("arm"),
        "accuracy": score and score.accuracy,
        "n_samples": score and score.n_samples,
        "accuracy_ci95": score and list(score.ci95),
        **{name: test.get(name) for name in ("macro_f1", "log_loss", "ece")},
        "parameters": (run.document.get("model") or {}).get("parameters"),
        "keras_size_bytes": (run.document.get("model") or {}).get("keras_size_bytes"),
        "train_seconds": (run.document.get("timing") or {}).get("train_seconds"),
    }


def _candidate_document(candidate: Candidate, *, on_front: bool) -> dict[str, Any]:
    result = candidate.result
    score, memory = candidate.score, candidate.memory
    return {
        "number": candidate.number,
        "run_id": candidate.run.document["run_id"],
        "backbone": candidate.backbone,
        "strategy": candidate.strategy,
        "arm": candidate.run.document.get("recipe", {}).get("arm"),
        "seed": candidate.seed,
        "format": candidate.export.get("format"),
        "scheme": candidate.export.get("scheme"),
        "status": candidate.status,
        "problems": list(candidate.problems),
        "marks": candidate.marks(),
        "on_pareto_front": on_front,
        "accuracy": score and score.accuracy,
        "n_samples": score and score.n_samples,
        "accuracy_ci95": score and list(score.ci95),
        "accuracy_drop": candidate.drop,
        "agreement_with_keras": candidate.agreement,
        "size_bytes": candidate.size_bytes,
        "gzip_bytes": candidate.gzip_bytes,
        "sha256": candidate.export.get("sha256"),
        "target": candidate.target,
        "emulated": candidate.emulated,
        "runtime": candidate.runtime.get("name"),
        "protocol": result and result.document["protocol"]["name"],
        "session_id": result and result.document["session_id"],
        **{name: memory.get(name) for name in ("baseline_rss_bytes", "peak_rss_bytes", "model_rss_bytes")},
        "joules_per_inference": candidate.joules,
        "profile": None
        if (profile := read_profile(result.document.get("profile") if result else None)) is None
        else profile.document(),
        "latency": [_timing_document(timing) for timing in candidate.timings],
        **device_document(candidate),
    }


def _timing_document(timing: Timing) -> dict[str, Any]:
    return {
        "threads": timing.threads,
        "n_runs": timing.n_runs,
        **{f"latency_ms_p{p}": getattr(timing, f"p{p}") for p in (50, 90, 95, 99)},
        "load_ms": timing.load,
        "first_ms": timing.first,
        "preprocess_ms_p50": timing.preprocess,
        "postprocess_ms_p50": timing.postprocess,
        "unstable": list(timing.unstable),
    }


def _group_document(group: Group, *, on_front: bool) -> dict[str, Any]:
    first = group.first
    return {
        "number": group.number,
        "title": group.title,
        "backbone": first.backbone,
        "strategy": first.strategy,
        "arm": first.run.document.get("recipe", {}).get("arm"),
        "format": first.export.get("format"),
        "scheme": first.export.get("scheme"),
        "size_bytes": first.size_bytes,
        "target": first.target,
        "marks": group.marks,
        "on_pareto_front": on_front,
        "seeds": [member.seed for member in group.members],
        "accuracy_mean": group.accuracy,
        "accuracy_sd": group.deviation,
        "accuracy_ci95": group.interval and list(group.interval),
        "latency_ms_p50": {str(timing.threads): group.p50(timing.threads) for timing in group.first.timings},
    }
