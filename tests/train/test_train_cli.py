"""``edgekit train`` and ``edgekit evaluate`` as a user sees them: exit codes, error messages and results."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
from train_helpers import TrainedRun, changed, edgekit_here, edgekit_process

from edgekit.cli.train import profile_table, summary
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.recipe.resolve import resolve_recipe, training_settings
from edgekit.support.files import sha256_file


@pytest.fixture
def edgekit(capfd):
    """``edgekit("train", ...)``: exit code, standard output, standard error in one line."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = edgekit_here(*arguments)
        out, err = capfd.readouterr()
        return code, out, " ".join(err.split())

    return call


@pytest.fixture
def copied(trained, tmp_path) -> RunFolder:
    """A copy of the finished run that a test may damage."""
    return RunFolder(shutil.copytree(trained.folder.path, tmp_path / "copied"))


def spoil(run: RunFolder, **changes) -> None:
    run.run_json.write_text(json.dumps({**json.loads(run.run_json.read_text()), **changes}))


def test_a_folder_that_contains_a_run_is_not_overwritten(edgekit, trained, images):
    before = {p: p.stat().st_mtime_ns for p in trained.folder.path.rglob("*")}
    code, _, err = edgekit("train", "--data", images, "--weights", "none", "--run", trained.folder.path)
    assert code == 2
    assert "already contains a finished run" in err
    assert "choose another --run folder" in err
    assert before == {p: p.stat().st_mtime_ns for p in trained.folder.path.rglob("*")}


def test_a_folder_with_other_files_is_not_used(edgekit, images, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, err = edgekit("train", "--data", images, "--weights", "none", "--run", tmp_path)
    assert code == 2
    assert "not a run folder" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unfinished_run_is_resumed_only_on_request(edgekit, copied, images):
    spoil(copied, status="running")
    code, _, err = edgekit("train", "--data", images, "--weights", "none", "--run", copied.path)
    assert code == 2
    assert "already contains an unfinished run" in err
    assert "--resume" in err


def test_resuming_with_another_recipe_is_an_error(edgekit, copied, images):
    spoil(copied, status="running")
    code, _, err = edgekit("train", "--data", images, "--seed", "4", "--run", copied.path, "--resume")
    assert code == 2
    assert "started with a different recipe" in err
    assert "train.seed" in err
    assert f"edgekit train --run {copied.path} --resume" in err


def test_resuming_with_other_images_is_an_error(edgekit, trained: TrainedRun, copied, images):
    spoil(copied, status="running")
    first, second = sorted((images / "train" / "amber").iterdir())[:2]
    kept = first.read_bytes()
    try:
        first.write_bytes(second.read_bytes())
        code, _, err = edgekit("train", "--run", copied.path, "--resume")
    finally:
        first.write_bytes(kept)
    assert code == 2
    assert "images have changed since this run was started" in err


def test_resume_needs_a_run(edgekit, tmp_path):
    assert edgekit("train", "--resume")[0] == 2
    code, _, err = edgekit("train", "--run", tmp_path / "none", "--resume")
    assert code == 2
    assert "does not exist" in err


@pytest.mark.parametrize("verb", [("train", "--resume", "--run"), ("evaluate",)])
def test_a_run_of_a_newer_edgekit_is_an_error(edgekit, copied, verb):
    spoil(copied, schema_version=RunDocument.VERSION + 1)
    code, out, err = edgekit(*verb, copied.path, "--json")
    assert code == 2
    assert "newer edgekit" in err
    assert "upgrade" in json.loads(out)["error"]["hint"]


def test_a_missing_gpu_is_an_error(edgekit, images, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    code, _, err = edgekit(
        "train", "--data", images, "--weights", "none", "--run", tmp_path / "run", "--set", "train.device=gpu"
    )
    assert code == 2
    assert "tensorflow finds no GPU" in err
    assert not (tmp_path / "run").exists()


def test_half_precision_on_a_cpu_is_an_error(edgekit, images, tmp_path):
    settings = ("--set", "train.precision=mixed_float16", "--set", "train.device=cpu")
    code, _, err = edgekit("train", "--data", images, "--weights", "none", "--run", tmp_path / "run", *settings)
    assert code == 2
    assert "mixed_float16 requires a GPU" in err
    assert not (tmp_path / "run").exists()


def test_an_unknown_setting_is_an_error(edgekit, images, tmp_path):
    code, _, err = edgekit("train", "--data", images, "--set", "train.batchsize=3", "--run", tmp_path / "run")
    assert code == 2
    assert "did you mean 'batch_size'?" in err


def test_an_unknown_option_is_also_reported_as_json(edgekit):
    code, out, _ = edgekit("train", "--bacbone", "vgg16", "--json")
    assert code == 2
    assert json.loads(out)["error"]["exit_code"] == 2


def test_evaluating_again_gives_the_same_result_wherever_the_images_are(edgekit, trained, copied, images, tmp_path):
    elsewhere = shutil.copytree(images, tmp_path / "elsewhere")
    spoil(
        copied,
        dataset={**trained.document.to_dict()["dataset"], "root": str(tmp_path / "gone")},
        metrics={},
        accuracy=0.0,
    )
    (copied.figures / "confusion.png").unlink()
    code, _, err = edgekit("evaluate", copied.path)
    assert code == 2
    assert "does not exist" in err
    assert "--data DIR" in err

    code, out, _ = edgekit("evaluate", copied.path, "--data", elsewhere, "--json")
    assert code == 0
    document = json.loads(out)
    assert document.pop("run_dir") == str(copied.path)
    assert document["metrics"] == trained.document.to_dict()["metrics"]
    assert document["accuracy"] == trained.document.accuracy
    assert document["files"]["predictions.npz"] == sha256_file(copied.predictions)
    assert copied.read_run().to_dict() == document
    assert (copied.figures / "confusion.png").is_file()


def test_other_images_than_those_of_the_run_are_an_error(edgekit, copied, images, tmp_path):
    elsewhere = shutil.copytree(images, tmp_path / "elsewhere")
    (elsewhere / "test" / "blue" / "0.png").write_bytes((elsewhere / "test" / "amber" / "0.png").read_bytes())
    (elsewhere / "test" / "blue" / "1.png").unlink()
    code, _, err = edgekit("evaluate", copied.path, "--data", elsewhere)
    assert code == 2
    assert "test/blue/1.png" in err


def test_a_damaged_model_is_an_error(edgekit, copied):
    copied.model.write_bytes(b"not a zip file")
    code, _, err = edgekit("evaluate", copied.path)
    assert code == 2
    assert "model cannot be read" in err
    assert "model.keras" in err


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        "[]",
        '{"class_name": "Thesis", "config": {}}',
        '{"module": "keras", "class_name": "Functional", "config": {"layers": 3}}',
        '{"module": "os", "class_name": "system", "config": {"command": "id"}, "registered_name": null}',
    ],
)
def test_a_model_that_keras_refuses_is_an_error(edgekit, copied, config):
    with zipfile.ZipFile(copied.model, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.0.0", "date_saved": "2026-11-26@12:00:00"}')
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", b"")
    code, _, err = edgekit("evaluate", copied.path)
    assert code == 2
    assert "the run's model cannot be read" in err


@pytest.mark.slow
def test_the_users_own_settings_of_keras_change_nothing(images, tmp_path):
    (tmp_path / "home").mkdir()
    settings = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-3}
    (tmp_path / "home" / "keras.json").write_text(json.dumps(settings))
    arguments = ["train", "--data", str(images), "--weights", "none", "--image-size", "32", "--epochs", "1", "--quiet"]
    documents = []
    for name, environment in (("plain", {}), ("own", {"KERAS_HOME": str(tmp_path / "home")})):
        run = RunFolder(tmp_path / name)
        process = edgekit_process(*arguments, "--run", str(run.path), environment=environment)
        _, stderr = process.communicate(timeout=600)
        assert process.returncode == 0, stderr
        documents.append(run.read_run())
    plain, own = documents
    assert own.model == plain.model
    assert own.metrics["test"].log_loss == pytest.approx(plain.metrics["test"].log_loss, abs=1e-3)


def test_a_folder_without_a_run_cannot_be_evaluated(edgekit, images):
    code, _, err = edgekit("evaluate", images)
    assert code == 2
    assert "no run.json" in err


def test_a_missing_weights_file_is_an_error(edgekit, images, tmp_path):
    missing = tmp_path / "none.weights.h5"
    code, _, err = edgekit("train", "--data", images, "--weights", missing, "--run", tmp_path / "run")
    assert code == 2
    assert "the weights file does not exist" in err
    assert "imagenet, none" in err


def test_command_line_options_override_the_recipe(extracted, trained):
    document = extracted.read_finished_run()
    assert document.recipe == changed(trained.recipe, strategy="feature-extraction")
    assert [phase.name for phase in document.stages] == ["feature-extraction"]


def test_options_alone_make_a_recipe(images):
    options = training_settings(
        data=images, backbone="vgg16", weights="none", image_size=64, epochs=7, batch_size=8, seed=3
    )
    recipe = resolve_recipe(None, options | {"train.seed": 4, "train.augment.flip": "both"})
    assert recipe.data.path == str(images)
    assert (recipe.model.backbone, recipe.model.weights, recipe.data.image_size) == ("vgg16", "none", 64)
    assert recipe.train.strategy == "from-scratch"  # there are no weights to build on
    assert (recipe.train.batch_size, recipe.train.seed, recipe.train.augment.flip) == (8, 4, "both")
    assert recipe.train.from_scratch.epochs == recipe.train.fine_tuning.epochs == 7


def test_the_result_fits_80_columns(trained):
    text = summary(trained.document, trained.folder)
    assert all(len(line) <= 80 for line in text.splitlines() if str(trained.folder.path) not in line)
    for shown in (f"{trained.document.accuracy:.4f}", "amber", f"edgekit export {trained.folder.path}"):
        assert shown in text


def test_the_profile_accounts_for_the_whole_time(trained):
    timing = trained.document.timing
    seconds = timing.profile.model_dump()
    assert sum(seconds.values()) == pytest.approx(timing.total_seconds, abs=0.1)
    assert all(seconds[f"{part}_seconds"] > 0 for part in ("build", "compile", "step", "validation", "evaluate"))
    lines = profile_table(timing.profile).splitlines()
    assert [line.split()[0] for line in lines[2:-1]] == [name.removesuffix("_seconds") for name in seconds]
    assert max(map(len, lines)) <= 80
