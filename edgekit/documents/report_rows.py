"""Parts of ``report.json``: trained networks, exported files, means over seeds, noise floors."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.base import Part
from edgekit.documents.bench import EnergyPerRun, HostAgreement, SustainedSummary
from edgekit.documents.gate import GateRecord
from edgekit.documents.profile import Profile
from edgekit.documents.report_findings import Range

Mark = Literal["failed", "gate undecided", "gate failed", "partial", "emulated", "unstable", "float operators"]
"""What a reader must know before using the numbers of an exported file."""


class ReportedRun(Part):
    """One trained network."""

    run_id: str
    """Name of the run."""
    backbone: str
    """The backbone."""
    strategy: str
    """Training strategy."""
    seed: int
    """Random seed."""
    status: str
    """``running`` or ``done``."""
    arm: str | None = None
    """Training variant of the study, if it compares several."""
    accuracy: float | None
    """Accuracy of the Keras model on the test split (0 to 1)."""
    n_samples: int | None
    """Number of test images."""
    accuracy_ci95: Range | None
    """Wilson's interval."""
    macro_f1: float | None
    """Mean of the F1 scores of all classes."""
    log_loss: float | None
    """Mean cross-entropy in nats."""
    ece: float | None
    """Expected calibration error (0 to 1)."""
    ece_by_chance: float | None = None
    """What a perfectly calibrated network shows on as many images: few images make every error positive."""
    ece_corrected: float | None = None
    """``ece`` without this bias; ``null`` for a run that was not evaluated, and in reports on more than 60 runs."""
    ece_corrected_ci95: tuple[float, float] | None = None
    """Its interval. It begins at 0 where the network may be perfectly calibrated."""
    parameters: int | None
    """Number of weights."""
    keras_size_bytes: int | None
    """Size of ``model.keras``."""
    train_seconds: float | None
    """Training time."""
    run_dir: str
    """The run folder, below the folder of the report."""


class ValidityFlag(Part):
    """One condition of a valid latency."""

    name: str
    """Such as ``minimum runs``."""
    holds: bool | None
    """``null`` if it was not asked for, or is not known."""
    detail: str
    """What was found."""


class LatencyRecord(Part):
    """Latency of one file with one thread setting, in milliseconds; ``null`` if too few runs support a percentile."""

    threads: int
    """Number of threads."""
    n_runs: int
    """Number of measured runs."""
    latency_ms_p50: float | None
    """Median of the round medians."""
    latency_ms_p50_ci95: Range | None = None
    """95% interval of the p50 over processes; ``null`` if there was only one."""
    latency_ms_p90: float | None
    """90th percentile."""
    latency_ms_p95: float | None
    """95th percentile."""
    latency_ms_p95_ci95: Range | None = None
    """95% interval of the p95 over processes; ``null`` if there was only one."""
    latency_ms_p99: float | None
    """99th percentile."""
    load_ms: float
    """Time to load the file."""
    first_ms: float
    """Time of the first run."""
    preprocess_ms_p50: float | None
    """Median time to decode, resize and scale one image."""
    postprocess_ms_p50: float | None
    """Median time to read out the result."""
    unstable: tuple[str, ...]
    """Why the measurement cannot win a comparison; empty on a quiet machine."""
    validity: tuple[ValidityFlag, ...] = ()
    """Minimum duration and runs, noise floor, throttling, other load, pinning and so on."""


class ExportedFileRecord(Part):
    """One exported file on one target; ``target`` is ``null`` if it was not measured."""

    number: int
    """Number in the tables."""
    run_id: str
    """The run it was exported from."""
    backbone: str
    """The backbone."""
    strategy: str
    """Training strategy."""
    arm: str | None = None
    """Training variant of the study, if it compares several."""
    seed: int
    """Random seed."""
    format: str
    """``tflite`` or ``onnx``."""
    scheme: str
    """``fp32``, ``int8`` and others."""
    key: str = ""
    """Format and scheme, and the runtime unless it is a default: ``onnx-int8``, ``onnx-int8@openvino``."""
    status: str
    """``ok`` or ``failed``."""
    problems: tuple[str, ...]
    """Why it failed."""
    marks: tuple[Mark, ...]
    """What a reader must know before using the numbers."""
    on_pareto_front: bool
    """Whether no other file on the target is both faster and at least as accurate."""
    accuracy: float | None
    """Accuracy on the test split with the runtime of the target (0 to 1)."""
    n_samples: int | None
    """Number of test images."""
    accuracy_ci95: Range | None
    """Wilson's interval."""
    accuracy_drop: float | None
    """Accuracy of the Keras model minus that of the file, on the same images."""
    agreement_with_keras: float | None
    """Share of test images with the same top class as the Keras model."""
    gate: GateRecord | None = None
    """The accuracy gate on the test split, or on the images of the export where that was not judged."""
    size_bytes: int | None
    """Size of the file."""
    gzip_bytes: int | None
    """Size of the file compressed with gzip."""
    sha256: str | None
    """SHA-256 of the file."""
    target: str | None
    """Name of the target."""
    emulated: bool
    """Whether the target is an emulator, whose times are not those of a device."""
    runtime: str | None
    """Name of the runtime."""
    protocol: str | None
    """Name of the protocol."""
    session_id: str | None
    """The session; only files of the same session are compared."""
    baseline_rss_bytes: int | None
    """Memory of a process before it loads the file."""
    peak_rss_bytes: int | None
    """Peak memory of the process."""
    model_rss_bytes: int | None
    """What loading and running the file adds."""
    joules_per_inference: float | None = None
    """Energy of one run; ``null`` if the machine does not report its power."""
    profile: Profile | None = None
    """Time by operator, if it was profiled."""
    latency: tuple[LatencyRecord, ...]
    """One entry for each thread count."""
    agreement_with_host: HostAgreement | None = None
    """Predictions of the target against those of the machine that ran edgekit."""
    energy: EnergyPerRun | None = None
    """Energy of one run in detail."""
    sustained: SustainedSummary | None = None
    """The sustained run, in slices."""
    result: str | None
    """The bench result, below the folder of the report."""


class SeedGroup(Part):
    """Exported files that differ in their seed only; means over seeds."""

    number: int
    """Number in the tables and in the verdict."""
    title: str
    """Model, strategy and exported file."""
    backbone: str
    """The backbone."""
    strategy: str
    """Training strategy."""
    arm: str | None = None
    """Training variant of the study, if it compares several."""
    format: str
    """``tflite`` or ``onnx``."""
    scheme: str
    """``fp32``, ``int8`` and others."""
    key: str = ""
    """Format and scheme, and the runtime unless it is a default: ``onnx-int8``, ``onnx-int8@openvino``."""
    size_bytes: int | None
    """Size of the first file."""
    target: str | None
    """Name of the target."""
    marks: tuple[Mark, ...]
    """The marks of all its files."""
    on_pareto_front: bool
    """Whether it is on the Pareto front of its target."""
    seeds: tuple[int, ...]
    """The seeds."""
    accuracy_mean: float | None
    """Mean accuracy; ``null`` if a file failed or was not scored."""
    accuracy_sd: float | None
    """Standard deviation over seeds; ``null`` for a single seed."""
    accuracy_ci95: Range | None
    """Student's t interval over seeds; Wilson's for a single seed."""
    latency_ms_p50: dict[str, float | None]
    """By number of threads."""


class ControlRatio(Part):
    """An A/A control: one file measured as if it were two."""

    model: str
    """The file."""
    ratio: float
    """Ratio of its two measurements."""
    ratio_ci95: Range
    """Interval of the ratio, over processes, then rounds."""
    n_processes: int
    """Number of processes."""
    n_rounds: int
    """Number of rounds in all processes."""


class SessionNoiseFloor(Part):
    """The A/A controls of one session and thread count: ratios within ``floor`` are noise."""

    session_id: str
    """The session."""
    threads: int
    """Number of threads."""
    model: str
    """The first file that was measured twice."""
    ratio: float
    """Ratio of its two measurements."""
    ratio_ci95: Range
    """Interval of the ratio."""
    n_rounds: int
    """Number of rounds."""
    controls: tuple[ControlRatio, ...] = ()
    """All files that were measured twice; empty in older reports, which had one."""
    floor: Range
    """Ratios within this range are noise."""
