"""The winner of a search against the default, in fresh processes: the only figures of a tuning that are reported.

The search takes the fastest of many settings, so that its own figure for it is too good (the winner's curse).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.latency import LatencyPlan
from edgekit.bench.measured_model import MeasuredModel
from edgekit.bench.tuning.candidates import Candidate
from edgekit.documents.latency import ProtocolRecord

FILES_AT_ONCE = 8


@dataclass(frozen=True)
class Duel:
    """One file with the setting that a search found, and with the default."""

    model: MeasuredModel
    found: Candidate
    default: Candidate

    @property
    def tuned_model(self) -> MeasuredModel:
        return self.found.applied(self.model)

    @property
    def default_model(self) -> MeasuredModel:
        return self.default.applied(self.model)


def in_groups(duels: Sequence[Duel], need_bytes: Mapping[str, int], free_bytes: int | None) -> list[list[Duel]]:
    """The files that are confirmed in one session: few enough to be open at the same time, each twice."""
    groups: list[list[Duel]] = []
    used = 0
    for duel in duels:
        need = 2 * need_bytes.get(duel.model.id, 0)
        if not groups or len(groups[-1]) == FILES_AT_ONCE or (free_bytes is not None and used + need > free_bytes):
            groups.append([])
            used = 0
        groups[-1].append(duel)
        used += need
    return groups


def confirmation_plan(
    duels: Sequence[Duel], images: Mapping[str, ImageSet], protocol: ProtocolRecord, cores: int, seed: int
) -> LatencyPlan:
    """Both settings of every file, interleaved in one session."""
    models = [model for duel in duels for model in (duel.default_model, duel.tuned_model)]
    sets = {m.id: images[d.model.id] for d in duels if d.model.id in images for m in (d.default_model, d.tuned_model)}
    return LatencyPlan(models, sets, protocol, cores, seed)
