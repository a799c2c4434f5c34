"""Calibrated ranges, which layers lose accuracy to int8, and which a repair keeps in float: from ``export.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.documents.export import CalibrationRecord
from edgekit.render.exports import calibration_text, repair_text
from edgekit.report.model.rows import Candidate

SHOWN = 12
"""Layers in the report; ``export.json`` has all."""


@dataclass(frozen=True)
class LayerRow:
    """One layer: what quantizing it alone does. ``share`` is its divergence as a part of the largest."""

    layer: str
    divergence: float
    agreement: float
    share: float
    kept: bool


@dataclass(frozen=True)
class LayerView:
    """The ranking of one file; ``repaired`` in a sentence."""

    candidate: Candidate
    rows: list[LayerRow]
    total: int
    repaired: str | None


def layer_views(candidates: Sequence[Candidate]) -> list[LayerView]:
    """One for every exported file whose layers were ranked, each file once."""
    views: dict[tuple[str, str], LayerView] = {}
    for candidate in candidates:
        ranked = candidate.export.get("sensitivity")
        if ranked:
            repair = candidate.export.get("repair")
            rows = _rows(ranked, set(repair["kept_in_float"]) if repair else set())
            text = repair_text(repair) if repair else None
            views.setdefault((candidate.run.place, candidate.key), LayerView(candidate, rows, len(ranked), text))
    return list(views.values())


def _rows(ranked: Sequence[dict[str, Any]], kept: set[str]) -> list[LayerRow]:
    largest = max(float(entry["divergence_nats"]) for entry in ranked) or 1.0
    return [
        LayerRow(
            str(entry["layer"]),
            float(entry["divergence_nats"]),
            float(entry["agreement"]),
            max(0.0, float(entry["divergence_nats"]) / largest),
            entry["layer"] in kept,
        )
        for entry in ranked[:SHOWN]
    ]


def calibrations(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Title and sentence of every calibrated file, each file once."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for candidate in candidates:
        calibration = candidate.export.get("calibration") or {}
        if calibration.get("ranges"):
            place = (candidate.run.place, candidate.key)
            found.setdefault(place, (candidate.title, calibration_text(CalibrationRecord.model_validate(calibration))))
    return list(found.values())
