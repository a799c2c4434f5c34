"""Quantization ranges, layers that lose accuracy in int8, and layers that a repair keeps in float."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.documents.export import LayerSensitivity
from edgekit.render.exports import calibration_text, repair_text
from edgekit.report.model.exported_files import ExportedFile

SHOWN = 12
"""Layers in the report; ``export.json`` has all of them."""


@dataclass(frozen=True)
class LayerRow:
    """One layer and what quantizing it alone costs; ``share`` is its divergence as a part of the largest."""

    sensitivity: LayerSensitivity
    share: float
    kept: bool
    """Whether a repair keeps it in float."""


@dataclass(frozen=True)
class SensitiveLayers:
    """The ranking of the layers of one file; ``repaired`` in a sentence."""

    file: ExportedFile
    rows: list[LayerRow]
    total: int
    repaired: str | None

    @property
    def grouped(self) -> bool:
        """Whether a few layers at a time were quantized, as in a large network."""
        return any(row.sensitivity.with_next for row in self.rows)


def sensitive_layers(files: Sequence[ExportedFile]) -> list[SensitiveLayers]:
    """One for every exported file whose layers were ranked, each file once."""
    found: dict[tuple[str, str], SensitiveLayers] = {}
    for file in files:
        ranked, repair = file.export.sensitivity, file.export.repair
        if ranked:
            rows = _rows(ranked, set(repair.kept_in_float) if repair else set())
            text = None if repair is None else repair_text(repair, file.export.gate)
            found.setdefault((file.run.place, file.export.key), SensitiveLayers(file, rows, len(ranked), text))
    return list(found.values())


def _rows(ranked: Sequence[LayerSensitivity], kept: set[str]) -> list[LayerRow]:
    largest = max(entry.divergence_nats for entry in ranked) or 1.0
    return [LayerRow(entry, max(0.0, entry.divergence_nats / largest), entry.layer in kept) for entry in ranked[:SHOWN]]


def quantization_ranges(files: Sequence[ExportedFile]) -> list[tuple[str, str]]:
    """Title and sentence of every file with quantization ranges, each file once."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for file in files:
        calibration = file.export.calibration
        if calibration is not None and calibration.ranges is not None:
            found.setdefault((file.run.place, file.export.key), (file.title, calibration_text(calibration)))
    return list(found.values())
