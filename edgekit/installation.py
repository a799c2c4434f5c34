"""What this machine can do: packages, GPU, weights, disk. Nothing is changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit.registry import BACKBONES, RUNTIMES

TRAINING = {
    "keras": "keras",
    "tensorflow": "tensorflow",
    "jax": "jax",
    "torch": "torch",
    "scikit-learn": "sklearn",
    "OpenCV": "cv2",
    "tensorboardX": "tensorboardX",
}
EXPORT = {"onnx": "onnx", "flatbuffers": "flatbuffers"}
COMPRESS = {"tf_keras": "tf_keras", "TF Model Optimization": "tensorflow_model_optimization"}
OPTIONAL = ("jax", "torch", *COMPRESS)
REMEDIES = {
    "jax": 'pip install "edgekit[jax]"',
    "torch": "pip install torch",
    **dict.fromkeys(COMPRESS, 'pip install "edgekit[compress]"'),
    "onnx": 'pip install "edgekit[export]"',
    "flatbuffers": 'pip install "edgekit[export]"',
}


def diagnose() -> dict[str, Any]:
    """Checks with what was found and how to add what is missing, and what follows for each stage."""
    from edgekit.data.cache import cache_dir, cache_size
    from edgekit.device.probe import cpu_name
    from edgekit.device.runtimes import all_cores

    checks = [_package(name, module) for name, module in {**TRAINING, **EXPORT, **COMPRESS}.items()]
    checks += [_runtime(name) for name in RUNTIMES]
    checks.append(_gpu())
    checks += [_weights(name) for name in BACKBONES]
    ok = {check["name"]: check["ok"] for check in checks}
    return {
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "usable_cores": all_cores(),
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "checks": checks,
        "can": {
            "train": ok["keras"] and ok["scikit-learn"] and any(ok[name] for name in ("tensorflow", "jax", "torch")),
            "export to TFLite": ok["keras"] and ok["tensorflow"] and ok["flatbuffers"] and ok["litert"],
            "train on for smaller files": ok["tensorflow"] and ok["flatbuffers"] and all(ok[name] for name in COMPRESS),
            "export to ONNX": ok["keras"] and ok["onnx"] and ok["onnxruntime"],
            "measure TFLite files": ok["litert"] or ok["tflite-runtime"],
            "measure ONNX files": ok["onnxruntime"],
        },
        "cache": {"path": str(cache_dir()), "size_bytes": cache_size()},
        "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
    }


def _check(name: str, found: str | None, remedy: str, *, ok: bool | None = None) -> dict[str, Any]:
    return {"name": name, "ok": found is not None if ok is None else ok, "found": found, "remedy": remedy}


def _package(name: str, module: str) -> dict[str, Any]:
    remedy = REMEDIES.get(name, 'pip install "edgekit[cpu]"')
    if name in OPTIONAL:
        remedy += "  (optional)"
    return _check(name, _installed(module), remedy)


def _runtime(name: str) -> dict[str, Any]:
    runtime = RUNTIMES[name]
    remedy = 'pip install "edgekit[bench]"' if name != "tflite-runtime" else ""
    return _check(name, _installed(runtime.module), remedy)


def _installed(module: str) -> str | None:
    """The version of the package that holds ``module``, without importing it."""
    top = module.partition(".")[0]
    try:
        if importlib.util.find_spec(top) is None:
            return None
    except (ImportError, ValueError):
        return None
    for distribution in sorted(metadata.packages_distributions().get(top, [])):
        return f"{distribution} {metadata.version(distribution)}"
    return "installed"


def _gpu() -> dict[str, Any]:
    remedy = 'pip install "edgekit[gpu]", for an NVIDIA GPU'
    command = shutil.which("nvidia-smi")
    if command is None:
        return _check("GPU", None, remedy)
    try:
        answer = subprocess.run(
            [command, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return _check("GPU", None, "nvidia-smi does not answer: check the driver")
    names = "; ".join(answer.stdout.strip().splitlines())
    return _check("GPU", names or None, remedy)


def _weights(name: str) -> dict[str, Any]:
    """Whether Keras has downloaded this backbone's ImageNet weights (no top) before."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    files = sorted((home / "models").glob(BACKBONES[name].weights_file))
    found = files[0].name if files else None
    return _check(f"weights {name}", found, "Keras downloads them at the first training")
