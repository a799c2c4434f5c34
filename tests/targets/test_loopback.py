"""A target behind a real SSH server on this machine, from the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from loopback import Server
from modelfiles import colour_pixels
from PIL import Image
from runfolders import golden_outputs, make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.cli.app import main
from edgekit.documents.corruptions import read_corrupted
from edgekit.documents.folders import RunFolder
from edgekit.targets.config import add_target
from edgekit.targets.device_program import program, program_name


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "quick", protocol_of("quick", 2, 4, (4, 100_000), (2, 1_000_000)))


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, colours) -> RunFolder:
    files = {"onnx-fp32": onnx_models / "uint8.onnx", "tflite-int8": tflite_models / "quantized.tflite"}
    return golden_outputs(make_run(tmp_path / "run", files, colours))


@pytest.fixture
def there(project, server: Server, tmp_path) -> Path:
    """The working folder of the target ``loop``, with a name full of shell syntax."""
    folder = tmp_path / "it's a $(touch pwned); `folder`"
    add_target(server.target(folder), project / "targets.toml")
    return folder


def edgekit(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def document(capsys, *arguments: object, expect: int = 0) -> dict:
    capsys.readouterr()
    code = edgekit(*arguments, "--json")
    captured = capsys.readouterr()
    assert code == expect, captured.err
    return json.loads(captured.out)


def test_setup_bench_verify_predict(run, there, server, capsys, project):
    done = document(capsys, "target", "setup", "loop")
    assert done["source"] == "own"
    assert set(done["runtimes"]) >= {"litert", "onnxruntime"}

    found = document(capsys, "bench", run.path, "--target", "loop", "--threads", "1")
    assert {(row["target"], row["key"] if "key" in row else row["scheme"]) for row in found["results"]} == {
        ("loop", "fp32"), ("loop", "int8"),
    }  # fmt: skip
    for row in found["results"]:
        assert row["accuracy"] == 1.0
        assert len(row["latency_ns"]) >= 32
        same = row["agreement_with_host"]
        assert (same["n_images"], same["n_same"], same["differing"]) == (15, 15, [])
        assert same["max_difference"] < 1e-6, "the same runtime on the same machine"
    stored = json.loads(run.bench_json("loop", "onnx-fp32").read_text())
    processes = stored["latency"][0]["processes"]
    assert [len(block["ns"]) >= 4 for process in processes for block in process["blocks"]] == [True] * 8
    assert sum(len(process["blocks"]) for process in stored["control"][0]["first"]) == 8
    assert stored["model"].startswith(str(run.path)), "paths are those of this machine"

    checked = document(capsys, "verify", run.path, "--target", "loop")
    assert [(v["ok"], v["n_same"], v["n_inputs"]) for v in checked["results"]] == [(True, 9, 9)] * 2

    pictures = []
    for number, label in enumerate(("green", "red", "green")):
        pictures.append(there.parent / f"photo '{number}'.png")
        Image.fromarray(colour_pixels(label)).save(pictures[-1])
    model = run.export("tflite-int8").model()
    seen = document(capsys, "predict", model, *pictures, "--target", "loop")["predictions"]
    assert [p["label"] for p in seen] == ["green", "red", "green"]
    assert [p["image"] for p in seen] == [str(path) for path in pictures]

    assert not list(project.parent.rglob("pwned"))
    objects = sorted(path.name for path in (there / "objects").iterdir())
    assert program_name() in objects
    assert not [name for name in objects if name.endswith(".part")]


def test_files_are_sent_once(run, there, capsys):
    model = run.export("onnx-fp32").model()
    document(capsys, "verify", model, "--target", "loop")
    before = {path: path.stat().st_mtime_ns for path in (there / "objects").iterdir()}
    document(capsys, "verify", model, "--target", "loop")
    assert {path: path.stat().st_mtime_ns for path in (there / "objects").iterdir()} == before


def test_predictions_for_corrupted_images_agree_with_local_ones(run, there, capsys):
    keys = ",".join(export.key for export in run.done_exports())
    shown = ("--corruptions", "haze,gaussian-noise", "--severities", "2,5", "--models", keys, "--quiet")
    found = document(capsys, "evaluate", run.path, *shown, "--target", "loop")
    assert {model["target"] for model in found["models"]} == {"loop"}
    document(capsys, "evaluate", run.path, *shown)
    by_place = {(answers.target, answers.key): answers for answers in read_corrupted(run)}
    for export in run.done_exports():
        far, near = by_place["loop", export.key], by_place["local", export.key]
        assert far.files == near.files
        assert far.conditions() == [("haze", 2), ("haze", 5), ("gaussian-noise", 2), ("gaussian-noise", 5)]
        for name, shift in far.shifts.items():
            assert np.allclose(shift.probabilities, near.shifts[name].probabilities, atol=1e-6)
        assert far.about.model_sha256 == near.about.model_sha256


def test_failed_verification_exits_with_3(run, there, capsys):
    export = run.export("onnx-fp32")
    with np.load(export.golden) as stored:
        np.savez(export.golden, inputs=stored["inputs"], outputs=np.roll(stored["outputs"], 1, axis=1))
    found = document(capsys, "verify", export.model(), "--target", "loop", expect=3)
    assert "9 of 9 golden inputs" in found["results"][0]["problem"]


def test_a_deployment_works_alone(run, there, server, capsys, tmp_path):
    done = document(capsys, "deploy", run.path, "--export", "onnx-fp32", "--target", "loop", "--name", "colour box")
    folder = Path(done["folder"])
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx", "labels.txt", "golden.npz", "README.txt", "edgekit-device.pyz",
    }  # fmt: skip
    Image.fromarray(colour_pixels("blue")).save(folder / "photo.jpg")
    answer = subprocess.run(done["command"], shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("photo.jpg  blue ")
    assert "edgekit-device.pyz predict model.onnx photo.jpg" in (folder / "README.txt").read_text()
    again = document(capsys, "deploy", run.path, "--export", "onnx-fp32", "--target", "loop", "--name", "colour box")
    assert again["folder"] == done["folder"]
    assert (folder / "photo.jpg").is_file(), "what a person put there stays"
    mine = there / "deploy" / "mine"
    mine.mkdir()
    (mine / "model.onnx").write_text("mine")
    assert edgekit("deploy", run.path, "--export", "onnx-fp32", "--target", "loop", "--name", "mine") != 0
    assert [path.read_text() for path in mine.iterdir()] == ["mine"]
    assert document(capsys, "target", "remove", "loop", "--purge")["left"] == ["deploy"]
    assert sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()) == [
        "deploy/colour box/photo.jpg", "deploy/mine/model.onnx",
    ]  # fmt: skip


def test_a_deployment_runs_with_the_tuned_setting(run, there, server, capsys):
    document(capsys, "bench", run.export("onnx-fp32").path, "--target", "loop", "--threads", "1")
    path = run.bench_json("loop", "onnx-fp32")
    stored = json.loads(path.read_text())
    latency = stored["latency"][0]
    slower = json.loads(json.dumps(latency))
    for process in slower["processes"]:
        for block in process["blocks"]:
            block["ns"] = [3 * ns for ns in block["ns"]]
    default = {"runtime": "onnxruntime", "threads": 2, "pin": False, "options": {}}
    found = {"runtime": "onnxruntime", "threads": 1, "pin": False, "options": {"arena": "off"}}
    quiet = {"unstable": []}
    control = {"model": "x", "threads": 1, "first": latency["processes"], "second": latency["processes"]}
    stored["tuning"] = {
        "default": default, "found": found, "tried": [], "created": stored["created"], "controls": [control],
        "confirmation": {**latency, **quiet}, "reference": {**slower, **quiet},
    }  # fmt: skip
    path.write_text(json.dumps(stored))
    done = document(capsys, "deploy", run.path, "--export", "onnx-fp32", "--target", "loop", "--name", "tuned")
    assert done["settings"] == found
    assert done["verification"]["ok"] is True
    folder = Path(done["folder"])
    assert json.loads((folder / "settings.json").read_text()) == found
    command = done["command"].replace("predict model.onnx photo.jpg", "bench model.onnx --seconds 0.01")
    answer = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert ", 1 thread, onnxruntime" in answer.stdout

    stored["tuning"].update(confirmation=stored["tuning"]["reference"])  # not faster after all
    path.write_text(json.dumps(stored))
    again = document(capsys, "deploy", run.path, "--export", "onnx-fp32", "--target", "loop", "--name", "tuned")
    assert again["settings"] is None
    assert not (folder / "settings.json").exists()


def test_each_target_has_a_column(run, there, capsys):
    assert edgekit("bench", run.path, "--target", "local", "--target", "loop", "--threads", "1") == 0
    text = capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("p50 ms, 1 thread"))
    assert header.split()[-2:] == ["local", "loop"]
    assert max(len(line) for line in text.splitlines() if "results:" not in line and "/" not in line) <= 80
    assert run.bench_json("local", "onnx-fp32").is_file()
    assert run.bench_json("loop", "onnx-fp32").is_file()


def test_an_unreachable_target_does_not_stop_the_others(run, there, server, capsys, project):
    away = server.config_file("away", Port="1")
    add_target(server.target(there, name="away", ssh_config=str(away)), project / "targets.toml")
    found = document(capsys, "bench", run.path, "--target", "away", "--target", "loop", "--threads", "1", expect=4)
    assert {row["target"] for row in found["results"]} == {"loop"}
    assert "cannot reach the target" in found["errors"]["away"]


def test_sustained_run_is_shown_over_time(run, there, capsys):
    model = run.export("onnx-fp32").model()
    assert edgekit("bench", model, "--target", "loop", "--threads", "1", "--images", "0", "--sustained", "2s") == 0
    text = capsys.readouterr().out
    assert "sustained run of mobilenetv2 onnx-fp32, 1 thread, 2 s" in text
    assert "latency at the end: " in text
    stored = json.loads(run.bench_json("loop", "onnx-fp32").read_text())["sustained"]
    assert 2 <= len(stored["windows"]) <= 3
    assert all(len(window["ns"]) > 0 for window in stored["windows"])
    assert edgekit("bench", model, "--target", "loop", "--sustained", "ten minutes") == 2


def test_doctor_and_remove(there, server, capsys, project):
    text = document(capsys, "target", "doctor", "loop")
    assert text["ok"] is True
    assert {check["name"] for check in text["checks"]} >= {"connection", "Python", "clock", "disk", "litert"}
    assert edgekit("target", "doctor", "loop") == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80
    (there / "mine.txt").write_text("kept")
    assert edgekit("target", "remove", "loop", "--purge") == 0
    assert [path.name for path in there.iterdir()] == ["mine.txt"], "only what edgekit made is removed"
    assert "loop" not in (project / "targets.toml").read_text()


def test_the_program_is_reproducible():
    program.cache_clear()
    first = program()
    program.cache_clear()
    assert program() == first
    assert first.startswith(b"#!/usr/bin/env python3\n")


def test_a_third_party_model_with_external_data(there, server, capsys, colours, tmp_path):
    """All its files are sent, verified and deployed, with its preprocessing."""
    model = _with_external_data(tmp_path / "theirs")
    options = ("--labels", tmp_path / "theirs" / "labels.txt", "--scaling", "unit")
    measure = ("--data", colours, "--target", "loop", "--protocol", "quick", "--threads", "1")
    measure += ("--out", tmp_path / "out")
    found = document(capsys, "bench", model, *options, *measure)
    assert [row["accuracy"] for row in found["results"]] == [1.0]
    assert found["results"][0]["size_bytes"] > model.stat().st_size

    checked = document(capsys, "verify", model, "--scaling", "unit", "--target", "loop")
    assert [(one["ok"], one["n_same"], one["n_inputs"]) for one in checked["results"]] == [(True, 8, 8)]

    done = document(capsys, "deploy", model, *options, "--filter", "bicubic", "--target", "loop", "--name", "theirs")
    folder = Path(done["folder"])
    assert json.loads((folder / "preprocessing.json").read_text())["filter"] == "bicubic"
    assert {"model.onnx", "weights.bin", "labels.txt"} <= {path.name for path in folder.iterdir()}
    Image.fromarray(colour_pixels("green")).save(tmp_path / "photo.png")
    command = done["command"].replace("photo.jpg", str(tmp_path / "photo.png"))
    shown = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert "green" in shown.stdout.split("  ")[1]

    (model.parent / "weights.bin").unlink()
    assert edgekit("bench", model, *options, "--target", "loop") == 2
    assert "external data is missing" in capsys.readouterr().err


def _with_external_data(folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir()
    (folder / "labels.txt").write_text("blue\ngreen\nred")
    weights = numpy_helper.from_array(8 * np.eye(3, dtype=np.float32)[::-1].copy(), "weights")
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0),
            node("MatMul", ["mean", "weights"], ["scores"]),
        ],
        "model",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 32, 32, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder / "net.onnx"
