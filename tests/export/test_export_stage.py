"""Errors in a run, and that none of them leaves a half-written export."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from export_runs import change_run, replace_model

from edgekit.data.dataset import Dataset
from edgekit.documents.dataset_list import DatasetRow
from edgekit.documents.export import ExportDocument
from edgekit.errors import CheckFailed, InputError
from edgekit.export import file_export
from edgekit.export.base import ExportFacts, OperatorTable
from edgekit.export.check.exported_file import GOLDEN_IMAGES, Reference, check_file
from edgekit.export.pipeline import export_run
from edgekit.export.sample_images import Samples, calibration_warnings
from edgekit.registry import SCHEMES
from edgekit.support.files import sha256_file

ROOT = Path(__file__).parents[2]


def test_unfinished_run(run):
    change_run(run, status="running")
    with pytest.raises(InputError, match="not finished") as error:
        export_run(run)
    assert "--resume" in str(error.value)


def test_unknown_scheme(run):
    with pytest.raises(InputError, match="unknown export 'tflite-int4'") as error:
        export_run(run, ["tflite-int4"])
    assert "tflite-int8" in str(error.value)


def test_moved_images(run, tmp_path):
    shutil.move(run.path / "images", tmp_path / "elsewhere")
    change_run(run, dataset=run.read_run().dataset.model_copy(update={"root": str(run.path / "images")}))
    with pytest.raises(InputError, match="does not exist") as error:
        export_run(run, ["onnx-fp32"])
    assert "--data" in str(error.value)
    assert not run.exports.exists()
    documents = export_run(run, ["onnx-fp32"], data_root=tmp_path / "elsewhere")
    assert documents[0].ok


@pytest.mark.parametrize("damage", ["truncated", "replaced", "no model"])
def test_corrupt_model(run, damage):
    content = run.model.read_bytes()
    if damage == "truncated":
        run.model.write_bytes(content[: len(content) // 2])
    elif damage == "replaced":
        run.model.write_bytes(b"this is not a model")
        change_run(run, files={"model.keras": sha256_file(run.model)})
    else:
        run.model.unlink()
    with pytest.raises(InputError, match=r"damaged|missing") as error:
        export_run(run, ["onnx-fp32"])
    assert str(run.model) in str(error.value)
    assert not run.exports.exists()


def test_labels_that_do_not_match(run):
    run.labels.write_text("blue\ngreen\n")
    with pytest.raises(InputError, match="2 labels"):
        export_run(run, ["onnx-fp32"])


def test_network_that_gives_nan(run):
    import keras

    network = keras.models.load_model(run.model, compile=False)
    layer = network.get_layer("probabilities")
    layer.bias.assign(np.full(layer.bias.shape, np.nan, np.float32))
    replace_model(run, network)
    with pytest.raises(CheckFailed, match="NaN or infinity for 21 of 21 images"):
        export_run(run, ["onnx-fp32"])
    assert not run.exports.exists()


def test_settings_of_the_export_section_can_be_changed(run):
    (document,) = export_run(run, ["tflite-int8"], settings={"export.calibration.images": 7})
    assert document.calibration.images == 7
    assert sorted(document.calibration.per_class) == [2, 2, 3]
    assert document.calibration.warnings == ("calibrated on only 7 images; use at least 50",)


def test_calibration_on_identical_images_is_refused():
    rows = [DatasetRow(f"{n}.png", name, "train", "") for n, name in enumerate("abab")]
    dataset = Dataset.from_rows(rows, Path("images"), "x", "abc")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8).repeat(4, axis=0)
    with pytest.raises(InputError, match="all 4 calibration images are identical"):
        calibration_warnings(Samples("train", dataset, np.arange(4), pixels, 0))
    pixels[0] ^= 1  # another image, by one level
    samples = Samples("train", dataset, np.arange(4), pixels, 0)
    assert any("nearly identical" in warning for warning in calibration_warnings(samples))
    pixels[0] = 0
    warnings = calibration_warnings(samples)
    assert "no calibration image of class c" in warnings
    assert not any("nearly identical" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train.seed", 3, "cannot be changed after training"),
        ("export.calibration.image", 3, "calibration.image"),
        ("export.files", ["tflite-int4"], "tflite-int4"),
    ],
)
def test_settings_that_an_export_refuses(run, key, value, message):
    with pytest.raises(InputError, match=message):
        export_run(run, ["tflite-int8"], settings={key: value})
    assert not run.exports.exists()


def test_weights_beyond_the_range_of_fp16_are_caught(run):
    """fp16 ends at 65504: a network that needs larger weights predicts the same for every image."""
    import keras

    network = keras.models.load_model(run.model, compile=False)
    dense, batchnorm = network.get_layer("head_dense"), network.get_layer("head_batchnorm")
    last = network.get_layer("probabilities")
    factor = batchnorm.gamma.numpy() / np.sqrt(batchnorm.moving_variance.numpy() + batchnorm.epsilon)
    dense.kernel.assign(dense.kernel.numpy() * 1e7)
    dense.bias.assign(dense.bias.numpy() * 1e7)
    batchnorm.set_weights([factor, batchnorm.beta * 1e7, batchnorm.moving_mean * 1e7, np.ones_like(factor)])
    last.kernel.assign(last.kernel.numpy() * 1e-7)
    replace_model(run, network)
    with pytest.raises(CheckFailed, match="1 of 2 exported files failed their checks") as error:
        export_run(run, ["tflite-fp16", "onnx-fp32"])
    assert "tflite-fp16: the file predicts the same for all 21 images" in str(error.value)
    assert run.export("tflite-fp16").read_export().status == "failed"
    assert run.export("tflite-fp16").model().is_file()
    assert run.export("onnx-fp32").read_export().ok


@pytest.mark.parametrize(
    ("operators", "problem"),
    [
        ([("Log", ["zero"]), ("Mul", ["Log", "zero"])], "the output is not finite"),
        ([("Softmax", ["zero"])], "predicts the same for all 2 images"),
        ([("Wrong", ["zero"])], "cannot open this file"),
    ],
)
def test_files_that_must_fail(operators, problem, tmp_path):
    """Log(0) * 0 is NaN; a softmax of zeros is the same for every image; the last is not a valid model."""
    import onnx
    from onnx import helper

    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, [1, 1, 1, 3])
    output = helper.make_tensor_value_info(operators[-1][0], onnx.TensorProto.FLOAT, [1, 3])
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["pixels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "pixels"], ["zero"]),
        *(helper.make_node(op, inputs, [op]) for op, inputs in operators),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "bad", [image], [output]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save_model(model, tmp_path / "model.onnx")
    dataset = Dataset.from_rows(
        [DatasetRow(f"{n}.png", name, "val", "") for n, name in enumerate("ab")], tmp_path, "x", "abc"
    )
    pixels = np.array([10, 200], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=3)
    reference = Reference(
        ExportFacts("bad", "bad", "mobilenetv2", list("abc"), 1, "stretch"),
        Samples("val", dataset, np.arange(2), pixels, 0),
        np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32),
    )
    found = check_file(tmp_path / "model.onnx", SCHEMES["onnx-int8"], OperatorTable({}, {}), reference)
    assert problem in found.findings.problems[0]
    assert (found.golden is None) == (problem != "predicts the same for all 2 images")
    assert (found.output is None) == (problem == "cannot open this file")


def test_an_interrupt_leaves_the_old_export_and_nothing_half_written(run, monkeypatch):
    export_run(run, ["onnx-fp32"])
    before = run.export("onnx-fp32").read_export()

    def interrupt(content: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_export, "gzip_size", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_run(run, ["onnx-fp32"])
    assert run.export("onnx-fp32").read_export() == before
    assert [path.name for path in run.exports.iterdir()] == ["onnx-fp32"]
    assert sha256_file(run.export("onnx-fp32").model()) == before.sha256


def test_a_crash_before_the_document_is_written_leaves_no_complete_export(run, monkeypatch):
    def crash(document: ExportDocument, path: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(ExportDocument, "write", crash)
    with pytest.raises(OSError, match="disk full"):
        export_run(run, ["onnx-fp32"])
    assert run.done_exports() == []


def test_there_are_no_more_golden_images_than_parity_images(run):
    recipe = run.read_run().recipe
    fewer = recipe.model_copy(update={"export": recipe.export.model_copy(update={"parity_images": 5})})
    change_run(run, recipe=fewer)
    (document,) = export_run(run, ["onnx-fp32"])
    assert document.golden.n_images == 5 < GOLDEN_IMAGES
    assert document.parity.n_images == 5


def edgekit_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_is_quiet_and_its_json_clean(run):
    """From a shell set up for JAX: a .tflite file is made with TensorFlow all the same."""
    allowed = ("--max-drop", "30")  # the 21 images can hold no smaller limit; an undecided gate is a warning
    done = edgekit_command(
        "export", str(run.path), "--format", "tflite", "--fp32", "--int8", *allowed, "--json", "--quiet",
        KERAS_BACKEND="jax",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["run_dir"] == str(run.path)
    assert document["run_id"] == "colours-mobilenetv2"
    assert [e["scheme"] for e in document["exports"]] == ["fp32", "int8"]


def test_command_without_tensorflow(run, tmp_path):
    """TensorFlow hidden: ONNX still works (Keras on JAX or PyTorch), .tflite says what to install."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'tensorflow' else find(name, package)\n"
    )
    done = edgekit_command("export", str(run.path), "--format", "tflite", "--int8", PYTHONPATH=str(hidden))
    assert done.returncode == 2
    assert 'pip install "edgekit[cpu]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not run.exports.exists()


def test_files_that_edgekit_did_not_make_stay(run):
    export_run(run, ["onnx-fp32"])
    export = run.export("onnx-fp32")
    (export.path / "notes.txt").write_text("mine")
    (export.path / "pictures").mkdir()
    before = {path.name for path in export.path.iterdir()}
    export.golden.write_bytes(b"old")
    export_run(run, ["onnx-fp32"])
    assert {path.name for path in export.path.iterdir()} == before
    assert (export.path / "notes.txt").read_text() == "mine"
    assert export.golden.read_bytes() != b"old"
    assert [path.name for path in run.exports.iterdir()] == ["onnx-fp32"]
