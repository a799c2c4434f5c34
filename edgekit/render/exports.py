"""Sentences about one exported file: its quantization ranges, its repair, its compression."""

from __future__ import annotations

from edgekit.documents.export import CalibrationRecord, ExportDocument, LayerSensitivity, RepairRecord
from edgekit.documents.gate import GateRecord
from edgekit.recipe import Clustering
from edgekit.registry import COMPRESSIONS
from edgekit.render.text import plural
from edgekit.stats.noninferiority import FAILED


def calibration_text(calibration: CalibrationRecord) -> str:
    """The quantization ranges and the share of values that they clip; empty without a calibration report."""
    ranges = calibration.ranges
    if ranges is None:
        return ""
    shares = ((tensor.layer, f"{tensor.outside:.2%}") for tensor in ranges.worst[:3])
    worst = ", ".join(f"{layer} {share}" for layer, share in shares if share != "0.00%")
    return (
        f"{ranges.tensors} quantization ranges ({calibration.method}, {calibration.images} images) clip "
        f"{ranges.outside:.3%} of the values of held-out images and {ranges.outside_calibration:.3%} of those of "
        f"calibration images{f'; most in {worst}' if worst else ''}"
    )


def repair_text(repair: RepairRecord, gate: GateRecord | None) -> str:
    """The layers that a repair keeps in float, what they cost, and what the ``gate`` of the repaired file says."""
    kept, ratio = repair.kept_in_float, repair.latency_ratio
    names = ", ".join(kept[:4]) + (f" and {len(kept) - 4} more" if len(kept) > 4 else "")
    more = (repair.size_bytes - repair.size_bytes_before) / 1e6
    low, high = ratio.ci95
    failed = gate is None or gate.status == FAILED
    verdict = "" if repair.held else f"; the accuracy gate {'still fails' if failed else 'is undecided'}"
    return (
        f"{len(kept)} of {repair.n_layers} layers compute in float ({names}): {more:+.2f} MB, "
        f"{ratio.median:.2f} times the latency (95% interval {low:.2f} to {high:.2f}){verdict}"
    )


def training_text(export: ExportDocument) -> str:
    """How the network of a compressed file was fine-tuned, and what the file contains; empty for any other file."""
    training, weights = export.training, export.weights
    if training is None or weights is None:
        return ""
    text = f"{COMPRESSIONS[training.kind]}: {plural(training.steps, 'step')} in {training.seconds:.0f} s"
    if training.kind == "pruned":
        text += f"; {weights.n_zero / weights.n_weights:.1%} of the {weights.n_weights:,} weights in the file are 0"
    if isinstance(training.settings, Clustering):
        clusters = training.settings.clusters
        clustered = sum(kernel.n_distinct <= clusters for kernel in weights.kernels)
        text += (
            f"; {clustered} of {plural(len(weights.kernels), 'kernel')} in the file have at most {clusters} distinct "
            "values per channel"
        )
    trained, n_images = export.parity.trained, export.parity.n_images
    if trained is not None:
        n_same = n_images - trained.n_disagree
        text += f"; the file and the network trained for it agree on {n_same} of {n_images} images"
    return text


def ranked_name(entry: LayerSensitivity) -> str:
    """The layer, and how many after it were quantized together with it."""
    return entry.layer if not entry.with_next else f"{entry.layer} and the next {entry.with_next}"
