"""Training and prediction on the device under PyTorch, which runs the steps of a chunk one by one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import torch

from edgekit.train.device_engine import MOST_STEPS, Array, Chunk, EpochPlan, Tensor, build_metrics, host_bytes

MOST_PINNED_BYTES = 512 << 20
"""Larger arrays are copied without page-locked memory, of which there is little."""


class TorchEngine:
    """See :class:`~edgekit.train.device_engine.Engine`."""

    def __init__(self) -> None:
        self._device = os.environ.get("KERAS_TORCH_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
        self.most_steps = MOST_STEPS

    def free_bytes(self) -> int | None:
        return int(torch.cuda.mem_get_info()[0]) if self._device != "cpu" else host_bytes()

    def put(self, array: Array) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a memory map that is read-only: nothing writes to the tensor
            tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._device == "cpu":
            return tensor
        if array.nbytes <= MOST_PINNED_BYTES:
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)

    def trainer(self, model: keras.Model) -> TorchTrainer:
        return TorchTrainer(model)

    def predictor(self, model: keras.Model) -> TorchPredictor:
        return TorchPredictor(model, self)

    def compile_snapshot(self, variables: Sequence[keras.Variable]) -> None:
        """Nothing is compiled."""

    def snapshot(self, variables: Sequence[keras.Variable]) -> TorchSnapshot:
        return TorchSnapshot([variable.value.detach().clone() for variable in variables])

    def concatenate(self, parts: Sequence[Tensor], length: int, dtype: str) -> Tensor:
        return torch.cat([part.to(getattr(torch, dtype)) for part in parts])[:length]

    def all_finite(self, tensor: Tensor) -> bool:
        return bool(torch.isfinite(tensor).all())

    def numpy(self, tensor: Tensor) -> Array:
        found: Array = tensor.cpu().numpy()
        return found


class TorchSnapshot:
    """Copies on the device."""

    def __init__(self, values: list[Tensor]) -> None:
        self._values = values

    def arrays(self) -> list[Array]:
        return [value.cpu().numpy() for value in self._values]


class TorchTrainer:
    """Runs the ``train_step`` of Keras, which changes the variables in place."""

    def __init__(self, model: keras.Model) -> None:
        self._model, self._built = model, False

    def compile(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> None:  # noqa: ARG002
        if not self._built:
            build_metrics(self._model, inputs, plan, chunk.batch_size)
            self._built = True

    def wait(self) -> None:
        """Nothing is compiled."""

    def begin(self) -> None:
        self._model.reset_metrics()
        self._model.train()

    def run(self, inputs: Tensor, rows: Tensor, plan: EpochPlan, chunk: Chunk) -> Tensor:
        loss: Any = None
        for start in range(chunk.start, chunk.start + chunk.n_images, chunk.batch_size):
            part = slice(start, start + chunk.batch_size)
            images = inputs.index_select(0, rows[part])
            for_step = tuple(values[part] for values in plan.for_step)
            x = (images, *for_step) if for_step else images
            loss = self._model.train_step((x, plan.targets[part], plan.weights[part]))["loss"]
        return loss.detach()

    def end(self) -> None:
        """The variables have their values."""


class TorchPredictor:
    """Runs a model in inference mode."""

    def __init__(self, model: keras.Model, engine: TorchEngine) -> None:
        self._model, self._engine = model, engine

    def compile(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> None:
        """Nothing is compiled."""

    def wait(self) -> None:
        """Nothing is compiled in another thread."""

    def __call__(self, inputs: Tensor, rows: Array, for_step: tuple[Array, ...]) -> Tensor:
        self._model.eval()
        with torch.no_grad():
            images = inputs.index_select(0, self._engine.put(rows))
            if images.dtype == torch.float16:
                images = images.float()
            x = (images, *map(self._engine.put, for_step)) if for_step else images
            return self._model(x, training=False).float()
