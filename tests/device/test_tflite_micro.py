"""TensorFlow Lite Micro: the predictions of LiteRT, the arena of a file, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from modelfiles import LABELS, colour_pixels

from edgekit.device.classifier import Classifier
from edgekit.device.failures import ModelError
from edgekit.device.jobs import JobModel, read_job
from edgekit.device.memory import memory
from edgekit.device.runtimes import open_model

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed: pip install tflite-micro")


def test_the_same_as_litert(tflite_models):
    path = str(tflite_models / "quantized.tflite")
    entry = JobModel("m", path)
    models = [open_model(path, 1, runtime) for runtime in ("litert", "tflm")]
    rows = [np.stack([Classifier(entry, m).classify(colour_pixels(k)) for k in LABELS]) for m in models]
    assert rows[1].argmax(axis=1).tolist() == [0, 1, 2]
    assert rows[1] == pytest.approx(rows[0], abs=0.02)
    usual, model = models
    assert (model.input.dtype, model.input.shape) == (usual.input.dtype, usual.input.shape)
    assert (model.output.scale, model.output.operator) == (usual.output.scale, usual.output.operator)
    assert (model.threads, usual.arena_bytes) == (1, None)


def test_the_arena_is_measured(tflite_models):
    path = tflite_models / "quantized.tflite"
    job = read_job(json.dumps({"models": [{"key": "m", "path": str(path), "runtime": "tflm"}]}))
    events: list[dict] = []
    memory(job, events.append)
    arena = events[-1]["arena_bytes"]
    pixels = 32 * 32 * 3
    assert pixels < arena < path.stat().st_size + 20 * pixels
    # It is what the interpreter needs: with less, it does not open the file.
    from tflite_micro import runtime

    runtime.Interpreter.from_file(str(path), arena_size=arena + 64)
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_file(str(path), arena_size=arena // 2)


def test_what_it_has_no_kernel_for_is_refused(tmp_path, tflite_models, capfd):
    with pytest.raises(ModelError, match=r"tflm cannot run this file: .*UINT8.*not supported"):
        open_model(str(tflite_models / "uint8.tflite"), 1, "tflm")
    damaged = tmp_path / "m.tflite"
    damaged.write_bytes((tflite_models / "quantized.tflite").read_bytes()[:700])
    with pytest.raises(ModelError):
        open_model(str(damaged), 1, "tflm")
    assert capfd.readouterr().err == "", "its log does not reach the terminal"
