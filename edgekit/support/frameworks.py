"""Importing TensorFlow and Keras, and building with them, in the time it has to take."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.errors import InputError
from edgekit.support.quiet import quiet_native_output

_LOOKED_FOR = ("jax", "sklearn")
"""Packages that TensorFlow's converter and Keras's wrappers import where they find them (3 s), for nothing that edgekit
uses of theirs."""


@contextmanager
def lean_import(backend: str) -> Iterator[None]:
    """For a block that imports Keras with the framework ``backend``; what both print is held back."""
    hidden = [name for name in _LOOKED_FOR if name != backend and name not in sys.modules]
    with quiet_native_output(), collector_paused():
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import fails as if absent
        try:
            yield
        finally:
            for name in hidden:
                del sys.modules[name]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Build something large that stays (modules, a network, a traced step) without Python looking for garbage in it.

    The search goes through every object again and again: a third of the time in which TensorFlow traces a ResNet.
    What the block left is never looked at again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def need_model_optimization() -> None:
    """Raise :class:`InputError` where TensorFlow Model Optimization, or the tf_keras it works on, is not installed."""
    for module in ("tensorflow_model_optimization", "tf_keras"):
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"{module} is not installed, and quantization-aware training, pruning and clustering need it",
                hint='pip install "edgekit[compress]"',
            )
