"""Chooses the framework and the processor to train on; has to be called before Keras is imported."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

from edgekit.documents.run import TrainingEnvironment
from edgekit.errors import InputError
from edgekit.support.frameworks import lean_import
from edgekit.support.suggestions import unknown_name_error

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
    if device == "cpu" and name == "jax":
        os.environ["JAX_PLATFORMS"] = "cpu"
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


def _jax_accelerator(device: str) -> str | None:
    import jax

    if device == "cpu":
        return None
    first = jax.devices()[0]
    return None if first.platform == "cpu" else str(first.device_kind)


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
