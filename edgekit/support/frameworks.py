"""Imports TensorFlow and Keras, and builds networks with them, without avoidable delays."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.errors import InputError
from edgekit.support.quiet import quiet_native_output

_LOOKED_FOR = ("jax", "sklearn")
"""Packages that the converter of TensorFlow and the wrappers of Keras import if they are installed (3 s), for functions
that edgekit does not use."""


@contextmanager
def lean_import(backend: str) -> Iterator[None]:
    """Import Keras with the framework ``backend`` in this block, without optional packages and without their output."""
    hidden = [name for name in _LOOKED_FOR if name != backend and name not in sys.modules]
    with quiet_native_output(), collector_paused():
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import fails as if it were not installed
        try:
            yield
        finally:
            for name in hidden:
                del sys.modules[name]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Create many objects that stay (modules, a network, a traced step) without garbage collection in this block.

    The collector would go through all objects again and again, which takes a third of the time in which TensorFlow
    traces a ResNet. It also ignores the objects from this block afterwards.
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
    """Raise :class:`InputError` if TensorFlow Model Optimization or tf_keras, which it requires, is not installed."""
    for module in ("tensorflow_model_optimization", "tf_keras"):
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"quantization-aware training, pruning and clustering require {module}, which is not installed",
                hint='pip install "edgekit[compress]"',
            )
