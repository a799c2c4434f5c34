"""The device program as the host starts it: a JSON job in, JSON lines out, without the rest of edgekit."""

from __future__ import annotations

import base64
import json
import py_compile
import re
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS
from PIL import Image

DEVICE = Path(__file__).parents[2] / "edgekit" / "device"
PROTOCOL = {"warmup_runs": 10, "warmup_ns": 1_000_000, "rounds": 3, "block_runs": 4, "block_ns": 200_000}


def run(verb: str, job: dict, command: list[str] | None = None) -> tuple[int, list[dict], str]:
    done = subprocess.run(
        [*(command or [sys.executable, "-m", "edgekit.device"]), verb],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=DEVICE.parents[1],
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def only(lines: list[dict], event: str) -> list[dict]:
    return [line for line in lines if line["event"] == event]


def test_program_stands_alone(tmp_path, onnx_models, colours):
    """As a zip under another name, isolated from the environment, it needs nothing else of edgekit."""
    shutil.copytree(DEVICE, tmp_path / "app" / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "app" / "__main__.py").write_text(
        "import sys\nfrom kit.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    zipapp.create_archive(tmp_path / "app", tmp_path / "kit.pyz")
    command = [sys.executable, "-I", "-X", "importtime", str(tmp_path / "kit.pyz")]
    job = {
        "models": [{"key": "m", "path": str(onnx_models / "labelled.onnx"), "images": [str(colours / "red/0.png")]}],
        "protocol": PROTOCOL,
        "root": str(colours),
        "files": ["red/0.png", "blue/1.png"],
    }
    for verb in ("probe", "latency", "memory", "accuracy", "predict"):
        code, lines, stderr = run(verb, job, command)
        assert code == 0, lines[-1]
        assert lines[-1] == {"event": "done"}
        modules = {match.split(".")[0] for match in re.findall(r"^import time:.*\| +(\S+)$", stderr, re.MULTILINE)}
        assert {"kit", "numpy"} <= modules
        assert not {"edgekit", "pydantic", "tensorflow", "keras", "yaml", "rich", "typer", "scipy"} & modules


def test_source_compiles_on_python_39(tmp_path):
    python = Path("/root/.pyenv/versions/3.9.18/bin/python")
    if not python.exists():
        pytest.skip("no Python 3.9 here")
    files = sorted(DEVICE.rglob("*.py"))
    script = "import sys, py_compile\nfor f in sys.argv[2:]: py_compile.compile(f, cfile=sys.argv[1], doraise=True)"
    subprocess.run([python, "-I", "-c", script, tmp_path / "out.pyc", *files], check=True)
    assert py_compile.compile(str(files[0]), cfile=str(tmp_path / "own.pyc"))


def test_probe(onnx_models):
    code, lines, _ = run("probe", {"models": [{"key": "m", "path": str(onnx_models / "labelled.onnx")}]})
    assert code == 0
    environment, inspected = only(lines, "environment")[0], only(lines, "inspected")[0]
    assert environment["cores"] >= 1
    assert environment["versions"]["onnxruntime"]
    assert environment["emulated"] is None
    assert inspected["metadata"]["labels"] == list(LABELS)
    assert inspected["input"]["needs_scaling"] is False
    assert inspected["output"]["classes"] == 3


def test_latency_blocks_are_interleaved_with_a_control(tflite_models, onnx_models):
    job = {
        "models": [
            {"key": "a", "path": str(tflite_models / "uint8.tflite")},
            {"key": "b", "path": str(onnx_models / "uint8.onnx")},
            {"key": "bad", "path": str(onnx_models / "nan.onnx")},
        ],
        "controls": ["a"],
        "threads": 2,
        "protocol": {**PROTOCOL, "rounds": 6},
        "seed": 3,
    }
    code, lines, _ = run("latency", job)
    assert code == 0
    assert [line["key"] for line in only(lines, "failed")] == ["bad"]
    assert [line["when"] for line in only(lines, "environment")] == ["before", "after"]
    for model in only(lines, "model"):
        assert len(model["warmup_ns"]) >= 10
        assert model["load_ns"] > 0
        assert model["first_ns"] > 0
    blocks = only(lines, "block")
    by_round = [[b["key"] for b in blocks if b["round"] == number] for number in range(6)]
    assert all(sorted(keys) == ["a", "a#again", "b"] for keys in by_round)
    assert len({tuple(keys) for keys in by_round}) > 1, "the order of the models differs between rounds"
    for block in blocks:
        assert len(block["ns"]) >= 4
        assert sum(block["ns"]) >= 200_000
        assert block["wall_ns"] >= sum(block["ns"])
    again = [b["key"] for b in only(run("latency", job)[1], "block")]
    assert again == [b["key"] for b in blocks], "the order depends only on the seed"


def test_decoding_is_timed_separately(onnx_models, colours):
    pictures = [str(colours / "red" / f"{n}.png") for n in range(3)]
    job = {"models": [{"key": "m", "path": str(onnx_models / "uint8.onnx"), "images": pictures}], "protocol": PROTOCOL}
    times = only(run("latency", job)[1], "images")[0]
    assert len(times["preprocess_ns"]) == len(times["postprocess_ns"]) == 3
    assert min(times["preprocess_ns"]) > 0


def test_memory_is_measured_for_one_model_per_process(onnx_models):
    entry = {"key": "m", "path": str(onnx_models / "uint8.onnx")}
    code, lines, _ = run("memory", {"models": [entry]})
    memory = only(lines, "memory")[0]
    assert code == 0
    assert 1_000_000 < memory["baseline_rss_bytes"] <= memory["peak_rss_bytes"] < 4_000_000_000
    assert memory["model_rss_bytes"] == memory["peak_rss_bytes"] - memory["baseline_rss_bytes"]
    code, lines, _ = run("memory", {"models": [entry, {**entry, "key": "n"}]})
    assert code == 1
    assert "exactly one model" in lines[-1]["reason"]


def test_accuracy_emits_all_predictions(onnx_models, tflite_models, colours):
    files = [f"{label}/{n}.png" for label in LABELS for n in range(6)] * 3  # more than one chunk
    job = {
        "models": [
            {"key": "a", "path": str(onnx_models / "uint8.onnx")},
            {"key": "b", "path": str(tflite_models / "quantized.tflite"), "resize": "crop"},
            {"key": "c", "path": str(onnx_models / "nchw.onnx"), "scaling": "imagenet"},
            {"key": "bad", "path": str(onnx_models / "nan.onnx")},
        ],
        "root": str(colours),
        "files": files,
    }
    code, lines, _ = run("accuracy", job)
    assert code == 0
    truth = [LABELS.index(name.split("/")[0]) for name in files]
    for key, activation in (("a", "none"), ("b", "none"), ("c", "softmax")):
        chunks = [line for line in only(lines, "predictions") if line["key"] == key]
        assert [chunk["start"] for chunk in chunks] == [0, 32]
        assert {chunk["activation"] for chunk in chunks} == {activation}
        rows = np.concatenate(
            [np.frombuffer(base64.b64decode(c["probabilities_b64"]), "<f4").reshape(-1, c["classes"]) for c in chunks]
        )
        assert rows.argmax(axis=1).tolist() == truth
    assert [line["key"] for line in only(lines, "failed")] == ["bad"]
    assert "Pillow" in only(lines, "decoder")[0]["name"]


def test_unreadable_image_is_named(tmp_path, onnx_models):
    (tmp_path / "x.png").write_bytes(b"no picture")
    job = {"models": [{"key": "m", "path": str(onnx_models / "uint8.onnx")}], "root": str(tmp_path), "files": ["x.png"]}
    code, lines, _ = run("accuracy", job)
    assert code == 1
    assert lines[-1]["kind"] == "image"
    assert lines[-1]["where"].endswith("x.png")


@pytest.mark.parametrize(
    ("verb", "job", "reason"),
    [
        ("memory", {"models": [{"key": "m"}]}, "path"),
        ("memory", {"models": [{"path": "x.onnx"}, {"path": "x.onnx"}]}, "same key"),
        ("latency", {"protocol": {"rounds": "many"}}, "protocol"),
        ("latency", {}, "protocol"),
        ("accuracy", [], "object"),
        ("accuracy", {}, "no model"),
    ],
)
def test_invalid_job_is_explained(verb, job, reason):
    code, lines, _ = run(verb, job)
    assert code == 1
    assert reason in lines[-1]["reason"]


def test_unknown_verb_shows_usage():
    code, lines, stderr = run("dance", {})
    assert (code, lines) == (2, [])
    assert "usage" in stderr


def test_images_are_corrupted_as_requested(tmp_path, onnx_models):
    from edgekit.device.classifier import Classifier
    from edgekit.device.corruptions import corrupt
    from edgekit.device.images import load_image
    from edgekit.device.jobs import JobModel

    files = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(60, 180, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        files.append(f"{number}.png")
    model = str(onnx_models / "uint8.onnx")
    conditions = [["clean", 0], ["colour-cast", 5], ["gaussian-noise", 3]]
    job = {"models": [{"key": "m", "path": model}], "root": str(tmp_path), "files": files, "corruptions": conditions}
    code, lines, _ = run("accuracy", {**job, "corruption_seed": 7})
    assert code == 0
    entry = JobModel("m", model)
    classifier = Classifier(entry, entry.open(1))
    for number, (name, severity) in enumerate(conditions):
        (line,) = (e for e in only(lines, "predictions") if e["condition"] == number)
        got = np.frombuffer(base64.b64decode(line["probabilities_b64"]), "<f4").reshape(-1, line["classes"])
        for row, file in zip(got, files):
            image = load_image(tmp_path / file, classifier.geometry[0])
            expected = classifier.classify(corrupt(image, name, severity, 7) if severity else image)
            assert np.allclose(row, expected, atol=1e-6)
    code, lines, _ = run("accuracy", {**job, "corruptions": [["rain", 1]]})
    assert code == 1
    assert "rain" in lines[-1]["reason"]
