"""ONNX files with external data: every file counts and is sent, and none outside the model's folder is read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, colour_pixels

from edgekit.bench.model_collection import collect_models
from edgekit.bench.third_party import ThirdPartyOptions
from edgekit.device.classifier import Classifier
from edgekit.device.failures import ModelError
from edgekit.device.jobs import JobModel, read_job
from edgekit.device.onnx_file import external_files, onnx_facts
from edgekit.errors import InputError
from edgekit.support.progress import SILENT
from edgekit.targets.upload import Hashes, prepare_upload


def make(folder: Path, location: str = "weights.bin", gain: float = 8.0, name: str = "model") -> Path:
    """A model whose weights are in the file ``location``, which is written only where it is below ``folder``."""
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(exist_ok=True)
    weights = numpy_helper.from_array(np.float32(gain) * np.eye(3, dtype=np.float32)[::-1].copy(), "weights")
    content = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(content))}.items():
        weights.external_data.add(key=key, value=value)
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
            node("Div", ["mean", "range"], ["share"]),
            node("MatMul", ["share", "weights"], ["logits"]),
            node("Softmax", ["logits"], ["scores"]),
        ],
        "model",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [weights, numpy_helper.from_array(np.array(255, np.float32), "range")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    inside = bool(location) and not location.startswith(("/", "..")) and ".." not in location
    if inside:
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        (folder / location).write_bytes(content)
    return path


def labels_file(folder: Path) -> Path:
    path = folder / "labels.txt"
    path.write_text("\n".join(LABELS))
    return path


def test_every_file_counts(tmp_path):
    path = make(tmp_path / "m")
    (model,) = collect_models([path], ThirdPartyOptions(), SILENT)
    weights = path.with_name("weights.bin")
    assert model.size_bytes == path.stat().st_size + weights.stat().st_size
    assert model.gzip_bytes > (path.stat().st_size and 0)
    before = model.sha256
    weights.write_bytes(b"\0" * weights.stat().st_size)
    (changed,) = collect_models([path], ThirdPartyOptions(), SILENT)
    assert changed.sha256 != before, "other weights are another model"
    assert changed.gzip_bytes < model.gzip_bytes + 40


def test_a_model_in_one_file_keeps_its_own_hash(onnx_models):
    from edgekit.support.files import sha256_file

    (model,) = collect_models([onnx_models / "uint8.onnx"], ThirdPartyOptions(), SILENT)
    assert model.sha256 == sha256_file(onnx_models / "uint8.onnx")
    assert model.external == ()


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "a/../../weights.bin", "C:\\weights.bin", ""])
def test_a_location_outside_the_folder_is_refused(tmp_path, location):
    (tmp_path / "weights.bin").write_bytes(b"\0" * 36)
    path = make(tmp_path / "m", location)
    with pytest.raises(InputError, match="not in the folder of the model") as refused:
        collect_models([path], ThirdPartyOptions(), SILENT)
    assert refused.value.where == str(path)
    with pytest.raises(ModelError, match="not in the folder"):
        JobModel("m", str(path)).open(1)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    path = make(tmp_path / "m")
    secret = tmp_path / "secret"
    secret.write_bytes(path.with_name("weights.bin").read_bytes())
    path.with_name("weights.bin").unlink()
    path.with_name("weights.bin").symlink_to(secret)
    with pytest.raises(InputError, match="link"):
        collect_models([path], ThirdPartyOptions(), SILENT)


def test_a_missing_file_is_named(tmp_path):
    path = make(tmp_path / "m", "data/weights.bin")
    path.with_name("data").joinpath("weights.bin").unlink()
    with pytest.raises(InputError, match=r"missing: copy data/weights\.bin"):
        collect_models([path], ThirdPartyOptions(), SILENT)


@pytest.mark.parametrize("location", ["weights.bin", "data/weights.bin"])
def test_all_files_are_sent_and_put_together_again(tmp_path, location):
    """On a target, files are named by their content; the model needs them by their own names."""
    path = make(tmp_path / "m", location)
    upload = prepare_upload({"models": [{"key": "m", "path": str(path)}], "threads": 1}, Hashes())
    assert set(upload.files.values()) == {str(path), str(path.parent / location)}
    there = tmp_path / "device"
    (there / "objects").mkdir(parents=True)
    for name, file in upload.files.items():
        (there / "objects" / name).write_bytes(Path(file).read_bytes())
    import os

    before = Path.cwd()
    os.chdir(there)
    try:
        (entry,) = read_job(json.dumps(upload.job)).models
        classifier = Classifier(entry, entry.open(1))
        assert LABELS[int(classifier.classify(colour_pixels("red")).argmax())] == "red"
        assert sorted(place.name for place in Path("objects").iterdir()) == sorted(upload.files), "nothing is left"
    finally:
        os.chdir(before)


def test_what_is_not_a_model_is_said_to_be_none(tmp_path):
    for content in (b"", b"\x08", b"nonsense" * 100, b"\x3a\xff\xff\xff\xff\x0f"):
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        try:
            onnx_facts(str(path))
        except ModelError as error:
            assert "ONNX" in error.reason


def test_damaged_files_raise_nothing_else(tmp_path):
    whole = make(tmp_path / "m").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(damaged), 3).tolist():
            damaged[place] = int(generator.integers(0, 256))
        path = tmp_path / "m" / "damaged.onnx"
        path.write_bytes(bytes(damaged[: int(generator.integers(1, len(damaged)))]))
        with contextlib.suppress(ModelError):
            external_files(str(path))
