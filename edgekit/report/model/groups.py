"""What is compared: a kind of file, over all seeds it was trained with. With one seed it is one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

import numpy as np
from numpy.typing import NDArray

from edgekit.report.model.pareto import pareto_front
from edgekit.report.model.rows import Candidate
from edgekit.stats.intervals import mean_interval
from edgekit.stats.significance import holm, mcnemar_of_differences, p_over_seeds_and_images

ALPHA = 0.05


@dataclass(frozen=True)
class Group:
    """Files of the same model, strategy, format, scheme and target that differ in their seed only."""

    number: int
    title: str
    members: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...] = ()
    """Files of other seeds that failed their check, so that nothing of them was measured."""

    @property
    def first(self) -> Candidate:
        return self.members[0]

    @property
    def failed(self) -> bool:
        return any(member.failed for member in self.members)

    @property
    def accuracies(self) -> list[float]:
        return [member.score.accuracy for member in self.members if member.score is not None]

    @property
    def accuracy(self) -> float | None:
        """Mean over seeds; None unless every member was scored and none failed."""
        if self.failed or len(self.accuracies) < len(self.members):
            return None
        return mean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval: Wilson's over the test images for one seed, Student's t over seeds for several.

        Seeds that chance to be equally accurate say nothing about seeds: they have Wilson's too.
        """
        if self.accuracy is None:
            return None
        if not self.deviation:
            assert self.first.score is not None
            return self.first.score.ci95
        over_seeds = mean_interval(self.accuracies)
        return max(0.0, over_seeds.low), min(1.0, over_seeds.high)

    @property
    def marks(self) -> list[str]:
        """Those of its members and of what is left out, each once."""
        return list(dict.fromkeys(text for member in (*self.left_out, *self.members) for text in member.marks()))

    def p50(self, threads: int) -> float | None:
        """Median over members of the p50 in milliseconds; None unless every member has one."""
        values = [timing.p50 for member in self.members if (timing := member.timing(threads)) is not None]
        known = [value for value in values if value is not None]
        return median(known) if len(known) == len(self.members) else None

    def p50_range(self, threads: int) -> tuple[float, float] | None:
        """Lowest and highest median of a round, of any member, in milliseconds."""
        timings = (member.timing(threads) for member in self.members)
        medians = [p50 for timing in timings if timing is not None for p50 in timing.round_p50s]
        return (min(medians), max(medians)) if medians else None

    def real_p50(self, threads: int) -> float | None:
        """The p50 if it was measured on the real machine and nothing failed; it may be unstable."""
        return None if self.failed or self.first.emulated else self.p50(threads)

    def stable(self, threads: int) -> bool:
        """Whether the machine was quiet in every measurement with so many threads."""
        return not any((timing := member.timing(threads)) is not None and timing.unstable for member in self.members)

    def comparable_p50(self, threads: int) -> float | None:
        """The p50 if it may win a comparison: real and stable."""
        return self.real_p50(threads) if self.stable(threads) else None


def grouped(candidates: Sequence[Candidate]) -> list[Group]:
    """Candidates that differ in their seed only, together; numbered as the candidates where there is one seed."""
    measured = {candidate.title for candidate in candidates if candidate.target is not None}
    left_out: dict[str, list[Candidate]] = {}
    found: dict[tuple[str, str | None], list[Candidate]] = {}
    for candidate in candidates:
        if candidate.failed and candidate.target is None and candidate.title in measured:
            left_out.setdefault(candidate.title, []).append(candidate)
        else:
            found.setdefault((candidate.title, candidate.target), []).append(candidate)
    several_targets = len({target for _, target in found if target is not None}) > 1
    return [
        Group(
            number,
            f"{title} on {target or 'no target'}" if several_targets else title,
            tuple(members),
            tuple(left_out.get(title, ())) if target is not None else (),
        )
        for number, ((title, target), members) in enumerate(found.items(), 1)
    ]


def front(groups: Sequence[Group], threads: int) -> list[Group]:
    """The groups on the Pareto front of accuracy and p50, fastest first. All must be of one target."""
    placed = [
        (p50, group.accuracy, group)
        for group in groups
        if (p50 := group.comparable_p50(threads)) is not None and group.accuracy is not None
    ]
    chosen = pareto_front([(p50, accuracy) for p50, accuracy, _ in placed])
    return [placed[i][2] for i in sorted(chosen, key=lambda i: placed[i][0])]


def paired_differences(a: Group, b: Group) -> NDArray[np.float64] | None:
    """By seed and test image (seeds, images): 1 where only ``a`` was right, -1 where only ``b`` was, else 0.

    None where they were not scored on the same images, or have no seed in common.
    """
    if a.accuracy is None or b.accuracy is None:
        return None
    of_a, of_b = ({member.seed: member.answers for member in group.members} for group in (a, b))
    seeds = [seed for seed in of_a if seed in of_b]
    files = a.first.answers.keys()
    if not seeds or any(answers.keys() != files for of in (of_a, of_b) for answers in of.values()):
        return None
    return np.array([[float(of_a[seed][file]) - float(of_b[seed][file]) for file in files] for seed in seeds])


def p_value(a: Group, b: Group) -> float | None:
    """Two-sided p of equal accuracy on the same test images; None where the images are not the same.

    One seed each: exact McNemar test. Several seeds: the t test over seeds and images, of the seeds that both have.
    """
    differences = paired_differences(a, b)
    if differences is None:
        return None
    if len(differences) == 1:
        return mcnemar_of_differences(differences[0])
    return p_over_seeds_and_images(differences)


def indistinguishable(a: Group, b: Group) -> bool | None:
    """Whether the test images do not tell the accuracy of two groups apart at 5%; None where that cannot be said."""
    p = p_value(a, b)
    return None if p is None else p >= ALPHA


def not_worse(best: Group, others: Sequence[Group]) -> list[Group]:
    """Those of ``others`` that are not measurably worse than ``best``, corrected for their number (Holm)."""
    known = [(p, group) for group in others if (p := p_value(best, group)) is not None]
    return [group for adjusted, (_, group) in zip(holm([p for p, _ in known]), known) if adjusted >= ALPHA]
