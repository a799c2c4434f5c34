"""Whether a compressed file matches the network that was trained for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgekit.documents.export import CompressionAgreement
from edgekit.export.base import Probabilities
from edgekit.export.check.findings import Findings
from edgekit.export.check.parity import FLOAT_TOLERANCE
from edgekit.registry import Scheme
from edgekit.stats.intervals import wilson_interval

QAT_AGREEMENT = 0.98
"""The minimum share of images for which a QAT file predicts what its fake-quantized network predicts."""


def compare_with_trained(
    trained: Probabilities, exported: Probabilities, scheme: Scheme, other_kernels: Callable[[], NDArray[np.int64]]
) -> tuple[CompressionAgreement, Findings]:
    """Compare probabilities (N, classes) of the compressed network and of the file made from it.

    The network that TensorFlow Model Optimization trains and the file that the converter makes of it can differ. If
    the predictions of a QAT file differ, ``other_kernels`` returns the classes (N,) that other kernels of the runtime
    predict for the same images. If those agree with ``exported`` no better, the last bit of an activation decides the
    network's predictions, and no simulation can be exact.
    """
    n_images, difference = len(trained), np.abs(trained - exported)
    n_same = int((trained.argmax(axis=1) == exported.argmax(axis=1)).sum())
    record = CompressionAgreement(
        agreement=n_same / n_images,
        n_disagree=n_images - n_same,
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
    )
    text = f"the file and the network trained for it agree on {n_same} of {n_images} images"
    if scheme.precision == "fp32" and difference.max() > FLOAT_TOLERANCE:
        return record, Findings((f"{text}, and their probabilities differ by up to {difference.max():.2g}",))
    if scheme.compression != "qat" or record.agreement >= QAT_AGREEMENT:
        return record, Findings()
    text = f"{text}, less than {100 * QAT_AGREEMENT:g}%"
    highest = wilson_interval(n_same, n_images)[1]
    if highest >= QAT_AGREEMENT:
        return record, Findings(warnings=(text,))
    n_kernels = int((other_kernels() == exported.argmax(axis=1)).sum())
    record = record.model_copy(update={"agreement_of_kernels": n_kernels / n_images})
    if highest < n_kernels / n_images:
        return record, Findings((text,))
    return record, Findings(
        warnings=(
            f"{text}; LiteRT's kernels with and without XNNPACK agree on {n_kernels}, so rounding decides the "
            "predictions for the other images, and a target may predict either class",
        )
    )
