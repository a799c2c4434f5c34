"""Layouts of image folders, and folders that cannot be used for training."""

from __future__ import annotations

import os
import shutil
import unicodedata

import pytest

from edgekit.data import Dataset, open_dataset, open_run_dataset
from edgekit.documents.dataset_list import read_dataset_csv, write_dataset_csv
from edgekit.errors import InputError
from edgekit.recipe import Data, Split


def totals(dataset: Dataset) -> dict[str, list[int]]:
    return {split: list(counts.values()) for split, counts in dataset.counts().items()}


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("trn", "valid", "tst"),
        ("TRAIN", "Val", "Test"),
        ("training", "validation", "testing"),
    ],
)
def test_split_folders_are_kept_as_they_are(make_folder, watcher, train, val, test):
    counts = {
        f"{train}/cat": 5,
        f"{train}/dog": 4,
        f"{val}/cat": 3,
        f"{val}/dog": 2,
        f"{test}/cat": 2,
        f"{test}/dog": 1,
    }
    dataset = open_dataset(Data(path=str(make_folder(counts))), progress=watcher)
    assert dataset.classes == ("cat", "dog")
    assert totals(dataset) == {"train": [5, 4], "val": [3, 2], "test": [2, 1]}
    assert all((s == "train") == f.startswith(f"{train}/") for f, s in zip(dataset.files, dataset.splits))
    assert list(dataset.files) == sorted(dataset.files)
    assert watcher.warnings == []


def test_missing_validation_is_drawn_from_training(make_folder):
    root = make_folder({"Training/cat": 20, "Training/dog": 10, "Testing/cat": 4, "Testing/dog": 6})
    dataset = open_dataset(Data(path=str(root)))
    assert totals(dataset) == {"train": [16, 8], "val": [4, 2], "test": [4, 6]}
    assert all((s == "test") == f.startswith("Testing/") for f, s in zip(dataset.files, dataset.splits))
    assert "20%" in dataset.layout
    assert "seed 0" in dataset.layout


def test_missing_test_is_drawn_from_training(make_folder):
    root = make_folder({"train/cat": 20, "train/dog": 10, "val/cat": 4, "val/dog": 6})
    assert totals(open_dataset(Data(path=str(root)))) == {"train": [16, 8], "val": [4, 6], "test": [4, 2]}


def test_one_folder_of_classes_is_split_in_three(make_folder):
    root = make_folder({"cat": 20, "dog": 10})
    data = Data(path=str(root), split=Split(val=0.25, test=0.2, seed=3))
    assert totals(open_dataset(data)) == {"train": [12, 6], "val": [4, 2], "test": [4, 2]}


def test_only_the_seed_changes_the_split(make_folder):
    root = make_folder({"cat": 20, "dog": 20})
    first, again, other = (
        open_dataset(Data(path=str(root), split=Split(seed=seed))).splits.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_the_split_depends_on_content_not_on_names(make_folder):
    root = make_folder({"cat": 20, "dog": 20})
    before = open_dataset(Data(path=str(root)))
    for number, path in enumerate(sorted(root.rglob("*.png"), reverse=True)):
        path.rename(path.with_name(f"renamed-{number:03d}.png"))
    after = open_dataset(Data(path=str(root)))
    assert dict(zip(before.sha256, before.splits)) == dict(zip(after.sha256, after.splits))
    assert before.fingerprint == after.fingerprint
    assert before.files != after.files


def test_copies_of_an_image_stay_on_one_side_of_a_split(make_folder):
    root = make_folder({"cat": 10, "dog": 10})
    for path in list(root.rglob("*.png")):
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    dataset = open_dataset(Data(path=str(root)))
    sides = {(content, str(split)) for content, split in zip(dataset.sha256, dataset.splits)}
    assert len(dataset) == 40
    assert len(sides) == 20


def test_a_class_may_be_named_train(make_folder):
    dataset = open_dataset(Data(path=str(make_folder({"train": 5, "bus": 5, "test": 5}))))
    assert dataset.classes == ("bus", "test", "train")


def test_images_deeper_in_a_class_folder_belong_to_it(make_folder):
    dataset = open_dataset(Data(path=str(make_folder({"cat/monday": 4, "cat/tuesday/noon": 4, "dog": 8}))))
    assert sum(dataset.labels == 0) == 8


def test_unusual_names_links_and_system_files(make_folder, tmp_path, watcher):
    root = make_folder({"my cats": 6, "çok güzel 猫": 6}, name="photos of été")
    elsewhere = make_folder({"third": 6}, name="elsewhere", first_seed=50)
    (root / "linked").symlink_to(elsewhere / "third")
    (root / "my cats" / "loop").symlink_to(root / "my cats")
    for name in ("__MACOSX", ".git", "@eaDir"):
        (root / name).mkdir()
        (root / name / "x.png").write_bytes(b"not an image")
    for name in (".DS_Store", "Thumbs.db", "._000.png", "notes.txt", "labels.csv"):
        (root / "my cats" / name).write_bytes(b"x")
    (root / "my cats" / "UPPER.PNG").write_bytes((root / "my cats" / "000.png").read_bytes() + b"\0")
    link = tmp_path / "link"
    link.symlink_to(root)
    dataset = open_dataset(Data(path=str(link)), progress=watcher)
    assert dataset.classes == ("linked", "my cats", "çok güzel 猫")
    assert len(dataset) == 19
    (warning,) = watcher.warnings
    assert "ignoring 1 link" in warning and warning.endswith(": my cats/loop")
    listed = tmp_path / "dataset.csv"
    write_dataset_csv(listed, dataset.rows())
    again = open_run_dataset(read_dataset_csv(listed), dataset.root, dataset.classes, dataset.name)
    assert again.fingerprint == dataset.fingerprint


def test_a_class_name_in_two_unicode_forms_is_one_class(make_folder):
    composed, decomposed = unicodedata.normalize("NFC", "été"), unicodedata.normalize("NFD", "été")
    root = make_folder({f"train/{composed}": 6, "train/b": 6, f"test/{decomposed}": 2, "test/b": 2})
    dataset = open_dataset(Data(path=str(root)))
    assert dataset.classes == ("b", composed)
    assert totals(dataset)["test"] == [2, 2]


def test_relative_path_and_home(make_folder, monkeypatch):
    root = make_folder({"cat": 5, "dog": 5})
    monkeypatch.chdir(root)
    assert open_dataset(Data(path=".")).name == "photos"
    monkeypatch.setenv("HOME", str(root.parent))
    assert open_dataset(Data(path="~/photos")).root == root


def test_ignored_images_are_reported(make_folder, watcher):
    root = make_folder({"train/cat": 6, "train/dog": 6, "test": 3, "extra/cat": 2, ".": 1})
    (root / "train" / "cat" / "phone.HEIC").write_bytes(b"x")
    dataset = open_dataset(Data(path=str(root)), progress=watcher)
    assert len(dataset) == 12
    told = "\n".join(watcher.warnings)
    assert "3 images" in told and "outside of class folders" in told
    assert "2 images" in told and "extra" in told
    assert "1 .heic file in" in told


def test_a_class_without_test_images_is_a_warning(make_folder, watcher):
    root = make_folder({"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 0})
    dataset = open_dataset(Data(path=str(root)), progress=watcher)
    assert totals(dataset)["test"] == [2, 0]
    assert any("has no images of dog, so the test split" in warning for warning in watcher.warnings)


def test_limit_per_class_applies_to_training_and_validation_only(make_folder):
    root = make_folder({"train/cat": 20, "train/dog": 5, "test/cat": 9, "test/dog": 9})
    wide, narrow = (open_dataset(Data(path=str(root), limit_per_class=limit)) for limit in (6, 3))
    assert totals(wide) == {"train": [6, 4], "val": [4, 1], "test": [9, 9]}
    assert totals(narrow) == {"train": [3, 3], "val": [3, 1], "test": [9, 9]}
    assert set(narrow.files) < set(wide.files)


BAD_FOLDERS = {
    "no images": ({"cat": 0, "dog": 0}, "no images"),
    "nothing at all": ({".": 0}, "no images"),
    "no class folders": ({".": 4}, "not in class folders"),
    "one class": ({"cat": 4}, "only one class: 'cat'"),
    "empty class": ({"cat": 4, "dog": 4, "eel": 0}, "one class has no images: eel"),
    "empty class in train": ({"train/cat": 4, "train/dog": 0, "test/cat": 1}, "one class has no images: dog"),
    "class only in test": (
        {"train/a": 4, "train/b": 4, "test/a": 1, "test/b": 1, "test/Z": 1},
        "'test' contains classes that 'train' does not: Z",
    ),
    "class only in val": (
        {"train/a": 4, "train/b": 4, "valid/Z": 1},
        "'valid' contains classes that 'train' does not: Z",
    ),
    "no training folder": ({"val/a": 4, "test/a": 4}, "no training folder"),
    "two training folders": ({"train/a": 4, "Training/b": 4}, "same split"),
    "splits inside some classes": ({"cat/train": 4, "cat/test": 4, "dog": 4}, "put class folders inside split folders"),
    "too few to split": ({"cat": 5, "dog": 2}, "too few different images"),
    "empty test folder": ({"train/a": 4, "train/b": 4, "test/a": 0}, "no images"),
}


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_a_folder_that_cannot_be_used_for_training_is_an_error(make_folder, cache, name):
    counts, message = BAD_FOLDERS[name]
    with pytest.raises(InputError, match=message) as caught:
        open_dataset(Data(path=str(make_folder(counts))))
    assert caught.value.exit_code == 2
    assert not (cache / "decoded").exists()


def test_a_missing_folder_is_an_error_with_a_suggestion(make_folder):
    root = make_folder({"cat": 4, "dog": 4})
    with pytest.raises(InputError, match="does not exist") as caught:
        open_dataset(Data(path=str(root.with_name("photo"))))
    assert str(root) in str(caught.value)


def test_a_file_instead_of_a_folder_or_nothing_is_an_error(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="is a file"):
        open_dataset(Data(path=str(tmp_path / "photos.zip")))
    with pytest.raises(InputError, match="--data"):
        open_dataset(Data())


def test_an_empty_split_is_an_error(make_folder):
    root = make_folder({"cat": 8, "dog": 8})
    for split in (Split(val=0.0), Split(test=0.0)):
        with pytest.raises(InputError, match="is 0"):
            open_dataset(Data(path=str(root), split=split))


def test_unreadable_files_stop_the_run_or_are_left_out(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(InputError, match=r"cat/gone\.png: no such file"):
        open_dataset(Data(path=str(root)))
    assert len(open_dataset(Data(path=str(root), on_corrupt="skip"), progress=watcher)) == 16
    assert "cat/gone.png" in watcher.warnings[0]


def test_a_class_with_only_unreadable_files_is_an_error(make_folder):
    root = make_folder({"cat": 8, "dog": 8, "eel": 0})
    (root / "eel" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(InputError, match="'eel' has no readable image"):
        open_dataset(Data(path=str(root), on_corrupt="skip"))


def test_opening_a_folder_again_reads_no_file(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    first = open_dataset(Data(path=str(root)), progress=watcher)
    assert watcher.steps == {"reading images": 16}
    watcher.steps.clear()
    assert open_dataset(Data(path=str(root)), progress=watcher).sha256 == first.sha256
    assert watcher.steps == {}
    changed = root / "cat" / "000.png"
    changed.write_bytes((root / "dog" / "000.png").read_bytes())
    os.utime(changed, ns=(1, 1))
    assert open_dataset(Data(path=str(root)), progress=watcher).fingerprint != first.fingerprint
    assert watcher.steps == {"reading images": 1}


def test_a_damaged_manifest_is_written_again(make_folder, cache):
    root = make_folder({"cat": 8, "dog": 8})
    first = open_dataset(Data(path=str(root)))
    (manifest,) = (cache / "hashes").iterdir()
    manifest.write_text("{")
    assert open_dataset(Data(path=str(root))).sha256 == first.sha256


def test_the_images_of_a_run_that_moved_or_changed(make_folder):
    root = make_folder({"cat": 8, "dog": 8})
    dataset = open_dataset(Data(path=str(root)))
    rows, moved = dataset.rows(), root.with_name("moved")
    root.rename(moved)
    with pytest.raises(InputError, match="does not exist") as caught:
        open_run_dataset(rows, root, dataset.classes, dataset.name)
    assert "--data" in str(caught.value)
    found = open_run_dataset(rows, moved, dataset.classes, dataset.name)
    assert found.fingerprint == dataset.fingerprint
    assert found.splits.tolist() == dataset.splits.tolist()
    (moved / "cat" / "001.png").write_bytes(b"something else")
    with pytest.raises(InputError, match="1 of the run's 16 images have changed"):
        open_run_dataset(rows, moved, dataset.classes, dataset.name)
    (moved / "cat" / "000.png").unlink()
    with pytest.raises(InputError, match="1 of the run's 16 images cannot be read") as caught:
        open_run_dataset(rows, moved, dataset.classes, dataset.name)
    assert "--data" in str(caught.value)
