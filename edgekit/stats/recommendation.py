"""Recommends an exported file to deploy, by a rule that works on intervals and may end undecided.

Considered are the files that are shown to lose at most the allowed accuracy against the best file, whichever that is.
The fastest of them is recommended; if others are not measurably slower, the smallest of these. "Not significantly
worse" is no criterion: with few images nothing is significant, and the worst file could be recommended for its speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MEETS, FAILS, UNDECIDED = "meets", "fails", "undecided"

SHOWN, NOT_SHOWN, NOTHING = "shown", "not shown", "nothing meets the constraints"
NOT_DECIDED_BETWEEN = "undecided between"


@dataclass(frozen=True)
class Bounded:
    """A figure with its interval. All three values are equal for exact figures such as the size."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Constraint:
    """A figure must be at most ``limit``, or at least where ``at_least``."""

    name: str
    limit: float
    at_least: bool = False

    def judge(self, figure: Bounded | None) -> str:
        """``meets`` or ``fails`` where the whole interval does; ``undecided`` otherwise, or where nothing was measured.

        A figure of exactly the limit meets it.
        """
        if figure is None:
            return UNDECIDED
        low, high, limit = figure.low, figure.high, self.limit
        if self.at_least:
            low, high, limit = -figure.high, -figure.low, -self.limit
        if high <= limit:
            return MEETS
        return FAILS if low > limit else UNDECIDED

    def excess(self, figure: Bounded | None) -> float:
        """How far the estimate is beyond the limit, as a fraction of the limit; 0 if it is within it."""
        if figure is None:
            return float("inf")
        beyond = self.limit - figure.estimate if self.at_least else figure.estimate - self.limit
        return max(0.0, beyond / abs(self.limit)) if self.limit else max(0.0, beyond)


@dataclass(frozen=True)
class Contender:
    """One exported file. ``largest_loss``: the bound on what it loses against the best other file that meets the
    constraints (0 to 1, at once for all of them; :func:`~edgekit.stats.comparison_with_best.compare_with_best` gives
    ``-low``), None where it was not scored on the common images. ``figures`` are what constraints are about, by name.
    """

    accuracy: float | None
    largest_loss: float | None
    latency: float | None
    size_bytes: int
    figures: dict[str, Bounded]


@dataclass(frozen=True)
class Recommendation:
    """Positions of files. ``chosen`` is None where nothing meets the constraints, or it is undecided what does.

    ``status``: ``shown`` where the chosen file is shown to lose at most the allowed accuracy; ``not shown`` where
    too few images allow to show that of any file and the most accurate one is given; ``undecided between`` where
    only ``undecided`` files may meet the constraints; ``nothing meets the constraints``, with the ``nearest`` file.
    ``eligible`` are the files from which was chosen, ``as_fast`` those of them that are not measurably slower.
    """

    chosen: int | None
    status: str
    eligible: tuple[int, ...]
    as_fast: tuple[int, ...]
    undecided: tuple[int, ...]
    nearest: int | None


def recommend(
    files: Sequence[Contender],
    slower: Callable[[int, int], bool],
    allowed_loss: float,
    constraints: Sequence[Constraint] = (),
) -> Recommendation:
    """Recommend one of ``files``; ``slower`` says of two positions whether the first is measurably slower.

    Latencies and ``slower`` must be of one session. Without any latency the smallest eligible file is chosen. Files
    that were not scored are never recommended. A file that fails a constraint is out; where files meet all
    constraints, those undecided are out as well and named.
    """
    verdicts = [_judged(file, constraints) for file in files]
    scored = [i for i, file in enumerate(files) if file.accuracy is not None and file.largest_loss is not None]
    good = meeting(files, constraints)
    undecided = tuple(i for i in scored if verdicts[i] == UNDECIDED)
    if not good:
        if undecided:
            return Recommendation(None, NOT_DECIDED_BETWEEN, (), (), undecided, None)
        return Recommendation(None, NOTHING, (), (), (), _nearest(files, scored, constraints))
    eligible = tuple(i for i in good if (files[i].largest_loss or 0.0) <= allowed_loss)
    if not eligible:
        best = max(good, key=lambda i: files[i].accuracy or 0.0)
        return Recommendation(best, NOT_SHOWN, (), (), undecided, None)
    as_fast = _as_fast(files, eligible, slower)
    chosen = min(as_fast, key=lambda i: (files[i].size_bytes, files[i].latency or 0.0, -(files[i].accuracy or 0.0)))
    return Recommendation(chosen, SHOWN, eligible, as_fast, undecided, None)


def meeting(files: Sequence[Contender], constraints: Sequence[Constraint]) -> tuple[int, ...]:
    """The scored files that are shown to meet every constraint."""
    scored = [i for i, file in enumerate(files) if file.accuracy is not None and file.largest_loss is not None]
    return tuple(i for i in scored if _judged(files[i], constraints) == MEETS)


def _judged(file: Contender, constraints: Sequence[Constraint]) -> str:
    verdicts = [constraint.judge(file.figures.get(constraint.name)) for constraint in constraints]
    return next((verdict for verdict in (FAILS, UNDECIDED) if verdict in verdicts), MEETS)


def _nearest(files: Sequence[Contender], scored: Sequence[int], constraints: Sequence[Constraint]) -> int | None:
    """The file that exceeds its worst constraint by the smallest fraction of the limit."""

    def worst(i: int) -> float:
        return max(
            (constraint.excess(files[i].figures.get(constraint.name)) for constraint in constraints), default=0.0
        )

    return min(scored, key=worst, default=None)


def _as_fast(
    files: Sequence[Contender], eligible: Sequence[int], slower: Callable[[int, int], bool]
) -> tuple[int, ...]:
    timed = [i for i in eligible if files[i].latency is not None]
    if not timed:
        return tuple(eligible)
    fastest = min(timed, key=lambda i: files[i].latency or 0.0)
    return tuple(i for i in timed if i == fastest or not slower(i, fastest))
