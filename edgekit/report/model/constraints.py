"""The constraints of a recipe: the most accurate exported file within the limits, or the nearest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

from edgekit.documents.report_findings import Finding, Winner
from edgekit.recipe import Constraint
from edgekit.render.numbers import percent, significant
from edgekit.render.text import capitalized, listing, plural
from edgekit.report.model.groups import Group


@dataclass(frozen=True)
class Choice:
    """The answer to one constraint: the most accurate group within it, or the nearest one and what it exceeds."""

    question: str
    winner: Group | None
    nearest: Group | None
    remark: str

    def finding(self, where: str) -> Finding:
        """The choice as a line of the verdict."""
        winners = (Winner(title=self.winner.title, number=self.winner.number),) if self.winner else ()
        remark = self.remark if self.nearest is None else f"the nearest is {self.nearest.named}; {self.remark}"
        figure = "" if self.winner else "none"
        return Finding(question=f"{capitalized(self.question)}{where}", winners=winners, figure=figure, remark=remark)


@dataclass(frozen=True)
class Limit:
    """One limit of a constraint: in words, the quantity that it limits, and the largest value allowed."""

    text: str
    of: Callable[[Group], float | None]
    most: float

    def holds(self, group: Group) -> bool:
        return (self.of(group) or 0.0) <= self.most


def choose(constraint: Constraint, groups: Sequence[Group]) -> Choice:
    """The most accurate group within every limit of ``constraint``.

    Without one, the nearest is the group whose worst limit is exceeded by the smallest factor.
    """
    threads = constraint.threads
    limits = _limits(constraint, groups)
    question = ", ".join(limit.text for limit in limits)
    placed = [g for g in groups if g.accuracy is not None and all(limit.of(g) is not None for limit in limits)]
    good = [g for g in placed if all(limit.holds(g) for limit in limits)]
    if good:
        winner = max(good, key=lambda g: (g.accuracy or 0.0, -(g.p50(threads) or 0.0)))
        return Choice(
            question, winner, None, f"{len(good)} of {plural(len(placed), 'measured file')} within the limits"
        )
    if not placed:
        return Choice(question, None, None, "no exported file has all the measurements that this constraint requires")

    def excess(group: Group) -> float:
        return max(((limit.of(group) or 0.0) + 1e-9) / (limit.most + 1e-9) for limit in limits)

    nearest = min(placed, key=excess)
    exceeded = [
        f"{limit.text}: has {significant(limit.of(nearest) or 0.0)}" for limit in limits if not limit.holds(nearest)
    ]
    return Choice(question, None, nearest, listing(exceeded, 6))


def _limits(constraint: Constraint, groups: Sequence[Group]) -> list[Limit]:
    best = max((group.accuracy for group in groups if group.accuracy is not None), default=0.0)
    found = []
    if (most := constraint.max_latency_ms) is not None:
        found.append(Limit(f"at most {most:g} ms", lambda g: g.comparable_p50(constraint.threads), most))
    if (most := constraint.max_size_mb) is not None:
        found.append(Limit(f"at most {most:g} MB", lambda g: g.size_bytes / 1e6, most))
    if (most := constraint.max_memory_mb) is not None:
        found.append(Limit(f"at most {most:g} MB of memory", _memory_mb, most))
    if (most := constraint.max_points_lost) is not None:
        text = f"at most {plural(most, 'point')} below the best ({percent(best)}%)"
        found.append(Limit(text, lambda g: None if g.accuracy is None else 100 * (best - g.accuracy), most))
    return found


def _memory_mb(group: Group) -> float | None:
    known = [file.model_rss_bytes for file in group.members if file.model_rss_bytes]
    return mean(known) / 1e6 if known else None
