"""Optional steps for an int8 file: rank its layers by sensitivity, and repair it by keeping some in float."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgekit.documents.export import LatencyRatio, LayerSensitivity, RepairRecord, RepairTrial
from edgekit.documents.gate import GateRecord
from edgekit.export.base import QuantizingMaker
from edgekit.export.check.exported_file import FileCheck, Reference, check_file
from edgekit.export.check.findings import Findings
from edgekit.export.check.parity import predict_bytes
from edgekit.export.check.sensitivity import IMAGES, LayerCost, layer_costs
from edgekit.export.network import TrainedNetwork
from edgekit.export.repair.float_layers import Candidate, FloatLayerSearch
from edgekit.export.repair.latency_ratio import latency_ratio
from edgekit.export.sample_images import Samples
from edgekit.recipe import Export
from edgekit.registry import Scheme
from edgekit.stats.image_halves import ImageHalves, split_into_halves
from edgekit.stats.noninferiority import HELD
from edgekit.support.files import write_bytes
from edgekit.support.progress import Progress

HALVES_SEED = 0

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
        """Repair the file ``content`` in ``path`` where it loses more than allowed; the repaired file replaces it.

        The layers are chosen on one half of the images, and the repaired file is judged on the other: the best of
        several repairs owes something to chance on the images that chose it.
        """
        broken = checked.gate is not None and checked.gate.beyond_limits
        repair = self.settings.repair and broken
        if not self.settings.sensitivity and not repair:
            return RepairedFile(checked)
        sensitivity = tuple(cost.record() for cost in self._costs)
        if not repair:
            return RepairedFile(checked, sensitivity)
        halves = split_into_halves(self.reference.parity.labels, HALVES_SEED)
        search = FloatLayerSearch(self.maker, self._costs, self._judge_on(halves), self.progress, scheme.name)
        best = search.run()
        write_bytes(path, best.content)
        operators = self.maker.operators(best.content)
        again = check_file(path, scheme, operators, replace(self.reference, judged=halves.judge), float_layers=True)
        if not best.suits:
            warning = Findings(warnings=("repair: no choice of float layers is within the limits; the best was kept",))
            again = again.with_findings(warning)
        held = again.gate is not None and again.gate.status == HELD
        record = self._record(search, best, content, held=held, chosen_on=len(halves.choose))
        return RepairedFile(again, sensitivity, record)

    def _judge_on(self, halves: ImageHalves) -> Callable[[bytes], GateRecord]:
        """Judges an int8 file on the half of the images that chooses the layers."""
        chosen = self.reference.parity.take(halves.choose)
        reference = replace(self.reference, parity=chosen, keras=self.reference.keras[halves.choose])
        return lambda content: reference.gate(predict_bytes(content, chosen.pixels))

    def _record(
        self, search: FloatLayerSearch, best: Candidate, before: bytes, *, held: bool, chosen_on: int
    ) -> RepairRecord:
        ratio = latency_ratio(best.content, before, THREADS)
        return RepairRecord(
            held=held,
            chosen_on=chosen_on,
            kept_in_float=best.layers,
            n_layers=sum(len(cost.layers) for cost in self._costs),
            size_bytes_before=len(before),
            size_bytes=len(best.content),
            latency_ratio=LatencyRatio(median=ratio.median, ci95=(ratio.low, ratio.high), threads=THREADS),
            trials=tuple(
                RepairTrial(
                    kept=len(one.layers),
                    drop_points=one.gate.drop_points,
                    verdict=one.gate.status,
                    bytes=len(one.content),
                )
                for one in search.tried
            ),
        )

    @cached_property
    def _costs(self) -> list[LayerCost]:
        step = max(1, len(self.calibration) // IMAGES)
        pixels = self.calibration.pixels[::step][:IMAGES]
        n_weights = int(self.network.keras_model.count_params())
        return layer_costs(self.maker, n_weights, pixels, self.network.predict(pixels), self.progress)
