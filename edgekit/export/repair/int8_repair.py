"""What is done about an int8 file beyond its check: which layers cost accuracy, and keeping those in float."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit.export.check.exported_file import Reference, check_file
from edgekit.export.check.gate import HELD, Gate, judge
from edgekit.export.check.sensitivity import IMAGES, LayerCost, layer_costs, run
from edgekit.export.base import QuantizingMaker
from edgekit.export.network import TrainedNetwork
from edgekit.export.repair.float_layers import repair
from edgekit.export.sample_images import Samples
from edgekit.recipe import Recipe
from edgekit.registry import Scheme
from edgekit.support.files import gzip_size, write_bytes
from edgekit.support.progress import Progress


@dataclass(frozen=True)
class Int8Repair:
    """The sensitivity and the repair of the int8 file of one format, as far as the recipe asks for them."""

    recipe: Recipe
    maker: QuantizingMaker
    calibration: Samples
    network: TrainedNetwork
    progress: Progress

    def mend(
        self, path: Path, scheme: Scheme, content: bytes, checked: dict[str, Any], reference: Reference
    ) -> dict[str, Any]:
        """What changes in the description ``checked`` of the file in ``path``, which may be replaced."""
        wanted, gate = self.recipe.export, checked["gate"]
        broken = gate is not None and gate["verdict"] != HELD
        if not wanted.sensitivity and not (wanted.repair and broken):
            return {}
        found: dict[str, Any] = {"sensitivity": [cost.document() for cost in self._costs]}
        if not wanted.repair or not broken:
            return found

        def judged(file: bytes) -> Gate:
            assert reference.max_drop is not None
            answers = run(file, reference.parity.pixels)
            return judge(reference.keras, answers, reference.parity.labels, reference.max_drop)

        done = repair(self.maker, self._costs, judged, content, self.progress)
        write_bytes(path, done.content)
        again = check_file(path, scheme, self.maker.operators(done.content), reference, mixed=True)
        if done.gate.verdict != HELD:
            again["warnings"].append("repair: no choice of layers in float held; the best one was kept")
        return {**again, **found, "gzip_bytes": gzip_size(path), "repair": done.document(self._costs)}

    @cached_property
    def _costs(self) -> list[LayerCost]:
        step = max(1, len(self.calibration) // IMAGES)
        pixels = self.calibration.pixels[::step][:IMAGES]
        return layer_costs(self.maker, pixels, self.network.predict(pixels), self.progress)
