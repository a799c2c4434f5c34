"""The network of an imported model: from RGB pixels in 0-255 to probabilities, with the scaling inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.device.scaling import Scaling
from edgekit.errors import CheckFailed, InputError
from edgekit.train.flat_copy import FlatCopy, Pixels, merged_name
from edgekit.train.imported.ends import COLOUR, GREY, InputForm, OutputForm, name_pooling, with_probabilities

BATCH_SIZE = 16
TOLERANCE = 1e-3
"""Largest allowed difference in probability between the model as it was opened and the network made from it."""

RESERVED = {
    "image",
    "scaling",
    "grey",
    "head_pool",
    "head_dense",
    "head_batchnorm",
    "head_dropout",
    "probabilities",
}
"""Names of layers that edgekit gives a meaning."""


@dataclass(frozen=True)
class ImportedNetwork:
    """The network, and in words what is different from the model in the file."""

    network: keras.Model
    changes: tuple[str, ...]


def scale_pixels(pixels: NDArray[np.uint8], scaling: Scaling, form: InputForm) -> NDArray[np.float32]:
    """``pixels`` (N, H, W, 3) as the model takes them: float32 (N, H, W, C)."""
    return scaling.apply(form.colours(pixels.astype(np.float32)))


def suits(scaling: Scaling, form: InputForm) -> bool:
    """Whether a scaling can be applied: a grey image has no colours to treat differently."""
    return form.channels == COLOUR or scaling.uniform


def predictor(model: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function that gives the outputs of ``model`` for scaled pixels (N, H, W, C)."""

    def predict(values: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = model.predict(values, batch_size=BATCH_SIZE, verbose=0)
        return np.asarray(outputs, np.float32)

    return predict


def imported_network(
    model: Any,
    name: str,
    scaling: Scaling,
    form: InputForm,
    output: OutputForm,
) -> ImportedNetwork:
    """The flat network of ``model``: ``image`` float32 (N, H, W, 3) RGB 0-255 to probabilities (N, classes)."""
    copy = FlatCopy(taken=set(RESERVED))
    changes = []
    image = keras.Input((form.side, form.side, COLOUR), name="image")
    start: keras.KerasTensor = image
    if form.channels != COLOUR:
        grey = keras.layers.Conv2D(1, 1, use_bias=False, name="grey")
        start = grey(image)
        grey.set_weights([np.array(GREY, np.float32).reshape(1, 1, COLOUR, 1)])
        changes.append("the model takes grey images; the network converts RGB to grey first")
    copy.taken.discard("scaling")
    outputs = copy.apply(model, Pixels.plain(start).scaled(scaling))
    copy.taken.discard("probabilities")
    probabilities = with_probabilities(copy, outputs, output)
    name_pooling(probabilities)
    network = keras.Model(image, probabilities, name=name)
    copy.copy_weights()
    if output.description != "softmax":
        changes.append(f"output: {output.description}")
    if copy.left_out:
        changes.append(f"left out, because they do nothing in inference: {merged_name(copy.left_out)}")
    return ImportedNetwork(network, tuple(changes))


def verify_network(made: keras.Model, opened: NDArray[np.float32], pixels: NDArray[np.uint8], path: Path) -> float:
    """Largest difference between the probabilities of the network and those of the model as it was ``opened``.

    Raises :class:`CheckFailed` above :data:`TOLERANCE`, for ``pixels`` uint8 (N, H, W, 3).
    """
    found = np.asarray(made.predict(pixels.astype(np.float32), batch_size=BATCH_SIZE, verbose=0))
    difference = float(np.abs(found - opened).max())
    if not difference <= TOLERANCE:  # also NaN
        raise CheckFailed(
            f"the imported network and the model in the file return different probabilities: they differ by up to "
            f"{difference:.2g} (allowed: {TOLERANCE:g}), so it was not imported",
            where=str(path),
            hint="this is a bug in edgekit; please report it with the layers of the model",
        )
    return difference


def refuse_scaling(name: str, form: InputForm) -> InputError:
    """The error for a scaling with colours of a model that takes grey images."""
    return InputError(
        f"this model takes grey images of {form.side}x{form.side} pixels, and the scaling {name} treats colours "
        "differently",
        hint="choose none, unit, symmetric, or MEAN,STD",
    )
