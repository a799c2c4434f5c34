"""Files of both formats with OpenVINO: the same input, output and predictions as with the runtime of the format."""

from __future__ import annotations

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, build_onnx, colour_pixels
from test_third_party_models import SOFTMAX, WEIGHTS, mean_model

from edgekit.device.classifier import Classifier
from edgekit.device.failures import ModelError, OutputError
from edgekit.device.jobs import JobModel
from edgekit.device.metadata import read_metadata
from edgekit.device.runtimes import default_runtime, open_model
from edgekit.device.scaling import SCALINGS, parse_scaling
from edgekit.device.tensors import Choices

pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")

FILES = [
    ("uint8.onnx", None),
    ("nchw.onnx", "imagenet"),
    ("uint8.tflite", None),
    ("quantized.tflite", None),
    ("float.tflite", "symmetric"),
    ("int8.tflite", "symmetric"),
]


@pytest.fixture(scope="module")
def folders(onnx_models, tflite_models):
    return {"onnx": onnx_models, "tflite": tflite_models}


@pytest.mark.parametrize(("name", "scaling"), FILES)
def test_the_same_as_the_default_runtime(folders, name, scaling):
    path = str(folders[name.rpartition(".")[2]] / name)
    entry = JobModel("m", path, scaling=scaling and parse_scaling(scaling))
    rows = {}
    for runtime in (default_runtime(path.rpartition(".")[2]), "openvino"):
        model = open_model(path, 1, runtime)
        classifier = Classifier(entry, model)
        rows[runtime] = model, np.stack([classifier.classify(colour_pixels(label, seed=7)) for label in LABELS])
    (usual, expected), (model, found) = rows.values()
    assert found.argmax(axis=1).tolist() == [0, 1, 2]
    # One step of an 8-bit output is 1/256.
    assert found == pytest.approx(expected, abs=0.02 if usual.output.scale else 1e-5)
    assert (model.input.dtype, model.input.shape) == (usual.input.dtype, usual.input.shape)
    assert (model.input.scale, model.input.zero_point) == pytest.approx((usual.input.scale, usual.input.zero_point))
    assert model.input.dynamic_batch == usual.input.dynamic_batch
    assert (model.output.dtype, model.output.classes) == (usual.output.dtype, usual.output.classes)
    assert (model.output.scale, model.output.operator) == (usual.output.scale, usual.output.operator)
    assert model.runtime_info["name"] == "openvino"


def test_the_precision_is_recorded_and_is_that_of_the_file(onnx_models):
    """OpenVINO computes in bfloat16 by itself where the processor is fast with it."""
    model = open_model(str(onnx_models / "uint8.onnx"), 1, "openvino")
    assert model.runtime_info["precision"] == "f32"


def test_metadata_of_the_file(onnx_models):
    path = str(onnx_models / "labelled.onnx")
    found = read_metadata(path, open_model(path, 1, "openvino"))
    assert (found.labels, found.scaling, found.resize) == (list(LABELS), SCALINGS["none"], "crop")


def test_a_result_is_kept_while_other_inputs_are_set(onnx_models):
    model = open_model(str(onnx_models / "uint8.onnx"), 2, "openvino")
    results = []
    for label in (*LABELS, *LABELS):
        model.set_input(model.input.prepare(colour_pixels(label), None))
        model.invoke()
        results.append(model.scores())
    assert [int(scores.argmax()) for scores in results] == [0, 1, 2, 0, 1, 2]


def test_nan_raises(onnx_models):
    model = open_model(str(onnx_models / "nan.onnx"), 1, "openvino")
    model.set_input(model.input.prepare(colour_pixels("red"), None))
    model.invoke()
    with pytest.raises(OutputError, match="not finite"):
        model.scores()


def test_a_dynamic_size_and_one_of_several_outputs(tmp_path):
    dynamic = mean_model(tmp_path / "m.onnx", ["n", "h", "w", 3], [SOFTMAX], WEIGHTS, [1, 2], batch="n")
    with pytest.raises(ModelError, match="--image-size"):
        open_model(dynamic, 1, "openvino")
    model = open_model(dynamic, 1, "openvino", Choices(image_size=(24, 40)))
    assert model.input.shape == (1, 24, 40, 3)
    nodes = [
        ["ReduceMean", ["image"], ["mean"], {"axes": [1, 2], "keepdims": 0}],
        ["MatMul", ["mean", "weights"], ["logits"], {}],
        SOFTMAX,
    ]
    outputs = {"mean": [1, 3], "scores": [1, 3]}
    several = build_onnx(tmp_path / "s.onnx", [1, SIDE, SIDE, 3], nodes, {"weights": WEIGHTS}, outputs)
    with pytest.raises(ModelError, match="0: mean, 1: scores"):
        open_model(several, 1, "openvino")
    for output in ("scores", "1"):
        model = open_model(several, 1, "openvino", Choices(output=output))
        assert (model.output.name, model.output.operator) == ("scores", "softmax")
        model.set_input(model.input.prepare(colour_pixels("red"), SCALINGS["unit"]))
        model.invoke()
        assert int(model.scores().argmax()) == 2


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_damaged_files_are_refused_in_one_line(tmp_path, folders, suffix):
    content = (folders[suffix[1:]] / f"uint8{suffix}").read_bytes()
    for number, damaged in enumerate((b"", b"no model", content[: len(content) // 2])):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(ModelError) as caught:
            open_model(str(path), 1, "openvino")
        assert "\n" not in caught.value.reason
        assert "src/" not in caught.value.reason
