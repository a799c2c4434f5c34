"""Opening files of each kind, setting their input, reading probabilities and metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, colour_pixels, with_tflite_metadata

from edgekit.device.classifier import Classifier
from edgekit.device.failures import DeviceError, MissingRuntimeError, ModelError, OutputError
from edgekit.device.jobs import JobModel
from edgekit.device.metadata import read_metadata
from edgekit.device.runtimes import open_model
from edgekit.device.scaling import SCALINGS, parse_scaling

ONNX = [("uint8.onnx", None), ("labelled.onnx", None), ("nchw.onnx", "imagenet")]
TFLITE = [("uint8.tflite", None), ("quantized.tflite", None), ("float.tflite", "symmetric"), ("int8.tflite", None)]


def predictions(path: Path, scaling: str | None, activation: str = "auto") -> np.ndarray:
    """float32 (3, 3): one row of probabilities for each colour."""
    entry = JobModel("m", str(path), scaling=scaling and parse_scaling(scaling), activation=activation)
    classifier = Classifier(entry, entry.open(1))
    return np.stack([classifier.classify(colour_pixels(label, seed=7)) for label in LABELS])


@pytest.mark.parametrize(("name", "scaling"), ONNX)
def test_onnx_predictions(onnx_models, name, scaling):
    check_predictions(predictions(onnx_models / name, scaling))


@pytest.mark.parametrize(("name", "scaling"), TFLITE)
def test_tflite_predictions(tflite_models, name, scaling):
    check_predictions(predictions(tflite_models / name, scaling))


def check_predictions(rows: np.ndarray) -> None:
    assert rows.argmax(axis=1).tolist() == [0, 1, 2]
    assert rows.max() <= 1
    assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=0.02)


def test_dequantized_output_is_close_to_the_float_output(tflite_models):
    exact = predictions(tflite_models / "uint8.tflite", None)
    assert predictions(tflite_models / "quantized.tflite", None) == pytest.approx(exact, abs=0.03)
    # int8 input without a scaling is the pixel minus 128, which is what [-1, 1] quantizes to
    assert predictions(tflite_models / "int8.tflite", "symmetric") == pytest.approx(exact, abs=0.03)


def test_thread_count_does_not_change_the_scores(tflite_models, onnx_models):
    for path in (tflite_models / "uint8.tflite", onnx_models / "uint8.onnx"):
        outputs = []
        for threads in (1, 2):
            model = open_model(str(path), threads)
            model.set_input(model.input.prepare(colour_pixels("green"), None))
            model.invoke()
            outputs.append(model.scores())
        np.testing.assert_allclose(*outputs, rtol=1e-5)


def test_input_is_kept_over_many_runs(tflite_models, onnx_models):
    for path in (tflite_models / "quantized.tflite", onnx_models / "uint8.onnx"):
        model = open_model(str(path))
        model.set_input(model.input.prepare(colour_pixels("red"), None))
        model.invoke()
        first = model.scores()
        for _ in range(50):
            model.invoke()
        np.testing.assert_array_equal(model.scores(), first)


def test_nan_output_raises(onnx_models):
    model = open_model(str(onnx_models / "nan.onnx"))
    model.set_input(model.input.prepare(colour_pixels("red"), None))
    model.invoke()
    with pytest.raises(OutputError, match="not finite"):
        model.scores()


@pytest.mark.parametrize("content", [b"", b"not a model, just some text", b"\x1c\0\0\0TFL3" + b"\xff" * 500])
@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_files_that_are_not_models_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        open_model(str(path))


def test_truncated_models_are_refused(tmp_path, tflite_models, onnx_models):
    for source in (tflite_models / "uint8.tflite", onnx_models / "uint8.onnx"):
        content = source.read_bytes()
        path = tmp_path / source.name
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelError):
            open_model(str(path))


def test_missing_files_wrong_suffixes_and_wrong_runtimes_are_refused(tmp_path, onnx_models):
    with pytest.raises(ModelError, match="cannot read"):
        open_model(str(tmp_path / "absent.onnx"))
    with pytest.raises(ModelError, match="suffix"):
        open_model(str(onnx_models))
    with pytest.raises(MissingRuntimeError, match="onnxruntime"):
        open_model(str(onnx_models / "uint8.onnx"), 1, "litert")


def test_float_input_without_scaling_raises(onnx_models):
    with pytest.raises(ModelError, match="scaled"):
        predictions(onnx_models / "nchw.onnx", None)


def test_onnx_metadata(onnx_models):
    path = str(onnx_models / "labelled.onnx")
    found = read_metadata(path, open_model(path))
    assert (found.labels, found.scaling, found.resize) == (list(LABELS), SCALINGS["none"], "crop")
    path = str(onnx_models / "uint8.onnx")
    assert read_metadata(path, open_model(path)).document() == {
        "labels": None,
        "scaling": None,
        "resize": None,
        "range": None,
    }


def test_tflite_metadata(tmp_path, tflite_models):
    path = str(with_tflite_metadata(tflite_models / "float.tflite", tmp_path / "m.tflite", 127.5, 127.5))
    found = read_metadata(path, open_model(path))
    assert found.labels == list(LABELS)
    assert found.scaling == SCALINGS["symmetric"]
    plain = str(tflite_models / "float.tflite")
    assert read_metadata(plain, open_model(plain)).labels is None


def test_scaling():
    pixels = np.array([[[0, 127, 255]]], np.uint8)
    assert SCALINGS["symmetric"].apply(pixels)[0, 0] == pytest.approx([-1, -0.00392157, 1])
    assert SCALINGS["caffe"].apply(pixels)[0, 0] == pytest.approx([151.061, 10.221, -123.68])
    assert parse_scaling("127.5,127.5") == SCALINGS["symmetric"]
    assert parse_scaling(SCALINGS["caffe"].document()) == SCALINGS["caffe"]
    for wrong in ("sym", "1,0", "a,b", 3, {"mean": [1, 2], "std": [1]}, {"mean": [float("nan")], "std": [1]}):
        with pytest.raises(DeviceError):
            parse_scaling(wrong)


def test_input_specification(onnx_models):
    model = open_model(str(onnx_models / "nchw.onnx"))
    assert model.input.layout == "NCHW"
    assert model.input.shape == (1, 3, SIDE, SIDE)
    assert model.output.classes == 3
    tensor = model.input.prepare(colour_pixels("red"), SCALINGS["unit"])
    assert tensor.shape == (1, 3, SIDE, SIDE)
    assert tensor.flags.c_contiguous
    assert tensor[0, 0].mean() > 2 * tensor[0, 1].mean()
