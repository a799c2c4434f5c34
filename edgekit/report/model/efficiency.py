"""What accuracy costs: every figure relative to a reference, at equal accuracy and equal latency, and constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.render.numbers import percent, significant
from edgekit.render.text import listing, plural
from edgekit.report.model.groups import Group
from edgekit.report.model.rows import Candidate

DRAWS = 1000
"""Bootstrap draws for the chance of being on the front: it is then known to about 0.03."""


@dataclass(frozen=True)
class Cost:
    """One figure of a group: its value and how many times that of the reference (None: unknown)."""

    value: float | None
    relative: float | None


@dataclass(frozen=True)
class EfficiencyRow:
    """The costs of one group. ``front_probability``: how often it is on the Pareto front when chance is drawn again."""

    group: Group
    reference: bool
    costs: dict[str, Cost]
    front_probability: float | None

    def document(self) -> dict[str, Any]:
        return {
            "number": self.group.number,
            "title": self.group.title,
            "reference": self.reference,
            "front_probability": self.front_probability,
            **{name: {"value": c.value, "times_reference": c.relative} for name, c in self.costs.items()},
        }


@dataclass(frozen=True)
class Equal:
    """One backbone where the others are as accurate, and where they are as fast; None: it never is."""

    backbone: str
    at_accuracy: Group | None
    at_latency: Group | None


@dataclass(frozen=True)
class EqualTerms:
    """``accuracy`` is the best that every backbone reaches, ``latency_ms`` the lowest that every backbone reaches."""

    accuracy: float
    latency_ms: float
    threads: int
    rows: list[Equal]

    def document(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy,
            "latency_ms": self.latency_ms,
            "threads": self.threads,
            "backbones": [
                {
                    "backbone": row.backbone,
                    "latency_ms_at_equal_accuracy": row.at_accuracy and row.at_accuracy.p50(self.threads),
                    "file_at_equal_accuracy": row.at_accuracy and row.at_accuracy.title,
                    "accuracy_at_equal_latency": row.at_latency and row.at_latency.accuracy,
                    "file_at_equal_latency": row.at_latency and row.at_latency.title,
                }
                for row in self.rows
            ],
        }


def efficiency(groups: Sequence[Group], threads: int) -> list[EfficiencyRow]:
    """Every group of one target beside the most accurate one, which is the reference; empty where none was scored."""
    scored = [group for group in groups if group.accuracy is not None]
    if not scored:
        return []
    reference = max(scored, key=lambda group: group.accuracy or 0.0)
    chances = front_probabilities(groups, threads)
    base = {name: of(reference, threads) for name, of in COSTS.items()}
    rows = []
    for group in groups:
        costs = {}
        for name, of in COSTS.items():
            value, other = of(group, threads), base[name]
            costs[name] = Cost(value, value / other if value and other else None)
        rows.append(EfficiencyRow(group, group is reference, costs, chances.get(group.number)))
    return rows


def _run_mean(group: Group, *keys: str) -> float | None:
    values = [_dig(member.run.document, keys) for member in group.members]
    known = [value for value in values if value]
    return mean(known) if known else None


def _dig(document: dict[str, Any], keys: Sequence[str]) -> float | None:
    value: Any = document
    for key in keys:
        value = (value or {}).get(key)
    return None if value is None else float(value)


def _memory(group: Group) -> float | None:
    values = [member.memory.get("model_rss_bytes") for member in group.members]
    known = [value for value in values if value]
    return mean(known) if known else None


def _energy(group: Group) -> float | None:
    values = [member.joules for member in group.members]
    known = [value for value in values if value]
    return mean(known) if known else None


COSTS: dict[str, Callable[[Group, int], float | None]] = {
    "parameters": lambda group, _: _run_mean(group, "model", "parameters"),
    "macs": lambda group, _: _run_mean(group, "model", "macs"),
    "size_bytes": lambda group, _: group.first.size_bytes,
    "model_rss_bytes": lambda group, _: _memory(group),
    "joules_per_inference": lambda group, _: _energy(group),
    "latency_ms_p50": lambda group, threads: group.real_p50(threads),
    "train_seconds": lambda group, _: _run_mean(group, "timing", "train_seconds"),
}
"""What a model costs; each is better when it is less."""


def front_probabilities(
    groups: Sequence[Group], threads: int, *, draws: int = DRAWS, seed: int = 0
) -> dict[int, float]:
    """By number: the share of bootstrap draws in which a group is on the Pareto front of accuracy and latency.

    In each draw the test images are drawn with replacement, the same for all groups, so that they stay paired; one
    seed of each group is drawn; and so are the rounds of the latency. Groups that were not scored on the same images,
    or not measured stably in one session, are left out. Empty where fewer than two are left.
    """
    placed = _comparable(groups, threads)
    if len(placed) < 2:
        return {}
    random = np.random.default_rng(seed)
    files = sorted(placed[0].first.answers)
    weights = random.multinomial(len(files), np.full(len(files), 1 / len(files)), size=draws) / len(files)
    accuracy = np.stack([_drawn_accuracy(group, files, weights, random) for group in placed], axis=1)
    rounds = [_round_medians(group.first, threads) for group in placed]
    picks = random.integers(0, len(rounds[0]), (draws, len(rounds[0])))
    latency = np.stack([np.median(one[picks], axis=1) for one in rounds], axis=1)
    on_front = _on_front(accuracy, latency)
    return {group.number: float(share) for group, share in zip(placed, on_front.mean(axis=0))}


def _comparable(groups: Sequence[Group], threads: int) -> list[Group]:
    found = [
        group
        for group in groups
        if group.comparable_p50(threads) is not None
        and group.accuracy is not None
        and all(member.answers.keys() == group.first.answers.keys() for member in group.members)
    ]
    if not found:
        return []
    first = found[0].first
    assert first.result is not None
    session, n = first.result.document["session_id"], len(_round_medians(first, threads))
    return [
        group
        for group in found
        if group.first.result is not None
        and group.first.result.document["session_id"] == session
        and len(_round_medians(group.first, threads)) == n
        and group.first.answers.keys() == first.answers.keys()
    ]


def _drawn_accuracy(
    group: Group, files: Sequence[str], weights: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    right = np.array([[member.answers[file] for file in files] for member in group.members], dtype=np.float64)
    drawn = weights @ right.T  # (draws, seeds)
    return np.asarray(drawn[np.arange(len(weights)), random.integers(0, len(right), len(weights))])


def _round_medians(candidate: Candidate, threads: int) -> NDArray[np.float64]:
    latency = None if candidate.result is None else candidate.result.with_threads(threads)
    return np.array([] if latency is None else [np.median(block) for block in latency.rounds], dtype=np.float64)


def _on_front(accuracy: NDArray[np.float64], latency: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(draws, groups): no other group is as fast and as accurate, and better in one of the two."""
    beaten = np.zeros(accuracy.shape, dtype=np.bool_)
    for other in range(accuracy.shape[1]):
        a, t = accuracy[:, other : other + 1], latency[:, other : other + 1]
        no_worse = (a >= accuracy) & (t <= latency)
        beaten |= no_worse & ((a > accuracy) | (t < latency))
    return ~beaten


def equal_terms(groups: Sequence[Group], threads: int) -> EqualTerms | None:
    """The backbones at the same accuracy and at the same latency; None where fewer than two were measured."""
    placed = [g for g in groups if g.comparable_p50(threads) is not None and g.accuracy is not None]
    backbones = list(dict.fromkeys(group.first.model for group in placed))
    if len(backbones) < 2:
        return None
    of = {name: [group for group in placed if group.first.model == name] for name in backbones}
    accuracy = min(max(g.accuracy or 0.0 for g in members) for members in of.values())
    latency = max(min(g.p50(threads) or 0.0 for g in members) for members in of.values())
    rows = []
    for name, members in of.items():
        good = [g for g in members if (g.accuracy or 0.0) >= accuracy]
        fast = [g for g in members if (g.p50(threads) or 0.0) <= latency]
        rows.append(
            Equal(
                name,
                min(good, key=lambda g: g.p50(threads) or 0.0, default=None),
                max(fast, key=lambda g: g.accuracy or 0.0, default=None),
            )
        )
    return EqualTerms(accuracy, latency, threads, rows)


@dataclass(frozen=True)
class Choice:
    """The answer to one constraint: the most accurate group that holds it, or the nearest with what it lacks."""

    question: str
    winner: Group | None
    nearest: Group | None
    remark: str


def choose(constraint: dict[str, Any], groups: Sequence[Group], threads: int) -> Choice:
    """The most accurate group within every limit of ``constraint`` (``recipe.constraints``).

    Without one, the nearest is the group whose worst limit is exceeded by the smallest factor.
    """
    limits = _limits(constraint, groups, threads)
    question = ", ".join(text for text, _, _ in limits)
    placed = [g for g in groups if g.accuracy is not None and all(of(g) is not None for _, of, _ in limits)]
    good = [g for g in placed if all((of(g) or 0.0) <= limit for _, of, limit in limits)]
    if good:
        winner = max(good, key=lambda g: (g.accuracy or 0.0, -(g.p50(threads) or 0.0)))
        return Choice(question, winner, None, f"{len(good)} of {len(placed)} measured candidates are within the limits")
    if not placed:
        return Choice(question, None, None, "nothing was measured that could be")

    def excess(group: Group) -> float:
        return max(((of(group) or 0.0) + 1e-9) / (limit + 1e-9) for _, of, limit in limits)

    nearest = min(placed, key=excess)
    lacking = [
        f"{text}: has {significant(of(nearest) or 0.0)}" for text, of, limit in limits if (of(nearest) or 0) > limit
    ]
    return Choice(question, None, nearest, listing(lacking, 6))


def _limits(
    constraint: dict[str, Any], groups: Sequence[Group], threads: int
) -> list[tuple[str, Callable[[Group], float | None], float]]:
    """Each limit in words, what it limits, and the limit."""
    best = max((g.accuracy for g in groups if g.accuracy is not None), default=0.0)
    found: list[tuple[str, Callable[[Group], float | None], float]] = []
    if constraint.get("max_latency_ms") is not None:
        limit = float(constraint["max_latency_ms"])
        found.append((f"at most {limit:g} ms", lambda g: g.comparable_p50(threads), limit))
    if constraint.get("max_size_mb") is not None:
        limit = float(constraint["max_size_mb"])
        found.append((f"at most {limit:g} MB", lambda g: g.first.size_bytes and g.first.size_bytes / 1e6, limit))
    if constraint.get("max_memory_mb") is not None:
        limit = float(constraint["max_memory_mb"])
        found.append((f"at most {limit:g} MB of memory", lambda g: (_memory(g) or 0.0) / 1e6 or None, limit))
    if constraint.get("max_points_lost") is not None:
        limit = float(constraint["max_points_lost"])
        text = f"at most {plural(limit, 'point')} below the best ({percent(best)}%)"
        found.append((text, lambda g: None if g.accuracy is None else 100 * (best - g.accuracy), limit))
    return found
