"""Quantization: ranges of the activations, and the layers that int8 costs the most."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.report.model.int8_layers import SensitiveLayers, quantization_ranges, sensitive_layers
from edgekit.report.model.report import Report
from edgekit.report.sections.section import Section


@dataclass(frozen=True)
class Int8LayersView:
    """Ranges in a sentence for each file, and the ranking of layers where it was computed."""

    ranges: list[tuple[str, str]]
    layers: list[SensitiveLayers]


def _view(report: Report) -> Int8LayersView | None:
    view = Int8LayersView(quantization_ranges(report.files), sensitive_layers(report.files))
    return view if view.ranges or view.layers else None


SECTION = Section("int8-layers", "Quantization", _view)
