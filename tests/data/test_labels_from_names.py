"""Labels in file names, and in lists of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_helpers import image, opened, own_splits

from edgekit.data.file_labels import label_of_file_name
from edgekit.errors import InputError


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


@pytest.mark.parametrize("given", ["x" * 300, "a\0b", ".", "~nobody-here/x.csv", "../x.csv", "/dev/null"])
def test_odd_names_of_lists_are_input_errors(make_folder, given):
    root = flat(make_folder, [f"{i:03d}.png" for i in range(4)])
    with pytest.raises((InputError, ValueError)) as caught:
        opened(root, labels_from=given)
    assert isinstance(caught.value, InputError) or "labels_from" in str(caught.value)
