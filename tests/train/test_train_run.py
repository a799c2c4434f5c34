"""A whole run: the files it writes, and that other ways to train the same model give the same result."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from listeners import Told
from PIL import Image
from train_helpers import CLASSES, SIDE, changed, history, model_weights, original_backbone, values

from edgekit.documents.dataset_list import read_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.support.files import sha256_file

TOLERANCE = 1e-4
"""Difference between two runs of a recipe on this machine, because CPU threads may add in another order."""


@pytest.fixture(scope="module")
def train():
    from edgekit.train.training import train

    return train


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


# --- the files of a run


def test_a_run_folder_is_complete(trained):
    names = {p.relative_to(trained.folder.path).as_posix() for p in trained.folder.path.rglob("*") if p.is_file()}
    events = {name for name in names if name.startswith("tensorboard/")}
    looks = {name for name in names if name.startswith("figures/gradcam/")}
    assert "figures/gradcam/gradcam.json" in looks
    assert sum(name.endswith(".jpg") for name in looks) == len(looks) - 1 >= len(CLASSES)
    assert names - events - looks == {
        "run.json",
        "model.keras",
        "labels.txt",
        "dataset.csv",
        "baselines.json",
        "history.csv",
        "predictions.npz",
        "predictions-val.npz",
        "figures/curves.png",
        "figures/confusion.png",
    }
    assert {name.split("/")[1] for name in events} == {"feature-extraction", "fine-tuning"}


def test_run_json_describes_the_run(trained, images, weights):
    assert RunDocument.read(trained.folder.run_json) == trained.document
    document = trained.document.to_dict()
    assert document == json.loads(trained.folder.run_json.read_text())
    assert document["schema_version"] == 2
    assert document["status"] == "done"
    assert document["run_id"] == "trained"
    assert (document["backbone"], document["alpha"], document["seed"]) == ("mobilenetv2", 0.35, 0)
    assert document["strategy"] == "fine-tuning"
    assert document["recipe"] == trained.recipe.document()
    assert document["weights"] == {"source": "file", "path": str(weights), "sha256": sha256_file(weights)}
    assert document["dataset"]["classes"] == list(CLASSES)
    assert document["dataset"]["counts"]["train"] == dict.fromkeys(CLASSES, 16)
    assert document["dataset"]["counts"]["test"] == dict.fromkeys(CLASSES, 16)
    assert len(document["dataset"]["fingerprint"]) == 64
    assert document["model"]["input_shape"] == [SIDE, SIDE, 3]
    assert document["model"]["keras_size_bytes"] == trained.folder.model.stat().st_size
    assert set(document["timing"]) == {
        "data_seconds",
        "train_seconds",
        "evaluate_seconds",
        "total_seconds",
        "profile",
    }
    assert document["timing"]["total_seconds"] >= document["timing"]["train_seconds"] > 0
    assert document["environment"]["backend"] == "tensorflow"
    assert {"keras", "numpy"} <= set(document["environment"]["versions"])
    assert document["warnings"] == []
    test = document["metrics"]["test"]
    for key in ("accuracy", "n_samples", "accuracy_ci95"):
        assert document[key] == test[key]
    assert document["n_samples"] == 48
    assert np.array(test["confusion"]).sum() == 48
    assert document["metrics"]["val"]["n_samples"] == 48


def test_run_json_records_each_phase(trained):
    first, second = trained.document.stages
    assert (first.name, second.name) == ("feature-extraction", "fine-tuning")
    for phase in (first, second):
        assert phase.epochs_run == phase.epochs == 3
        assert 1 <= phase.best_epoch <= 3
        assert phase.seconds > 0
        assert phase.images_per_second == pytest.approx(3 * 48 / phase.seconds)
    # 1280 features: Dense 32, Dense 3; then Conv_1 (1x1, 112 to 1280 channels) as well
    head = (1280 * 32 + 32) + (32 * 3 + 3)
    assert first.trainable_parameters == head
    assert second.opened_layers == ("Conv_1",)
    assert second.trainable_parameters == head + 112 * 1280


def test_the_hashes_are_those_of_the_files(trained):
    assert set(trained.document.files) == {
        "model.keras",
        "labels.txt",
        "dataset.csv",
        "history.csv",
        "predictions.npz",
    }
    for name, digest in trained.document.files.items():
        assert sha256_file(trained.folder.path / name) == digest


def test_the_history_has_a_row_for_every_epoch(trained):
    rows = history(trained.folder)
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        *(("feature-extraction", str(e)) for e in (1, 2, 3)),
        *(("fine-tuning", str(e)) for e in (1, 2, 3)),
    ]
    assert set(rows[0]) == {
        "stage",
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "seconds",
        "images_per_second",
    }
    assert [float(row["learning_rate"]) for row in rows[:1] + rows[3:4]] == pytest.approx([1e-3, 3e-4])


def test_the_list_of_images_and_the_labels_are_those_of_the_folder(trained, images):
    rows = read_dataset_csv(trained.folder.dataset)
    assert len(rows) == 3 * 48
    assert all((images / row.path).is_file() and row.path.split("/")[:2] == [row.split, row.label] for row in rows)
    assert trained.folder.read_labels() == list(CLASSES)


def test_predictions_are_those_of_the_saved_network_on_raw_pixels(trained, images):
    import keras

    with np.load(trained.folder.predictions) as stored:
        labels, probabilities, files = stored["labels"], stored["probabilities"], stored["files"]
    assert probabilities.dtype == np.float32
    pixels = np.stack([np.asarray(Image.open(images / name).convert("RGB")) for name in files]).astype(np.float32)
    network = keras.models.load_model(trained.folder.model, compile=False)
    assert np.allclose(network(pixels), probabilities, atol=1e-5)
    assert [CLASSES[label] for label in labels] == [str(name).split("/")[1] for name in files]
    assert (probabilities.argmax(axis=1) == labels).mean() == trained.document.accuracy


def test_the_saved_network_is_plain_float32_without_augmentation_or_optimizer(trained):
    import keras

    network = keras.models.load_model(trained.folder.model)
    assert not network.compiled
    assert network.input.shape == (None, SIDE, SIDE, 3)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert "augment" not in [layer.name for layer in network.layers]


def test_fine_tuning_changes_the_opened_layers_alone_and_no_batchnorm_statistics(trained):
    start = {w.path: np.asarray(w) for w in original_backbone("mobilenetv2", 0.35).weights}
    end = model_weights(trained.folder)
    assert start.keys() < end.keys()
    moved = {path for path, value in start.items() if not np.array_equal(value, end[path])}
    assert moved == {"Conv_1/kernel"}
    norms = {path for path in start if "moving_" in path}
    assert len(norms) == 2 * 52


def test_the_network_learns(trained):
    assert trained.document.accuracy >= 0.7  # one in three by chance


def test_a_finished_run_is_returned_as_it_is(train, trained):
    before = trained.folder.run_json.stat().st_mtime_ns
    told = Told()
    document = train(trained.recipe, trained.folder, resume=True, progress=told)
    assert document.accuracy == trained.document.accuracy
    assert trained.folder.run_json.stat().st_mtime_ns == before
    assert "already trained" in told.infos[0]


# --- fine-tuning that starts from another run


def starting_at(trained, start: RunFolder, **settings):
    return changed(trained.recipe, start_from=str(start.path), **settings)


def test_fine_tuning_from_a_feature_extraction_run_equals_fine_tuning_in_one_run(train, trained, extracted, run):
    document = train(starting_at(trained, extracted), run)
    assert document.stages[0].taken_over_from == "extracted"
    assert values(history(run)) == pytest.approx(values(history(trained.folder)), abs=TOLERANCE)
    assert document.accuracy == trained.document.accuracy
    ours, theirs = model_weights(run), model_weights(trained.folder)
    assert all(np.allclose(ours[path], theirs[path], atol=TOLERANCE) for path in theirs)
    columns = ("stage", "epoch", "seconds")  # the epochs are those of the other run, not trained again
    assert [[row[c] for c in columns] for row in history(run)[:3]] == [
        [row[c] for c in columns] for row in history(extracted)
    ]


def test_starting_from_a_run_with_other_settings_is_an_error(train, run, trained, extracted):
    with pytest.raises(InputError, match=r"different settings: train\.batch_size"):
        train(starting_at(trained, extracted, batch_size=5), run)
    assert not run.path.exists()


def test_starting_from_a_run_with_another_strategy_is_an_error(train, run, trained):
    with pytest.raises(InputError, match="this is a fine-tuning run"):
        train(starting_at(trained, trained.folder), run)


def test_starting_from_a_run_on_another_folder_is_an_error(train, run, trained, extracted, images, tmp_path):
    copy = shutil.copytree(images, tmp_path / "copy")
    with pytest.raises(InputError, match=r"different settings: data\.path"):
        train(changed(starting_at(trained, extracted), "data", path=str(copy)), run)


def test_starting_from_a_run_whose_images_have_changed_is_an_error(train, run, trained, extracted, images):
    first, second = sorted((images / "train" / "amber").iterdir())[:2]
    kept = first.read_bytes()
    try:
        first.write_bytes(second.read_bytes())
        with pytest.raises(InputError, match="trained on other images"):
            train(starting_at(trained, extracted), run)
    finally:
        first.write_bytes(kept)
