"""The plan of an export: which files are made, in which order, and from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.recipe import Export
from edgekit.registry import Scheme, get_scheme

REPAIRED = "tflite-int8"
FALLBACK = "tflite-int8-qat"
"""Made where a repair of :data:`REPAIRED` does not succeed."""


@dataclass(frozen=True)
class PlannedFile:
    """One file to make."""

    scheme: Scheme

    @property
    def key(self) -> str:
        return self.scheme.key

    @property
    def compression(self) -> str | None:
        """The compression of the network that the file is made from; None for the trained network itself."""
        return self.scheme.compression or None

    @property
    def inspected(self) -> bool:
        """Whether edgekit quantizes the file itself, so it gets a calibration report and can be repaired."""
        return self.scheme.calibrated and not self.scheme.compression and self.scheme.source is None


@dataclass(frozen=True)
class ExportPlan:
    """``files`` in the order in which they are made; ``fallback`` is made if a repair fails."""

    files: tuple[PlannedFile, ...]
    fallback: PlannedFile | None = None

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        return tuple(planned.scheme for planned in self.files)

    @property
    def formats(self) -> frozenset[str]:
        """The formats of the files, and of the files that they are converted from."""
        keys = (key for scheme in self.schemes for key in (scheme.key, scheme.source) if key is not None)
        return frozenset(get_scheme(key).format for key in keys)

    @property
    def calibrated(self) -> bool:
        """Whether any file needs calibration images."""
        return any(scheme.calibrated for scheme in self.schemes)


def plan_export(keys: Sequence[str], settings: Export) -> ExportPlan:
    """The plan for the exports called ``keys``, without repetitions; :class:`InputError` for an unknown one."""
    files = tuple(PlannedFile(get_scheme(key)) for key in dict.fromkeys(keys))
    planned = {one.key for one in files}
    needs_fallback = settings.repair and REPAIRED in planned and FALLBACK not in planned
    return ExportPlan(files, PlannedFile(get_scheme(FALLBACK)) if needs_fallback else None)
