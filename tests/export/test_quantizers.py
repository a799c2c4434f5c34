"""The two quantizers for TFLite files, the calibration methods and report, and int8 TFLite converted to ONNX."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from export_runs import replace_model

from edgekit.documents.export import CalibrationDocument, ExportDocument
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.export.check.parity import open_exported, predict
from edgekit.export.pipeline import export_recipe, export_run
from edgekit.export.tflite.flatbuffer import unpack
from edgekit.export.tflite.operators import tflite_operators
from edgekit.recipe import validate
from edgekit.render.exports import calibration_text

ONNX = ["onnx-int8", "onnx-int8-s8s8", "onnx-int8-tflite"]
EDGE = {"export.quantizer": "ai-edge-quantizer"}


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory) -> RunFolder:
    return RunFolder(Path(shutil.copytree(finished_run.path, tmp_path_factory.mktemp("quantizers") / "run")))


@pytest.fixture(scope="module")
def made(run) -> dict[str, ExportDocument]:
    """Documents by export; those of ai-edge-quantizer are called edge-SCHEME."""
    pytest.importorskip("ai_edge_quantizer")
    pytest.importorskip("tf2onnx")
    documents = export_run(run, ["tflite-int8", "tflite-dynamic", *ONNX])
    found = {document.key: document for document in documents}
    for key in ("tflite-int8", "tflite-dynamic"):
        run.export(key).path.rename(run.exports / f"kept-{key}")
    for document in export_run(run, ["tflite-int8", "tflite-dynamic"], settings=EDGE):
        found[f"edge-{document.scheme}"] = document
    return found


def pixels(run: RunFolder, count: int = 16) -> np.ndarray:
    with np.load(run.exports / "kept-tflite-int8" / "golden.npz") as golden:
        return golden["inputs"][:count]


def reference_predictions(model: Path, images: np.ndarray) -> np.ndarray:
    """The predictions of LiteRT's reference kernels, which are not optimized."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = result["quantization"]
    found = []
    for image in images:
        interpreter.set_tensor(source["index"], image[np.newaxis])
        interpreter.invoke()
        found.append((interpreter.get_tensor(result["index"])[0].astype(np.float32) - zero_point) * scale)
    return np.array(found)


def test_ai_edge_quantizer_keeps_the_contract(run, made):
    document = made["edge-int8"]
    assert (document.status, document.integer_only) == ("ok", True)
    assert document.converter.name == "ai-edge-quantizer"
    assert document.input.dtype == document.output.dtype == "uint8"
    assert document.gate.status == "undecided"  # of 21 images
    assert document.size_bytes == pytest.approx(made["tflite-int8"].size_bytes, rel=0.1)
    operators = tflite_operators(run.export("tflite-int8").model().read_bytes())
    assert operators.counts["QUANTIZE"] == 2


def test_both_quantizers_predict_alike(run, made):
    images = pixels(run)
    one, other = (open_exported(folder / "model.tflite") for folder in
                  (run.exports / "kept-tflite-int8", run.export("tflite-int8").path))  # fmt: skip
    a, b = predict(one, images), predict(other, images)
    assert np.abs(a - b).max() < 0.1
    assert (a.argmax(axis=1) == b.argmax(axis=1)).all()


def test_dynamic_files_of_ai_edge_quantizer_have_a_scale_for_each_unit(run, made):
    """Dense layers are convolutions there, because tflite-runtime 2.14 refuses Dense layers with more than one."""
    from ai_edge_litert import schema_py_generated as schema

    assert made["edge-dynamic"].ok
    model = unpack(run.export("tflite-dynamic").model().read_bytes())
    graph = model.subgraphs[0]
    operators = [(model.operatorCodes[o.opcodeIndex].builtinCode, o) for o in graph.operators]
    kinds = schema.BuiltinOperator
    assert kinds.FULLY_CONNECTED not in [kind for kind, _ in operators]
    kernels = [graph.tensors[int(o.inputs[1])] for kind, o in operators if kind == kinds.CONV_2D]
    integers = [kernel for kernel in kernels if kernel.type == schema.TensorType.INT8]
    assert integers
    assert all(len(kernel.quantization.scale) == kernel.shape[0] for kernel in integers)


def test_onnx_has_the_integers_of_the_tflite_file(run, made):
    document = made["onnx-int8-tflite"]
    assert (document.status, document.input.dtype) == ("ok", "uint8")
    assert document.converter.name == "tf2onnx"
    images = pixels(run)
    there = predict(open_exported(run.exports / "kept-tflite-int8" / "model.tflite"), images)
    here = predict(open_exported(run.export("onnx-int8-tflite").model()), images)
    # Rounding differs between kernels, which matters for images that this tiny network is undecided about: LiteRT's own
    # two sets of kernels give them different probabilities. On all other images the runtimes must agree.
    other_kernels = reference_predictions(run.exports / "kept-tflite-int8" / "model.tflite", images)
    decided = np.abs(there - other_kernels).max(axis=1) < 0.01
    assert decided.sum() >= 4
    assert np.abs(here - there)[decided].max() < 0.05

    import onnx
    from onnx import numpy_helper

    graph = onnx.load(run.export("onnx-int8-tflite").model()).graph
    theirs = {numpy_helper.to_array(t).size: t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8}
    model = unpack((run.exports / "kept-tflite-int8" / "model.tflite").read_bytes())
    mine = [t for t in model.subgraphs[0].tensors if model.buffers[t.buffer].data is not None and len(t.shape) == 4]
    largest = max(mine, key=lambda t: int(np.prod(t.shape)))
    values = np.asarray(model.buffers[largest.buffer].data, np.uint8).view(np.int8)
    assert sorted(numpy_helper.to_array(theirs[values.size]).ravel().tolist()) == sorted(values.tolist())


@pytest.mark.parametrize("quantizer", ["converter", "ai-edge-quantizer"])
def test_a_dead_layer_does_not_crash_the_runtime(finished_run, tmp_path, quantizer):
    """Its output is always 0. Its step used to be a million times too fine, and LiteRT aborted."""
    import keras

    if quantizer == "ai-edge-quantizer":
        pytest.importorskip("ai_edge_quantizer")
    dead = RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "run")))
    network = keras.saving.load_model(dead.model, compile=False)
    kernel, bias = network.get_layer("head_dense").get_weights()
    network.get_layer("head_dense").set_weights([kernel, np.full_like(bias, -1e4)])
    replace_model(dead, network)
    document = export_run(dead, ["tflite-int8"], settings={"export.quantizer": quantizer})[0]
    assert document.parity.max_abs_difference < 0.02
    assert any("the trained network predicts (nearly) the same" in warning for warning in document.warnings)


def test_signed_and_unsigned_activations_are_the_same_numbers(made, run):
    """u8s8 for x86, s8s8 for Arm: the instructions of either take their own kind, the values are 128 apart."""
    import onnx
    from onnx import numpy_helper

    zero_points = {}
    for key in ("onnx-int8", "onnx-int8-s8s8"):
        graph = onnx.load(run.export(key).model()).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        quantized = [node for node in graph.node if node.op_type == "QuantizeLinear"]
        zero_points[key] = {node.input[0]: constants[node.input[2]] for node in quantized}
        made_by = {output: node for node in graph.node for output in node.output}
        kernels = [made_by[node.input[1]] for node in graph.node if node.op_type == "Conv"]
        assert {constants[kernel.input[0]].dtype for kernel in kernels} == {np.dtype(np.int8)}, "signed weights"
    unsigned, signed = zero_points.values()
    assert {zero.dtype for zero in unsigned.values()} == {np.dtype(np.uint8)}
    assert {zero.dtype for zero in signed.values()} == {np.dtype(np.int8)}
    assert {name: int(zero) + 128 for name, zero in signed.items()} == {n: int(z) for n, z in unsigned.items()}
    images = pixels(run)
    files = [predict(open_exported(run.export(key).model()), images) for key in zero_points]
    assert files[0] == pytest.approx(files[1], abs=0.02)
    assert made["onnx-int8-s8s8"].calibration.ranges is not None, "it is inspected like onnx-int8"


@pytest.mark.parametrize(
    ("key", "folder"), [("tflite-int8", "kept-tflite-int8"), ("edge-int8", "tflite-int8"), ("onnx-int8", "onnx-int8")]
)
def test_calibration_report(run, made, key, folder):
    folder = run.exports / folder
    report = CalibrationDocument.read(folder / "calibration.json")
    assert report.method == "minmax"
    layers = {tensor.layer for tensor in report.tensors}
    assert {"head_dense", "block_16_project", "Conv1"} & layers >= {"head_dense"}
    assert len(layers) > 20
    for tensor in report.tensors:
        assert tensor.low <= 0 <= tensor.high
        # the minimum and maximum over these very images
        assert tensor.calibration.outside < 0.001
    ranges = made[key].calibration.ranges
    assert ranges.tensors == len(report.tensors)
    assert ranges.outside_calibration <= ranges.outside + 1e-3
    assert calibration_text(made[key].calibration).startswith(
        f"{ranges.tensors} quantization ranges (minmax, 51 images)"
    )


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_methods_clip_values(run, made, method):
    settings = {"export.calibration.method": method, "export.calibration.percentile": 99.0, "export.max_drop": None}
    (document,) = export_run(run, ["onnx-int8"], settings=settings)
    report = CalibrationDocument.read(run.export("onnx-int8").calibration)
    assert document.calibration.method == report.method == method
    assert document.calibration.ranges.outside_calibration > 0
    assert max(tensor.calibration.outside for tensor in report.tensors) > 0.001


def test_a_calibration_method_that_a_file_does_not_support_is_refused_at_recipe_load():
    with pytest.raises(InputError, match=r"tflite-int8 cannot be calibrated with 'percentile'.*onnx-int8"):
        validate({"export": {"files": ["tflite-int8"], "calibration": {"method": "percentile"}}}, "test")
    recipe = validate({"export": {"files": ["tflite-fp32", "onnx-int8"], "calibration": {"method": "entropy"}}}, "test")
    assert recipe.export.calibration.method == "entropy"
    with pytest.raises(InputError, match="quantizer"):
        validate({"export": {"quantizer": "magic"}}, "test")


def test_a_missing_quantizer_is_named_before_slow_work(run, monkeypatch):
    from edgekit.export.tflite import edge_quantizer

    monkeypatch.setattr(edge_quantizer, "MODULE", "no_such_module")
    with pytest.raises(InputError, match="not installed") as refused:
        export_run(run, ["tflite-int8"], settings=EDGE)
    assert "--quantizer converter" in refused.value.hint
    assert export_recipe(run, EDGE).export.quantizer == "ai-edge-quantizer"


def test_a_file_that_cannot_be_made_does_not_stop_the_others(run, monkeypatch):
    import tf2onnx

    from edgekit.errors import CheckFailed

    def refuse(path: str, opset: int) -> None:
        raise ValueError(f"an operator of {Path(path).name} is not supported at opset {opset}")

    monkeypatch.setattr(tf2onnx.convert, "from_tflite", refuse)
    with pytest.raises(CheckFailed, match=r"onnx-int8-tflite: tf2onnx cannot convert.*is not supported"):
        export_run(run, ["onnx-int8-tflite", "onnx-fp32"])
    assert run.export("onnx-fp32").export_json.is_file()
