"""What the functions make of their arguments; the work itself is tested with the commands and in the example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.documents.study import STUDY_FILE
from edgekit.recipe.resolve import resolve_recipe, training_settings
from edgekit.study.folder import Study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    recipe = resolve_recipe(None, {"name": "s", "data.name": "digits", "compare.seeds": [0, 1]})
    return Study.open(tmp_path / "study", recipe).path


def test_a_study_is_read_with_its_recipe(study: Path) -> None:
    document = edgekit.load_study(study)
    assert [cell.seed for cell in document.cells] == [0, 1]
    assert document.recipe.data.name == "digits"
    assert document.read_from == study / STUDY_FILE


def test_a_document_stands_for_its_folder(study: Path) -> None:
    with pytest.raises(edgekit.InputError) as error:
        edgekit.evaluate(study / "runs" / "x")
    assert error.value.where == str(study / "runs" / "x")
    copy = edgekit.load_study(study).model_copy()
    assert copy == edgekit.load_study(study)
    assert "read_from" not in copy.to_dict()
    unread = type(copy).parse(copy.to_dict(), "test")
    assert unread == copy
    with pytest.raises(edgekit.InputError, match="not read from a file"):
        edgekit.report(unread)


@pytest.mark.parametrize("load", [edgekit.load_run, edgekit.load_study])
def test_other_folders_are_refused(load: object, tmp_path: Path) -> None:
    assert callable(load)
    with pytest.raises(edgekit.InputError, match=r"this is not a (run|study) folder"):
        load(tmp_path)


def test_options_and_settings_change_a_recipe() -> None:
    recipe = edgekit.load_recipe("mobilenetv2")
    changed = resolve_recipe(recipe, training_settings(data="photos", epochs=3, weights="none") | {"train.seed": 7})
    assert changed.data.path == "photos"
    assert changed.train.strategy == "from-scratch"
    assert (changed.train.from_scratch.epochs, changed.train.fine_tuning.epochs) == (3, 3)
    assert changed.train.seed == 7
    assert recipe.train.seed == 0
    with pytest.raises(edgekit.InputError, match="did you mean 'batch_size'"):
        resolve_recipe(recipe, {"train.batchsize": 3})


def test_resume_needs_a_run() -> None:
    with pytest.raises(edgekit.InputError, match="resume=True"):
        edgekit.train(resume=True)


def test_an_audit_is_a_document(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)
    for split, label, number in (("train", "cat", 0), ("train", "dog", 1), ("test", "cat", 0), ("test", "dog", 2)):
        folder = tmp_path / split / label
        folder.mkdir(parents=True)
        Image.fromarray(pixels[number]).save(folder / "0.png")
    found = edgekit.audit(tmp_path)
    assert found.splits == {"train": 2, "test": 2}
    (leak,) = found.leaked_test_images
    assert (leak.a, leak.b, leak.exact) == ("train/cat/0.png", "test/cat/0.png", True)


def test_a_path_may_start_at_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for call in (
        lambda: edgekit.train(run="~/run", resume=True),
        lambda: edgekit.evaluate("~/run"),
        lambda: edgekit.predict("~/run", "~/photo.jpg"),
        lambda: edgekit.audit("~/run"),
    ):
        with pytest.raises(edgekit.InputError) as error:
            call()
        assert error.value.where == str(tmp_path / "run")
