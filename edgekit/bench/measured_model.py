"""One model file that is measured: an exported file of a run, or a third-party model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.device.protocol.jobs import ModelEntry, ModelSetting
from edgekit.device.protocol.values import ScalingDocument
from edgekit.device.resizing import BILINEAR
from edgekit.documents.bench import FileOperators
from edgekit.documents.folders import ExportFolder, RunFolder
from edgekit.documents.preprocessing import PreprocessingRecord
from edgekit.documents.run import RunDocument
from edgekit.stats.noninferiority import GateLimits

THIRD_PARTY = "third-party"
"""The scheme of models that edgekit did not export: how they were quantized is not known."""


@dataclass(frozen=True)
class RuntimeSetting:
    """How a runtime runs a file: what `edgekit bench --tune` looks for. ``threads`` None: the threads of the job."""

    threads: int | None = None
    pin: bool = False
    options: tuple[tuple[str, str], ...] = ()
    """Settings of the runtime that differ from its defaults, by name."""
    limit_ns: int | None = None
    """Give the file up if a run takes longer."""

    def entry(self) -> ModelSetting:
        """Its keys in a model entry of a job; none for what is the default."""
        found: ModelSetting = {}
        if self.threads is not None:
            found["threads"] = self.threads
        if self.pin:
            found["pin"] = True
        if self.options:
            found["options"] = dict(self.options)
        if self.limit_ns is not None:
            found["limit_ns"] = self.limit_ns
        return found


DEFAULT_SETTING = RuntimeSetting()


@dataclass(frozen=True)
class MeasuredModel:
    """One model file with all that is known about it before it is opened.

    ``key`` names it in its folder, ``id`` in the session. Where it is measured with a runtime that is not a default of
    its format, both end with ``@`` and the name of the runtime.
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
    filter: str | None = None
    image_size: tuple[int, int] | None = None
    """Height and width that the user chose for an input that leaves them open."""
    output: str | None = None
    activation: str | None = None
    preset: str | None = None
    external: tuple[Path, ...] = ()
    """Its files with external data; size and hash above include them."""
    preprocessing: PreprocessingRecord | None = None
    """How images reach a third-party model, once it was opened; None for an exported file of a run."""
    golden_path: Path | None = None
    """Golden outputs that were made here, for a third-party model."""
    pixel_range: str | None = None
    runtime: str | None = None
    setting: RuntimeSetting = DEFAULT_SETTING
    operators: FileOperators | None = None
    """How many operators of each kind it has, and which compute in float; None for a third-party model."""
    limits: GateLimits | None = None
    """The limits of its accuracy gate; None where its export has no gate."""
    results: Path | None = None
    """Folder that its results go below, where that is not ``folder``."""

    @property
    def golden(self) -> Path:
        """The golden inputs and outputs that `edgekit export` leaves beside an exported file, or those made here."""
        return self.golden_path or ExportFolder(self.path.parent).golden

    def result_path(self, target: str) -> Path:
        """Where its bench result on ``target`` is stored."""
        return RunFolder(self.results or self.folder).bench_json(target, self.key)

    def job(self, images: Sequence[Path] = ()) -> ModelEntry:
        """The entry for this model in a job of the device program."""
        entry: ModelEntry = {
            "key": self.id,
            "path": str(self.path),
            "runtime": self.runtime,
            "scaling": self.scaling,
            "resize": self.resize or "stretch",
            "range": self.pixel_range or "full",
            "filter": self.filter or BILINEAR,
            "activation": (self.activation or "auto") if self.run is None else "none",
            "image_size": self.image_size,
            "output": self.output,
            "images": [str(path) for path in images],
        }
        entry.update(self.setting.entry())  # type: ignore[typeddict-item]
        return entry
