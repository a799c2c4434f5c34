"""What `edgekit bench --json` prints: one row per model and thread setting, and the comparisons."""

from __future__ import annotations

from typing import Final, Literal

from edgekit.documents.base import Document, JsonObject, Part
from edgekit.documents.bench import BenchResult, HostAgreement
from edgekit.documents.gate import GateRecord
from edgekit.documents.latency import Latency
from edgekit.documents.report_rows import ControlRatio, ValidityFlag
from edgekit.documents.tuning import SettingRecord, TuningVerdict

PERCENTILES = (50, 90, 95, 99)


class BenchRow(Part):
    """One thread setting of one model, flat: a row of ``edgekit bench --json``. A model that failed has one row."""

    run_id: str | None
    backbone: str | None
    strategy: str | None
    seed: int | None
    format: str
    scheme: str
    model: str
    size_bytes: int
    gzip_bytes: int
    sha256: str
    id: str
    status: Literal["ok", "failed"]
    problems: tuple[str, ...]
    accuracy: float | None
    n_samples: int | None
    accuracy_ci95: tuple[float, float] | None
    """Wilson's interval."""
    agreement_with_keras: float | None
    gate: GateRecord | None = None
    """The accuracy gate, judged again on the test images."""
    agreement_with_host: HostAgreement | None
    baseline_rss_bytes: int | None
    peak_rss_bytes: int | None
    model_rss_bytes: int | None
    arena_bytes: int | None = None
    """Working memory of the file on a microcontroller, with TensorFlow Lite Micro."""
    energy_source: str | None
    joules_per_inference: float | None
    target: str
    emulated: bool
    runtime: str | None
    runtime_version: str | None
    delegate: str | None
    protocol: str
    session_id: str
    result: str
    """The result document."""
    threads: int | None
    threads_effective: float | None
    """How many cores were busy while it ran."""
    load_ns: int | None
    first_ns: int | None
    latency_ns: tuple[int, ...]
    """All measured runs, in order."""
    latency_ms_p50: float | None
    """The median of the round medians; ``null``, like the percentiles, if there are too few runs."""
    latency_ms_p50_ci95: tuple[float, float] | None = None
    """95% interval over processes; ``null`` if there was only one."""
    latency_ms_p90: float | None
    latency_ms_p95: float | None
    latency_ms_p95_ci95: tuple[float, float] | None = None
    latency_ms_p99: float | None
    unstable: tuple[str, ...]
    """Reasons why this measurement cannot win a comparison; empty on a quiet machine."""
    validity: tuple[ValidityFlag, ...] = ()
    """Minimum duration and runs, noise floor, throttling, other load, pinning and so on."""


LatencyVerdict = Literal[
    "slower",
    "faster",
    "no useful difference",
    "not measurable in this session",
    "no verdict: fewer than six rounds",
    "no verdict: only one process each",
    "unstable",
]
UNSTABLE: Final = "unstable"


class NoiseFloorRecord(Part):
    """The A/A controls of one thread count: files that were measured twice, and the ratios that are noise."""

    controls: tuple[ControlRatio, ...]
    floor: tuple[float, float]


class ComparisonRecord(Part):
    """The latency of ``model`` as a multiple of that of ``against``, the fastest model."""

    session_id: str
    threads: int
    model: str
    against: str
    ratio: float
    ratio_ci95: tuple[float, float]
    """Over the processes of the session, then their rounds."""
    n_processes: int
    n_rounds: int
    verdict: LatencyVerdict


class NoBenefit(Part):
    """A conversion with no measurable benefit: no faster, or no smaller, than the fp32 file."""

    model: str
    fp32: str
    reason: str
    threads: int | None = None
    """``null`` if the reason is the size."""
    ratio: float | None = None
    """Latency as a multiple of the fp32 file's; ``null`` if the reason is the size."""
    ratio_ci95: tuple[float, float] | None = None
    fell_back: tuple[str, ...]
    """The parts of the file that do not run as intended."""
    decided: bool = True
    """False where the session is too noisy to say whether there is a benefit."""


class TunedRow(Part):
    """The fastest setting of a file on a target, as ``edgekit bench --tune`` confirmed it."""

    id: str
    target: str
    settings: SettingRecord
    """What to run the file with: the default, unless another setting is measurably faster."""
    default: SettingRecord
    found: SettingRecord | None
    """The fastest setting of the search; ``null`` if none was faster than the default."""
    ratio_to_default: float | None
    """Latency of ``found`` as a multiple of that of ``default``, from the confirmation."""
    ratio_to_default_ci95: tuple[float, float] | None
    noise_floor: tuple[float, float] | None
    verdict: TuningVerdict


class BenchSummary(Document):
    """What `edgekit bench --json` prints: every row, and the comparisons within each session."""

    results: tuple[BenchRow, ...]
    noise_floor: dict[str, NoiseFloorRecord]
    """By thread count; with several targets by ``target/threads``."""
    comparisons: tuple[ComparisonRecord, ...]
    not_worth_it: tuple[NoBenefit, ...]
    """Conversions with no measurable benefit."""
    tuned: tuple[TunedRow, ...] = ()
    """One row for each file and target with ``--tune``."""
    errors: dict[str, str] = {}
    """Why a target gave no results, by its name."""


def tuned_row(result: BenchResult) -> TunedRow | None:
    """None for a file that was not tuned."""
    tuning = result.bench.tuning
    if tuning is None:
        return None
    confirmed = tuning.confirmed()
    return TunedRow(
        id=result.id,
        target=result.bench.target,
        settings=tuning.chosen,
        default=tuning.default,
        found=tuning.found,
        ratio_to_default=None if confirmed is None else confirmed.ratio.ratio,
        ratio_to_default_ci95=None if confirmed is None else (confirmed.ratio.low, confirmed.ratio.high),
        noise_floor=None if confirmed is None else (1 / confirmed.floor, confirmed.floor),
        verdict=tuning.verdict,
    )


def bench_rows(result: BenchResult) -> list[BenchRow]:
    """One row per thread setting; one row without latency for a model that failed."""
    return [_row(result, latency) for latency in result.latency or (None,)]


def _row(result: BenchResult, latency: Latency | None) -> BenchRow:
    bench = result.bench
    energy = None if bench.energy is None else bench.energy.per_run()
    copied = set(BenchRow.model_fields) & set(type(bench).model_fields) - {"accuracy", "runtime", "protocol"}
    return BenchRow.model_validate(
        {
            **_fields(bench, *copied),
            **_fields(bench.accuracy, "accuracy", "n_samples", "agreement_with_keras", "agreement_with_host"),
            **_fields(bench.memory, "baseline_rss_bytes", "peak_rss_bytes", "model_rss_bytes", "arena_bytes"),
            **_fields(latency, "threads", "threads_effective", "load_ns", "first_ns"),
            **{f"latency_ms_p{p}": latency and latency.percentile_ms(p) for p in PERCENTILES},
            **{f"latency_ms_p{p}_ci95": latency and latency.interval_ms(p) for p in (50, 95)},
            "latency_ns": latency.samples_ns if latency else (),
            "unstable": latency.unstable if latency else (),
            "accuracy_ci95": bench.accuracy_ci95,
            "energy_source": energy and energy.source,
            "joules_per_inference": energy and energy.joules,
            "runtime": bench.runtime and bench.runtime.name,
            "runtime_version": bench.runtime and bench.runtime.version,
            "delegate": bench.runtime and bench.runtime.delegate,
            "protocol": bench.protocol.name,
            "result": str(result.path),
        }
    )


def _fields(part: Part | None, *names: str) -> JsonObject:
    return {name: getattr(part, name, None) for name in names}
