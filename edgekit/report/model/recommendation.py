"""The recommendation that a report begins with: which exported file to deploy, why, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgekit.documents.report_findings import RecommendationRecord, RecommendedFile
from edgekit.recipe import Constraint as RecipeConstraint
from edgekit.render.numbers import megabytes, percent, percent_range, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.common_images import CommonImages, common_images
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.groups import Group, thread_counts
from edgekit.report.model.session_latency import SessionLatency, session_latency
from edgekit.report.model.source import Source
from edgekit.stats.comparison_with_best import ComparisonWithBest
from edgekit.stats.recommendation import (
    MEETS,
    NOT_DECIDED_BETWEEN,
    NOT_SHOWN,
    NOTHING,
    SHOWN,
    Bounded,
    Constraint,
    Contender,
    Recommendation,
    recommend,
)
from edgekit.stats.seeds_and_images import method_mean, one_network

DEFAULT_LOSS = 1.0
"""Points that a file may lose against the best, where the recipe switches its accuracy gate off."""


@dataclass(frozen=True)
class _Field:
    """The exported files of one target, with what is compared."""

    groups: tuple[Group, ...]
    threads: int
    common: CommonImages
    with_best: ComparisonWithBest
    session: SessionLatency | None
    allowed_points: float
    constraints: tuple[Constraint, ...]

    def accuracy(self, position: int) -> Bounded:
        """Accuracy on the common images, for any seed where there are several."""
        table = self.common.correct[position]
        method = method_mean(table)
        interval = one_network(table[0]) if method is None else method.interval()
        return Bounded(interval.estimate, interval.low, interval.high)

    def latency(self, group: Group) -> Bounded | None:
        """Milliseconds, where it was measured in the session that is compared."""
        if self.session is None or group not in self.session.groups:
            return None
        return Bounded(self.session.ms(group), *self.session.bounds(group))

    def contender(self, position: int) -> Contender:
        group, latency = self.groups[position], self.latency(self.groups[position])
        loss = -self.with_best.low[position]
        best = max(self.with_best.accuracies)
        behind = best - self.with_best.accuracies[position]
        megabytes_ = group.size_bytes / 1e6
        figures = {
            "size_mb": Bounded(megabytes_, megabytes_, megabytes_),
            "points_lost": Bounded(100 * behind, -100 * self.with_best.high[position], 100 * loss),
        }
        if latency is not None:
            figures["latency_ms"] = latency
        memory = [file.model_rss_bytes / 1e6 for file in group.members if file.model_rss_bytes]
        if memory:
            figures["memory_mb"] = Bounded(sum(memory) / len(memory), min(memory), max(memory))
        milliseconds = None if latency is None else latency.estimate
        return Contender(self.with_best.accuracies[position], loss, milliseconds, group.size_bytes, figures)

    def slower(self, comparisons: Comparisons) -> list[list[bool]]:
        return [[self._is_slower(a, b, comparisons) for b in self.groups] for a in self.groups]

    def _is_slower(self, a: Group, b: Group, comparisons: Comparisons) -> bool:
        if self.session is None or a is b or not {a.number, b.number} <= {g.number for g in self.session.groups}:
            return False
        found = self.session.ratio(a, b, comparisons)
        return found is not None and found.verdict == "slower"

    def numbers(self, position: int) -> str:
        """Accuracy, latency and size of one file in a sentence, with their intervals."""
        group = self.groups[position]
        accuracy, latency = self.accuracy(position), self.latency(group)
        of = "mean accuracy " if self.common.of_methods else ""
        parts = [
            f"{of}{percent(accuracy.estimate)}% on {self.common.basis} "
            f"(95% interval {percent_range((accuracy.low, accuracy.high))}%)"
        ]
        if latency is not None:
            bounds = f"{significant(latency.low)} to {significant(latency.high)}"
            parts.append(f"{significant(latency.estimate)} ms with {plural(self.threads, 'thread')} ({bounds})")
        return f"{group.named}: {listing([*parts, f'{megabytes(group.size_bytes)} MB'])}."


def recommendation(
    source: Source,
    groups: Sequence[Group],
    comparisons: Comparisons,
    doubts: Sequence[str] = (),
    asked: RecipeConstraint | None = None,
    of_images: str = "",
) -> RecommendationRecord | None:
    """What to deploy on the first target on which files were scored; None where none was scored.

    ``asked``: the constraint of the command line; without one, that of the recipe where it has exactly one.
    ``of_images``: the doubt about the test images, which is stronger than all others.
    """
    constraint = asked or _only_constraint(source)
    for target in dict.fromkeys(group.target for group in groups):
        members = [group for group in groups if group.target == target and not group.first.emulated]
        common = common_images(members)
        if common is None:
            continue
        threads = constraint.threads if constraint is not None else min(thread_counts(members), default=1)
        field = _Field(
            groups=common.groups,
            threads=threads,
            common=common,
            with_best=common.with_best(),
            session=session_latency(list(common.groups), threads),
            allowed_points=_allowed_points(source, constraint),
            constraints=() if constraint is None else tuple(_limits(constraint)),
        )
        found = recommend(
            [field.contender(i) for i in range(len(field.groups))],
            field.slower(comparisons),
            field.allowed_points / 100,
            field.constraints,
        )
        return _record(field, found, target, doubts, of_images)
    return None


def _only_constraint(source: Source) -> RecipeConstraint | None:
    constraints = [] if source.recipe is None else source.recipe.constraints
    return constraints[0] if len(constraints) == 1 else None


def _allowed_points(source: Source, constraint: RecipeConstraint | None) -> float:
    if constraint is not None and constraint.max_points_lost is not None:
        return constraint.max_points_lost
    gate = None if source.recipe is None else source.recipe.export.max_drop
    return DEFAULT_LOSS if gate is None else gate


_NAMES = {"max_latency_ms": "latency_ms", "max_size_mb": "size_mb", "max_memory_mb": "memory_mb"}
_UNITS = {"latency_ms": "ms", "size_mb": "MB", "memory_mb": "MB of memory"}


def _limits(constraint: RecipeConstraint) -> list[Constraint]:
    limits = {name: getattr(constraint, key) for key, name in _NAMES.items()}
    return [Constraint(name, limit) for name, limit in limits.items() if limit is not None]


def _record(
    field: _Field, found: Recommendation, target: str | None, doubts: Sequence[str], of_images: str
) -> RecommendationRecord:
    status, positions, reasons = _ANSWERS[found.status](field, found)
    session = field.session
    first = field.groups[positions[0]] if positions else None
    runtime = None if first is None or first.first.runtime is None else first.first.runtime.name
    own = _doubts(field, found)
    return RecommendationRecord(
        status=status,
        exports=tuple(_file(field.groups[i]) for i in positions),
        target=target,
        threads=field.threads if session is not None else None,
        runtime=runtime,
        reasons=tuple(reasons),
        doubts=(*([of_images] if of_images else []), *own, *doubts),
    )


def _file(group: Group) -> RecommendedFile:
    return RecommendedFile(
        number=group.number,
        title=group.title,
        run_ids=tuple(member.run.id for member in group.members),
        format=group.first.export.format,
        scheme=group.first.export.scheme,
    )


_Answer = tuple[Literal["chosen", "none", "undecided"], list[int], list[str]]


def _chosen(field: _Field, found: Recommendation) -> _Answer:
    assert found.chosen is not None
    loss = -100 * field.with_best.low[found.chosen]
    n, eligible, as_fast = len(field.groups), len(found.eligible), len(found.as_fast)
    reason = (
        f"Chosen from {eligible} of {plural(n, 'exported file')} that are shown to lose at most "
        f"{plural(field.allowed_points, 'point')} against the best"
    )
    if n > 1:
        reason += f" (this one at most {loss:.1f})"
    if field.latency(field.groups[found.chosen]) is None:
        reason += "; it is the smallest of them (no comparable latency was measured)"
    elif as_fast > 1:
        reason += f"; it is the smallest of the {as_fast} fastest, which latency does not separate"
    elif eligible > 1:
        reason += "; it is measurably the fastest of them"
    return "chosen", [found.chosen], [field.numbers(found.chosen), f"{reason}."]


def _not_shown(field: _Field, found: Recommendation) -> _Answer:
    assert found.chosen is not None
    candidates = [i for i in field.with_best.candidates if i != found.chosen]
    reason = (
        f"On {field.common.basis}, no exported file is shown to lose at most "
        f"{plural(field.allowed_points, 'point')} against the best. {field.groups[found.chosen].named} has the highest "
        "accuracy of the files that may be deployed."
    )
    return "undecided", [found.chosen, *candidates], [field.numbers(found.chosen), reason]


def _between(field: _Field, found: Recommendation) -> _Answer:
    names = listing([field.groups[i].named for i in found.undecided], 6)
    reason = f"Undecided between {names}: what was measured does not show whether they meet {_limit_text(field)}."
    return "undecided", list(found.undecided), [reason, field.numbers(found.undecided[0])]


def _none(field: _Field, found: Recommendation) -> _Answer:
    if found.nearest is None:
        return "none", [], [f"No exported file meets {_limit_text(field)}."]
    named = field.groups[found.nearest].named
    reason = f"No exported file meets {_limit_text(field)}; the nearest is {named}."
    return "none", [found.nearest], [reason, field.numbers(found.nearest)]


_ANSWERS: dict[str, Callable[[_Field, Recommendation], _Answer]] = {
    SHOWN: _chosen,
    NOT_SHOWN: _not_shown,
    NOT_DECIDED_BETWEEN: _between,
    NOTHING: _none,
}


def _limit_text(field: _Field) -> str:
    return listing([f"at most {limit.limit:g} {_UNITS[limit.name]}" for limit in field.constraints], 6)


def _doubts(field: _Field, found: Recommendation) -> list[str]:
    """What the choice itself leaves open, the strongest first."""
    doubts = []
    if found.status == SHOWN and found.chosen is not None:
        doubts += [_faster_text(field, i) for i in range(len(field.groups)) if _may_be_better(field, i, found)]
    if found.status == SHOWN and found.undecided:
        names = listing([field.groups[i].named for i in found.undecided])
        doubts.append(f"It is undecided whether {names} would meet {_limit_text(field)} as well.")
    if field.session is not None and field.session.elsewhere:
        names = listing([group.named for group in field.session.elsewhere])
        doubts.append(f"The latency of {names} was measured in another session and is not compared.")
    return doubts


def _may_be_better(field: _Field, position: int, found: Recommendation) -> bool:
    """Whether a file is faster and within the allowed loss as far as is known, though that is not shown."""
    if found.chosen is None or position in found.eligible or position in found.undecided:
        return False
    mine, chosen = (field.latency(field.groups[i]) for i in (position, found.chosen))
    meets = all(limit.judge(field.contender(position).figures.get(limit.name)) == MEETS for limit in field.constraints)
    faster = mine is not None and chosen is not None and mine.high < chosen.low
    return meets and faster and _behind(field, position) <= field.allowed_points


def _behind(field: _Field, position: int) -> float:
    """Points below the highest accuracy."""
    return 100 * (max(field.with_best.accuracies) - field.with_best.accuracies[position])


def _faster_text(field: _Field, position: int) -> str:
    return (
        f"{field.groups[position].named} is faster and {_behind(field, position):.1f} points behind the highest "
        f"accuracy, but these images do not show that it loses at most {plural(field.allowed_points, 'point')} "
        f"(it may lose {-100 * field.with_best.low[position]:.1f})."
    )
