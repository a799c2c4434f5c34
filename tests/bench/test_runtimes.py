"""A file that is measured with several runtimes: names, results, comparisons, report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, build_onnx
from runfolders import golden_outputs, make_run
from test_bench import command, tiny  # noqa: F401
from test_no_benefit import measured

from edgekit.bench.inspection import with_runtime, with_runtimes
from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.documents.bench import BenchDocument, RuntimeRecord, run_results
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.report.model.sessions import without_benefit
from edgekit.support.progress import SILENT
from edgekit.targets.local import LocalTarget


@pytest.fixture
def run(tmp_path, onnx_models, tflite_models, colours) -> RunFolder:
    files = {"onnx-fp32": onnx_models / "uint8.onnx", "tflite-int8": tflite_models / "quantized.tflite"}
    return golden_outputs(make_run(tmp_path / "run", files, colours))


def names(run: RunFolder, runtimes: str | None, configured: str | None = None) -> list[tuple[str, str | None]]:
    models = collect_models([run.path], ThirdPartyOptions(), SILENT)
    return [(model.key, model.runtime) for model in with_runtimes(models, runtimes, LocalTarget(runtime=configured))]


def test_each_file_once_for_each_runtime_that_runs_it(run):
    default = [("onnx-fp32", None), ("tflite-int8", None)]
    both = [("onnx-fp32@openvino", "openvino"), ("tflite-int8@openvino", "openvino")]
    assert names(run, None) == default
    assert names(run, "litert") == [("onnx-fp32", None), ("tflite-int8", "litert")]
    assert names(run, "openvino") == both
    assert names(run, None, "openvino") == both
    assert names(run, "litert", "openvino") == [both[0], ("tflite-int8", "litert")]
    assert names(run, "onnxruntime, openvino,litert") == [
        ("onnx-fp32", "onnxruntime"), both[0], both[1], ("tflite-int8", "litert"),
    ]  # fmt: skip


def test_runtimes_that_are_wrong(run):
    for wrong, said in (
        ("tensorrt", "unknown runtime 'tensorrt'"),
        ("litert,", "unknown runtime ''"),
        ("litert,tflite-runtime", "same names"),
    ):
        with pytest.raises(InputError, match=said):
            names(run, wrong)
    models = collect_models([run.export("onnx-fp32").model()], ThirdPartyOptions(), SILENT)
    with pytest.raises(InputError, match="litert runs"):
        with_runtimes(models, "litert", LocalTarget())
    with pytest.raises(InputError, match="unknown runtime 'litert,openvino'"):
        with_runtime(models, "litert,openvino", LocalTarget())


def test_documents_of_earlier_versions_have_no_precision():
    stored = RuntimeRecord.model_validate({"name": "litert", "version": "2.3.0", "delegate": "XNNPACK"})
    assert stored.precision is None


def test_a_conversion_is_compared_with_the_fp32_file_of_the_same_runtime():
    def with_name(key: str, milliseconds: float, size: int, runtime: str):
        mark = "" if runtime == "litert" else f"@{runtime}"
        record = RuntimeRecord(name=runtime, version="1", delegate=None)
        found = measured(key, milliseconds, size, runtime=record, id=f"run/{key}{mark}")
        return replace(found, bench=found.bench.model_copy(update={"key": key + mark}))

    results = [
        with_name("tflite-fp32", 10, 100, "litert"),
        with_name("tflite-fp32", 5, 100, "openvino"),
        with_name("tflite-int8", 7, 30, "litert"),
        with_name("tflite-int8", 7, 30, "openvino"),
    ]
    assert [(found.model, found.fp32) for found in without_benefit(results)] == [
        ("run/tflite-int8@openvino", "run/tflite-fp32@openvino")
    ]


def test_all_runtimes_in_one_session(run, capsys, tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")
    assert command("bench", run.path, "--protocol", "quick", "--json") == 0
    before = {result.bench.key: result.bench for result in run_results(run)}
    capsys.readouterr()
    assert command("bench", run.path, "--runtime", "all", "--protocol", "quick", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [(row["id"].partition("/")[2], row["runtime"]) for row in rows] == [
        ("onnx-fp32", "onnxruntime"), ("onnx-fp32@openvino", "openvino"),
        ("tflite-int8", "litert"), ("tflite-int8@openvino", "openvino"),
    ]  # fmt: skip
    assert {row["accuracy"] for row in rows} == {1.0}
    assert {row["session_id"] for row in rows} == {rows[0]["session_id"]}
    documents = {result.bench.key: result.bench for result in run_results(run)}
    assert before.keys() < documents.keys()
    other = documents["tflite-int8@openvino"]
    assert (other.export_key, other.runtime.precision) == ("tflite-int8", "f32")
    assert other.sha256 == documents["tflite-int8"].sha256
    assert other.accuracy.predictions == "tflite-int8@openvino-predictions.npz"
    assert BenchDocument.parse(other.to_dict(), "again") == other

    assert command("bench", run.path, "--protocol", "quick", "--json") == 0
    assert len(run_results(run)) == 4, "results of the other runtime stay"
    capsys.readouterr()
    assert command("report", run.path, "--out", tmp_path / "report", "--json") == 0
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert [row["key"] for row in report["candidates"]] == list(documents)
    assert not [warning for warning in report["warnings"] if "no longer exists" in warning["text"]]
    cards = sorted(path.name for path in (tmp_path / "report").rglob("*onnx-fp32*.md"))
    assert len(cards) <= 1, "one card for a file"


def test_all_leaves_out_what_a_runtime_refuses(tmp_path, capsys):
    """OpenVINO has no determinant."""
    pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")
    nodes = [
        ["Cast", ["image"], ["float"], {"to": 1}],
        ["ReduceMean", ["float"], ["mean"], {"axes": [1, 2], "keepdims": 0}],
        ["ReduceMean", ["mean"], ["one"], {"axes": [0, 1], "keepdims": 0}],
        ["Reshape", ["one", "matrix"], ["square"], {}],
        ["Det", ["square"], ["determinant"], {}],
        ["Mul", ["mean", "determinant"], ["scores"], {}],
    ]
    tensors = {"matrix": np.array([1, 1], np.int64)}
    path = build_onnx(tmp_path / "m.onnx", [1, SIDE, SIDE, 3], nodes, tensors, {"scores": [1, 3]}, kind="UINT8")
    options = ("--protocol", "check", "--threads", "1", "--json")
    assert command("bench", path, "--runtime", "all", *options) == 0
    shown = capsys.readouterr()
    assert [row["runtime"] for row in json.loads(shown.out)["results"]] == ["onnxruntime"]
    assert "m.onnx@openvino is left out: openvino cannot open this file: No conversion rule" in shown.err
    assert command("bench", path, "--runtime", "openvino", *options) == 2


def test_verify_and_predict_with_openvino(run, capsys, colours):
    pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")
    assert command("verify", run.path, "--runtime", "openvino", "--json") == 0
    checked = json.loads(capsys.readouterr().out)["results"]
    assert [(one["runtime"]["name"], one["ok"]) for one in checked] == [("openvino", True)] * 2
    model = run.export("tflite-int8").model()
    assert command("predict", model, colours / LABELS[2] / "0.png", "--runtime", "openvino", "--json") == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == LABELS[2]
