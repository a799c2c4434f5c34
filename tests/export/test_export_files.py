"""Every exported file of a real run: its input, its output, its metadata, and whether it agrees with Keras."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backbones import backbones
from export_runs import COLOURS, SIDE, make_run

from edgekit.device.metadata import read_metadata
from edgekit.device.runtimes import open_model
from edgekit.documents.export import ExportDocument, GoldenRecord
from edgekit.documents.folders import RunFolder
from edgekit.export.check.parity import open_exported, predict
from edgekit.export.pipeline import export_run
from edgekit.registry import SCHEMES
from edgekit.support.files import sha256_file

LABELS = list(COLOURS)
PLAIN = [key for key, scheme in SCHEMES.items() if not scheme.compression]


@pytest.fixture(scope="module")
def exported(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    import shutil

    run = RunFolder(Path(shutil.copytree(finished_run.path, tmp_path_factory.mktemp("exported") / "run")))
    export_run(run, PLAIN)
    return run


def document(run: RunFolder, key: str) -> ExportDocument:
    return run.export(key).read_export()


def parity(run: RunFolder, key: str) -> dict[str, Any]:
    with np.load(run.export(key).predictions) as file:
        return dict(file)


@pytest.mark.parametrize("key", PLAIN)
class TestEveryScheme:
    def test_takes_pixels_and_returns_probabilities(self, exported, key):
        model = open_model(str(exported.export(key).model()))
        assert (model.input.dtype, model.input.shape) == ("uint8", (1, SIDE, SIDE, 3))
        assert model.input.name == "image"
        assert model.output.name == "probabilities"
        assert model.output.classes == len(LABELS)

    def test_golden_outputs_are_reproduced(self, exported, key):
        with np.load(exported.export(key).golden) as golden:
            assert golden["inputs"].shape == (8, SIDE, SIDE, 3)
            assert golden["inputs"].dtype == np.uint8
            # The check used all cores and this uses one: float kernels may add in another order.
            outputs = predict(open_exported(exported.export(key).model()), golden["inputs"])
            np.testing.assert_allclose(outputs, golden["outputs"], atol=1e-5)
        assert document(exported, key).golden == GoldenRecord(n_images=8, file="golden.npz")

    def test_document_describes_the_file(self, exported, key):
        facts, file = document(exported, key), exported.export(key).model()
        assert (facts.format, facts.scheme) == tuple(key.split("-", 1))
        assert facts.size_bytes == file.stat().st_size
        assert facts.sha256 == sha256_file(file)
        assert facts.gzip_bytes == pytest.approx(len(gzip.compress(file.read_bytes(), 6)), rel=0.03)
        assert facts.keras_sha256 == sha256_file(exported.model)
        assert list(facts.labels) == LABELS
        assert facts.seconds > 0
        assert facts.peak_rss_bytes > 100e6
        assert (facts.status, facts.problems) == ("ok", ())
        if SCHEMES[key].calibrated:
            calibration = facts.calibration
            assert (calibration.images, calibration.seed, calibration.split) == (51, 0, "train")
            assert calibration.per_class == (17, 17, 17)
        else:
            assert facts.calibration is None

    def test_parity_matches_the_stored_predictions(self, exported, key):
        facts, stored = document(exported, key).parity, parity(exported, key)
        assert facts.n_images == len(stored["files"]) == 21
        assert all(name.startswith("val/") for name in stored["files"])
        assert facts.max_abs_difference == pytest.approx(np.abs(stored["keras"] - stored["exported"]).max())
        same = stored["keras"].argmax(1) == stored["exported"].argmax(1)
        assert facts.n_disagree == np.count_nonzero(~same)
        assert facts.keras_accuracy >= 0.8, "the network of the tests should have learned"
        assert facts.agreement >= 0.8

    def test_other_tools_find_labels_and_scaling(self, exported, key):
        path = str(exported.export(key).model())
        found = read_metadata(path, open_model(path))
        assert found.labels == LABELS
        assert found.scaling is not None
        assert found.scaling.identity


@pytest.mark.parametrize("key", ["tflite-fp32", "onnx-fp32"])
def test_float_files_agree_with_keras(exported, key):
    assert document(exported, key).parity.max_abs_difference < 1e-4


def test_sizes_fall_with_precision(exported):
    size = {key: document(exported, key).size_bytes for key in PLAIN}
    assert size["tflite-fp16"] < 0.6 * size["tflite-fp32"]
    assert size["tflite-dynamic"] < 0.4 * size["tflite-fp32"]
    assert size["tflite-int8"] < 0.4 * size["tflite-fp32"]
    assert size["onnx-int8"] < 0.4 * size["onnx-fp32"]


def test_int8_tflite_computes_in_integers_from_pixel_to_probability(exported):
    facts = document(exported, "tflite-int8")
    assert facts.integer_only
    assert facts.float_operators == {}
    assert facts.operators["CONV_2D"] > 10
    model = open_model(str(exported.export("tflite-int8").model()))
    assert (model.input.scale, model.input.zero_point) == (1.0, 0)
    assert (facts.output.dtype, facts.output.scale, facts.output.zero_point) == ("uint8", 1 / 256, 0)


def test_int8_tflite_weights_have_a_scale_for_each_channel(exported):
    from ai_edge_litert import schema_py_generated as schema

    content = exported.export("tflite-int8").model().read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kernels = [
        graph.tensors[operator.inputs[1]]
        for operator in graph.operators
        if codes[operator.opcodeIndex] in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    ]
    assert len(kernels) > 20
    for kernel in kernels:
        channels = kernel.shape[kernel.quantization.quantizedDimension]
        assert len(kernel.quantization.scale) == channels > 1
        assert kernel.type == schema.TensorType.INT8


def test_other_schemes_are_not_integer_only(exported):
    for key in set(PLAIN) - {"tflite-int8"}:
        facts = document(exported, key)
        assert not facts.integer_only
        assert sum(facts.float_operators.values()) > 0
    assert document(exported, "tflite-fp16").float_operators["DEQUANTIZE"] > 10
    # The scaling of the pixels and the softmax stay float in the QDQ file.
    assert set(document(exported, "onnx-int8").float_operators) == {"Cast", "Mul", "Add", "Softmax"}
    assert sum(document(exported, "onnx-int8").float_operators.values()) == 4


def test_int8_onnx_has_uint8_activations_and_int8_weights_per_channel(exported):
    import onnx

    graph = onnx.load_model(exported.export("onnx-int8").model()).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 20
    for node in convolutions:
        activation, kernel = made_by[node.input[0]], made_by[node.input[1]]
        assert activation.op_type == kernel.op_type == "DequantizeLinear"
        assert constants[activation.input[2]].data_type == onnx.TensorProto.UINT8
        weights, scales = constants[kernel.input[0]], constants[kernel.input[1]]
        assert weights.data_type == onnx.TensorProto.INT8
        assert list(scales.dims) == [weights.dims[0]]


def test_tflite_contains_its_labels_in_a_zip(exported):
    for key in (key for key in PLAIN if key.startswith("tflite")):
        with zipfile.ZipFile(exported.export(key).model()) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == ["labels.txt", "edgekit.json"]
            assert archive.read("labels.txt").decode().splitlines() == LABELS


def test_onnx_describes_its_input(exported):
    model = open_model(str(exported.export("onnx-fp32").model()))
    assert json.loads(model.properties["labels"]) == LABELS
    own = json.loads(model.properties["edgekit"])
    assert own["input"] == {"dtype": "uint8", "layout": "NHWC", "color": "RGB", "range": [0, 255]}
    assert (own["scaling"], own["resize"]) == ("none", "stretch")


def test_channel_order_matters(exported):
    """A file that took BGR for RGB would classify red images as blue."""
    model = open_exported(exported.export("tflite-int8").model())
    stored = parity(exported, "tflite-int8")
    reds = [str(name) for name in stored["files"] if "/red/" in str(name)]
    from edgekit.device.images import load_image

    pixels = np.stack([load_image(exported.path / "images" / name, SIDE) for name in reds])
    assert (predict(model, pixels).argmax(1) == LABELS.index("red")).mean() >= 0.8
    assert (predict(model, pixels[..., ::-1]).argmax(1) == LABELS.index("red")).mean() <= 0.2


@pytest.mark.parametrize("backbone", backbones(("mobilenetv3small",)))
def test_every_backbone_converts(backbone, tmp_path):
    run = make_run(tmp_path / "run", backbone)
    documents = export_run(run, ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8", "ncnn-fp32"])
    by_key = {document.key: document for document in documents}
    for key in ("tflite-fp32", "onnx-fp32", "ncnn-fp32"):
        assert by_key[key].parity.max_abs_difference < 1e-4
    assert by_key["onnx-fp32"].converter.name == "edgekit"
    assert by_key["tflite-int8"].integer_only
    assert by_key["tflite-int8"].size_bytes < 0.4 * by_key["tflite-fp32"].size_bytes
