"""The bench judges the accuracy gate of an export again, on the test split."""

from __future__ import annotations

import json

import numpy as np
import pytest
from modelfiles import LABELS
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.cli.app import main
from edgekit.documents.bench import BenchResult
from edgekit.documents.folders import RunFolder
from edgekit.documents.gate import gate_limits, gate_record

TINY = protocol_of("quick", 2, 4, (4, 100_000), (10, 1_000_000))


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, colours, monkeypatch) -> RunFolder:
    monkeypatch.setitem(PROTOCOLS, "quick", TINY)
    files = {"onnx-fp32": onnx_models / "uint8.onnx", "tflite-int8": tflite_models / "quantized.tflite"}
    return make_run(tmp_path / "run", files, colours)


def with_gate(run: RunFolder, limit: float) -> None:
    """The int8 file was held on 100 images that all stayed the same."""
    same = np.zeros(100, np.int64)
    gate = gate_record(same, same, same, (LABELS, [""] * 100), gate_limits(limit, 50, 100), split="gate")
    export = run.export("tflite-int8")
    export.read_export().model_copy(update={"gate": gate}).write(export.export_json)


def bench(run: RunFolder, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bench", str(run.path), "--threads", "1", *arguments])
    assert not stop.value.code


def break_predictions(run: RunFolder) -> None:
    """The Keras model is right about every image whose label the stored predictions have; turn the labels round."""
    with np.load(run.predictions) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["probabilities"] = np.roll(arrays["probabilities"], 1, axis=1)
    np.savez(run.predictions, **arrays)


def test_with_the_limit_of_the_export(run, capsys):
    with_gate(run, 50)
    bench(run, "--json")
    rows = {row["scheme"]: row for row in json.loads(capsys.readouterr().out)["results"]}
    assert rows["fp32"]["gate"] is None
    gate = rows["int8"]["gate"]
    assert (gate["status"], gate["split"], gate["n_samples"], gate["limit_points"]) == ("held", "test", 15, 50)
    assert (gate["chose_epoch"], gate["agreement"]) == (False, pytest.approx(14 / 15))
    assert gate["drop_points"] == pytest.approx(-100 / 15)
    stored = BenchResult.read(run.bench_json("local", "tflite-int8")).bench.gate
    assert stored is not None
    assert stored.model_dump(mode="json") == gate


def test_the_table_says_so(run, capsys):
    with_gate(run, 1)
    bench(run)
    text = " ".join(capsys.readouterr().out.split())
    assert "accuracy gate against the Keras model, on the test split:" in text
    assert "tflite-int8: undecided on 15 test images: 6.7 points gained (at most " in text
    assert "more test images would decide" in text


def test_a_file_that_fails_is_measured_and_named(run, capsys):
    with_gate(run, 1)
    break_predictions(run)
    bench(run)
    out, err = capsys.readouterr()
    assert "tflite-int8: failed on 15 test images: " in " ".join(out.split())
    assert "on the test split, the file gains" in err
    assert "predicts the same class as the Keras model for" in err
