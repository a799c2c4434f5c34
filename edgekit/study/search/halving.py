"""Rounds of training: all candidates for few epochs, the better half for more, the finalists for all of them.

Each round starts from new weights, so that the learning-rate schedule of each training fits its own length; a training
that is merely continued would still have the high learning rate of a short one. With R rounds of halving before the
last, a candidate that is left gets 2 ** -R, ..., 1/2 and then all of the epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.documents.study import CandidateRecord
from edgekit.recipe import Recipe, apply_settings, validate
from edgekit.render.text import plural
from edgekit.study.search.candidates import search_settings

LEAST_SHARE = 1 / 8
"""Of the epochs: a shorter training says little about a longer one."""

PHASES = ("feature_extraction", "fine_tuning", "from_scratch")


def shares(count: int, finalists: int) -> list[float]:
    """The share of the epochs in each round, for ``count`` candidates; the last is 1."""
    rounds = max(0, math.ceil(math.log2(count / finalists))) if count else 0
    return [max(LEAST_SHARE, 2.0**-left) for left in range(rounds, -1, -1)]


def round_recipe(recipe: Recipe, chosen: Sequence[CandidateRecord], share: float) -> Recipe:
    """The recipe of the study of one round: ``chosen``, each for ``share`` of its epochs (at least 1)."""
    document = recipe.document()
    settings = search_settings(recipe, chosen)
    overrides = recipe.compare.overrides
    if share < 1:
        document.update(claims=[], reported=[])
        phases = {phase: getattr(recipe.train, phase).epochs for phase in PHASES}
        apply_settings(document, {f"train.{phase}.epochs": _share(n, share) for phase, n in phases.items()})
        settings["overrides"] = {
            backbone: {
                key: _share(value, share) if key.startswith("train.") and key.endswith(".epochs") else value
                for key, value in own.items()
            }
            for backbone, own in overrides.items()
        }
    document["compare"] = settings
    return validate(document, recipe.name)


def kept(found: Sequence[CandidateRecord], keep: int, allowed_points: float) -> list[CandidateRecord]:
    """The ``keep`` candidates with the highest accuracy.

    In the place of the last one, the fastest of those that lose at most ``allowed_points`` against the best: the
    recommendation prefers it.
    """
    order = sorted(found, key=lambda candidate: (-candidate.accuracies[-1], candidate.macs or 0))
    first = order[:keep]
    close = [c for c in order if c.accuracies[-1] >= order[0].accuracies[-1] - allowed_points / 100]
    fast = min(close, key=lambda c: c.latency_ms if c.latency_ms is not None else math.inf)
    if keep > 1 and fast not in first:
        first[-1] = fast
    return first


def preferred(candidate: CandidateRecord, chosen: Sequence[CandidateRecord]) -> str:
    """Why :func:`kept` preferred the ``chosen`` to ``candidate``, in words."""
    own, macs = candidate.accuracies[-1], candidate.macs or 0
    higher = sum(one.accuracies[-1] > own for one in chosen)
    smaller = sum(one.accuracies[-1] == own and (one.macs or 0) <= macs for one in chosen)
    reasons = {
        "had a higher accuracy": higher,
        "had the same accuracy and no more operations": smaller,
        "had no higher accuracy but was faster": len(chosen) - higher - smaller,
    }
    return " and ".join(f"{plural(count, 'network')} {reason}" for reason, count in reasons.items() if count)


def affordable(
    chosen: Sequence[CandidateRecord], last_share: float, next_shares: Sequence[float], left_s: float
) -> int:
    """How many of ``chosen`` the time that is left allows in the next round; at least 1.

    ``chosen`` are in the order in which they are kept. Each needs its time of the last round, in proportion to the
    epochs; later rounds take half as many networks for twice as long, as much as the next one.
    """
    spent, count = 0.0, 0
    for candidate in chosen:
        spent += candidate.seconds * next_shares[0] / last_share * len(next_shares)
        if spent > left_s:
            break
        count += 1
    return max(1, count)


def _share(epochs: object, share: float) -> int:
    return max(1, round(float(str(epochs)) * share))
