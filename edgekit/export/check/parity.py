"""Whether an exported file answers as the Keras model does, on real images and with the runtime of the device."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.device.runtimes import Model, open_model
from edgekit.support.quiet import quiet_native_output

FLOAT_TOLERANCE = 1e-3
"""Largest difference in probability between the Keras model and an fp32 file."""

STEP_OF_8_BITS = 1 / 256

ENOUGH_IMAGES, MOSTLY = 8, 0.9
"""A file that gives one class to so many images is broken where the Keras model gives it to less than this share."""

Probabilities = NDArray[np.float32]


@dataclass
class Comparison:
    """``facts`` for ``export.json``; a problem means that the file must not be used."""

    facts: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def open_exported(path: Path) -> Model:
    """Open an exported file on all cores; raises as :func:`edgekit.device.runtimes.open_model`."""
    with quiet_native_output():
        return open_model(str(path), threads=0)


def answers(model: Model, pixels: NDArray[np.uint8]) -> Probabilities:
    """Probabilities (N, classes) of ``pixels`` uint8 (N, H, W, 3).

    Raises :class:`edgekit.device.failures.OutputError` where one is NaN or infinite.
    """
    rows = []
    for image in pixels:
        model.set_input(model.input.prepare(image, None))
        model.invoke()
        rows.append(model.scores())
    return np.stack(rows)


def classes_without_xnnpack(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The classes (N,) that LiteRT's own kernels give ``pixels`` uint8 (N, H, W, 3); the usual ones are XNNPACK's.

    Both round as the format says, not always alike.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter: Any = Interpreter(str(path), experimental_op_resolver_type=kernels, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    source, result = (
        details()[0]["index"] for details in (interpreter.get_input_details, interpreter.get_output_details)
    )
    found = []
    for image in pixels:
        interpreter.set_tensor(source, image[np.newaxis])
        interpreter.invoke()
        found.append(int(interpreter.get_tensor(result)[0].argmax()))
    return np.array(found)


def compare(keras: Probabilities, exported: Probabilities, labels: NDArray[np.int32], scheme: str) -> Comparison:
    """Compare probabilities (N, classes) of the Keras model and of a file; ``labels`` (N,) are the true classes.

    fp32 has to agree within :data:`FLOAT_TOLERANCE`. For the other schemes the differences are recorded, and only a
    file that answers the same to every image is refused.
    """
    difference = np.abs(keras - exported)
    same = keras.argmax(axis=1) == exported.argmax(axis=1)
    comparison = Comparison(
        {
            "n_images": len(keras),
            "agreement": float(same.mean()),
            "n_disagree": int((~same).sum()),
            "max_abs_difference": float(difference.max()),
            "mean_abs_difference": float(difference.mean()),
            "keras_accuracy": float((keras.argmax(axis=1) == labels).mean()),
            "accuracy": float((exported.argmax(axis=1) == labels).mean()),
        }
    )
    if scheme == "fp32" and difference.max() > FLOAT_TOLERANCE:
        comparison.problems.append(
            f"probabilities differ from the Keras model's by up to {difference.max():.2g} "
            f"(allowed for fp32: {FLOAT_TOLERANCE:g}), at image {int(difference.max(axis=1).argmax())} of parity.npz"
        )
    if len(keras) > 1 and _spread(exported) == 0:
        if _spread(keras) > 2 * STEP_OF_8_BITS:
            comparison.problems.append(f"the file answers the same to all {len(keras)} images, unlike the Keras model")
        else:
            comparison.warnings.append(f"the trained network answers (nearly) the same to all {len(keras)} images")
    elif len(keras) >= ENOUGH_IMAGES and _top_share(exported) == 1 and _top_share(keras) < MOSTLY:
        comparison.problems.append(
            f"the file gives one and the same class to all {len(keras)} images; the Keras model gives its most "
            f"frequent one to {_top_share(keras):.0%}"
        )
    return comparison


def _top_share(probabilities: Probabilities) -> float:
    """Share of the images that get the most frequent class."""
    return float(np.bincount(probabilities.argmax(axis=1)).max() / len(probabilities))


def _spread(probabilities: Probabilities) -> float:
    """How far any class's probability moves over the images."""
    return float(np.ptp(probabilities, axis=0).max())
