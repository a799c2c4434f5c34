"""The exported files of one target with everything that a recommendation compares: accuracy, latency, size, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgekit.recipe import Constraint as RecipeConstraint
from edgekit.render.numbers import megabytes, percent, percent_range, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.common_images import CommonImages, common_images
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.groups import Group, thread_counts
from edgekit.report.model.session_latency import SessionLatency, session_latency
from edgekit.stats.comparison_with_best import ComparisonWithBest, compare_with_best
from edgekit.stats.recommendation import Bounded, Constraint, Contender, Recommendation, meeting, recommend
from edgekit.stats.seeds_and_images import method_mean, one_network


@dataclass(frozen=True)
class Field:
    """The exported files of one target, with what is compared."""

    groups: tuple[Group, ...]
    threads: int
    common: CommonImages
    session: SessionLatency | None
    allowed_points: float
    constraints: tuple[Constraint, ...]

    @cached_property
    def with_best(self) -> ComparisonWithBest:
        """Every file against the best of all."""
        return self.common.with_best()

    @cached_property
    def within(self) -> tuple[int, ...]:
        """The files that meet the constraints; all of them where none does."""
        return meeting([self._contender(i) for i in range(len(self.groups))], self.constraints) or tuple(
            range(len(self.groups))
        )

    @cached_property
    def _compared_within(self) -> ComparisonWithBest:
        if len(self.within) == len(self.groups):
            return self.with_best
        return compare_with_best(self.common.correct[list(self.within)])

    @cached_property
    def best_within(self) -> dict[int, tuple[float, float]]:
        """By position, of the files that meet the constraints: what each loses at most against the best of these.

        A file that is too slow or too large is no reason to reject one that is not. Each value is that loss and how far
        the file is behind the highest accuracy, both as fractions.
        """
        found = self._compared_within
        best = max(found.accuracies)
        return {
            position: (-low, best - accuracy)
            for position, low, accuracy in zip(self.within, found.low, found.accuracies)
        }

    @cached_property
    def candidates(self) -> tuple[int, ...]:
        """The files that meet the constraints and may be the most accurate of these, the highest accuracy first."""
        return tuple(self.within[i] for i in self._compared_within.candidates)

    def loss(self, position: int) -> float:
        """Points that a file loses at most against the best of those that meet the constraints."""
        return 100 * self.best_within[position][0]

    def behind(self, position: int) -> float:
        """Points below the highest accuracy of the files that meet the constraints."""
        return 100 * self.best_within[position][1]

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
        """A file as the rule sees it."""
        found = self._contender(position)
        known = self.best_within.get(position)
        return found if known is None else replace(found, largest_loss=known[0])

    def _contender(self, position: int) -> Contender:
        group, latency = self.groups[position], self.latency(self.groups[position])
        loss = -self.with_best.low[position]
        best = max(self.with_best.accuracies)
        behind = best - self.with_best.accuracies[position]
        megabytes_ = group.size_bytes / 1e6
        figures = {
            "size_mb": Bounded(megabytes_, megabytes_, megabytes_),
            "points_lost": Bounded(100 * behind, 100 * self.with_best.shortfall[position], 100 * loss),
        }
        if latency is not None:
            figures["latency_ms"] = latency
        memory = [file.model_rss_bytes / 1e6 for file in group.members if file.model_rss_bytes]
        if memory:
            figures["memory_mb"] = Bounded(sum(memory) / len(memory), min(memory), max(memory))
        milliseconds = None if latency is None else latency.estimate
        return Contender(self.with_best.accuracies[position], loss, milliseconds, group.size_bytes, figures)

    def recommended(self, comparisons: Comparisons) -> Recommendation:
        """The answer of the rule."""
        return recommend(
            [self.contender(i) for i in range(len(self.groups))],
            lambda a, b: self._is_slower(self.groups[a], self.groups[b], comparisons),
            self.allowed_points / 100,
            self.constraints,
        )

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


NAMES = ("latency_ms", "size_mb", "memory_mb", "points_lost")
"""What a constraint limits; ``max_latency_ms`` and so on in recipes."""


def limits_of(constraint: RecipeConstraint) -> tuple[Constraint, ...]:
    """The limits of a constraint, each on a figure of a file."""
    limits = {name: getattr(constraint, f"max_{name}") for name in NAMES}
    return tuple(Constraint(name, limit) for name, limit in limits.items() if limit is not None)


def field_of(
    groups: Sequence[Group], allowed_points: float, constraint: RecipeConstraint | None = None
) -> Field | None:
    """The exported files of one target; None where they were not scored on common images."""
    members = [group for group in groups if not group.first.emulated]
    common = common_images(members)
    if common is None:
        return None
    threads = constraint.threads if constraint is not None else min(thread_counts(members), default=1)
    limits = () if constraint is None else limits_of(constraint)
    session = session_latency(list(common.groups), threads)
    return Field(common.groups, threads, common, session, allowed_points, limits)
