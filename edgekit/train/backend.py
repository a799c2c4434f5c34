"""Chooses the framework and the processor to train on; has to be called before Keras is imported."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from edgekit.data.cache import cache_dir
from edgekit.documents.run import TrainingEnvironment
from edgekit.errors import InputError
from edgekit.support.frameworks import lean_import
from edgekit.support.suggestions import unknown_name_error

if TYPE_CHECKING:
    import keras

FRAMEWORKS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras backends, in order of preference, and the module that each needs."""


@dataclass(frozen=True)
class Backend:
    """The framework to train with. ``accelerator`` is the name of the GPU, ``None`` on a CPU."""

    name: str
    accelerator: str | None

    @property
    def on_cpu(self) -> bool:
        return self.accelerator is None


def prepare_backend(device: str) -> Backend:
    """Choose the Keras backend (``KERAS_BACKEND``, or the first installed framework) and the processor.

    ``device`` is ``auto``, ``cpu`` or ``gpu``. Raises :class:`InputError` if Keras or every framework is missing, or
    if ``gpu`` is given and there is no GPU.
    """
    name = _choose_framework()
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Memory of a GPU is taken as needed, so that several cells of a study can train on it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if device == "cpu":
        os.environ.update({"JAX_PLATFORMS": "cpu"} if name == "jax" else {"KERAS_TORCH_DEVICE": "cpu"})
    with lean_import(name):
        accelerator = _ACCELERATOR[name](device)
        importlib.import_module("keras")
    if device == "gpu" and accelerator is None:
        raise InputError(
            f"{name} finds no GPU on this machine",
            where="train.device: gpu",
            hint="run `edgekit doctor` to see what is missing, or train on the CPU with --set train.device=cpu",
        )
    return Backend(name, accelerator)


def environment(backend: Backend) -> TrainingEnvironment:
    """The machine, the interpreter and the library versions that the results of a run depend on."""
    from edgekit.device.probe import cpu_name
    from edgekit.device.runtimes import all_cores

    packages = ("edgekit", "keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy", "pillow", "scikit-learn")
    return TrainingEnvironment(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count(),
        usable_cores=all_cores(),
        backend=backend.name,
        gpu=backend.accelerator,
        versions={name: version for name in packages if (version := _version(name)) is not None},
    )


@contextmanager
def building_on_host() -> Iterator[None]:
    """Create variables on the host in this block, if JAX would compile every initializer for the GPU."""
    if not _jax_on_accelerator():
        yield
        return
    import jax

    try:
        host = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS allows only the GPU
        host = jax.devices()[0]
    with jax.default_device(host):
        yield


def move_to_accelerator(variables: Iterable[keras.Variable]) -> None:
    """Move variables that were created on the host."""
    if not _jax_on_accelerator():
        return
    import jax

    for variable in variables:
        variable.assign(jax.device_put(variable.value, jax.devices()[0]))


def _jax_on_accelerator() -> bool:
    import keras

    if keras.backend.backend() != "jax":
        return False
    import jax

    return bool(jax.devices()[0].platform != "cpu")


def _choose_framework() -> str:
    if importlib.util.find_spec("keras") is None:
        raise InputError("Keras is not installed, and training requires it", hint='pip install "edgekit[cpu]"')
    if "keras" in sys.modules:
        return str(sys.modules["keras"].backend.backend())
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted is not None:
        if wanted not in FRAMEWORKS:
            raise unknown_name_error("backend", wanted, FRAMEWORKS, where="environment variable KERAS_BACKEND")
        if importlib.util.find_spec(FRAMEWORKS[wanted]) is None:
            raise InputError(
                f"KERAS_BACKEND={wanted} is set, but {wanted} is not installed", hint=f"pip install {wanted}"
            )
        return wanted
    for name, module in FRAMEWORKS.items():
        if importlib.util.find_spec(module) is not None:
            return name
    raise InputError(
        "training requires TensorFlow, JAX or PyTorch, and none of them is installed", hint='pip install "edgekit[cpu]"'
    )


def _tensorflow_accelerator(device: str) -> str | None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    if device == "cpu" or not gpus:
        # Graph rewriting takes as long as tracing (5 s for a ResNet) and does not make steps faster on a CPU.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        return None
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))


def _jax_accelerator(device: str) -> str | None:  # noqa: ARG001 - JAX_PLATFORMS is set for cpu
    import jax

    first = jax.devices()[0]
    accelerator = None if first.platform == "cpu" else str(first.device_kind)
    _keep_compiled_programs(accelerator)
    return accelerator


def _keep_compiled_programs(accelerator: str | None) -> None:
    """Let JAX keep what it compiles in the cache, separately for each kind of processor.

    A user who has chosen a folder for it (``JAX_COMPILATION_CACHE_DIR``) keeps that one.
    """
    import jax

    from edgekit.device.probe import cpu_name

    if jax.config.jax_compilation_cache_dir is not None:
        return
    processor = f"{accelerator}/{cpu_name()}/{jax.__version__}"
    folder = cache_dir() / "compiled" / f"jax-{hashlib.sha256(processor.encode()).hexdigest()[:16]}"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # A network has hundreds of small programs, such as the initializer of each shape, which take seconds together.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _torch_accelerator(device: str) -> str | None:
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))


_ACCELERATOR = {"tensorflow": _tensorflow_accelerator, "jax": _jax_accelerator, "torch": _torch_accelerator}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
