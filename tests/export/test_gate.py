"""The accuracy gate, on numbers and on a network that int8 ruins."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from export_runs import replace_model

from edgekit.documents.export import ExportDocument, GateRecord
from edgekit.export.check.gate import judge
from edgekit.render.exports import repair_text


def predictions(labels: np.ndarray, wrong: range) -> np.ndarray:
    """Probabilities (N, 3) that are correct except for the images of ``wrong``."""
    classes = labels.copy()
    classes[list(wrong)] = (classes[list(wrong)] + 1) % 3
    return np.eye(3, dtype=np.float32)[classes]


LABELS = np.arange(400, dtype=np.int32) % 3


@pytest.mark.parametrize(
    ("keras_wrong", "file_wrong", "verdict", "drop"),
    [
        (range(20), range(20), "held", 0.0),
        (range(20), range(10), "held", -0.025),
        (range(20), range(24), "held", 0.01),
        (range(20), range(25), "undecided", 0.0125),
        (range(20), range(40), "failed", 0.05),
        (range(20), range(20, 60), "failed", 0.05),
        (range(100), range(100, 206), "undecided", 0.015),
    ],
)
def test_verdict(keras_wrong, file_wrong, verdict, drop):
    gate = judge(predictions(LABELS, keras_wrong), predictions(LABELS, file_wrong), LABELS, 0.01)
    assert gate.verdict == verdict
    assert gate.drop == pytest.approx(drop)
    assert gate.interval[0] < gate.drop < gate.interval[1]
    assert set(gate.worse) == set(file_wrong) - set(keras_wrong)
    assert set(gate.better) == set(keras_wrong) - set(file_wrong)


def test_the_record_names_the_images():
    gate = judge(predictions(LABELS, range(2)), predictions(LABELS, range(1, 40)), LABELS, 0.01)
    record = gate.record([f"{i}.png" for i in range(400)])
    assert record.became_right == ("0.png",)
    assert record.became_wrong[:2] == ("2.png", "3.png")
    assert record.drop_points == pytest.approx(9.25)
    assert record.agreement == pytest.approx(1 - 39 / 400)
    assert GateRecord.model_validate_json(record.model_dump_json()) == record


@pytest.fixture
def outlier(run):
    """The run with one feature 300 times as large, and its weights as much smaller: the same in float, not in int8."""
    import keras

    network = keras.models.load_model(run.model, compile=False)
    inner = network.get_layer("block_16_project_BN")  # no ReLU6 behind it, which would clip
    gamma, beta = inner.gamma.numpy(), inner.beta.numpy()
    gamma[0], beta[0] = gamma[0] * 300, beta[0] * 300
    inner.gamma.assign(gamma)
    inner.beta.assign(beta)
    kernel = network.get_layer("Conv_1").kernel.numpy()
    kernel[:, :, 0, :] /= 300
    network.get_layer("Conv_1").kernel.assign(kernel)
    replace_model(run, network)
    return run


def edgekit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *arguments], capture_output=True, text=True, check=False, timeout=300
    )


def test_a_ruined_file_is_kept_marked_and_left_out(outlier):
    done = edgekit("export", str(outlier.path), "--format", "tflite", "--fp32", "--int8")
    assert done.returncode == 3, done.stderr
    assert "points of accuracy against the Keras model" in done.stderr
    good, bad = (outlier.export(key).read_export() for key in ("tflite-fp32", "tflite-int8"))
    assert (good.status, good.gate) == ("ok", None)
    assert bad.status == "failed"
    assert bad.gate is not None
    assert bad.gate.verdict == "failed"
    assert bad.gate.drop_ci95_points[0] > 0
    assert outlier.export("tflite-int8").model().is_file()
    assert len(bad.gate.became_wrong) > 5
    measured = edgekit("bench", str(outlier.path), "--protocol", "quick", "--threads", "1", "--images", "0")
    assert measured.returncode == 0, measured.stderr
    assert "the export failed its check" in measured.stderr
    assert "tflite-int8" not in measured.stdout


def test_a_larger_drop_can_be_allowed(outlier):
    done = edgekit("export", str(outlier.path), "--format", "tflite", "--int8", "--max-drop", "100", "--json")
    assert done.returncode == 0, done.stderr
    (export,) = json.loads(done.stdout)["exports"]
    assert export["gate"]["verdict"] == "held"
    assert export["gate"]["max_drop_points"] == 100


@pytest.mark.parametrize("file_format", ["tflite", "onnx"])
def test_repair_restores_the_accuracy(outlier, file_format):
    done = edgekit("export", str(outlier.path), "--format", file_format, "--int8", "--repair", "--json")
    assert done.returncode == 0, done.stderr
    (export,) = (ExportDocument.parse(one, "stdout") for one in json.loads(done.stdout)["exports"])
    assert export.status == "ok"
    assert export.gate is not None
    assert export.gate.verdict == "held"
    repair = export.repair
    assert repair is not None
    assert repair.held
    # The layer that produces the large feature, or the one that takes it.
    assert {"block_16_project", "Conv_1"} & set(repair.kept_in_float)
    assert 0 < len(repair.kept_in_float) < repair.n_layers / 4
    assert repair.trials[0].kept == 1
    assert repair.size_bytes == outlier.export(f"{file_format}-int8").model().stat().st_size
    assert repair.size_bytes > repair.size_bytes_before
    assert repair.latency_ratio.ci95[0] <= repair.latency_ratio.median <= repair.latency_ratio.ci95[1]
    assert "layers compute in float" in repair_text(repair)
    assert export.sensitivity is not None
    ranked = [cost.divergence_nats for cost in export.sensitivity]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] > 20 * np.median(ranked)
