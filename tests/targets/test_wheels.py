"""Which packages setup chooses for common systems."""

from __future__ import annotations

from typing import Any

import pytest

from edgekit.targets.wheels import plan, platform_tags


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "system": "Linux", "machine": "aarch64", "bits": 64, "python": [3, 11, 2], "implementation": "cpython",
        "libc": "glibc", "libc_version": "2.36", "glibcxx": "3.4.30", "installed": {}, **changes,
    }  # fmt: skip


def test_raspberry_pi_os_bookworm():
    chosen = plan(facts())
    assert chosen.runtimes == {"tflite": "ai-edge-litert==2.3.0", "onnx": "onnxruntime==1.31.1"}
    assert chosen.requirements[0].startswith("numpy>=1.26")
    assert chosen.problem is None
    assert chosen.notes == ()


SYSTEMS = {
    "Raspberry Pi OS Trixie": {"python": [3, 13, 5], "libc_version": "2.41", "glibcxx": "3.4.33"},
    "Raspberry Pi OS Bullseye": {"python": [3, 9, 2], "libc_version": "2.31", "glibcxx": "3.4.28"},
    "Ubuntu 22.04": {"python": [3, 10, 12], "libc_version": "2.35"},
    "an older libstdc++": {"glibcxx": "3.4.29"},
    "Debian 10 with a newer Python": {"python": [3, 9, 2], "libc_version": "2.28", "glibcxx": "3.4.25"},
    "a PC": {"machine": "x86_64"},
}


@pytest.mark.parametrize(
    ("system", "tflite", "onnx"),
    [
        ("Raspberry Pi OS Trixie", "ai-edge-litert==2.3.0", "onnxruntime==1.31.1"),
        ("Raspberry Pi OS Bullseye", "ai-edge-litert==1.4.0", "onnxruntime==1.19.2"),
        ("Ubuntu 22.04", "ai-edge-litert==2.3.0", "onnxruntime==1.23.2"),
        ("an older libstdc++", "ai-edge-litert==1.4.0", "onnxruntime==1.31.1"),
        ("Debian 10 with a newer Python", "tflite-runtime==2.13.0", "onnxruntime==1.19.2"),
        ("a PC", "ai-edge-litert==2.3.0", "onnxruntime==1.31.1"),
    ],
)
def test_other_systems(system, tflite, onnx):
    chosen = plan(facts(**SYSTEMS[system]))
    assert chosen.runtimes == {"tflite": tflite, "onnx": onnx}
    old = tflite.startswith("tflite-runtime")
    assert ("numpy>=1.22,<2" in chosen.requirements) == old


def test_a_32_bit_system_uses_its_own_numpy():
    chosen = plan(facts(machine="armv7l", bits=32))
    assert chosen.requirements == ("tflite-runtime==2.14.0",)
    assert chosen.needs_system == ("python3-numpy", "python3-pil")
    assert "no runtime for .onnx files" in chosen.notes[0]
    has = {"numpy": "1.24.2", "pillow": "9.4.0"}
    assert plan(facts(machine="armv7l", bits=32, installed=has)).needs_system == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "armv6l", "bits": 32}, "Zero 2 W"),
        ({"machine": "armv7l", "bits": 32, "python": [3, 13, 5]}, "64-bit system"),
        ({"libc": "musl", "libc_version": ""}, "musl"),
        ({"python": [3, 8, 10]}, "3.9 or newer"),
        ({"implementation": "pypy"}, "CPython"),
        ({"system": "Darwin"}, "Darwin"),
        ({"libc_version": "2.24"}, "no runtime has a wheel"),
        ({"machine": "riscv64"}, "no runtime has a wheel"),
    ],
)
def test_impossible_setups_are_explained(changes, said):
    assert said in plan(facts(**changes)).problem


def test_a_requested_runtime_is_chosen():
    assert plan(facts(), "tflite-runtime").runtimes["tflite"] == "tflite-runtime==2.14.0"


def test_all_older_tags_are_listed():
    tags = platform_tags(facts())
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64"} <= set(tags)
    assert "manylinux_2_38_aarch64" not in tags


def test_a_runtime_that_is_no_default_is_installed_beside_the_default_ones():
    chosen = plan(facts(), "openvino")
    assert chosen.requirements[-3:] == ("ai-edge-litert==2.3.0", "onnxruntime==1.31.1", "openvino==2026.4.1")
    assert chosen.runtimes == plan(facts()).runtimes
    assert "openvino" not in " ".join(plan(facts()).requirements)
    old = plan(facts(python=[3, 9, 2], libc_version="2.31", machine="x86_64"), "openvino")
    assert "openvino==2025.3.0" in old.requirements
    assert "openvino has no wheel" in plan(facts(machine="armv7l", bits=32), "openvino").problem


def test_ncnn_is_installed_on_request_only():
    assert "ncnn" not in " ".join(plan(facts()).requirements)
    assert plan(facts(), "ncnn").requirements[-1] == "ncnn==1.0.20261020"
    assert plan(facts(), "ncnn").runtimes == plan(facts()).runtimes
    # No other runtime has a wheel for this system.
    trixie = facts(machine="armv7l", bits=32, python=[3, 13, 5], libc_version="2.41")
    assert plan(trixie).problem
    assert plan(trixie, "ncnn").requirements == ("ncnn==1.0.20261020",)
    assert "ncnn has no wheel" in plan(facts(libc_version="2.27"), "ncnn").problem
