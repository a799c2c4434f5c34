"""Layouts of public datasets: what is read as what, what is left out with a word, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from data_helpers import opened
from PIL import Image

from edgekit.data.split_names import split_name
from edgekit.errors import InputError


@pytest.mark.parametrize(
    ("name", "split", "rest"),
    [
        ("train", "train", ""),
        ("TRAIN", "train", ""),
        ("Training", "train", ""),
        ("training_set", "train", ""),
        ("TrainingSet", "train", ""),
        ("trainset", "train", ""),
        ("traindata", "train", ""),
        ("train-images", "train", ""),
        ("dataset_train", "train", ""),
        ("train2017", "train", ""),
        ("01_train", "train", ""),
        ("train (1)", "train", ""),
        ("Train_Data", "train", ""),
        ("trainval", "train", ""),
        ("valid", "val", ""),
        ("Validation Set", "val", ""),
        ("val_images", "val", ""),
        ("dev", "val", ""),
        ("test1", "test", ""),
        ("TestImages", "test", ""),
        ("evaluation", "test", ""),
        ("seg_train", "train", "seg"),
        ("imagenet-val", "val", "imagenet"),
        ("asl_alphabet_test", "test", "asl alphabet"),
    ],
)
def test_names_of_split_folders(name, split, rest):
    assert split_name(name) == (split, rest)


@pytest.mark.parametrize("name", ["cat", "latest", "contest", "strain", "valley", "trainer", "train_test", "2017", ""])
def test_names_that_mean_no_split(name):
    assert split_name(name) is None


SPLIT_LAYOUTS = {
    "training_set and test_set": ("training_set/{}", None, "test_set/{}"),
    "suffixes": ("train_images/{}", "val_images/{}", "test_images/{}"),
    "other cases": ("TRAIN/{}", "Valid/{}", "TeSt/{}"),
    "camel case": ("TrainData/{}", None, "TestData/{}"),
    "years": ("train2017/{}", "val2017/{}", "test2017/{}"),
    "a name of the dataset": ("seg_train/{}", None, "seg_test/{}"),
    "each in a folder of its own name": ("seg_train/seg_train/{}", None, "seg_test/seg_test/{}"),
    "images inside": ("train/images/{}", "valid/images/{}", "test/images/{}"),
    "evaluation": ("training/{}", "validation/{}", "evaluation/{}"),
    "numbered": ("1_train/{}", "2_val/{}", "3_test/{}"),
    "in folders of their classes": ("{}/train", "{}/val", "{}/test"),
    "in the names of the classes": ("{}_train", "{}_val", "{}_test"),
    "before the names of the classes": ("Train_{}", None, "Test_{}"),
    "wrapped": ("archive/train/{}", "archive/val/{}", "archive/test/{}"),
    "wrapped twice": ("archive/data/train/{}", None, "archive/data/test/{}"),
}


@pytest.mark.parametrize("name", SPLIT_LAYOUTS)
def test_splits_are_recognised_by_name_and_content(make_folder, watcher, name):
    counts = {}
    for pattern, n in zip(SPLIT_LAYOUTS[name], (9, 3, 4)):
        if pattern is not None:
            counts |= {pattern.format("cats"): n, pattern.format("dogs"): n}
    dataset = opened(make_folder(counts), watcher)
    assert dataset.classes == ("cats", "dogs")
    n_test = int((dataset.splits == "test").sum())
    assert n_test == 8
    if SPLIT_LAYOUTS[name][1]:
        assert int((dataset.splits == "val").sum()) == 6
    assert watcher.warnings == []


WHOLE_LAYOUTS = {
    "one folder per class": ["{}"],
    "a wrapper": ["archive/{}"],
    "two wrappers": ["archive/flower_photos/{}"],
    "a folder inside each class": ["{}/images"],
    "days inside the classes": ["{}/monday", "{}/tuesday/noon", "{}"],
}


@pytest.mark.parametrize("name", WHOLE_LAYOUTS)
def test_wrappers_are_seen_through(make_folder, watcher, name):
    counts = {pattern.format(label): 6 for pattern in WHOLE_LAYOUTS[name] for label in ("rose", "tulip")}
    dataset = opened(make_folder(counts), watcher)
    assert dataset.classes == ("rose", "tulip")
    assert watcher.warnings == []


def test_a_class_may_have_the_name_of_a_split(make_folder):
    classes = {"train_station": 6, "test_tube": 6, "bus": 6}
    assert opened(make_folder(classes)).classes == ("bus", "test_tube", "train_station")
    vehicles = make_folder({"train": 6, "bus": 6, "test": 6}, "vehicles")
    assert opened(vehicles).classes == ("bus", "test", "train")


def test_test_images_without_labels_are_left_out_and_counted(make_folder, watcher):
    root = make_folder({"seg_train/a": 9, "seg_train/b": 9, "seg_test/a": 3, "seg_test/b": 3, "seg_pred": 5})
    dataset = opened(root, watcher)
    assert dataset.classes == ("a", "b")
    assert len(dataset) == 24
    assert "ignoring 5 images" in watcher.warnings[0] and "seg_pred" in watcher.warnings[0]


def test_a_copy_of_the_dataset_inside_is_left_out(make_folder, watcher):
    root = make_folder({"yes": 8, "no": 8})
    for name in ("yes", "no"):
        shutil.copytree(root / name, root / "brain_tumor_dataset" / name)
    dataset = opened(root, watcher)
    assert dataset.classes == ("no", "yes")
    assert len(dataset) == 16
    assert "16 images" in watcher.warnings[0] and "copies" in watcher.warnings[0]


def test_a_renamed_copy_inside_a_class_is_left_out(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    shutil.copytree(root, root.with_name("backup"))
    for path in list(root.with_name("backup").rglob("*.png")):
        path.rename(path.with_name(f"renamed-{path.name}"))
    root.with_name("backup").rename(root / "dog" / "backup")
    dataset = opened(root, watcher)
    assert dataset.counts()["train"] == {"cat": 5, "dog": 5}
    assert len(dataset) == 16
    assert "copies" in watcher.warnings[0]


def test_a_second_part_of_the_dataset_inside_is_refused(make_folder):
    root = make_folder({"yes": 8, "no": 8, "more/yes": 3, "more/no": 3})
    with pytest.raises(InputError, match="images that the classes do not have"):
        opened(root)
    assert opened(root, labels_from="inner-folders").classes == ("no", "yes")
    assert len(opened(root, labels_from="inner-folders")) == 22


REFUSED = {
    "sources or classes": (
        {"color/cat": 3, "color/dog": 3, "grey/cat": 3, "grey/dog": 3},
        "can be read in two ways: the classes are 'color', 'grey', or the folders inside them, 'cat', 'dog'",
    ),
    "groups or classes": (
        {"animal/cat": 3, "animal/dog": 3, "plant/rose": 3, "plant/tulip": 3},
        "can be read in two ways",
    ),
    "groups in split folders": (
        {f"{s}/{g}/{c}": 3 for s in ("train", "test") for g, c in (("x", "a"), ("x", "b"), ("y", "a"), ("y", "b"))},
        "can be read in two ways",
    ),
    "a split or a class": (
        {"train/freight": 3, "train/passenger": 3, "bus": 3, "car": 3},
        "can be read in two ways: 'train' contains folders",
    ),
    "several datasets": (
        {"fold1/train/a": 3, "fold1/train/b": 3, "fold2/train/a": 3, "fold2/train/b": 3},
        "several datasets with splits of their own: 'fold1', 'fold2'",
    ),
    "several pairs of splits": (
        {f"{d}_{s}/{c}": 3 for d in ("seg", "colour") for s in ("train", "test") for c in "ab"},
        "several datasets with splits of their own",
    ),
    "images only": ({"images": 6}, "not in class folders"),
    "images of a test split only": (
        {"train/a": 4, "train/b": 4, "val/images": 3},
        "the images of the val split are not in class folders",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_with_the_reason(make_folder, name):
    counts, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        opened(make_folder(counts))
    assert caught.value.hint


def test_an_option_says_which_folders_are_the_classes(make_folder):
    root = make_folder({"color/cat": 5, "color/dog": 5, "grey/cat": 5, "grey/dog": 5})
    assert opened(root, labels_from="folders").classes == ("color", "grey")
    inner = opened(root, labels_from="inner-folders")
    assert inner.classes == ("cat", "dog")
    assert len(inner) == 20
    trains = make_folder({"train/freight": 5, "train/passenger": 5, "bus": 5}, "vehicles", first_seed=50)
    assert opened(trains, labels_from="folders").classes == ("bus", "train")


def masks(root: Path, folder: str, names: list[str], format: str = "PNG") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        shape = np.zeros((40, 40), np.uint8)
        shape[5 : 20 + seed, 8:30] = 255
        Image.fromarray(shape).save(root / folder / name, format)


def test_masks_beside_the_images_are_left_out(make_folder, watcher):
    root = make_folder({"COVID/images": 6, "Normal/images": 6})
    for name in ("COVID", "Normal"):
        masks(root, f"{name}/masks", [f"{i:03d}.png" for i in range(6)])
    dataset = opened(root, watcher)
    assert dataset.classes == ("COVID", "Normal")
    assert len(dataset) == 12
    (warning,) = watcher.warnings
    assert "ignoring 12 segmentation masks" in warning
    assert "COVID/masks, Normal/masks" in warning


@pytest.mark.parametrize("place", ["masks/{}", "ground_truth/{}", "SegmentationMasks/{}"])
def test_masks_in_a_parallel_tree_are_left_out(make_folder, watcher, place):
    root = make_folder({"images/cat": 6, "images/dog": 6})
    for name in ("cat", "dog"):
        masks(root, place.format(name), [f"{i:03d}_mask.png" for i in range(6)])
    dataset = opened(root, watcher)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 12
    assert "ignoring 12 segmentation masks" in watcher.warnings[0]


def test_masks_in_the_same_folder_are_left_out(make_folder, watcher):
    root = make_folder({"benign": 6, "malignant": 6})
    for name in ("benign", "malignant"):
        masks(root, name, [f"{i:03d}_mask.png" for i in range(6)] + ["000_mask_1.png"])
    dataset = opened(root, watcher)
    assert len(dataset) == 12
    assert "ignoring 14 segmentation masks beside the images" in watcher.warnings[0]


def test_faces_with_masks_are_a_class(make_folder, watcher):
    root = make_folder({"mask": 6, "no_mask": 6, "face": 6})
    dataset = opened(root, watcher)
    assert dataset.classes == ("face", "mask", "no_mask")
    assert len(dataset) == 18
    assert watcher.warnings == []


def test_files_without_a_suffix_are_images_by_their_content(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        if number % 2:
            path.rename(path.with_suffix(""))
        elif number % 4:
            path.rename(path.with_name(f"{path.name}_large"))
    (root / "cat" / "README").write_text("no image")
    dataset = opened(root, watcher)
    assert len(dataset) == 16
    told = "\n".join(watcher.warnings)
    assert "reading 12 files that are images by their content" in told
    assert "ignoring 1 file that is not an image" in told
    assert "cat/README" in told


def test_links_show_no_image_twice(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    (root / "cat" / "up").symlink_to(root)
    (root / "dog" / "same").symlink_to(root / "cat")
    (root / "cat" / "far up").symlink_to("/")
    (root / "all").symlink_to(root / "dog")
    dataset = opened(root, watcher)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 16
    assert "ignoring 4 links" in watcher.warnings[0]


def test_the_same_file_in_two_classes_is_told(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8})
    for number in range(3):
        shutil.copy(root / "cat" / f"{number:03d}.png", root / "dog" / f"copy-{number}.png")
    opened(root, watcher)
    (warning,) = watcher.warnings
    assert "3 images have several labels" in warning
    assert "cat/000.png (cat) and dog/copy-0.png (dog)" in warning


def test_what_is_left_out_is_counted_and_named(make_folder, watcher):
    root = make_folder({"cat": 8, "dog": 8, ".": 2})
    for name in ("phone.HEIC", "other.heic", "array.npy", "more.zip", "odd.xyz"):
        (root / "cat" / name).write_bytes(b"x")
    opened(root, watcher)
    told = "\n".join(watcher.warnings)
    for text in ("2 .heic files", "1 .npy file", "1 .zip file", "cat/odd.xyz", "2 images directly in"):
        assert text in told


def test_class_names_that_differ_only_in_case_are_told(make_folder, watcher):
    opened(make_folder({"Cat": 8, "cat": 8, "dog": 8}), watcher)
    assert "differ only in upper and lower case" in watcher.warnings[0]


@pytest.mark.parametrize("name", ["one\u2028two", "three\x0bfour", "five\x85six", "seven\teight", "nine\nten"])
def test_class_names_with_control_characters_are_refused(make_folder, name):
    with pytest.raises(InputError, match="control character") as caught:
        opened(make_folder({name: 8, "cat": 8}))
    assert ascii(name) in str(caught.value)


MORE_REFUSED = {
    "unlabelled splits": ({"train": 5, "test1": 5}, "the images in 'test1', 'train' are not in class folders"),
    "an unlabelled split in itself": ({"train/train": 5}, "not in class folders"),
    "a dataset or a class": ({"data/cat": 4, "data/dog": 4, "bird": 4}, "can be read in two ways: 'data' may be"),
    "a dataset inside one class": ({"cat": 4, "dog": 4, "cat/dog": 2}, "folders named as classes"),
    "a whole archive as another class": ({"a": 4, "b": 4, "backup/train/a": 2, "backup/train/b": 2}, "do not have"),
    "class folders without images": ({"train/a": 0, "train": 3, "val/a": 3, "val": 1}, "not in class folders"),
    "class folders without images, named alike": (
        {"seg_train/a": 0, "seg_train": 3, "seg_test": 3},
        "not in class folders",
    ),
    "images and masks only": ({"image": 4, "labels": 0}, "not in class folders"),
}


@pytest.mark.parametrize("name", MORE_REFUSED)
def test_more_that_is_refused(make_folder, name):
    counts, message = MORE_REFUSED[name]
    with pytest.raises(InputError, match=message):
        opened(make_folder(counts))


def test_a_repository_with_pictures_in_its_docs(make_folder, watcher):
    root = make_folder({"data/cat": 8, "data/dog": 8, "docs": 2, "screenshots": 1})
    assert opened(root, watcher).classes == ("cat", "dog")
    told = "\n".join(watcher.warnings)
    assert "2 images" in told and "docs" in told and "screenshots" in told


def test_a_copy_of_the_splits_inside_a_split_is_left_out(make_folder, watcher):
    root = make_folder({"Training/a": 8, "Training/b": 8, "Testing/a": 3, "Testing/b": 3})
    shutil.copytree(root / "Training", root.with_name("copy"))
    root.with_name("copy").rename(root / "Training" / "Training")
    dataset = opened(root, watcher)
    assert dataset.classes == ("a", "b")
    assert len(dataset) == 22
    assert "16 images" in watcher.warnings[0]


def test_a_second_copy_of_everything_is_told(make_folder, watcher):
    root = make_folder({f"{s}/{c}": 6 for s in ("train", "test") for c in "ab"})
    shutil.copytree(root, root.with_name("chest"))
    root.with_name("chest").rename(root / "chest")
    dataset = opened(root, watcher)
    assert len(dataset) == 24
    assert "ignoring 24 images" in watcher.warnings[0]


def test_masks_beside_the_classes(make_folder, watcher):
    root = make_folder({"cat": 6, "dog": 6})
    for name in ("cat", "dog"):
        masks(root, f"masks/{name}", [f"{i:03d}.png" for i in range(6)])
    dataset = opened(root, watcher)
    assert dataset.classes == ("cat", "dog")
    assert "12 segmentation masks" in watcher.warnings[0]


def test_a_folder_with_other_files_only_says_which(make_folder):
    root = make_folder({"cat": 0, "dog": 0})
    for name in ("cat/1.heic", "cat/2.heic", "dog/all.zip"):
        (root / name).write_bytes(b"x")
    with pytest.raises(InputError, match="no images") as caught:
        opened(root)
    assert "2 .heic files" in str(caught.value)
    assert "1 .zip file" in str(caught.value)


def test_pipes_and_devices_are_not_read(make_folder):
    import os

    root = make_folder({"cat": 8, "dog": 8})
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "zero.png").symlink_to("/dev/zero")
    assert len(opened(root)) == 16


def test_two_folders_of_one_name_are_told(make_folder, watcher):
    dataset = opened(make_folder({"cat": 6, " cat ": 6, "dog": 6}), watcher)
    assert dataset.classes == ("cat", "dog")
    assert "as one class, 'cat'" in watcher.warnings[0]
