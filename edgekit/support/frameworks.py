"""Imports TensorFlow and Keras, and builds networks with them, without avoidable delays."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.os_errors import reason_of
from edgekit.support.quiet import quiet_native_output

_LOOKED_FOR = ("jax", "sklearn")
"""Packages that the converter of TensorFlow and the wrappers of Keras import if they are installed (3 s), for functions
that edgekit does not use."""


@contextmanager
def lean_import(backend: str) -> Iterator[None]:
    """Import Keras with the framework ``backend`` in this block, without optional packages and without their output.

    The user's own settings of Keras (``keras.json``: number format, order of the axes) do not apply: a recipe means the
    same on every machine. Raises :class:`InputError` if Keras could not be imported because of them.
    """
    check_keras_settings()
    hidden = [name for name in _LOOKED_FOR if name != backend and name not in sys.modules]
    with quiet_native_output(), collector_paused():
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import fails as if it were not installed
        try:
            yield
        finally:
            for name in hidden:
                del sys.modules[name]
    _use_standard_settings()


def keras_settings_file() -> Path:
    """``keras.json``, where Keras looks for it."""
    home = os.environ.get("KERAS_HOME")
    return Path(os.path.expanduser(home or os.path.join("~", ".keras")), "keras.json")  # noqa: PTH111, PTH118  # like Keras: no error without a home


def check_keras_settings() -> None:
    """Raise :class:`InputError` if the user's ``keras.json`` holds what keeps Keras from being imported."""
    file = keras_settings_file()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"Keras's settings file cannot be read: {reason_of(error)}", where=str(file)) from None
    except (ValueError, RecursionError):
        return  # Keras ignores it
    problem = None
    if not isinstance(settings, dict):
        problem = "it is not an object"
    elif settings.get("floatx", "float32") not in ("float16", "float32", "float64"):
        problem = f"floatx is {settings['floatx']!r}"
    elif settings.get("image_data_format", "channels_last") not in ("channels_last", "channels_first"):
        problem = f"image_data_format is {settings['image_data_format']!r}"
    elif not isinstance(settings.get("epsilon", 1e-7), float):
        problem = f"epsilon is {settings['epsilon']!r}"
    if problem is not None:
        raise InputError(
            f"Keras cannot be imported with its settings file: {problem}", where=str(file), hint="correct or remove it"
        )


def _use_standard_settings() -> None:
    for name in ("keras", "tf_keras"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "backend"):
            module.backend.set_floatx("float32")
            module.backend.set_epsilon(1e-7)
            module.backend.set_image_data_format("channels_last")


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
