"""Efficiency: costs relative to the most accurate file, backbones on equal terms, and the recipe's constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.report_comparisons import CostRecord, EfficiencyRecord, EqualBackbone, EqualTermsRecord
from edgekit.report.model.common_images import common_images
from edgekit.report.model.exported_files import ExportedFile
from edgekit.report.model.groups import Group
from edgekit.report.model.session_latency import session_latency

DRAWS = 1000
"""Bootstrap draws for the probability of being on the front, which determine it to about 0.03."""


@dataclass(frozen=True)
class Cost:
    """One cost of a group: its value and its multiple of the reference's value; None if unknown.

    A latency has no multiple where the reference was measured in another session.
    """

    value: float | None
    relative: float | None


@dataclass(frozen=True)
class EfficiencyRow:
    """The costs of one group; ``front_probability`` is the share of bootstrap draws in which it is on the front."""

    group: Group
    reference: bool
    costs: dict[str, Cost]
    front_probability: float | None

    def document(self) -> EfficiencyRecord:
        costs = {name: CostRecord(value=c.value, times_reference=c.relative) for name, c in self.costs.items()}
        return EfficiencyRecord(
            number=self.group.number,
            title=self.group.title,
            reference=self.reference,
            front_probability=self.front_probability,
            **costs,
        )


@dataclass(frozen=True)
class Equal:
    """One backbone: its fastest group at equal accuracy, and its most accurate one at equal latency."""

    backbone: str
    at_accuracy: Group
    latency_ms: float
    """Of ``at_accuracy``."""
    at_latency: Group


@dataclass(frozen=True)
class EqualTerms:
    """``accuracy`` is the best that every backbone reaches, ``latency_ms`` the lowest that every backbone reaches."""

    accuracy: float
    latency_ms: float
    threads: int
    rows: list[Equal]

    def document(self) -> EqualTermsRecord:
        return EqualTermsRecord(
            accuracy=self.accuracy,
            latency_ms=self.latency_ms,
            threads=self.threads,
            backbones=tuple(
                EqualBackbone(
                    backbone=row.backbone,
                    latency_ms_at_equal_accuracy=row.latency_ms,
                    file_at_equal_accuracy=row.at_accuracy.title,
                    accuracy_at_equal_latency=row.at_latency.accuracy,
                    file_at_equal_latency=row.at_latency.title,
                )
                for row in self.rows
            ),
        )


def efficiency(groups: Sequence[Group], threads: int) -> list[EfficiencyRow]:
    """Every group of one target beside the most accurate one on common images, the reference; empty without scores."""
    common = common_images(groups)
    if common is None:
        return []
    reference = max(common.groups, key=lambda group: common.accuracies[group.number])
    chances = front_probabilities(groups, threads)
    base = {name: of(reference, threads) for name, of in COSTS.items()}
    rows = []
    for group in groups:
        costs = {}
        for name, of in COSTS.items():
            value, other = of(group, threads), base[name]
            compares = name != LATENCY or group.session(threads) == reference.session(threads)
            costs[name] = Cost(value, value / other if value and other and compares else None)
        rows.append(EfficiencyRow(group, group is reference, costs, chances.get(group.number)))
    return rows


def _mean_of(group: Group, value: Callable[[ExportedFile], float | None]) -> float | None:
    """Mean over the members that have a value; None if none has."""
    known = [found for member in group.members if (found := value(member))]
    return mean(known) if known else None


LATENCY = "latency_ms_p50"

COSTS: dict[str, Callable[[Group, int], float | None]] = {
    "parameters": lambda group, _: _mean_of(group, lambda file: file.run.size.parameters),
    "macs": lambda group, _: _mean_of(group, lambda file: file.run.size.macs),
    "size_bytes": lambda group, _: group.size_bytes,
    "model_rss_bytes": lambda group, _: _mean_of(group, lambda file: file.model_rss_bytes),
    "joules_per_inference": lambda group, _: _mean_of(group, lambda file: file.joules),
    LATENCY: lambda group, threads: group.real_p50(threads),
    "train_seconds": lambda group, _: _mean_of(group, lambda file: file.run.train_seconds),
}
"""What a model costs; less is better."""


def front_probabilities(
    groups: Sequence[Group], threads: int, *, draws: int = DRAWS, seed: int = 0
) -> dict[int, float]:
    """By number: the share of bootstrap draws in which a group is on the Pareto front of accuracy and latency.

    In each draw the test images are drawn with replacement, the same for all groups, so that they stay paired; one
    seed of each group is drawn; and so are the processes of the session, then their rounds. Groups that were not scored
    on the same images, or not measured stably in one session, are left out. Empty if fewer than two are left.
    """
    placed = _comparable(groups, threads)
    if len(placed) < 2:
        return {}
    random = np.random.default_rng(seed)
    files = sorted(placed[0][0].first.correct)
    weights = random.multinomial(len(files), np.full(len(files), 1 / len(files)), size=draws) / len(files)
    accuracy = np.stack([_drawn_accuracy(group, files, weights, random) for group, _ in placed], axis=1)
    on_front = _on_front(accuracy, _drawn_latency([medians for _, medians in placed], draws, random))
    return {group.number: float(share) for (group, _), share in zip(placed, on_front.mean(axis=0))}


RoundMedians = dict[tuple[int, int], float]
"""Median latency in nanoseconds, by process and round."""


def _comparable(groups: Sequence[Group], threads: int) -> list[tuple[Group, RoundMedians]]:
    """The groups that were scored on the images of the first one and measured in some of the same rounds."""
    session = session_latency(groups, threads)
    found: list[tuple[Group, RoundMedians]] = []
    common: set[tuple[int, int]] = set()
    for group, file in () if session is None else session.placed:
        images = (found[0][0] if found else group).first.correct.keys()
        medians = _round_medians(file, threads)
        shared = common & medians.keys() if found else set(medians)
        same_images = all(member.correct.keys() == images for member in group.members)
        if group.accuracy is not None and same_images and shared:
            found.append((group, medians))
            common = shared
    return found


def _drawn_accuracy(
    group: Group, files: Sequence[str], weights: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    right = np.array([[member.correct[file] for file in files] for member in group.members], dtype=np.float64)
    drawn = weights @ right.T  # (draws, seeds)
    return np.asarray(drawn[np.arange(len(weights)), random.integers(0, len(right), len(weights))])


def _drawn_latency(medians: Sequence[RoundMedians], draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(draws, groups): the median of rounds that are drawn with replacement, as are their processes, for all alike."""
    common = sorted(set.intersection(*(set(one) for one in medians)))
    table = np.array([[one[place] for place in common] for one in medians])
    numbers = np.array([process for process, _ in common])
    places = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    drawn = []
    for _ in range(draws):
        chosen = [places[i] for i in random.integers(0, len(places), len(places))]
        rounds = np.concatenate([one[random.integers(0, len(one), len(one))] for one in chosen])
        drawn.append(np.median(table[:, rounds], axis=1))
    return np.array(drawn)


def _round_medians(file: ExportedFile, threads: int) -> RoundMedians:
    latency = None if file.bench is None else file.bench.with_threads(threads)
    return {
        (process.number, block.round): float(np.median(block.ns))
        for process in (() if latency is None else latency.processes)
        for block in process.valid_blocks
    }


def _on_front(accuracy: NDArray[np.float64], latency: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(draws, groups): no other group is as fast and as accurate, and better in one of the two."""
    beaten = np.zeros(accuracy.shape, dtype=np.bool_)
    for other in range(accuracy.shape[1]):
        a, t = accuracy[:, other : other + 1], latency[:, other : other + 1]
        no_worse = (a >= accuracy) & (t <= latency)
        beaten |= no_worse & ((a > accuracy) | (t < latency))
    return ~beaten


def equal_terms(groups: Sequence[Group], threads: int) -> EqualTerms | None:
    """The backbones at the same accuracy and at the same latency; None if fewer than two were measured.

    Only of files that were scored on the same images and timed in the same session.
    """
    common, session = common_images(groups), session_latency(groups, threads)
    if common is None or common.partial or session is None:
        return None
    scored = {group.number for group in common.groups}
    placed = [group for group in session.groups if group.number in scored]
    of = {group.first.model: [g for g in placed if g.first.model == group.first.model] for group in placed}
    if len(of) < 2:
        return None
    accuracy = min(max(g.accuracy or 0.0 for g in members) for members in of.values())
    latency = max(min(map(session.ms, members)) for members in of.values())
    rows = []
    for name, members in of.items():
        fastest = min((g for g in members if (g.accuracy or 0.0) >= accuracy), key=session.ms)
        best = max((g for g in members if session.ms(g) <= latency), key=lambda g: g.accuracy or 0.0)
        rows.append(Equal(name, fastest, session.ms(fastest), best))
    return EqualTerms(accuracy, latency, threads, rows)
