"""Exported files: one row for each file and each target it was measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgekit.documents.bench import BenchDocument, BenchResult, EnergyPerRun, RuntimeRecord
from edgekit.documents.export import ExportDocument
from edgekit.documents.gate import GateRecord
from edgekit.documents.latency import Latency
from edgekit.documents.report_rows import Mark
from edgekit.report.model.source import Correct, RunData, Score
from edgekit.stats.latency import percentile
from edgekit.stats.noninferiority import FAILED, HELD


@dataclass(frozen=True)
class Timing:
    """Latency of one file with one thread setting, batch 1, in ms; None if too few runs support a percentile."""

    threads: int
    n_runs: int
    p50: float | None
    """The median of the medians of the rounds."""
    p50_interval: tuple[float, float] | None
    """For any process; None if there was only one."""
    p90: float | None
    p95: float | None
    p95_interval: tuple[float, float] | None
    p99: float | None
    load: float
    first: float
    preprocess: float | None
    """Median time to decode, resize and scale one image."""
    postprocess: float | None
    cores_busy: float
    unstable: tuple[str, ...]
    round_p50s: tuple[float, ...]
    """The median of each round, however few runs it has."""


@dataclass(frozen=True)
class ExportedFile:
    """One exported file on one target; ``target`` is None if the file was not measured."""

    number: int
    run: RunData
    export: ExportDocument
    result: BenchResult | None
    score: Score | None
    drop: float | None
    """Accuracy of its Keras model minus its own, on the same images; 0.01 is one point."""
    timings: tuple[Timing, ...]
    correct: Correct

    @property
    def key(self) -> str:
        """``tflite-int8``: format and scheme, and the runtime unless it is a default (``tflite-int8@openvino``)."""
        return self.export.key if self.bench is None else self.bench.key

    @property
    def bench(self) -> BenchDocument | None:
        """What was measured on the target."""
        return None if self.result is None else self.result.bench

    @property
    def model(self) -> str:
        return self.run.model

    @property
    def strategy(self) -> str:
        return self.run.strategy

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def title(self) -> str:
        return f"{self.run.title}, {self.key}"

    @property
    def named(self) -> str:
        """Title and number, as sentences name it."""
        return f"{self.title} (#{self.number})"

    @property
    def target(self) -> str | None:
        return None if self.bench is None else self.bench.target

    @property
    def runtime(self) -> RuntimeRecord | None:
        return None if self.bench is None else self.bench.runtime

    @property
    def runtime_text(self) -> str:
        """``litert 2.3.0 XNNPACK``, with the precision where it is known; empty if it was not measured."""
        runtime = self.runtime
        parts = () if runtime is None else (runtime.name, runtime.version, runtime.delegate, runtime.precision)
        return " ".join(filter(None, parts))

    @property
    def status(self) -> str:
        return self.export.status if self.bench is None or not self.export.ok else self.bench.status

    @property
    def problems(self) -> tuple[str, ...]:
        return (*self.export.problems, *(() if self.bench is None else self.bench.problems))

    @property
    def failed(self) -> bool:
        return self.status != "ok"

    @property
    def gate(self) -> GateRecord | None:
        """The accuracy gate on the test split where that was judged, else on the images of the export."""
        judged = None if self.bench is None else self.bench.gate
        return judged or self.export.gate

    @property
    def emulated(self) -> bool:
        return self.bench is not None and self.bench.emulated

    @property
    def agreement(self) -> float | None:
        """Share of test images with the same top class as its Keras model."""
        return None if self.bench is None or self.bench.accuracy is None else self.bench.accuracy.agreement_with_keras

    @property
    def model_rss_bytes(self) -> int | None:
        """What loading and running the file adds to a fresh process."""
        return None if self.bench is None or self.bench.memory is None else self.bench.memory.model_rss_bytes

    @property
    def peak_rss_bytes(self) -> int | None:
        return None if self.bench is None or self.bench.memory is None else self.bench.memory.peak_rss_bytes

    @property
    def energy(self) -> EnergyPerRun | None:
        """Energy of one run; None if it was not measured, or by an emulator."""
        if self.bench is None or self.bench.energy is None or self.emulated:
            return None
        return self.bench.energy.per_run()

    @property
    def joules(self) -> float | None:
        return None if self.energy is None else self.energy.joules

    @property
    def _is_int8(self) -> bool:
        return self.export.scheme.partition("-")[0] == "int8"

    @property
    def float_operators(self) -> str | None:
        """Float operators of an int8 file with their number; None for other schemes, where floats are expected."""
        if not self._is_int8:
            return None
        return ", ".join(f"{name} {n}" for name, n in self.export.float_operators.items()) or "none"

    @property
    def not_integer(self) -> bool:
        """A TFLite int8 file with float operators; QDQ ONNX keeps its first and last ones by design."""
        if self.export.format != "tflite" or not self._is_int8:
            return False
        return not self.export.integer_only and self.export.repair is None

    def timing(self, threads: int) -> Timing | None:
        return next((timing for timing in self.timings if timing.threads == threads), None)

    def marks(self) -> list[Mark]:
        """What a reader must know before using its numbers."""
        marks: list[Mark] = []
        if self.failed:
            marks.append("failed")
        elif self.gate is not None and self.gate.status != HELD:
            marks.append("gate failed" if self.gate.status == FAILED else "gate undecided")
        if self.bench is not None and self.bench.incomplete:
            marks.append("partial")
        if self.emulated:
            marks.append("emulated")
        if any(timing.unstable for timing in self.timings):
            marks.append("unstable")
        if self.not_integer:
            marks.append("float operators")
        return marks


def exported_files(runs: Sequence[RunData]) -> list[ExportedFile]:
    """Every export of every run, once for each target and runtime it was measured on (once without any if on none)."""
    rows: list[ExportedFile] = []
    for run in runs:
        for export in run.exports:
            measured: list[tuple[BenchResult | None, Correct]] = [
                (result, correct)
                for result, correct in run.results
                if result.bench.export_key == export.key and not outdated(result, export)
            ]
            for result, correct in measured or [(None, {})]:
                rows.append(_exported_file(len(rows) + 1, run, export, result, correct))
    return rows


def outdated(result: BenchResult, export: ExportDocument) -> bool:
    """Whether the file was exported again after it was measured."""
    return result.bench.sha256 != export.sha256


def _exported_file(
    number: int, run: RunData, export: ExportDocument, result: BenchResult | None, correct: Correct
) -> ExportedFile:
    drop = None
    if correct and correct.keys() <= run.correct.keys():
        drop = sum(run.correct[file] - right for file, right in correct.items()) / len(correct)
    return ExportedFile(
        number=number,
        run=run,
        export=export,
        result=result,
        score=Score.of(correct),
        drop=drop,
        timings=() if result is None else tuple(_timing(latency) for latency in result.bench.latency),
        correct=correct,
    )


def _timing(latency: Latency) -> Timing:
    p50, p90, p95, p99 = (latency.percentile_ms(p) for p in (50, 90, 95, 99))
    return Timing(
        threads=latency.threads,
        n_runs=len(latency.samples_ns),
        p50=p50,
        p50_interval=latency.interval_ms(50),
        p90=p90,
        p95=p95,
        p95_interval=latency.interval_ms(95),
        p99=p99,
        load=latency.load_ns / 1e6,
        first=latency.first_ns / 1e6,
        preprocess=_median_ms(latency.preprocess_ns),
        postprocess=_median_ms(latency.postprocess_ns),
        cores_busy=latency.threads_effective,
        unstable=latency.unstable,
        round_p50s=tuple(median(block) / 1e6 for block in latency.rounds if block),
    )


def _median_ms(samples_ns: Sequence[int]) -> float | None:
    value = percentile(samples_ns, 50)
    return None if value is None else value / 1e6
