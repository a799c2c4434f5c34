"""``.ncnn`` files: their parts, predictions with ncnn, and damaged files, some of which would end the process."""

from __future__ import annotations

import io
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, WEIGHTS, colour_pixels, ncnn_model

from edgekit.device.classifier import Classifier
from edgekit.device.failures import ModelError
from edgekit.device.jobs import JobModel
from edgekit.device.metadata import read_metadata
from edgekit.device.ncnn_file import ABOUT, BIN, PARAM, read_ncnn
from edgekit.device.runtimes import open_model
from edgekit.device.scaling import SCALINGS
from edgekit.device.streams import classify_all, open_pools
from edgekit.device.tensors import Choices, softmax

needs_ncnn = pytest.mark.skipif(find_spec("ncnn") is None, reason="ncnn is not installed: pip install ncnn")


def test_a_file_is_a_zip_with_the_two_files_of_ncnn():
    model = ncnn_model()
    content = model.content()
    assert content == ncnn_model().content(), "the same model gives the same bytes"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [PARAM, BIN, ABOUT]
        assert archive.read(PARAM).decode() == model.layers
        assert archive.read(BIN) == model.weights
    assert read_ncnn(content) == model
    assert model.layer_types() == ["Pooling", "InnerProduct", "Softmax"]
    assert model.last_layer == "Softmax"


@needs_ncnn
@pytest.mark.parametrize("threads", [1, 2])
def test_predictions(ncnn_models, threads):
    path = str(ncnn_models / "colours.ncnn")
    model = open_model(path, threads)
    assert (model.input.dtype, model.input.shape) == ("uint8", (1, SIDE, SIDE, 3))
    assert (model.output.classes, model.output.operator) == (3, "softmax")
    assert model.runtime_info["name"] == "ncnn"
    assert model.runtime_info["precision"] == "f32"
    classifier = Classifier(JobModel("m", path), model)
    for label in (*LABELS, *LABELS):
        pixels = colour_pixels(label, seed=7)
        expected = softmax(pixels.mean(axis=(0, 1)) @ WEIGHTS / 255)
        assert classifier.classify(pixels) == pytest.approx(expected, abs=1e-5)
    found = read_metadata(path, model)
    assert (found.labels, found.scaling, found.resize) == (list(LABELS), SCALINGS["none"], "crop")


@needs_ncnn
def test_several_threads_share_the_weights(ncnn_models):
    entry = JobModel("m", str(ncnn_models / "colours.ncnn"))
    pool = open_pools([entry], 2)["m"]
    pixels = np.stack([colour_pixels(LABELS[number % 3], seed=number) for number in range(60)])
    found = np.stack(list(classify_all(pool, pixels, 2)))
    assert found.argmax(axis=1).tolist() == [number % 3 for number in range(60)]


@needs_ncnn
def test_settings_leave_the_predictions_as_they_are(ncnn_models):
    path = str(ncnn_models / "colours.ncnn")
    pixels = colour_pixels("red")
    usual = Classifier(JobModel("m", path), open_model(path)).classify(pixels)
    for option in (("precision", "fastest"), ("winograd", "off")):
        model = open_model(path, 1, "ncnn", Choices(options=(option,)))
        assert Classifier(JobModel("m", path), model).classify(pixels) == pytest.approx(usual, abs=0.01)


LAYERS = ncnn_model().layers
DAMAGED = {
    "an unknown layer": ncnn_model(LAYERS.replace("Pooling", "Peeling")),
    "an input of another name": ncnn_model(LAYERS.replace("image", "data")),
    "a blob that nothing makes": ncnn_model(LAYERS.replace("1 1 image 1 0=1", "1 1 nothing 1 0=1")),
    "fewer layers than it says": ncnn_model(LAYERS.replace("4 4\n", "9 9\n")),
    "too few weights": ncnn_model(weights=ncnn_model().weights[:20]),
    "no weights": ncnn_model(weights=b""),
    "other text": ncnn_model("not the layers\nof a network\n"),
}


@needs_ncnn
@pytest.mark.parametrize("fault", DAMAGED)
def test_damaged_models_are_refused_in_one_line(tmp_path, fault):
    path = tmp_path / "m.ncnn"
    path.write_bytes(DAMAGED[fault].content())
    with pytest.raises(ModelError) as error:
        open_model(str(path))
    assert "\n" not in error.value.reason
    assert error.value.where == str(path)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_cut_files_are_refused(tmp_path, kept):
    content = ncnn_model().content()
    path = tmp_path / "m.ncnn"
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ModelError, match="damaged"):
        read_ncnn(str(path))


def test_changed_weights_are_noticed():
    content = bytearray(ncnn_model().content())
    content[content.find(ncnn_model().weights) + 8] ^= 1
    with pytest.raises(ModelError, match="damaged"):
        read_ncnn(bytes(content))
