"""Layouts of public datasets: what is read as what, what is left out with a word, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from data_helpers import image
from PIL import Image

from edgekit.data import Dataset, open_dataset
from edgekit.data.file_labels import label_of_file_name
from edgekit.data.split_names import split_name
from edgekit.errors import InputError
from edgekit.recipe import Data

SPLITS = ("train", "val", "test")


def opened(root: Path, watcher=None, **settings) -> Dataset:
    return open_dataset(Data(path=str(root), **settings), **({"progress": watcher} if watcher else {}))


def own_splits(dataset: Dataset) -> dict[str, set[str]]:
    """The first folder on the path of the images of each split."""
    return {s: {f.split("/")[0] for f, t in zip(dataset.files, dataset.splits) if t == s} for s in SPLITS}


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


# Labels in file names and in lists


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"),
        ("train/dog.12499.jpg", "dog"),
        ("Abyssinian_12.jpg", "Abyssinian"),
        ("great_pyrenees_108.jpg", "great_pyrenees"),
        ("benign (12).png", "benign"),
        ("mp3_001.png", "mp3"),
        ("cat0001.png", "cat"),
        ("cat_001_2.png", "cat"),
        ("0001-cat.png", "cat"),
        ("12 dog.png", "dog"),
        ("1.jpg", None),
        ("cat.jpg", None),
        ("20240101_123456.jpg", None),
    ],
)
def test_the_label_in_a_file_name(name, label):
    assert label_of_file_name(name) == label


def flat(make_folder, names: list[str], folder: str = ".", name: str = "flat") -> Path:
    root = make_folder({folder: 0}, name)
    for seed, file in enumerate(names):
        path = root / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        image(seed).save(path, "PNG")
    return root


def test_labels_in_file_names_are_read_on_request(make_folder, watcher):
    names = [f"{label}.{i}.jpg" for label in ("cat", "dog") for i in range(10)]
    root = flat(make_folder, [*names, "sample.jpg"])
    with pytest.raises(InputError, match="not in class folders") as caught:
        opened(root)
    assert "--labels-from file-names" in str(caught.value)
    dataset = opened(root, watcher, labels_from="file-names")
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 20
    assert "ignoring 1 image" in watcher.warnings[0] and "sample.jpg" in watcher.warnings[0]


def test_labels_in_file_names_inside_split_folders(make_folder, watcher):
    names = [f"train/{label}.{i}.jpg" for label in ("cat", "dog") for i in range(9)]
    names += [f"test1/{i}.jpg" for i in range(4)]
    dataset = opened(flat(make_folder, names), watcher, labels_from="file-names")
    assert len(dataset) == 18
    assert "ignoring 4 images" in watcher.warnings[0]
    names = [n for n in names if n.startswith("train")] + [f"test/{n}.{i}.jpg" for n in ("cat", "dog") for i in (1, 2)]
    dataset = opened(flat(make_folder, names, name="both"), labels_from="file-names")
    assert own_splits(dataset)["test"] == {"test"}


def test_names_without_labels_are_refused(make_folder):
    root = flat(make_folder, [f"{chr(97 + i)}{i}.jpg" for i in range(12)])
    with pytest.raises(InputError, match="contain no labels"):
        opened(root, labels_from="file-names")


LISTS = {
    "names": "filename,label\n{rows}",
    "a byte order mark and semicolons": "\ufefffile;class\n{rows}",
    "tabs": "image\tbreed\n{rows}",
    "no header": "{rows}",
    "more columns": "id,image,annotator,choice\n{rows}",
    "unknown names": "a,b\n{rows}",
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("suffix", [".png", ""])
def test_labels_in_a_list_are_read_on_request(make_folder, watcher, name, suffix):
    root = flat(make_folder, [f"images/{i:03d}.png" for i in range(20)])
    separator = {"a byte order mark and semicolons": ";", "tabs": "\t"}.get(name, ",")
    rows = [[f"{i:03d}{suffix}", ("cat", "dog")[i % 2]] for i in range(19)]
    if name == "more columns":
        rows = [[str(1000 + i), file, "7", label] for i, (file, label) in enumerate(rows)]
    text = LISTS[name].format(rows="\n".join(separator.join(row) for row in rows))
    (root / "train.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not in class folders") as caught:
        opened(root)
    assert "--labels-from train.csv" in str(caught.value)
    dataset = opened(root, watcher, labels_from="train.csv")
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 19
    assert "ignoring 1 image that train.csv does not list: images/019.png" in watcher.warnings[0]
    assert all((int(file[-7:-4]) % 2 == 1) == (label == 1) for file, label in zip(dataset.files, dataset.labels))


def test_a_list_with_one_column_per_class_and_splits(make_folder):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(20)])
    rows = [f"{i:03d}.png,{int(i % 2 == 0)},{int(i % 2)},{'test' if i > 13 else 'Training'}" for i in range(20)]
    (root / "_classes.csv").write_text("filename, cat, dog, split\n" + "\n".join(rows))
    dataset = opened(root, labels_from="_classes.csv")
    assert dataset.classes == ("cat", "dog")
    assert dataset.counts()["test"] == {"cat": 3, "dog": 3}


def test_a_list_in_each_split_folder(make_folder):
    root = flat(make_folder, [f"{split}/{i:03d}.png" for split in ("train", "valid", "test") for i in range(8)])
    for split in ("train", "valid", "test"):
        rows = "\n".join(f"{i:03d}.png,{int(i % 2 == 0)},{int(i % 2)}" for i in range(8))
        (root / split / "_classes.csv").write_text("filename,cat,dog\n" + rows)
    dataset = opened(root, labels_from="_classes.csv")
    assert {split: sum(n.values()) for split, n in dataset.counts().items()} == {"train": 8, "val": 8, "test": 8}


def test_paths_in_lists_of_labeling_tools(make_folder):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(6)])
    paths = ["/data/upload/1/ab12cd34-000.png", "/data/local-files/?d=001.png", "C:\\me\\002.png", "./003.png"]
    paths += ["/content/x/004.png", "flat/005.png"]
    rows = "\n".join(f"{path},{'cat' if i < 3 else 'dog'}" for i, path in enumerate(paths))
    (root / "labels.csv").write_text("image,choice\n" + rows)
    assert len(opened(root, labels_from="labels.csv")) == 6


BAD_LISTS = {
    "two labels": ("filename,label\n000.png,cat\n001.png,dog\n000.png,dog\n", "has two labels, 'cat' and 'dog'"),
    "no label": ("filename,label\n000.png,cat\n001.png,\n", "line 3 has no label"),
    "several": ("filename,cat,dog\n000.png,1,0\n001.png,1,1\n", "line 3 has several labels"),
    "none set": ("filename,cat,dog\n000.png,1,0\n001.png,0,0\n", "line 3 has no label"),
    "other files": ("filename,label\nx.png,cat\ny.png,dog\n", "no column of this list names images"),
    "unclear": ("filename,a,b\n000.png,x,y\n001.png,z,w\n", "not clear which column"),
    "ragged": ("filename,label\n000.png,cat,1\n", "line 2 has 3 columns"),
    "odd split": ("filename,label,split\n000.png,cat,train\n001.png,dog,monday\n", "'monday' is not a split"),
    "empty": ("", "empty"),
    "one column": ("filename\n000.png\n", "one column"),
    "a path as label": ("filename,label\n000.png,../../x\n001.png,dog\n", "cannot be the name of a folder"),
    "control character": ("filename,label\n000.png,a\u2028b\n001.png,dog\n", "control character"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_list_that_cannot_be_used_is_refused_with_the_line(make_folder, name):
    text, message = BAD_LISTS[name]
    root = flat(make_folder, [f"{i:03d}.png" for i in range(4)])
    (root / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        opened(root, labels_from="labels.csv")


def test_a_list_that_does_not_exist_names_those_that_do(make_folder):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(4)])
    (root / "labels.csv").write_text("filename,label\n")
    with pytest.raises(InputError, match="does not exist") as caught:
        opened(root, labels_from="label.csv")
    assert "there is: labels.csv" in str(caught.value)


def test_listed_files_that_are_missing_are_counted_and_named(make_folder, watcher):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(12)])
    rows = "\n".join(f"{i:03d}.png,{'cat' if i % 2 else 'dog'}" for i in range(14))
    (root / "labels.csv").write_text(f"filename,label\n{rows}\n")
    assert len(opened(root, watcher, labels_from="labels.csv")) == 12
    assert "leaving out 2 of 14 listed files, which are missing: '012.png', '013.png'" in watcher.warnings[0]


# Other members of the same kinds

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


@pytest.mark.parametrize("given", ["x" * 300, "a\0b", ".", "~nobody-here/x.csv", "../x.csv", "/dev/null"])
def test_odd_names_of_lists_are_input_errors(make_folder, given):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(4)])
    with pytest.raises((InputError, ValueError)) as caught:
        opened(root, labels_from=given)
    assert isinstance(caught.value, InputError) or "labels_from" in str(caught.value)
