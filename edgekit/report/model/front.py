"""The Pareto front of the exported files of one target: accuracy on common images against latency of one session."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.report.model.common_images import common_images
from edgekit.report.model.groups import Group
from edgekit.report.model.pareto import pareto_front
from edgekit.report.model.session_latency import session_latency


def front(groups: Sequence[Group], threads: int) -> list[Group]:
    """The groups on the Pareto front of accuracy and latency, fastest first. All must be of one target."""
    common, session = common_images(groups), session_latency(groups, threads)
    if common is None or session is None:
        return []
    accuracies = common.accuracies
    placed = [(session.ms(g), accuracies[g.number], g) for g in session.groups if g.number in accuracies]
    chosen = pareto_front([(ms, accuracy) for ms, accuracy, _ in placed])
    return [placed[i][2] for i in sorted(chosen, key=lambda i: placed[i][0])]
