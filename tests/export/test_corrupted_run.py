"""`edgekit evaluate --corruptions`: a Keras model and its exported files on the same corrupted pixels."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from export_runs import change_run

from edgekit.cli.app import main
from edgekit.device.corruptions import corrupt
from edgekit.device.images import load_image
from edgekit.documents.corruptions import read_corrupted
from edgekit.export.pipeline import export_run


def evaluate(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_keras_and_files_answer_for_the_same_corrupted_pixels(run, capsys):
    import keras

    export_run(run, ["onnx-fp32", "onnx-int8"])
    chosen = ["--corruptions", "gaussian-noise,haze", "--severities", "1,5", "--corruption-seed", 3]
    assert evaluate(run.path, *chosen, "--json", "--quiet") == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry["model"] for entry in document["models"]] == ["keras", "onnx-fp32", "onnx-int8"]
    assert all(set(entry["corruptions"]) == {"gaussian-noise", "haze"} for entry in document["models"])
    assert document["paired"][0]["reference"] == "onnx-fp32"

    by_model = {answers.key: answers for answers in read_corrupted(run)}
    network = keras.models.load_model(run.model, compile=False)
    images = [load_image(run.path / "images" / file, 32) for file in by_model["keras"].files]
    for name, severity in (("clean", 0), ("gaussian-noise", 5), ("haze", 1)):
        shown = np.stack([corrupt(image, name, severity, 3) if severity else image for image in images])
        expected = np.asarray(network.predict_on_batch(shown.astype(np.float32)))
        for key in ("keras", "onnx-fp32"):
            shift = by_model[key].shifts[name]
            stored = shift.probabilities[shift.severities.index(severity)]
            assert by_model[key].files == by_model["keras"].files
            assert np.allclose(stored, expected, atol=1e-4)

    before = {file: file.stat().st_mtime_ns for file in run.corruptions.rglob("*.npz")}
    assert evaluate(run.path, *chosen, "--quiet") == 0
    assert {file: file.stat().st_mtime_ns for file in run.corruptions.rglob("*.npz")} == before
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "As robust" in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--corruptions", "rain"], "unknown corruption 'rain'"),
        (["--corruptions", "haze", "--models", "tflite-int8"], "no model named tflite-int8 that passed its check"),
        (["--corruptions", "haze", "--severities", "9"], "severities are numbers from 1 to 5"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_loaded(run, capsys, arguments, problem):
    assert evaluate(run.path, *arguments) == 2
    assert problem in capsys.readouterr().err
    assert not run.corruptions.exists()


def test_quiet_is_silent_also_while_tensorflow_starts(run):
    """In a process of its own: here Keras is loaded already."""
    shown = ["--corruptions", "contrast", "--severities", "1", "--models", "keras", "--quiet", "--json"]
    ended = subprocess.run(
        [sys.executable, "-m", "edgekit", "evaluate", str(run.path), *shown], capture_output=True, check=True
    )
    assert ended.stderr == b""
    assert json.loads(ended.stdout)["models"][0]["model"] == "keras"


def test_moved_images_are_told_with_what_to_do(run, tmp_path, capsys):
    shutil.move(run.path / "images", tmp_path / "elsewhere")
    change_run(run, dataset=run.read_run().dataset.model_copy(update={"root": str(run.path / "images")}))
    assert evaluate(run.path, "--corruptions", "jpeg", "--models", "keras") == 2
    assert "--data" in capsys.readouterr().err
