"""``export.json`` and ``calibration.json``: one exported file, how it was made, and the results of its checks."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgekit.documents.base import Document, FileName, JsonObject, Migration, Part
from edgekit.documents.gate import GateRecord
from edgekit.recipe import Clustering, Pruning, Qat
from edgekit.stats.noninferiority import FAILED, UNDECIDED, Verdict, images_to_decide, judge_loss, paired_loss_bounds


class InputTensor(Part):
    """What the exported file takes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    color: Literal["RGB"] = "RGB"
    range: tuple[int, int] = (0, 255)


class OutputTensor(Part):
    """What the exported file returns; ``scale`` and ``zero_point`` are set if it is quantized."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    zero_point: int | None = None


class CompressionAgreement(Part):
    """How closely the exported file matches the network that was trained for it (QAT, pruning, clustering)."""

    agreement: float
    """Share of the parity images with the same top class."""
    n_disagree: int
    max_abs_difference: float
    mean_abs_difference: float
    agreement_of_kernels: float | None = None
    """The same share between LiteRT's kernels with and without XNNPACK, if that was measured."""


class ParityRecord(Part):
    """The parity check: the exported file against the Keras model on images that its weights were not trained on.

    Everything but ``split`` and ``n_images`` is ``null`` if the file could not be run.
    """

    split: str
    n_images: int
    agreement: float | None = None
    n_disagree: int | None = None
    max_abs_difference: float | None = None
    mean_abs_difference: float | None = None
    keras_accuracy: float | None = None
    accuracy: float | None = None
    n_by_keras: int | None = None
    """For how many of the images the Keras model itself was run. The fp32 file, which predicted the same for these,
    stood in for it on the others. ``null``: for all."""
    trained: CompressionAgreement | None = None


class GoldenRecord(Part):
    """Stored inputs and outputs with which a target verifies the exported file."""

    n_images: int
    file: FileName


class LayerSensitivity(Part):
    """The effect on the predictions of quantizing one layer alone, or a few consecutive ones of a large network."""

    layer: str
    with_next: int = 0
    """Number of layers after ``layer`` that were quantized together with it."""
    divergence_nats: float
    """Kullback-Leibler divergence from the Keras model's probabilities, mean over images."""
    agreement: float


class RepairTrial(Part):
    """One attempt of a repair, with ``kept`` layers in float, judged on the images that choose the layers."""

    kept: int
    drop_points: float
    verdict: Verdict
    bytes: int


class LatencyRatio(Part):
    """The latency of the repaired file divided by that of the unrepaired one, with a 95% interval."""

    median: float
    ci95: tuple[float, float]
    threads: int


class RepairRecord(Part):
    """The layers that a repair keeps in float, and what that costs."""

    held: bool
    """Whether the accuracy gate holds for the repaired file."""
    chosen_on: int | None = None
    """Images on which the layers were chosen; the gate judges on others. None where both used the same images."""
    kept_in_float: tuple[str, ...]
    n_layers: int
    size_bytes_before: int
    size_bytes: int
    latency_ratio: LatencyRatio
    trials: tuple[RepairTrial, ...]


class Converter(Part):
    """The program that made the file."""

    name: str
    version: str


class ClippedTensor(Part):
    """A tensor some of whose values lie outside its quantization range."""

    layer: str
    low: float
    high: float
    outside: float
    """Share of the values of held-out images outside the range."""
    outside_calibration: float
    values: int | None = None


class RangesSummary(Part):
    """A summary of ``calibration.json``; ``worst`` has the tensors that are clipped most."""

    file: FileName
    tensors: int
    outside: float
    outside_calibration: float
    worst: tuple[ClippedTensor, ...]


class CalibrationRecord(Part):
    """The images that determined the quantization ranges."""

    images: int
    seed: int
    split: str
    per_class: tuple[int, ...]
    warnings: tuple[str, ...] = ()
    method: str | None = None
    ranges: RangesSummary | None = None


class CompressionEpoch(Part):
    """One epoch of QAT, pruning or clustering."""

    epoch: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


class CarriedOver(Part):
    """How closely the tf_keras copy matches the Keras model before compression starts."""

    images: int
    max_abs_difference: float


CompressionName = Literal["qat", "pruned", "clustered"]


class CompressionRecord(Part):
    """How the network was fine-tuned for a compressed file."""

    kind: CompressionName
    settings: Qat | Pruning | Clustering
    """The recipe's section for this kind, with the batch size that was used."""
    steps: int
    history: tuple[CompressionEpoch, ...]
    seconds: float
    resumed: int = 0
    """Epochs that an earlier, interrupted command had completed."""
    layers: tuple[str, ...] | None = None
    """The layers that were pruned or clustered."""
    carried_over: CarriedOver
    versions: dict[str, str]


class KernelWeights(Part):
    """The weights of one kernel, as counted in the file."""

    operator: str
    n_weights: int
    n_zero: int
    n_distinct: int
    """The largest number of distinct values in one output channel."""


class WeightCounts(Part):
    """Zeros and distinct values of all kernels."""

    n_weights: int
    n_zero: int
    kernels: tuple[KernelWeights, ...]


class ExportTiming(Part):
    """Wall-clock seconds."""

    convert_seconds: float
    check_seconds: float


def _with_judged_gate(old: JsonObject) -> JsonObject:
    """Version 1 to 2: the gate of older files is judged again by its counts, with one-sided bounds.

    A file that failed for its loss alone, which the counts do not show to exceed the limit, is undecided.
    """
    if old["gate"] is None:
        return old
    gate = dict(old["gate"])
    n, worse, better = gate.pop("n_images"), len(gate["became_wrong"]), len(gate["became_right"])
    before, limit = gate.pop("verdict"), gate.pop("max_drop_points")
    del gate["drop_ci95_points"]
    bounds = paired_loss_bounds(worse, better, n)
    status = judge_loss(bounds, limit / 100)
    if status == FAILED and before != FAILED:
        status = UNDECIDED  # its warning says so already
    decided = images_to_decide(worse, better, n, limit / 100) if status == UNDECIDED else None
    old["gate"] = {
        **gate,
        "status": status,
        "upper95_points": 100 * bounds.upper,
        "lower95_points": 100 * bounds.lower,
        "limit_points": limit,
        "n_samples": n,
        "more_images": None if decided is None else decided - n,
        "split": old["parity"]["split"],
        "chose_epoch": True,
    }
    if status == UNDECIDED and before == FAILED:
        about_gate = [text for text in old["problems"] if "points of accuracy against the Keras model" in text]
        old["problems"] = [text for text in old["problems"] if text not in about_gate]
        old["warnings"] = [*old["warnings"], *about_gate]
        old["status"] = "failed" if old["problems"] else "ok"
    return old


class ExportDocument(Document):
    """One exported file."""

    VERSION: ClassVar[int] = 2
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: _with_judged_gate}

    schema_version: int = 2
    """Version of this kind of document."""
    run_id: str
    backbone: str
    alpha: float | None = None
    strategy: str
    seed: int
    keras_sha256: str
    """SHA-256 of the run's ``model.keras``."""
    labels: tuple[str, ...]
    resize: str
    pixel_range: str = "full"
    """How values of more than 8 bits become 0 to 255."""
    format: FileName
    scheme: FileName
    file: FileName
    size_bytes: int
    sha256: str
    input: InputTensor | None
    output: OutputTensor | None
    operators: dict[str, int]
    """Number of operators by kind."""
    integer_only: bool
    float_operators: dict[str, int]
    parity: ParityRecord
    gate: GateRecord | None
    golden: GoldenRecord | None
    status: Literal["ok", "failed"]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    gzip_bytes: int
    sensitivity: tuple[LayerSensitivity, ...] | None = None
    repair: RepairRecord | None = None
    converter: Converter
    opset: int | None = None
    calibration: CalibrationRecord | None
    training: CompressionRecord | None = None
    weights: WeightCounts | None = None
    seconds: float
    timing: ExportTiming
    peak_rss_bytes: int | None
    created: str
    versions: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return self.status == "ok"

    @property
    def outcome(self) -> Literal["ok", "undecided", "failed"]:
        """``failed`` where a check failed, ``undecided`` where only the accuracy gate is."""
        if not self.ok:
            return "failed"
        return "undecided" if self.gate is not None and self.gate.status == UNDECIDED else "ok"

    @property
    def key(self) -> str:
        """``format-scheme``, the name of the export's folder."""
        return f"{self.format}-{self.scheme}"


class SeenValues(Part):
    """The values of one tensor over the images of one split; ``outside`` is the share outside its range."""

    outside: float
    values: int
    low: float
    high: float


class TensorRange(Part):
    """The quantization range of one tensor, and its values on images of both splits."""

    tensor: str
    layer: str | None
    low: float
    high: float
    calibration: SeenValues
    validation: SeenValues


class CalibrationImages(Part):
    """How many images determined the ranges, and how many images of each split were examined for the report."""

    calibration: int
    looked_at: int


class CalibrationDocument(Document):
    """``calibration.json``: the quantization range of every activation of an int8 file."""

    method: str
    percentile: float | None
    images: CalibrationImages
    tensors: tuple[TensorRange, ...]
