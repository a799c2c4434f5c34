"""Optional steps for an int8 file: rank its layers by sensitivity, and repair it by keeping some in float."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgekit.documents.export import LatencyRatio, LayerSensitivity, RepairRecord, RepairTrial
from edgekit.export.base import QuantizingMaker
from edgekit.export.check.exported_file import FileCheck, Reference, check_file
from edgekit.export.check.findings import Findings
from edgekit.export.check.gate import HELD, Gate, judge
from edgekit.export.check.parity import predict_bytes
from edgekit.export.check.sensitivity import IMAGES, LayerCost, layer_costs
from edgekit.export.network import TrainedNetwork
from edgekit.export.repair.float_layers import Candidate, FloatLayerSearch
from edgekit.export.repair.latency_ratio import latency_ratio
from edgekit.export.sample_images import Samples
from edgekit.recipe import Export
from edgekit.registry import Scheme
from edgekit.support.files import write_bytes
from edgekit.support.progress import Progress

THREADS = 1
"""Threads for the latency comparison."""


@dataclass(frozen=True)
class RepairedFile:
    """An int8 file after its repair: its check, and the requested records for ``export.json``."""

    checked: FileCheck
    sensitivity: tuple[LayerSensitivity, ...] | None = None
    record: RepairRecord | None = None

    def with_findings(self, more: Findings) -> RepairedFile:
        """The same result with ``more`` findings in its check."""
        return replace(self, checked=self.checked.with_findings(more))


@dataclass(frozen=True)
class Int8Repair:
    """Sensitivity and repair of the int8 files of one format, as far as ``settings`` asks for them."""

    settings: Export
    maker: QuantizingMaker
    calibration: Samples
    network: TrainedNetwork
    reference: Reference
    progress: Progress

    def apply(self, path: Path, scheme: Scheme, content: bytes, checked: FileCheck) -> RepairedFile:
        """Repair the file ``content`` in ``path`` where its gate did not hold; the repaired file replaces it."""
        broken = checked.gate is not None and checked.gate.verdict != HELD
        repair = self.settings.repair and broken
        if not self.settings.sensitivity and not repair:
            return RepairedFile(checked)
        sensitivity = tuple(cost.record() for cost in self._costs)
        if not repair:
            return RepairedFile(checked, sensitivity)
        search = FloatLayerSearch(self.maker, self._costs, self._judge, self.progress)
        best = search.run()
        write_bytes(path, best.content)
        operators = self.maker.operators(best.content)
        again = check_file(path, scheme, operators, self.reference, float_layers=True)
        if not best.held:
            warning = Findings(warnings=("repair: the gate holds with no choice of float layers; the best was kept",))
            again = again.with_findings(warning)
        return RepairedFile(again, sensitivity, self._record(best, search.tried, content))

    def _judge(self, content: bytes) -> Gate:
        assert self.reference.max_drop is not None
        parity = self.reference.parity
        predictions = predict_bytes(content, parity.pixels)
        return judge(self.reference.keras, predictions, parity.labels, self.reference.max_drop)

    def _record(self, best: Candidate, tried: list[Candidate], before: bytes) -> RepairRecord:
        ratio = latency_ratio(best.content, before, THREADS)
        return RepairRecord(
            held=best.held,
            kept_in_float=tuple(cost.layer for cost in self._costs[: best.n_float]),
            n_layers=len(self._costs),
            size_bytes_before=len(before),
            size_bytes=len(best.content),
            latency_ratio=LatencyRatio(median=ratio.median, ci95=(ratio.low, ratio.high), threads=THREADS),
            trials=tuple(
                RepairTrial(
                    kept=one.n_float,
                    drop_points=100 * one.gate.drop,
                    verdict=one.gate.verdict,
                    bytes=len(one.content),
                )
                for one in tried
            ),
        )

    @cached_property
    def _costs(self) -> list[LayerCost]:
        step = max(1, len(self.calibration) // IMAGES)
        pixels = self.calibration.pixels[::step][:IMAGES]
        return layer_costs(self.maker, pixels, self.network.predict(pixels), self.progress)
