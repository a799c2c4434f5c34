"""The check of one exported file, run as the device runs it: parity, input, operators; and its golden answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.device.failures import DeviceError
from edgekit.device.runtimes import Model
from edgekit.documents.folders import ExportFolder
from edgekit.export.check.gate import FAILED, UNDECIDED, judge
from edgekit.export.check.operators import OperatorTable
from edgekit.export.check.parity import (
    FLOAT_TOLERANCE,
    Comparison,
    Probabilities,
    answers,
    top_classes_without_xnnpack,
    compare,
    open_exported,
)
from edgekit.export.base import ExportFacts
from edgekit.export.sample_images import Samples
from edgekit.registry import Scheme
from edgekit.stats.intervals import wilson_interval
from edgekit.support.files import sha256_file

GOLDEN_IMAGES = 8

TRAINED_AGREEMENT = 0.98
"""Share of images to which an int8 file has to give the answer of the network with fake quantization it was made of."""


@dataclass(frozen=True)
class Reference:
    """What every file of a run is compared with: ``keras`` are the answers (N, classes) to ``parity``."""

    facts: ExportFacts
    parity: Samples
    keras: Probabilities
    max_drop: float | None = None
    """Largest share of the images that a file with smaller numbers may lose; None: it is not judged."""


def check_file(
    path: Path,
    scheme: Scheme,
    table: OperatorTable,
    reference: Reference,
    *,
    mixed: bool = False,
    trained: Probabilities | None = None,
) -> dict[str, Any]:
    """Run the file on the parity images, save golden and parity files beside it, and say what was found.

    ``mixed``: a repair left layers in float on purpose. ``trained`` (N, classes): what the network that was trained on
    for this file answers to the same images; the file has to be that network, not only a good one.
    """
    comparison = Comparison({"n_images": 0})
    tensors: dict[str, Any] = {"input": None, "output": None}
    golden, gate = None, None
    try:
        model = open_exported(path)
        tensors = _tensors(model)
        exported = answers(model, reference.parity.pixels)
    except DeviceError as error:
        comparison.problems.append(error.reason)
    else:
        comparison = compare(reference.keras, exported, reference.parity.labels, scheme.name)
        if trained is not None:
            compare_with_trained(
                comparison, trained, exported, scheme, partial(top_classes_without_xnnpack, path, reference.parity.pixels)
            )
        comparison.problems += _input_problems(model, reference.facts)
        golden = _save_answers(ExportFolder(path.parent), reference, exported)
        if reference.max_drop is not None and scheme.name != "fp32":  # fp32 has to give the same probabilities
            gate = judge(reference.keras, exported, reference.parity.labels, reference.max_drop)
            if gate.verdict == FAILED:
                comparison.problems.append(gate.sentence())
            elif gate.verdict == UNDECIDED:
                comparison.warnings.append(f"{gate.sentence()}; too few to call it worse")
    if scheme.format == "tflite" and scheme.numbers == "int8" and not table.integer_only and not mixed:
        comparison.problems.append(f"float operators are left: {', '.join(table.floats)}")
    return {
        "size_bytes": path.stat().st_size,
        "sha256": sha256_file(path),
        **tensors,
        "operators": table.counts,
        "integer_only": table.integer_only,
        "float_operators": table.floats,
        "parity": {"split": reference.parity.split, **comparison.facts},
        "gate": None if gate is None else gate.document(reference.parity.files),
        "golden": golden,
        "status": "failed" if comparison.problems else "ok",
        "problems": comparison.problems,
        "warnings": comparison.warnings,
    }


def compare_with_trained(
    comparison: Comparison,
    trained: Probabilities,
    exported: Probabilities,
    scheme: Scheme,
    other_kernels: Callable[[], NDArray[np.int64]],
) -> None:
    """Add how far the file answers as the network that was trained on for it.

    What TensorFlow Model Optimization trains and what the converter makes of it need not be the same network. Where
    the file answers differently, ``other_kernels`` gives the classes (N,) that other kernels of the runtime find for
    the same images: if those agree with ``exported`` no better, the last bit of an activation turns the network's
    answers, and no simulation of it can be exact.
    """
    n_images, difference = len(trained), np.abs(trained - exported)
    same = int((trained.argmax(axis=1) == exported.argmax(axis=1)).sum())
    facts: dict[str, Any] = {
        "agreement": same / n_images,
        "n_disagree": n_images - same,
        "max_abs_difference": float(difference.max()),
        "mean_abs_difference": float(difference.mean()),
    }
    comparison.facts["trained"] = facts
    text = f"the file answers {same} of {n_images} images as the network trained for it"
    if scheme.numbers == "fp32" and difference.max() > FLOAT_TOLERANCE:
        comparison.problems.append(f"{text}, with probabilities that differ by up to {difference.max():.2g}")
    elif same / n_images < TRAINED_AGREEMENT and scheme.training == "qat":
        text = f"{text}, fewer than {100 * TRAINED_AGREEMENT:g}%"
        highest = wilson_interval(same, n_images)[1]
        if highest >= TRAINED_AGREEMENT:
            comparison.warnings.append(text)
            return
        kernels = int((other_kernels() == exported.argmax(axis=1)).sum())
        facts["agreement_of_kernels"] = kernels / n_images
        if highest < kernels / n_images:
            comparison.problems.append(text)
        else:
            comparison.warnings.append(
                f"{text}; LiteRT's kernels with and without XNNPACK agree on {kernels}: the network is undecided "
                "about the others, and the device may answer them either way"
            )


def _tensors(model: Model) -> dict[str, Any]:
    quantized = {"scale": model.output.scale, "zero_point": model.output.zero_point} if model.output.scale else {}
    return {
        "input": {
            "name": model.input.name,
            "dtype": model.input.dtype,
            "shape": list(model.input.shape),
            "layout": model.input.layout,
            "color": "RGB",
            "range": [0, 255],
        },
        "output": {
            "name": model.output.name,
            "dtype": model.output.dtype,
            "shape": [1, model.output.classes],
            **quantized,
        },
    }


def _input_problems(model: Model, facts: ExportFacts) -> list[str]:
    """The promise of every exported file: pixels go in as they are."""
    side, given = facts.image_size, model.input
    problems = []
    if given.dtype != "uint8" or given.shape != (1, side, side, 3):
        problems.append(f"the input is {given.dtype} {given.shape}, not uint8 (1, {side}, {side}, 3)")
    if given.scale is not None and (given.scale != 1.0 or given.zero_point != 0):
        problems.append(
            f"the input is quantized with scale {given.scale} and zero point {given.zero_point}, not 1 and 0"
        )
    return problems


def _save_answers(export: ExportFolder, reference: Reference, exported: Probabilities) -> dict[str, Any]:
    parity = reference.parity
    chosen = np.linspace(0, len(parity) - 1, min(GOLDEN_IMAGES, len(parity)), dtype=np.int64)
    np.savez_compressed(export.golden, inputs=parity.pixels[chosen], outputs=exported[chosen])
    np.savez_compressed(
        export.predictions,
        indices=parity.positions,
        files=np.array(parity.files),
        labels=parity.labels,
        keras=reference.keras,
        exported=exported,
    )
    return {"n_images": len(chosen), "file": export.golden.name}
