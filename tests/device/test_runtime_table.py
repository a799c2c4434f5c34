"""Each entry of the runtime table has everything that a runtime needs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from edgekit import registry
from edgekit.device.host_facts import PACKAGES
from edgekit.device.runtime_table import RUNTIMES, SUFFIXES, default_runtimes
from edgekit.device.runtimes import default_runtime, open_model, runtime_version
from edgekit.targets.wheels import WHEELS


@pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=lambda runtime: runtime.name)
def test_runtime_is_complete(runtime, onnx_models, tflite_models, ncnn_models):
    assert RUNTIMES[runtime.name] is runtime
    assert callable(importlib.import_module(f"edgekit.device.{runtime.adapter}").open_model)
    if runtime.profiler is not None:
        assert callable(importlib.import_module(f"edgekit.device.{runtime.profiler}").profile)
    assert runtime.summary
    assert runtime.distribution in PACKAGES, "setup recognizes a target that has it"
    assert any(wheel.runtime == runtime.name for wheel in WHEELS), "setup can install it"
    if runtime_version(runtime.name) is not None:
        for file_format in runtime.formats:
            files = {
                "onnx": onnx_models / "uint8.onnx",
                "tflite": tflite_models / "quantized.tflite",
                "ncnn": ncnn_models / "colours.ncnn",
            }
            model = open_model(str(files[file_format]), 1, runtime.name)
            assert model.runtime_info["name"] == runtime.name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_first_installed_runtime_is_the_default(suffix):
    candidates = [one for one in default_runtimes(suffix[1:]) if runtime_version(one.name) is not None]
    if not candidates and all(one.on_request for one in default_runtimes(suffix[1:])):
        pytest.skip(f"no runtime for {suffix} files is installed")
    assert default_runtime(suffix[1:]) == candidates[0].name


def test_there_is_one_table():
    assert registry.RUNTIMES is RUNTIMES
    assert {f".{file_format}" for file_format in registry.FORMATS} <= set(SUFFIXES)
    assert {wheel.runtime for wheel in WHEELS} == set(RUNTIMES)


def test_every_optional_runtime_has_an_extra():
    """`pip install "edgekit[openvino]"`, which `edgekit doctor` recommends."""
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    for runtime in RUNTIMES.values():
        section = project.split(f"\n{runtime.extra} = [", 1)[1].split("\n]", 1)[0]
        assert runtime.name == "tflite-runtime" or f'"{runtime.distribution}' in section
