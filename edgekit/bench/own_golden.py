"""Golden inputs and outputs of a third-party model, made with a runtime of this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgekit.bench.inspection import with_installed_runtime
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.classifier import Classifier
from edgekit.device.failures import DeviceError
from edgekit.device.jobs import read_job
from edgekit.errors import InputError
from edgekit.support.quiet import quiet_native_output

IMAGES = 8


def with_own_golden(model: MeasuredModel, folder: Path) -> MeasuredModel:
    """``model`` with golden outputs in ``folder``: what it predicts here for a few generated images.

    A target that predicts the same computes the same. Raises :class:`InputError` if no runtime here runs the model.
    """
    (entry,) = read_job(json.dumps({"models": [with_installed_runtime(model).job()]})).models
    try:
        with quiet_native_output():
            classifier = Classifier(entry, entry.open(1))
            shape = (classifier.geometry.height, classifier.geometry.width, classifier.geometry.channels)
            inputs = np.stack([_image(number, shape) for number in range(IMAGES)])
            outputs = np.stack([classifier.classify(image) for image in inputs])
    except DeviceError as error:
        raise InputError(
            f"this machine cannot run the model, so a target cannot be compared with it: {error.reason}",
            where=str(model.path),
        ) from None
    path = folder / f"{model.sha256}.npz"
    np.savez_compressed(path, inputs=inputs, outputs=outputs.astype(np.float32))
    return replace(model, golden_path=path)


def _image(number: int, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 ``shape``: noise, brighter from image to image and from one channel to another."""
    generator = np.random.default_rng(number)
    tint = generator.integers(0, 160, (1, 1, shape[2]))
    return np.asarray(np.clip(generator.integers(0, 96, shape) + tint, 0, 255), np.uint8)
