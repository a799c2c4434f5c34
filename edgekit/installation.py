"""What this machine can do: installed packages, GPU, pretrained weights, disk space. Nothing is changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.device.runtime_table import RUNTIMES, default_runtimes
from edgekit.registry import BACKBONES
from edgekit.web.chromium import find_chromium

BACKENDS = ("tensorflow", "jax", "torch")
"""Of these, training needs one."""

INSTALL_ALL = 'pip install "edgekit[cpu]"'
INSTALL_EXPORT = 'pip install "edgekit[export]"'
INSTALL_COMPRESS = 'pip install "edgekit[compress]"  (optional)'


@dataclass(frozen=True)
class Package:
    """A package that some stage needs: the ``module`` to look for, and the command that installs it."""

    name: str
    module: str
    remedy: str = INSTALL_ALL


PACKAGES = (
    Package("keras", "keras"),
    Package("tensorflow", "tensorflow"),
    Package("jax", "jax", 'pip install "edgekit[jax]"  (optional)'),
    Package("torch", "torch", "pip install torch  (optional)"),
    Package("scikit-learn", "sklearn"),
    Package("OpenCV", "cv2"),
    Package("tensorboardX", "tensorboardX"),
    Package("onnx", "onnx", INSTALL_EXPORT),
    Package("flatbuffers", "flatbuffers", INSTALL_EXPORT),
    Package("pnnx", "pnnx", "pip install --no-deps pnnx  (optional)"),
    Package("tf_keras", "tf_keras", INSTALL_COMPRESS),
    Package("TF Model Optimization", "tensorflow_model_optimization", INSTALL_COMPRESS),
)


@dataclass(frozen=True)
class Check:
    """One thing that may be installed. ``found`` is None if it is missing; ``remedy`` is the command that adds it."""

    name: str
    found: str | None
    remedy: str

    @property
    def ok(self) -> bool:
        return self.found is not None


@dataclass(frozen=True)
class Machine:
    """This machine and its Python."""

    cpu: str | None
    cores: int | None
    usable_cores: int
    python: str
    platform: str


@dataclass(frozen=True)
class Cache:
    """The folder of decoded images. It can be deleted at any time."""

    path: str
    size_bytes: int


@dataclass(frozen=True)
class Installation:
    """Everything that was found. ``can``: what follows for each stage."""

    machine: Machine
    checks: tuple[Check, ...]
    can: dict[str, bool]
    cache: Cache
    free_disk_bytes: int


def diagnose() -> Installation:
    """Look at this machine."""
    from edgekit.data.cache import cache_dir, cache_size
    from edgekit.device.probe import cpu_name
    from edgekit.device.runtimes import all_cores

    checks = (
        *(Check(package.name, _installed(package.module), package.remedy) for package in PACKAGES),
        *(_runtime(name) for name in RUNTIMES),
        Check("browser", find_chromium(), "install Chromium, Chrome or Edge  (for --target web)"),
        _gpu(),
        *(_weights(name) for name in BACKBONES),
    )
    return Installation(
        machine=Machine(cpu_name(), os.cpu_count(), all_cores(), platform.python_version(), platform.platform()),
        checks=checks,
        can=_abilities({check.name for check in checks if check.ok}),
        cache=Cache(str(cache_dir()), cache_size()),
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
    )


def _abilities(installed: set[str]) -> dict[str, bool]:
    """Whether each stage has what it needs."""

    def has(*names: str) -> bool:
        return installed.issuperset(names)

    def runs(file_format: str) -> bool:
        return any(runtime.name in installed for runtime in default_runtimes(file_format))

    return {
        "train": has("keras", "scikit-learn") and any(map(has, BACKENDS)),
        "export to TFLite": has("keras", "tensorflow", "flatbuffers", "litert"),
        "train with QAT, pruning or clustering": has("tensorflow", "flatbuffers", "tf_keras", "TF Model Optimization"),
        "export to ONNX": has("keras", "onnx", "onnxruntime"),
        "measure TFLite files": runs("tflite"),
        "measure ONNX files": runs("onnx"),
        "export to ncnn": has("keras", "onnx", "onnxruntime", "pnnx", "ncnn"),
        "measure ncnn files": runs("ncnn"),
        "measure in a browser": has("onnxruntime", "browser"),
    }


def _runtime(name: str) -> Check:
    runtime = RUNTIMES[name]
    needed = runtime.default and not runtime.on_request
    remedy = f'pip install "edgekit[{runtime.extra}]"' + ("" if needed else "  (optional)")
    # No current Python has wheels of tflite-runtime, and litert runs the same files.
    return Check(name, _installed(runtime.module), "" if name == "tflite-runtime" else remedy)


def _installed(module: str) -> str | None:
    """The name and version of the package that contains ``module``, without importing it, or None."""
    top = module.partition(".")[0]
    try:
        if importlib.util.find_spec(top) is None:
            return None
    except (ImportError, ValueError):
        return None
    for distribution in sorted(metadata.packages_distributions().get(top, [])):
        return f"{distribution} {metadata.version(distribution)}"
    return "installed"


def _gpu() -> Check:
    command = shutil.which("nvidia-smi")
    if command is None:
        return Check("GPU", None, 'pip install "edgekit[gpu]"  (for an NVIDIA GPU)')
    try:
        answer = subprocess.run(
            [command, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return Check("GPU", None, "nvidia-smi does not respond: check the driver")
    return Check("GPU", "; ".join(answer.stdout.strip().splitlines()) or None, "no GPU: check the driver")


def _weights(name: str) -> Check:
    """Whether Keras has already downloaded the ImageNet weights of this backbone."""
    from edgekit.support.frameworks import keras_settings_file

    files = sorted((keras_settings_file().parent / "models").glob(BACKBONES[name].weights_file))
    return Check(f"weights {name}", files[0].name if files else None, "downloaded by Keras on first use")
