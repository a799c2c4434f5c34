"""What a phase trains and validates on: the images, or outputs of frozen layers that are computed once.

On a CPU, the outputs are kept in memory maps next to the checkpoint. On an accelerator, they stay on the device if they
fit there, and are computed again if the run is resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from edgekit.data.augmentation import Draws, draw
from edgekit.recipe import Augment
from edgekit.support.files import atomic_path
from edgekit.support.progress import Progress
from edgekit.train.augmentation_layers import training_model
from edgekit.train.batches import predict
from edgekit.train.constant_model import ConstantModel, fastest_form
from edgekit.train.device_data import DeviceInputs, DevicePredictor, Resident, Streamed
from edgekit.train.device_engine import Tensor
from edgekit.train.gradcam import maps_model
from edgekit.train.run_context import RunContext, Values

TRANSIENT_COPIES = 3
"""While outputs are computed, the device holds the float32 batches of one view and their concatenation as well."""

Begin = Callable[[], Callable[[], Values]]
"""Starts to predict the validation images with the present weights, and returns what waits for the probabilities."""
Store = Callable[[tuple[int, ...]], Values]
"""Creates the array for outputs from its shape."""


@dataclass(frozen=True)
class StoredFeatures:
    """Features (N, ...) that ``trained``, the rest of the network, is trained on: one view per epoch, in turn."""

    trained: keras.Model
    views: Sequence[Values | DeviceInputs]


@dataclass(frozen=True)
class Outputs:
    """What a phase trains on, and how it predicts."""

    start_validation: Begin
    stored: StoredFeatures | None = None
    """``None``: the phase trains on the images."""
    predict_rows: Callable[[NDArray[np.int64]], Values] | None = None
    """On an accelerator: predicts rows of the images with what is compiled anyway."""


class Frozen(Protocol):
    """Computes the outputs of a frozen model for some images."""

    def on_host(
        self, rows: NDArray[np.int64], epoch: int | None, progress: Progress, description: str, store: Store
    ) -> None:
        """Compute the outputs (N, ...); the images are augmented as in the given epoch, counted over all phases."""


class HostOutputs:
    """On batches that the host prepares."""

    def __init__(self, context: RunContext, model: keras.Model | ConstantModel) -> None:
        self._context, self._model = context, model

    def on_host(
        self, rows: NDArray[np.int64], epoch: int | None, progress: Progress, description: str, store: Store
    ) -> None:
        recipe, draws = self._context.recipe, None
        if epoch is not None:
            draws = draw(recipe.train.augment, len(rows), recipe.data.image_size, recipe.train.seed, epoch)
        predict(
            self._model,
            self._context.pixels,
            rows,
            draws=draws,
            progress=progress,
            description=description,
            store=store,
        )


class DeviceOutputs:
    """On images that are on the accelerator, where they are augmented too."""

    def __init__(self, context: RunContext, model: keras.Model) -> None:
        assert context.engine is not None
        self.engine = context.engine
        self._context, self._augment = context, context.recipe.train.augment
        changing = training_model(model, self._augment).model if self._augment.active else model
        self._predictor = DevicePredictor(self.engine, changing)
        with context.times.measure("compile"):
            rows = context.val_rows
            self._predictor.compile(context.device_pixels, rows, self._draws(len(rows), None))
            self._predictor.wait()

    def on_device(self, rows: NDArray[np.int64], epoch: int | None = None, dtype: str = "float32") -> Tensor:
        """The outputs as a tensor on the device."""
        return self._predictor.on_device(self._context.device_pixels, rows, self._draws(len(rows), epoch), dtype)

    def on_host(
        self, rows: NDArray[np.int64], epoch: int | None, progress: Progress, description: str, store: Store
    ) -> None:
        pixels, draws = self._context.device_pixels, self._draws(len(rows), epoch)
        self._predictor.on_host(pixels, rows, draws, progress=progress, description=description, store=store)

    def _draws(self, n_images: int, epoch: int | None) -> Draws | None:
        """Random numbers, also for images that do not change: the model is compiled once for both."""
        if not self._augment.active:
            return None
        recipe = self._context.recipe
        if epoch is not None:
            return draw(self._augment, n_images, recipe.data.image_size, recipe.train.seed, epoch)
        unchanged = draw(Augment(), n_images, recipe.data.image_size, 0, 0)
        return replace(unchanged, erase=np.zeros((n_images, 7), np.float32)) if self._augment.erasing else unchanged


def frozen_outputs(context: RunContext, model: keras.Model, *, exact: bool) -> HostOutputs | DeviceOutputs:
    """Computes the outputs of ``model`` where the network is trained; ``exact``: to the last bit as the network."""
    if context.engine is not None:
        return DeviceOutputs(context, model)
    return HostOutputs(context, model if exact else fastest_form(model, on_cpu=context.backend.on_cpu))


class OutOfRange(Exception):
    """float16 cannot hold the outputs."""


def memory_mapped(
    frozen: Frozen,
    file: Path,
    rows: NDArray[np.int64],
    epoch: int | None,
    dtype: str,
    progress: Progress,
    description: str,
) -> Values:
    """The outputs in a memory map; they are computed unless an earlier start of this run has written ``file``.

    Raises :class:`OutOfRange`, and leaves no file, if float16 cannot hold them.
    """
    if not file.is_file():
        stored: list[np.memmap[Any, Any]] = []
        with atomic_path(file) as temporary:

            def memory_map(shape: tuple[int, ...]) -> Values:
                stored.append(np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape))
                return stored[-1]

            with np.errstate(over="ignore"):
                frozen.on_host(rows, epoch, progress, description, memory_map)
            stored[-1].flush()
            if dtype == "float16" and not _all_finite(stored[-1]):
                raise OutOfRange
    outputs: Values = np.load(file, mmap_mode="r")
    return outputs


def network_outputs(context: RunContext) -> Outputs:
    """The phase computes every layer in each step."""
    if context.engine is None:
        return Outputs(lambda: context.predict_val)
    predictor, pixels = DevicePredictor(context.engine, context.network), context.device_pixels
    with context.times.measure("compile"):
        predictor.compile(pixels, context.val_rows)
    return Outputs(
        lambda: predictor.begin(pixels, context.val_rows), predict_rows=lambda rows: predictor.on_host(pixels, rows)
    )


def compiled_feature_maps(context: RunContext) -> Callable[[NDArray[np.int64]], Values] | None:
    """What computes the last feature maps for Grad-CAM, compiled beside the training steps.

    ``None`` on a CPU, and for backends that need not compile a network to call it for a few images.
    """
    explained = any(layer.name == "head_pool" for layer in context.network.layers)
    if context.engine is None or not explained or keras.backend.backend() != "jax":
        return None
    predictor, pixels = DevicePredictor(context.engine, maps_model(context.network)), context.device_pixels
    predictor.compile(pixels, context.val_rows)
    return lambda rows: predictor.on_host(pixels, rows)


def outputs_on_host(
    context: RunContext,
    frozen: HostOutputs | DeviceOutputs,
    trained: keras.Model,
    val: Values,
    views: Sequence[Values],
) -> Outputs:
    """The phase has the outputs for the validation images and, if it trains on them, for views of the others."""
    if isinstance(frozen, HostOutputs):
        stored = StoredFeatures(trained, views) if views else None
        return Outputs(lambda: partial(predict, trained, val, np.arange(len(val))), stored)
    engine = frozen.engine
    return outputs_on_device(
        context, frozen, trained, Streamed(engine, val), [Streamed(engine, view) for view in views]
    )


def outputs_on_device(
    context: RunContext, frozen: DeviceOutputs, trained: keras.Model, val: DeviceInputs, views: Sequence[DeviceInputs]
) -> Outputs:
    """The same with outputs on the device, or copied there in chunks."""
    predictor, everything = DevicePredictor(frozen.engine, trained), np.arange(len(context.val_rows))
    with context.times.measure("compile"):
        predictor.compile(val, everything)

    def predict_rows(rows: NDArray[np.int64]) -> Values:
        inputs = Resident(frozen.engine, frozen.on_device(rows))
        return predictor.on_host(inputs, np.arange(len(rows)))

    stored = StoredFeatures(trained, views) if views else None
    return Outputs(lambda: predictor.begin(val, everything), stored, predict_rows)


def _all_finite(values: Values, chunk: int = 256) -> bool:
    return all(bool(np.isfinite(values[start : start + chunk]).all()) for start in range(0, len(values), chunk))
