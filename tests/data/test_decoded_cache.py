"""The cache is never believed: damage of any kind is found, and what is damaged is made again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from data_helpers import Watcher, image

from edgekit.data import decode_dataset, open_dataset, open_run_dataset
from edgekit.errors import InputError
from edgekit.recipe import Data

DECODING = "decoding images"


@pytest.fixture
def photos(make_folder) -> Path:
    return make_folder({"cat": 12, "dog": 12})


def opened(root: Path):
    return open_dataset(Data(path=str(root)))


def decoded(root: Path, watcher=None) -> np.ndarray:
    return np.array(decode_dataset(opened(root), 32, progress=watcher or Watcher())[1])


def only(cache: Path, folder: str, suffix: str) -> Path:
    (file,) = (cache / folder).glob(f"*{suffix}")
    return file


def overwrite(file: Path, start: int, content: bytes) -> None:
    """Change bytes without changing the length or the time of a file."""
    status = file.stat()
    with file.open("r+b") as stream:
        stream.seek(start)
        stream.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


IMAGE = 32 * 32 * 3
DAMAGE = {
    "zeroed": (0, bytes(24 * IMAGE)),
    "one black image": (7 * IMAGE, bytes(IMAGE)),
    "one block in the middle": (11 * IMAGE + 512, b"\xff" * 512),
    "the last byte": (24 * IMAGE - 1, b"\x01"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_pixels_are_decoded_again(photos, cache, watcher, name):
    before = decoded(photos)
    file = only(cache, "decoded", ".u8")
    last = file.read_bytes()[-1]
    start, content = DAMAGE[name]
    overwrite(file, start, bytes([last ^ 1]) if name == "the last byte" else content)
    assert np.array_equal(decoded(photos, watcher), before)
    assert watcher.steps == {DECODING: 24}
    assert any("damaged" in text for text in watcher.infos)
    again = Watcher()
    assert np.array_equal(decoded(photos, again), before)
    assert again.steps == {}


@pytest.mark.parametrize("content", [None, b"", b"{", b"\0" * 400, b"{}", b'{"schema_version": 1}'])
def test_pixels_without_usable_checksums_are_decoded_again(photos, cache, watcher, content):
    before = decoded(photos)
    facts = only(cache, "decoded", ".json")
    facts.unlink() if content is None else facts.write_bytes(content)
    assert np.array_equal(decoded(photos, watcher), before)
    assert watcher.steps == {DECODING: 24}


def test_checksums_that_were_changed_are_not_believed(photos, cache, watcher):
    decoded(photos)
    facts = only(cache, "decoded", ".json")
    document = json.loads(facts.read_text())
    document["peak"] = 4095
    facts.write_text(json.dumps(document))
    decoded(photos, watcher)
    assert watcher.steps == {DECODING: 24}


def test_a_large_file_is_checked_by_a_sample(photos, cache, watcher, monkeypatch):
    decoded(photos)
    overwrite(only(cache, "decoded", ".u8"), 0, bytes(24 * IMAGE))
    monkeypatch.setattr("edgekit.data.decoded_file.CHECKED_BYTES", 4 * IMAGE)
    decoded(photos, watcher)
    assert watcher.steps == {DECODING: 24}


def swapped(document: dict) -> dict:
    files = document["files"]
    first, second = list(files)[:2]
    files[first][2], files[second][2] = files[second][2], files[first][2]
    return document


def test_a_wrong_hash_document_is_made_again(photos, cache):
    before = opened(photos)
    manifest = only(cache, "hashes", ".json")
    manifest.write_text(json.dumps(swapped(json.loads(manifest.read_text()))))
    assert opened(photos).sha256 == before.sha256
    assert decoded(photos).shape == (24, 32, 32, 3)


def test_a_hash_document_that_is_wrong_in_itself_is_dropped(photos, cache):
    """Sealed like any other, but wrong, as after a copy that kept the times of other files."""
    from edgekit.data.hashes import _Manifest

    rows, manifest = opened(photos).rows(), only(cache, "hashes", ".json")
    wrong = swapped(json.loads(manifest.read_text()))
    document = _Manifest.parse(wrong, "").seal()
    document.write(manifest)
    with pytest.raises(InputError, match="changed while"):
        decoded(photos)
    assert decoded(photos).shape == (24, 32, 32, 3)
    document.write(manifest)
    assert len(open_run_dataset(rows, photos, ("cat", "dog"), "photos")) == 24


def test_a_wrong_list_of_corrupt_images_is_not_believed(photos, cache):
    (photos / "cat" / "000.png").write_bytes(b"none")
    with pytest.raises(InputError, match="1 of 24 images"):
        decoded(photos)
    listed = cache / "corrupt.json"
    document = json.loads(listed.read_text())
    document["images"][opened(photos).sha256[5]] = "not an image"
    listed.write_text(json.dumps(document))
    with pytest.raises(InputError, match="1 of 24 images"):
        decoded(photos)


def test_pixels_are_on_the_disk_before_they_have_their_name(photos, cache, monkeypatch):
    """The order of the calls is what a power cut depends on."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        order.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().suffix or 'folder'}")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        order.append(f"name {Path(target).suffix}")
        return replace(self, target)

    dataset = opened(photos)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    decode_dataset(dataset, 32)
    assert order.index("fsync .partial") < order.index("name .u8") < order.index("fsync folder")
    assert order.index("fsync .json") < order.index("name .u8")
    image(999).save(photos / "cat" / "000.png")
    order.clear()
    opened(photos)
    assert order == ["fsync .json", "name .json"]


def test_too_large_images_are_decoded_after_the_limit_was_raised(make_folder, monkeypatch, watcher):
    root = make_folder({"cat": 6, "dog": 6})
    image(77, (2000, 2000)).save(root / "cat" / "large.png")
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", "20")
    for _ in range(2):
        with pytest.raises(InputError, match=r"cat/large\.png: decoding 2000 x 2000 pixels needs 32 MB.*=20"):
            decode_dataset(opened(root), 32)
    dataset, _ = decode_dataset(opened(root), 32, on_corrupt="skip", progress=watcher)
    assert len(dataset) == 12
    again = Watcher()
    decode_dataset(opened(root), 32, on_corrupt="skip", progress=again)
    assert again.steps == {}, "what is too large is known"
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", "100")
    assert len(decode_dataset(opened(root), 32)[0]) == 13


@pytest.mark.parametrize("damage", ["no archive", "an array", "another shape", "another kind", "a column less", "cut"])
def test_damaged_fingerprints_are_made_again(photos, cache, damage):
    from edgekit.data.audit.fingerprints import fingerprint

    dataset = opened(photos)
    before = fingerprint(dataset)
    file = only(cache, "fingerprints", ".npz")
    with np.load(file) as stored:
        columns = dict(stored)
    if damage == "no archive":
        file.write_bytes(b"none")
    elif damage == "an array":
        with file.open("wb") as stream:
            np.save(stream, columns["widths"])
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        changed = {
            "another shape": {"grey": columns["grey"][:, :4]},
            "another kind": {"hashes": columns["hashes"].astype(str)},
            "a column less": {"pixels": None},
        }[damage]
        columns |= changed
        np.savez(file, **{name: column for name, column in columns.items() if column is not None})
    watcher = Watcher()
    assert np.array_equal(fingerprint(dataset, watcher).hashes, before.hashes)
    assert watcher.steps == {"fingerprinting images": 24}
