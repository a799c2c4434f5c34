"""A newcomer's way through the commands, in processes of their own, on the embedded digits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.documents import DOCUMENTS

RECIPE = """
name: small
data: {name: digits, image_size: 32, limit_per_class: 20}
model: {weights: none, backbone: mobilenetv2, alpha: 0.35}
train:
  strategy: from-scratch
  from_scratch: {epochs: 2, learning_rate: 3.0e-3, batchnorm_momentum: 0.8}
export: {files: [tflite-fp32, tflite-int8, onnx-fp32, onnx-int8], parity_images: 20, calibration: {images: 40}}
bench: {protocol: quick, threads: [1], images: 100}
"""
FILES = {"tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"}


def edgekit(*arguments: str, cwd: Path, expect: int = 0) -> Any:
    """Run a command with --json; its document."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *arguments, "--json"],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "small.yaml").write_text(RECIPE)
    edgekit("compare", "small.yaml", cwd=folder)
    yield folder
    shutil.rmtree(folder)


RUN = "studies/small/runs/mobilenetv2-from-scratch-s0"


def test_the_study_leaves_models_measurements_and_a_report(study: Path) -> None:
    run = study / RUN
    assert {p.name for p in (run / "exports").iterdir()} == FILES
    assert {p.stem for p in (run / "bench" / "local").glob("*.json")} == FILES
    assert "small" in (study / "studies/small/report/report.html").read_text(encoding="utf-8")
    rows = json.loads((study / "studies/small/report/report.json").read_text())["candidates"]
    assert {f"{row['format']}-{row['scheme']}" for row in rows} == FILES
    for row in rows:
        assert 0.0 < row["accuracy"] <= 1.0
        assert (
            row["size_bytes"]
            == next((run / "exports" / f"{row['format']}-{row['scheme']}").glob("model.*")).stat().st_size
        )


DOCUMENT_PLACES = {
    "study.json": "study",
    "audit.json": "audit",
    "report/report.json": "report",
    "runs/*/run.json": "run",
    "runs/*/baselines.json": "baselines",
    "runs/*/figures/gradcam/gradcam.json": "gradcam",
    "runs/*/exports/*/export.json": "export",
    "runs/*/exports/*int8/calibration.json": "calibration",
    "runs/*/bench/local/*.json": "bench",
}


def test_every_json_file_of_a_study_is_a_document_that_reads_back_as_it_was_written(study: Path) -> None:
    folder = study / "studies/small"
    seen: set[Path] = set()
    for pattern, name in DOCUMENT_PLACES.items():
        paths = sorted(folder.glob(pattern))
        assert paths, pattern
        seen.update(paths)
        for path in paths:
            assert DOCUMENTS[name].read(path).to_json() == path.read_text(encoding="utf-8"), path
    assert {path for path in folder.rglob("*.json") if "tensorboard" not in path.parts} == seen


def test_every_file_gives_what_the_keras_model_gives(study: Path) -> None:
    for key in FILES:
        document = json.loads((study / RUN / "exports" / key / "export.json").read_text())
        assert document["status"] == "ok"
        assert document["parity"]["agreement"] >= (1.0 if key.endswith("fp32") else 0.5)
        assert document["integer_only"] == (key == "tflite-int8")


def test_the_same_command_goes_on_where_nothing_is_left_to_do(study: Path) -> None:
    model = study / RUN / "model.keras"
    before = model.stat().st_mtime_ns
    edgekit("compare", "small.yaml", cwd=study)
    assert model.stat().st_mtime_ns == before


def test_only_the_files_that_are_missing_are_made(study: Path) -> None:
    """As after a study that was stopped while it made a run's files."""
    exports = study / RUN / "exports"
    shutil.rmtree(exports / "onnx-int8")
    before = {key: (exports / key / "export.json").read_text() for key in FILES - {"onnx-int8"}}
    path = study / "studies/small/study.json"
    document = json.loads(path.read_text())
    document["cells"][0]["status"] = "trained"
    path.write_text(json.dumps(document))
    edgekit("compare", "small.yaml", cwd=study)
    assert json.loads(path.read_text())["cells"][0]["status"] == "exported"
    assert {key: (exports / key / "export.json").read_text() for key in before} == before
    assert json.loads((exports / "onnx-int8" / "export.json").read_text())["status"] == "ok"


def test_a_target_that_is_away_costs_the_study_nothing(study: Path) -> None:
    (study / "targets.toml").write_text('[away]\nhost = "127.0.0.1"\nport = 1\n')
    (study / "studies/small/report/report.html").unlink()
    found = edgekit("compare", "small.yaml", "--target", "local", "--target", "away", cwd=study, expect=4)
    assert {row["target"] for row in found["candidates"]} == {"local"}
    assert (study / "studies/small/report/report.html").is_file()


def test_evaluate_says_the_same_again(study: Path) -> None:
    before = json.loads((study / RUN / "run.json").read_text())["metrics"]
    again = edgekit("evaluate", RUN, cwd=study)
    assert again["accuracy"] == before["test"]["accuracy"]
    assert again["metrics"]["test"]["confusion"] == before["test"]["confusion"]


@pytest.mark.parametrize("key", ["tflite-int8", "onnx-fp32"])
def test_predict_gives_what_the_bench_stored(study: Path, key: str) -> None:
    run = study / RUN
    with np.load(run / "bench" / "local" / f"{key}-predictions.npz") as stored:
        name, probabilities = str(stored["files"][0]), stored["probabilities"][0]
    root = Path(json.loads((run / "run.json").read_text())["dataset"]["root"])
    model = next((run / "exports" / key).glob("model.*"))
    (prediction,) = edgekit("predict", str(model), str(root / name), cwd=study)["predictions"]
    labels = (run / "labels.txt").read_text().splitlines()
    assert prediction["label"] == labels[int(probabilities.argmax())]
    assert prediction["probability"] == pytest.approx(float(probabilities.max()), abs=1e-5)


def test_bench_of_a_bare_file_needs_no_run(study: Path, tmp_path: Path) -> None:
    model = tmp_path / "somebody.tflite"
    shutil.copy(study / RUN / "exports" / "tflite-int8" / "model.tflite", model)
    (row,) = edgekit("bench", str(model), "--protocol", "quick", "--threads", "1", cwd=tmp_path)["results"]
    assert row["run_id"] is None
    assert row["latency_ms_p50"] > 0
    assert row["size_bytes"] == model.stat().st_size
    assert len(row["latency_ns"]) >= 64


@pytest.mark.parametrize("name", ["model.tflite", "model.onnx"])
def test_a_file_that_is_no_model_is_one_clear_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not a model at all" * 100)
    for arguments in (["bench", name], ["predict", name, "image.png"]):
        Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
        error = edgekit(*arguments, cwd=tmp_path, expect=2)["error"]
        assert name in f"{error['problem']} {error['where']}"
    assert {p.name for p in tmp_path.iterdir()} == {name, "image.png"}
