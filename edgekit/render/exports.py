"""Sentences about one exported file: its quantization ranges, its repair, its further training."""

from __future__ import annotations

from typing import Any

from edgekit.registry import COMPRESSIONS


def calibration_text(calibration: dict[str, Any]) -> str:
    """Ranges and what lies outside; the ``calibration`` of an ``export.json`` that has ``ranges``, in a sentence."""
    found = calibration["ranges"]
    worst = ", ".join(f"{entry['layer']} {entry['outside']:.2%}" for entry in found["worst"][:3])
    return (
        f"{found['tensors']} ranges by {calibration['method']} over {calibration['images']} images; outside them lie "
        f"{found['outside']:.3%} of the values of validation images, {found['outside_calibration']:.3%} of calibration "
        f"images{f' (most: {worst})' if worst else ''}"
    )


def repair_text(repair: dict[str, Any]) -> str:
    """What a repair kept in float and what that cost; the ``repair`` of ``export.json`` in a sentence."""
    kept, ratio = list(repair["kept_in_float"]), repair["latency_ratio"]
    names = ", ".join(kept[:4]) + (f" and {len(kept) - 4} more" if len(kept) > 4 else "")
    more = (repair["size_bytes"] - repair["size_bytes_before"]) / 1e6
    low, high = ratio["ci95"]
    verdict = "" if repair["held"] else "; the accuracy gate still does not hold"
    return (
        f"{len(kept)} of {repair['n_layers']} layers compute in float ({names}): {more:+.2f} MB, "
        f"{ratio['median']:.2f} times as long a run (95% interval {low:.2f} to {high:.2f}){verdict}"
    )


def training_text(export: dict[str, Any]) -> str:
    """How the network of a file was trained on, and what is there of it in the file; of an ``export.json``."""
    training, weights = export["training"], export["weights"]
    settings, steps = training["settings"], training["steps"]
    text = f"{COMPRESSIONS[training['kind']]}: {steps} step{'s' * (steps > 1)} in {training['seconds']:.0f} s"
    if training["kind"] == "pruned":
        part = 100 * weights["n_zero"] / weights["n_weights"]
        text += f"; {part:.1f}% of the {weights['n_weights']:,} weights in the file are 0"
    if training["kind"] == "clustered":
        few = sum(kernel["n_distinct"] <= settings["clusters"] for kernel in weights["kernels"])
        text += (
            f"; {few} of {len(weights['kernels'])} kernels in the file have at most {settings['clusters']} "
            "different values in a channel"
        )
    trained = export["parity"].get("trained")
    if trained is not None:
        n_images = export["parity"]["n_images"]
        same = n_images - trained["n_disagree"]
        text += f"; the file answers {same} of {n_images} images as the network trained for it"
    return text
