"""The parity check: does an exported file predict what the Keras model predicts, on real images in a real runtime?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.device.jobs import JobModel
from edgekit.device.runtimes import all_cores
from edgekit.device.streams import ClassifierPool, classify_all, open_pools
from edgekit.documents.export import ParityRecord
from edgekit.export.base import Probabilities
from edgekit.export.check.findings import Findings
from edgekit.support.quiet import quiet_native_output

FLOAT_TOLERANCE = 1e-3
"""Largest allowed difference in probability between the Keras model and an fp32 file."""

STEP_OF_8_BITS = 1 / 256

ENOUGH_IMAGES, MOSTLY = 8, 0.9
"""A file that predicts one class for at least this many images is broken, unless the Keras model predicts its most
frequent class for at least this share of them."""


def open_exported(path: Path) -> ClassifierPool:
    """Open an exported file on all cores; raises the errors of :func:`edgekit.device.runtimes.open_model`."""
    entry = JobModel("exported", str(path), activation="none")
    with quiet_native_output():
        return open_pools([entry], all_cores())[entry.key]


def predict(pool: ClassifierPool, pixels: NDArray[np.uint8]) -> Probabilities:
    """Probabilities (N, classes) of ``pixels`` uint8 (N, H, W, 3), with all cores.

    Raises :class:`edgekit.device.failures.OutputError` if one is NaN or infinite.
    """
    return np.asarray(classify_all(pool, pixels, all_cores()), np.float32)


def predict_bytes(content: bytes, pixels: NDArray[np.uint8]) -> Probabilities:
    """Probabilities (N, classes) of ``pixels`` uint8 (N, H, W, 3), from the content of an exported file."""
    with temporary_model(content) as path:
        return predict(open_exported(path), pixels)


@contextmanager
def temporary_model(content: bytes) -> Iterator[Path]:
    """``content``, a TFLite or ONNX file, in a temporary file with the right suffix."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        path = Path(folder) / f"model{'.tflite' if content[4:8] == b'TFL3' else '.onnx'}"
        path.write_bytes(content)
        yield path


def top_classes_without_xnnpack(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The classes (N,) that LiteRT's own kernels predict for ``pixels`` uint8 (N, H, W, 3), instead of XNNPACK's.

    Both sets of kernels follow the format, but they may round the last bit differently.
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


def compare(
    keras: Probabilities, exported: Probabilities, labels: NDArray[np.int32], scheme: str, split: str
) -> tuple[ParityRecord, Findings]:
    """Compare probabilities (N, classes) of the Keras model and of a file; ``labels`` (N,) are the true classes.

    An fp32 file must agree to within :data:`FLOAT_TOLERANCE`. For other schemes the differences are recorded, and only
    a file that predicts the same for every image is refused.
    """
    difference = np.abs(keras - exported)
    same = keras.argmax(axis=1) == exported.argmax(axis=1)
    record = ParityRecord(
        split=split,
        n_images=len(keras),
        agreement=float(same.mean()),
        n_disagree=int((~same).sum()),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        keras_accuracy=float((keras.argmax(axis=1) == labels).mean()),
        accuracy=float((exported.argmax(axis=1) == labels).mean()),
    )
    findings = _constant_predictions(keras, exported)
    if scheme == "fp32" and difference.max() > FLOAT_TOLERANCE:
        findings += Findings(
            (
                f"probabilities differ from the Keras model's by up to {difference.max():.2g} "
                f"(limit for fp32: {FLOAT_TOLERANCE:g}); image {int(difference.max(axis=1).argmax())} of parity.npz",
            )
        )
    return record, findings


def _constant_predictions(keras: Probabilities, exported: Probabilities) -> Findings:
    """Whether the file predicts the same, or the same class, for every image, unlike the Keras model."""
    count = len(keras)
    if count > 1 and _spread(exported) == 0:
        if _spread(keras) > 2 * STEP_OF_8_BITS:
            return Findings((f"the file predicts the same for all {count} images, unlike the Keras model",))
        return Findings(warnings=(f"the trained network predicts (nearly) the same for all {count} images",))
    if count >= ENOUGH_IMAGES and _top_share(exported) == 1 and _top_share(keras) < MOSTLY:
        return Findings(
            (
                f"the file predicts the same class for all {count} images; the Keras model predicts its most "
                f"frequent class for {_top_share(keras):.0%}",
            )
        )
    return Findings()


def _top_share(probabilities: Probabilities) -> float:
    """Share of the images for which the most frequent class is predicted."""
    return float(np.bincount(probabilities.argmax(axis=1)).max() / len(probabilities))


def _spread(probabilities: Probabilities) -> float:
    """The largest range of any class's probability over the images."""
    return float(np.ptp(probabilities, axis=0).max())
