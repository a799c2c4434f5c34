"""A stranger's classifier through import, export, bench and report; wrong scalings and labels on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from import_helpers import ORDER, PER_SPLIT, edgekit_here, read_photos

import edgekit
from edgekit.documents.folders import RunFolder
from edgekit.errors import CheckFailed, InputError


def test_a_strangers_model_goes_all_the_way(photos, stranger, labels, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    given = ("--data", photos, "--labels", labels, "--scaling", "unit", "--run", run.path, "--json", "--quiet")
    assert edgekit_here("import", stranger, *given) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["run_dir"], document["scaling"]) == (str(run.path), "unit")
    assert (document["backbone"], document["strategy"]) == ("stranger", "imported")
    assert document["dataset"]["classes"] == list(ORDER)
    assert document["n_samples"] == 3 * PER_SPLIT["test"]
    expected = _accuracy(stranger, photos)
    assert document["accuracy"] == pytest.approx(expected) and expected > 0.9

    assert edgekit_here("export", run.path, "--fp32", "--int8", "--quiet", "--json") == 0
    exports = {f"{one['format']}-{one['scheme']}": one for one in json.loads(capsys.readouterr().out)["exports"]}
    assert set(exports) == {"tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"}
    for one in exports.values():
        assert one["status"] == "ok"
        assert one["parity"]["keras_accuracy"] > 0.9
        assert one["parity"]["agreement"] > 0.9
        assert one["labels"] == list(ORDER)
    assert exports["onnx-fp32"]["converter"]["name"] == "edgekit"
    assert exports["tflite-int8"]["integer_only"]
    assert exports["tflite-int8"]["gate"]["status"] == "undecided"  # 60 images are too few to hold

    assert edgekit_here("bench", run.path, "--protocol", "check", "--threads", "1", "--quiet", "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert len(results) == 4
    assert all(result["accuracy"] > 0.9 for result in results)

    assert edgekit_here("report", run.path, "--quiet") == 0
    page = (run.report / "report.html").read_text()
    assert "stranger" in page and "trained elsewhere" in page
    assert "edgekit import stranger.keras --data DIR --scaling unit --labels labels.txt" in page
    assert edgekit_here("verify", run.path) == 0


def _accuracy(path: Path, photos: Path) -> float:
    """As the stranger would measure it."""
    import keras

    pixels, labels = read_photos(photos, split="test")
    return float((keras.models.load_model(path).predict(pixels / 255, verbose=0).argmax(1) == labels).mean())


def test_a_scaling_that_is_not_given_is_proposed_and_never_chosen(photos, stranger, labels, tmp_path, capsys):
    run = tmp_path / "run"
    code = edgekit_here("import", stranger, "--data", photos, "--labels", labels, "--run", run)
    message = capsys.readouterr().err
    assert code == 2
    assert "the scaling of the pixels is not given" in message
    assert all(name in message for name in ("none", "unit", "symmetric", "imagenet", "caffe", "(best)"))
    command = f"edgekit import {stranger} --data {photos} --labels {labels} --scaling unit --run {run}"
    assert command in message
    assert not run.exists()


@pytest.mark.parametrize("scaling", ["symmetric", "caffe", "127.5,10"])
def test_a_wrong_scaling_is_found(photos, stranger, labels, tmp_path, scaling):
    with pytest.raises(CheckFailed, match=f"scaling {scaling} does not fit this model: unit classifies") as error:
        edgekit.import_model(stranger, data=photos, labels=labels, scaling=scaling, run=tmp_path / "run")
    assert "--scaling unit" in str(error.value.hint)
    assert not (tmp_path / "run").exists()


def test_a_wrong_order_of_labels_is_found(photos, stranger, tmp_path):
    with pytest.raises(CheckFailed, match="in the order green, amber, blue") as error:
        edgekit.import_model(stranger, data=photos, scaling="unit", run=tmp_path / "run")
    assert "folders in alphabetical order" in error.value.problem
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("blue\ngreen\namber\n")
    with pytest.raises(CheckFailed, match="in the order green, amber, blue"):
        edgekit.import_model(stranger, data=photos, scaling="unit", labels=wrong, run=tmp_path / "run")


def test_wrong_labels_and_an_unknown_scaling_are_found_together(photos, stranger, tmp_path):
    with pytest.raises(InputError, match="with the labels in the order green, amber, blue") as error:
        edgekit.import_model(stranger, data=photos, run=tmp_path / "run")
    assert "--scaling unit" in str(error.value.hint)
    assert "in the order green, amber, blue" in str(error.value.hint)


def test_no_check_imports_it_as_it_is(photos, stranger, tmp_path):
    document = edgekit.import_model(stranger, data=photos, scaling="unit", run=tmp_path / "run", check=False)
    assert document.accuracy is not None
    assert document.accuracy < 0.5
    assert document.dataset.classes == ("amber", "blue", "green")


def test_images_of_something_else_are_an_error(photos, stranger, labels, tmp_path):
    """Every image shows noise, so no scaling and no order of labels can do better than chance."""
    from PIL import Image

    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ORDER:
            (tmp_path / "noise" / split / name).mkdir(parents=True)
            for number in range(20):
                pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "noise" / split / name / f"{number}.png")
    with pytest.raises(CheckFailed, match="does not recognize the images"):
        edgekit.import_model(stranger, data=tmp_path / "noise", labels=labels, run=tmp_path / "run")


def test_labels_that_do_not_match_are_an_error_that_names_them(photos, stranger, tmp_path):
    other = tmp_path / "labels.txt"
    other.write_text("green\namber\nviolet\n")
    with pytest.raises(InputError, match="no image folder for 'violet'; no label for the image folders 'blue'"):
        edgekit.import_model(stranger, data=photos, labels=other, scaling="unit", run=tmp_path / "run")


def test_a_folder_that_is_not_empty_is_left_alone(photos, stranger, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="this folder is not empty"):
        edgekit.import_model(stranger, data=photos, scaling="unit", run=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_unknown_scaling_is_an_error_before_the_images_are_read(stranger, tmp_path):
    with pytest.raises(InputError, match="unknown scaling 'zscore'"):
        edgekit.import_model(stranger, data=tmp_path / "missing", scaling="zscore")


def test_an_interrupted_import_is_started_again(photos, stranger, labels, tmp_path, monkeypatch):
    """It stops between the first document and the last, and then runs to its end in the same folder."""
    from edgekit.train import evaluate

    given = {"data": photos, "labels": labels, "scaling": "unit", "run": tmp_path / "run"}

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "evaluate_network", stop)
        with pytest.raises(KeyboardInterrupt):
            edgekit.import_model(stranger, **given)
    run = RunFolder(tmp_path / "run")
    assert not run.read_run().done
    with pytest.raises(InputError, match="the import of this run has not finished"):
        run.read_finished_run()
    assert edgekit.import_model(stranger, **given).done
