"""``edgekit corrupt``: the copy can be used for training, depends only on the seed, and is never half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.cli.app import main
from edgekit.data.corrupted_copy import corrupt_folder
from edgekit.data.loading import open_dataset
from edgekit.device.corruptions import corrupt
from edgekit.device.images import decode_rgb
from edgekit.errors import InputError
from edgekit.recipe import Data


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes; 8 training and 5 test images each, of two sizes."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 5)):
        for name in ("cat", "dog"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                shape = (40, 30 + 10 * (number % 2), 3)
                Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.png"))}


def test_the_copy_can_be_used_for_training(photos, tmp_path, capsys):
    out = tmp_path / "water"
    with pytest.raises(SystemExit) as ended:
        main(["corrupt", str(photos), str(out), "--severities", "2,4", "--per-class", "6", "--json", "--quiet"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"train": {"cat": 6, "dog": 6}, "test": {"cat": 5, "dog": 5}}
    assert sum(document["images_by_severity"].values()) == 22
    assert min(document["images_by_severity"].values()) > 0
    dataset = open_dataset(Data(path=str(out)))
    assert dataset.classes == ("cat", "dog")
    assert dict(zip(*np.unique(dataset.splits, return_counts=True)))["test"] == 10
    assert json.loads((out / "corrupted.json").read_text())["corruption"] == "deep-water"


def test_every_image_is_a_corrupted_original(photos, tmp_path):
    corrupt_folder(photos, tmp_path / "foggy", "fog", [3], seed=5)
    originals = [decode_rgb(file) for file in sorted(photos.rglob("*.png"))]
    expected = {corrupt(np.asarray(image), "fog", 3, 5).tobytes() for image in originals}
    assert {np.asarray(Image.open(file)).tobytes() for file in (tmp_path / "foggy").rglob("*.png")} == expected


def test_the_same_seed_gives_the_same_copy(photos, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        corrupt_folder(photos, tmp_path / name, "deep-water", [1, 2, 3], seed=seed, per_class=4, test_per_class=2)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert len(a) == 2 * (4 + 2)


@pytest.mark.parametrize(("name", "severities"), [("rain", [1]), ("fog", [0]), ("fog", [])])
def test_an_unknown_corruption_or_severity_is_an_error(photos, tmp_path, name, severities):
    with pytest.raises(InputError, match=r"unknown corruption|severities must"):
        corrupt_folder(photos, tmp_path / "out", name, severities)
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_kept_and_a_damaged_image_leaves_nothing_behind(photos, tmp_path):
    (tmp_path / "used").mkdir()
    with pytest.raises(InputError, match="already exists"):
        corrupt_folder(photos, tmp_path / "used", "fog", [1])
    (photos / "train" / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be decoded"):
        corrupt_folder(photos, tmp_path / "out", "fog", [1])
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["photos", "used"]


def test_a_hidden_folder_next_to_the_copy_is_kept(photos, tmp_path):
    mine = tmp_path / "new" / ".out.partial" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    corrupt_folder(photos, tmp_path / "new" / "out", "fog", [1])
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".out.partial", "out"]
    assert (tmp_path / "new" / "out").stat().st_mode == photos.stat().st_mode
