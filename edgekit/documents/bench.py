"""``bench/<target>/<export>.json``: the measurements of one model file on one target.

Raw samples are stored; statistics are computed when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar, Literal

from pydantic import field_validator

from edgekit.documents.base import Document, FileName, Migration, Part
from edgekit.documents.folders import RunFolder
from edgekit.documents.gate import GateRecord
from edgekit.documents.latency import CacheTest, ControlRecord, Latency, ProtocolRecord, grouped_by_process
from edgekit.documents.machine import EnvironmentRecord, MachineState, Throttling
from edgekit.documents.preprocessing import PreprocessingRecord
from edgekit.documents.profile import OperatorProfile
from edgekit.documents.tuning import TuningRecord
from edgekit.stats.intervals import wilson_interval

RUNTIME_MARK = "@"
"""Stands in a key before the name of a runtime that is not a default of the file's format (``onnx-int8@openvino``)."""


class RuntimeRecord(Part):
    """The runtime that ran the file."""

    name: str
    version: str | None
    delegate: str | None
    """``XNNPACK``, an execution provider, a device, or ``none``."""
    precision: str | None = None
    """The type in which float operators compute (``f32``, ``bf16``), where the runtime says so."""


class MemoryRecord(Part):
    """Resident memory in a fresh process that only loads and runs the file."""

    threads: int
    baseline_rss_bytes: int
    """Interpreter, numpy and runtime before the file is opened."""
    peak_rss_bytes: int
    model_rss_bytes: int
    """The difference of the two."""
    peak_was_reset: bool
    arena_bytes: int | None = None
    """The working memory (arena) of the file on a microcontroller, measured with TensorFlow Lite Micro."""


class DifferingImage(Part):
    """An image to which target and host give different classes."""

    file: str
    here: str
    there: str
    probability_here: float
    probability_there: float


class HostAgreement(Part):
    """Predictions of the target against those of this machine, image by image."""

    n_images: int
    n_same: int
    max_difference: float
    same_decoder: bool
    host_decoder: str
    differing: tuple[DifferingImage, ...]


class AccuracyRecord(Part):
    """Accuracy on the test split, with the target's own decoder and runtime."""

    accuracy: float
    n_samples: int
    n_correct: int
    split: str
    decoder: str
    activation: str
    agreement_with_keras: float | None = None
    """Share of images with the same top class as the Keras model; ``null`` for a third-party model."""
    predictions: FileName
    """The .npz beside this document: ``labels`` (N,), ``probabilities`` (N, classes), ``files`` (N,)."""
    agreement_with_host: HostAgreement | None = None
    scored: str | None = None
    """When the images were scored, where that was another session than that of the latency."""


class EnergyPerRun(Part):
    """Energy of one inference, as far as ``source`` measures it (never the whole board)."""

    source: str
    joules: float
    joules_above_idle: float
    """Without what the machine draws when idle for as long."""
    idle_watts: float


class EnergyRecord(Part):
    """Energy of many runs; ``source`` is ``null`` if the machine does not measure its power."""

    source: str | None
    threads: int | None = None
    joules: float | None = None
    wall_s: float | None = None
    runs: int | None = None
    idle_joules: float | None = None
    idle_s: float | None = None

    def per_run(self) -> EnergyPerRun | None:
        """Energy of one run; None if it was not measured."""
        if self.source is None or self.joules is None or not self.runs or self.wall_s is None:
            return None
        if self.idle_joules is None or not self.idle_s:
            return None
        idle_watts = self.idle_joules / self.idle_s
        return EnergyPerRun(
            source=self.source,
            joules=self.joules / self.runs,
            joules_above_idle=(self.joules - idle_watts * self.wall_s) / self.runs,
            idle_watts=idle_watts,
        )


class SustainedWindow(Part):
    """About one second of a sustained run."""

    start_s: float
    ns: tuple[int, ...]
    frequency_khz: int | None
    temperature_c: float | None
    throttled: Throttling | None


class SustainedSlice(Part):
    """A part of a sustained run: when it began, its p50, and the medians of clock and temperature."""

    start_s: float
    latency_ms_p50: float
    frequency_mhz: float | None
    temperature_c: float | None


class SustainedSummary(Part):
    """A sustained run in slices. ``ratio`` is the p50 of the last slice over that of the first."""

    threads: int
    seconds: float
    slices: tuple[SustainedSlice, ...]
    ratio: float
    firmware: tuple[str, ...] | None
    """Flags that the firmware reported meanwhile; ``null`` if it reports nothing."""


class SustainedRecord(Part):
    """One file run continuously."""

    seconds: float
    threads: int
    cooldown_s: float
    before: MachineState
    windows: tuple[SustainedWindow, ...]
    after: MachineState | None = None

    def summary(self, slices: int) -> SustainedSummary | None:
        """The run in at most ``slices`` slices; None if nothing was measured."""
        if not self.windows:
            return None
        size = max(1, -(-len(self.windows) // slices))
        parts = tuple(_slice(self.windows[start : start + size]) for start in range(0, len(self.windows), size))
        reported = [window.throttled.now for window in self.windows if window.throttled]
        return SustainedSummary(
            threads=self.threads,
            seconds=self.seconds,
            slices=parts,
            ratio=parts[-1].latency_ms_p50 / parts[0].latency_ms_p50,
            firmware=tuple(dict.fromkeys(flag for flags in reported for flag in flags)) if reported else None,
        )


class FileOperators(Part):
    """Operators of the file by kind, and those of them that compute with floats."""

    counts: dict[str, int] | None
    float: dict[str, int] | None


class BenchDocument(Document):
    """One model file on one target."""

    VERSION: ClassVar[int] = 2
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: grouped_by_process}

    schema_version: int = 2
    """Version of this kind of document."""
    status: Literal["ok", "failed"]
    problems: tuple[str, ...]
    run_id: str | None
    backbone: str | None
    alpha: float | None = None
    strategy: str | None
    seed: int | None
    format: FileName
    scheme: FileName
    key: FileName
    """Names the result in its folder: ``onnx-int8``, or ``onnx-int8@openvino`` with a runtime that is no default."""
    id: str
    """Names the file in its session: run and export, or the file."""
    model: str
    size_bytes: int
    gzip_bytes: int
    sha256: str
    operators: FileOperators | None = None
    target: FileName
    emulated: bool
    session_id: str
    """Files of the same session were measured interleaved, so their latencies can be compared."""
    sittings: tuple[str, ...] = ()
    """When the session started and, after each interruption, when it was resumed. Empty in older documents."""
    incomplete: tuple[str, ...] = ()
    """What has not been measured yet, because of an interruption or an option; rerunning the command completes it."""
    created: str
    runtime: RuntimeRecord | None
    protocol: ProtocolRecord
    latency: tuple[Latency, ...]
    memory: MemoryRecord | None
    accuracy: AccuracyRecord | None
    gate: GateRecord | None = None
    """The accuracy gate of the export, judged again on these test images; None for a file without a gate."""
    energy: EnergyRecord | None = None
    sustained: SustainedRecord | None = None
    profile: OperatorProfile | None = None
    preprocessing: PreprocessingRecord | None = None
    """How images reach a third-party model; ``null`` for an exported file of a run."""
    tuning: TuningRecord | None = None
    """The search for a faster setting; ``null`` if none was made."""
    control: tuple[ControlRecord, ...]
    cache_test: tuple[CacheTest, ...] = ()
    environment: EnvironmentRecord
    warnings: tuple[str, ...] = ()

    @field_validator("scheme", mode="before")
    @classmethod
    def _third_party(cls, value: object) -> object:
        """Third-party models had the scheme ``foreign`` in documents of version 0.1."""
        return "third-party" if value == "foreign" else value

    @property
    def ok(self) -> bool:
        """Whether the file ran and gave finite outputs."""
        return self.status == "ok"

    @property
    def export_key(self) -> str:
        """``tflite-int8``: the export of a run that was measured, whichever runtime ran it."""
        return self.key.partition(RUNTIME_MARK)[0]

    @property
    def accuracy_ci95(self) -> tuple[float, float] | None:
        """Wilson's interval of the accuracy; None if it was not measured."""
        return None if self.accuracy is None else wilson_interval(self.accuracy.n_correct, self.accuracy.n_samples)

    def with_threads(self, threads: int) -> Latency | None:
        """The measurement with this many threads."""
        return next((latency for latency in self.latency if latency.threads == threads), None)


def _slice(windows: tuple[SustainedWindow, ...]) -> SustainedSlice:
    clock = [window.frequency_khz for window in windows if window.frequency_khz]
    heat = [window.temperature_c for window in windows if window.temperature_c is not None]
    return SustainedSlice(
        start_s=windows[0].start_s,
        latency_ms_p50=median(ns for window in windows for ns in window.ns) / 1e6,
        frequency_mhz=median(clock) / 1000 if clock else None,
        temperature_c=median(heat) if heat else None,
    )


@dataclass(frozen=True)
class BenchResult:
    """The result of one model on one target, with the place it is stored at."""

    path: Path
    bench: BenchDocument

    @classmethod
    def read(cls, path: Path) -> BenchResult:
        """Read a bench document; :class:`InputError` if it is none or was written by a newer edgekit."""
        return cls(path, BenchDocument.read(path))

    @property
    def id(self) -> str:
        """Names the model in its session: run and export, or the file."""
        return self.bench.id

    @property
    def ok(self) -> bool:
        return self.bench.ok

    @property
    def latency(self) -> tuple[Latency, ...]:
        return self.bench.latency

    @property
    def accuracy_ci95(self) -> tuple[float, float] | None:
        """Wilson's interval of the accuracy; None if it was not measured."""
        return self.bench.accuracy_ci95

    def predictions_path(self) -> Path | None:
        """The .npz with ``labels`` (N,), ``probabilities`` (N, classes), ``files`` (N,); None if not scored."""
        accuracy = self.bench.accuracy
        return None if accuracy is None else self.path.parent / accuracy.predictions

    def with_threads(self, threads: int) -> Latency | None:
        """The measurement with this many threads."""
        return self.bench.with_threads(threads)


def run_results(run: RunFolder, target: str | None = None) -> list[BenchResult]:
    """Every bench result in a run folder, of one target or of all, in the order of their names."""
    return [BenchResult.read(path) for path in sorted((run.path / "bench").glob(f"{target or '*'}/*.json"))]
