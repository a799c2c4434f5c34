"""Arrays in ``.npz`` files: read completely, checked for type and shape, or refused as damaged."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.device.archives import DAMAGED
from edgekit.errors import InputError
from edgekit.support.os_errors import reason_of

MOST_BYTES = 4 << 30
"""Largest content of a file after decompression."""


def read_arrays(path: Path, names: Sequence[str], *, hint: str | None = None) -> dict[str, NDArray[Any]]:
    """The arrays called ``names`` in ``path``, neither of them with Python objects.

    Raises :class:`InputError` if the file is missing, damaged or lacks one of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError("it is too large")
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name]) for name in names}
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            problem = f"this file cannot be read: {reason_of(error)}"
            raise InputError(problem, where=str(path), hint=hint) from None
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise InputError(f"this file is damaged: {reason}", where=str(path), hint=hint) from None


@dataclass(frozen=True)
class PredictionArrays:
    """Predictions for N images: ``labels`` int64 (N,), ``probabilities`` float32 (N, classes), ``files`` of N names."""

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    files: tuple[str, ...]


def read_predictions(path: Path, *, classes: int | None = None, hint: str | None = None) -> PredictionArrays:
    """The predictions in ``path``: at least one image, each label a column of the finite probabilities.

    ``classes`` is the number of columns, if it is known. Raises :class:`InputError` for anything else.
    """
    arrays = read_arrays(path, ("labels", "probabilities", "files"), hint=hint)
    labels, probabilities = arrays["labels"], arrays["probabilities"]
    if probabilities.ndim != 2:
        problem = f"this file is damaged: it has probabilities of shape {probabilities.shape}"
        raise InputError(problem, where=str(path), hint=hint)
    check_predictions(path, labels, probabilities, arrays["files"], classes=classes, hint=hint)
    return PredictionArrays(
        labels.astype(np.int64), probabilities.astype(np.float32), tuple(map(str, arrays["files"].tolist()))
    )


def check_predictions(
    path: Path,
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    files: NDArray[Any],
    *,
    classes: int | None = None,
    hint: str | None = None,
) -> None:
    """Raise :class:`InputError` unless the last two axes of ``probabilities`` (..., N, classes) fit the others (N,)."""
    shape = probabilities.shape
    problem = None
    if labels.ndim != 1 or files.shape != labels.shape or len(shape) < 2 or shape[-2] != len(labels):
        problem = f"labels {labels.shape}, probabilities {shape} and files {files.shape} do not fit together"
    elif not len(labels) or not shape[-1]:
        problem = "it has no predictions"
    elif labels.dtype.kind not in "iu" or probabilities.dtype.kind != "f" or files.dtype.kind != "U":
        problem = f"it has {labels.dtype} labels, {probabilities.dtype} probabilities and {files.dtype} files"
    elif classes is not None and shape[-1] != classes:
        problem = f"it has probabilities for {shape[-1]} classes, not for {classes}"
    elif labels.min() < 0 or labels.max() >= shape[-1]:
        problem = f"a label is not one of the {shape[-1]} classes"
    elif not np.isfinite(probabilities).all():
        problem = "a probability is not finite"
    elif len(set(files.tolist())) != len(files):
        problem = "an image is listed twice"
    if problem is not None:
        raise InputError(f"this file is damaged: {problem}", where=str(path), hint=hint)
