"""Keras models against each other, where no exported file was scored yet: on common images, never the best seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.documents.report_findings import Finding, Winner
from edgekit.render.numbers import percent, percent_range
from edgekit.render.text import plural
from edgekit.report.model.source import Correct, RunData
from edgekit.stats.comparison_with_best import accuracy_of_chosen, compare_with_best

QUESTION = "Most accurate"
OF_KERAS = "this compares the Keras models, because no exported file has been scored on the test split yet"
DIFFERENT = "these networks were not tested on the same images"


def most_accurate_networks(runs: Sequence[RunData]) -> Finding:
    """The kinds of network that may be the most accurate (comparison with the best, Hsu)."""
    kinds: dict[str, dict[int, Correct]] = {}
    for run in runs:
        if run.correct:
            kinds.setdefault(run.title, {})[run.seed] = run.correct
    if not kinds:
        return _without("no trained model has been scored on the test split yet")
    first, *others = kinds.values()
    seeds = [seed for seed in first if all(seed in members for members in others)]
    chosen = [[members[seed] for seed in seeds] or [next(iter(members.values()))] for members in kinds.values()]
    images = sorted(set.intersection(*(set(correct) for members in chosen for correct in members)))
    if len(images) < 2:
        return _without(DIFFERENT)
    table = np.array([[[correct[i] for i in images] for correct in members] for members in chosen], dtype=np.float64)
    titles = list(kinds)
    found = compare_with_best(table)
    winners = tuple(Winner(title=titles[i]) for i in found.candidates)
    best = accuracy_of_chosen(table)
    interval = f"95% interval {percent_range((best.accuracy.low, best.accuracy.high))}%"
    mean, over = ("mean accuracy", f"over {plural(len(seeds), 'seed')} and") if len(seeds) > 1 else ("accuracy", "of")
    figure = f"{mean} {percent(best.observed)}% {over} {plural(len(images), 'test image')} ({interval}"
    if len(titles) == 1:
        return Finding(question=QUESTION, winners=winners, figure=f"{figure})", remark=OF_KERAS)
    figure = f"the highest {figure}, being the highest of {len(titles)})"
    if len(winners) == 1:
        remark = "every other network is measurably less accurate"
    else:
        remark = f"accuracy does not separate these {len(winners)} of {plural(len(titles), 'kind')} of network"
    return Finding(question=QUESTION, winners=winners, figure=figure, remark=f"{remark}; {OF_KERAS}")


def _without(remark: str) -> Finding:
    return Finding(question=QUESTION, winners=(), figure="", remark=remark)
