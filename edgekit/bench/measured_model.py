"""One model file that is measured: an exported file of a run, or a third-party model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.device.failures import DeviceError
from edgekit.device.images import RESIZES
from edgekit.device.protocol.jobs import ModelEntry
from edgekit.device.protocol.values import ScalingDocument
from edgekit.device.scaling import parse_scaling
from edgekit.documents.bench import FileOperators
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.documents.labels_file import read_labels_file
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.stats.noninferiority import GateLimits

THIRD_PARTY = "third-party"
"""The scheme of models that edgekit did not export: how they were quantized is not known."""


@dataclass(frozen=True)
class MeasuredModel:
    """One model file with all that is known about it before it is opened.

    ``key`` names it in its folder, ``id`` in the session.
    """

    path: Path
    key: str
    id: str
    format: str
    scheme: str
    folder: Path
    """Its run folder; for a third-party model, the folder that its results go below."""
    run: RunDocument | None
    """``run.json``; None for a third-party model."""
    sha256: str
    size_bytes: int
    gzip_bytes: int
    labels: tuple[str, ...] | None = None
    scaling: str | ScalingDocument | None = None
    """As the user gave it, or as the model's own metadata describes it."""
    resize: str | None = None
    pixel_range: str | None = None
    runtime: str | None = None
    operators: FileOperators | None = None
    """How many operators of each kind it has, and which compute in float; None for a third-party model."""
    limits: GateLimits | None = None
    """The limits of its accuracy gate; None where its export has no gate."""

    @property
    def golden(self) -> Path:
        """The golden inputs and outputs that `edgekit export` leaves beside an exported file."""
        return ExportFolder(self.path.parent).golden

    def result_path(self, target: str) -> Path:
        """Where its bench result on ``target`` is stored."""
        return RunFolder(self.folder).bench_json(target, self.key)

    def job(self, images: Sequence[Path] = ()) -> ModelEntry:
        """The entry for this model in a job of the device program."""
        return {
            "key": self.id,
            "path": str(self.path),
            "runtime": self.runtime,
            "scaling": self.scaling,
            "resize": self.resize or "stretch",
            "range": self.pixel_range or "full",
            "activation": "auto" if self.run is None else "none",
            "images": [str(path) for path in images],
        }


@dataclass(frozen=True)
class ThirdPartyOptions:
    """Labels, scaling and resizing of third-party models, as the user gave them, and where their results go."""

    labels: Path | None = None
    scaling: str | None = None
    resize: str | None = None
    out: Path | None = None

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are spelled on the command line."""
        return [f"--{name}" for name in ("labels", "scaling", "resize", "out") if getattr(self, name) is not None]

    def check(self) -> None:
        """Raise :class:`InputError` for a value that the device program would not accept."""
        if self.resize is not None and self.resize not in RESIZES:
            raise InputError(f"unknown resize method {self.resize!r}", hint=f"choose one of: {', '.join(RESIZES)}")
        if self.scaling is not None:
            try:
                parse_scaling(self.scaling)
            except DeviceError as error:
                raise InputError(error.reason) from None

    def read_labels(self) -> tuple[str, ...] | None:
        """The class names in the labels file, in the order of the model's outputs; None without one."""
        return None if self.labels is None else tuple(read_labels_file(self.labels))
