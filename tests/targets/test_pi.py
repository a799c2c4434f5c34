"""On an emulated Raspberry Pi: real setup, real aarch64 runtimes, each verb. Run by `make test-all`, as root."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_pi import BOARDS, EmulatedPi, missing
from modelfiles import colour_pixels
from PIL import Image
from runfolders import golden_outputs, make_run

from edgekit.cli.app import main
from edgekit.documents.folders import RunFolder
from edgekit.support.files import sha256_file
from edgekit.targets.config import TargetConfig, add_target

pytestmark = pytest.mark.pi


def _board(name: str, tmp_path_factory: pytest.TempPathFactory, *packages: str) -> Iterator[EmulatedPi]:
    """``$EDGEKIT_TEST_PI`` keeps the built systems between runs."""
    reason = missing(BOARDS[name])
    if reason is not None:
        pytest.skip(reason)
    kept = os.environ.get("EDGEKIT_TEST_PI")
    pi = EmulatedPi(Path(kept, name) if kept else tmp_path_factory.mktemp(name), name)
    if not (pi.folder / "built").exists():
        pi.build(*packages)
    pi.up()
    try:
        yield pi
    finally:
        pi.down()


@pytest.fixture(scope="module")
def pi4(tmp_path_factory) -> Iterator[EmulatedPi]:
    yield from _board("pi4", tmp_path_factory)


@pytest.fixture(scope="module")
def pi5(tmp_path_factory) -> Iterator[EmulatedPi]:
    yield from _board("pi5", tmp_path_factory)


@pytest.fixture(scope="module")
def old_pi(tmp_path_factory) -> Iterator[EmulatedPi]:
    yield from _board("pi3-32bit", tmp_path_factory, "python3-numpy", "python3-pil")


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, colours) -> RunFolder:
    files = {
        "onnx-fp32": onnx_models / "uint8.onnx",
        "tflite-fp32": tflite_models / "uint8.tflite",
        "tflite-int8": tflite_models / "quantized.tflite",
    }
    return golden_outputs(make_run(tmp_path / "run", files, colours))


def edgekit(capsys, *arguments: object, expect: int = 0) -> dict:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments] + ["--json"])
    captured = capsys.readouterr()
    assert int(stop.value.code or 0) == expect, captured.err
    return json.loads(captured.out)


def test_from_add_to_deploy(pi4, run, project, capsys, tmp_path):
    edgekit(capsys, "target", "add", "pi4", "emulated", "--ssh-config", pi4.ssh_config())
    done = edgekit(capsys, "target", "setup", "pi4")
    assert set(done["runtimes"]) == {"litert", "onnxruntime"}
    assert done["facts"]["machine"] == "aarch64"
    again = edgekit(capsys, "target", "setup", "pi4")
    assert again["changed"] is False

    found = edgekit(capsys, "target", "doctor", "pi4")
    assert found["ok"] is True
    assert found["environment"]["board"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert found["environment"]["emulated"] == "QEMU_CPU is set", "the default processor of qemu answers wrongly"

    measured = edgekit(capsys, "bench", run.path, "--target", "pi4", "--protocol", "check", "--threads", "1")
    assert {row["runtime"] for row in measured["results"]} == {"litert", "onnxruntime"}
    for row in measured["results"]:
        assert row["emulated"] is True
        assert row["accuracy"] == 1.0
        assert row["agreement_with_host"]["n_same"] == row["agreement_with_host"]["n_images"] == 15
        assert row["agreement_with_host"]["max_difference"] < 0.01

    checked = edgekit(capsys, "verify", run.path, "--target", "pi4")
    assert [v["ok"] for v in checked["results"]] == [True] * 3

    photo = tmp_path / "photo.png"
    Image.fromarray(colour_pixels("red")).save(photo)
    model = run.export("tflite-int8").model()
    assert edgekit(capsys, "predict", model, photo, "--target", "pi4")["predictions"][0]["label"] == "red"

    deployed = edgekit(capsys, "deploy", run.path, "--export", "tflite-int8", "--target", "pi4")
    folder = pi4.root / deployed["folder"].lstrip("/")
    Image.fromarray(colour_pixels("green")).save(folder / "photo.jpg")
    answer = in_board(pi4, f"cd '{deployed['folder']}' && {deployed['command']}")
    assert answer.startswith("photo.jpg  green")
    assert deployed["statistics_images"] is None, "15 test images are too few"

    watched = in_board(
        pi4,
        f"cd '{deployed['folder']}' && rm -rf photos unsure && mkdir photos && cp photo.jpg photos/ && "
        "python3 edgekit-device.pyz watch model.tflite --folder photos --frames 1 --keep-mb 1 --unsure-below 1",
    )
    assert "page: http://127.0.0.1:8765/" in watched
    assert "drift check: off" in watched
    (kept,) = (folder / "unsure").iterdir()
    assert kept.name.endswith("_green.jpg")
    unit = in_board(pi4, f"cd '{deployed['folder']}' && python3 edgekit-device.pyz unit model.tflite --keep-mb 1")
    assert "User=pi\n" in unit
    assert " watch model.tflite --keep-mb=1.0\n" in unit

    again = edgekit(capsys, "deploy", run.path, "--export", "tflite-int8", "--target", "pi4", "--update")
    assert again["replaced_sha256"] == sha256_file(model)
    assert again["verification"]["ok"] is True
    assert kept.exists()


def test_a_32_bit_system_has_what_is_possible(old_pi, run, project, capsys):
    add_target(TargetConfig("old", "emulated", ssh_config=str(old_pi.ssh_config())), project / "targets.toml")
    done = edgekit(capsys, "target", "setup", "old")
    assert done["runtimes"] == {"tflite-runtime": "2.14.0"}
    assert "no runtime for .onnx files" in done["notes"][0]
    # Not the quantized one: this runtime's 32-bit kernel of a quantized mean crashes (MobileNetV2 int8 runs).
    model = run.export("tflite-fp32").model()
    checked = edgekit(capsys, "verify", model, "--target", "old")
    assert checked["results"][0]["runtime"]["name"] == "tflite-runtime"
    assert checked["results"][0]["ok"] is True
    error = edgekit(capsys, "verify", run.export("onnx-fp32").model(), "--target", "old", expect=4)["error"]
    assert "no installed runtime runs .onnx files" in error["problem"]


def in_board(pi: EmulatedPi, script: str) -> str:
    command = ["ssh", "-F", str(pi.ssh_config()), "emulated", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_openvino_runs_both_formats(pi5, run, project, capsys):
    """Its wheel for Arm, beside the default runtimes, in the same session.

    Not on a Raspberry Pi 4: without dot products, OpenVINO refuses some int8 files.
    """
    target = TargetConfig("pi5", "emulated", runtime="openvino", ssh_config=str(pi5.ssh_config()))
    add_target(target, project / "targets.toml")
    done = edgekit(capsys, "target", "setup", "pi5")
    assert set(done["runtimes"]) == {"litert", "onnxruntime", "openvino"}
    command = ("bench", run.path, "--target", "pi5", "--runtime", "all", "--protocol", "check", "--threads", "1")
    rows = edgekit(capsys, *command)["results"]
    assert [row["id"].partition("/")[2] for row in rows] == [
        "onnx-fp32", "onnx-fp32@openvino", "tflite-fp32", "tflite-fp32@openvino", "tflite-int8", "tflite-int8@openvino",
    ]  # fmt: skip
    for row in rows:
        assert row["accuracy"] == 1.0
        assert row["agreement_with_host"]["n_same"] == 15
    stored = json.loads(run.bench_json("pi5", "tflite-int8@openvino").read_text())["runtime"]
    assert (stored["name"], stored["precision"]) == ("openvino", "f32")
    checked = edgekit(capsys, "verify", run.path, "--target", "pi5")
    assert [(one["runtime"]["name"], one["ok"]) for one in checked["results"]] == [("openvino", True)] * 3
    deployed = edgekit(capsys, "deploy", run.path, "--export", "tflite-int8", "--target", "pi5", "--name", "ov")
    folder = pi5.root / deployed["folder"].lstrip("/")
    assert json.loads((folder / "preprocessing.json").read_text()) == {"runtime": "openvino"}
    Image.fromarray(colour_pixels("green")).save(folder / "photo.jpg")
    assert in_board(pi5, f"cd '{deployed['folder']}' && {deployed['command']}").startswith("photo.jpg  green")


@pytest.mark.parametrize("board", ["pi5", "old_pi"])
def test_ncnn_is_installed_on_request(board, request, tmp_path, ncnn_models, colours, project, capsys):
    """Its wheels for Arm, of 64 and of 32 bits."""
    pi, name = request.getfixturevalue(board), "board"
    run = golden_outputs(make_run(tmp_path / "run", {"ncnn-fp32": ncnn_models / "colours.ncnn"}, colours))
    target = TargetConfig(name, "emulated", runtime="ncnn", ssh_config=str(pi.ssh_config()))
    add_target(target, project / "targets.toml")
    assert "ncnn" in edgekit(capsys, "target", "setup", name)["runtimes"]
    command = ("bench", run.path, "--target", name, "--protocol", "check", "--threads", "1")
    (row,) = edgekit(capsys, *command)["results"]
    assert row["accuracy"] == 1.0
    assert row["agreement_with_host"]["n_same"] == 15
    assert json.loads(run.bench_json(name, "ncnn-fp32").read_text())["runtime"]["name"] == "ncnn"
    (checked,) = edgekit(capsys, "verify", run.path, "--target", name)["results"]
    assert checked["ok"]
    deployed = edgekit(capsys, "deploy", run.path, "--export", "ncnn-fp32", "--target", name, "--name", "nc")
    folder = pi.root / deployed["folder"].lstrip("/")
    Image.fromarray(colour_pixels("green")).save(folder / "photo.jpg")
    assert in_board(pi, f"cd '{deployed['folder']}' && {deployed['command']}").startswith("photo.jpg  green")
