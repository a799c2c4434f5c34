"""The cache of decoded images: its content, when it is used, and what remains after errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from data_helpers import SHARED, Watcher, image

from edgekit.data import cache_size, clear_cache, decode_dataset, open_dataset
from edgekit.data.digits import digits_folder
from edgekit.device.images import load_image
from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import Data

DECODING = "decoding images"


def opened(root: Path, **settings):
    return open_dataset(Data(path=str(root), **settings))


def files(cache: Path) -> dict[str, tuple[int, int, int]]:
    """Name, inode, size and time of everything below ``decoded``."""
    return {
        p.name: (p.stat().st_ino, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted((cache / "decoded").iterdir())
    }


@pytest.fixture
def photos(make_folder) -> Path:
    return make_folder({"cat": 30, "dog": 25})


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_every_row_is_its_image(photos, resize):
    dataset, pixels = decode_dataset(opened(photos), 32, resize)
    assert pixels.shape == (55, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert isinstance(pixels, np.memmap)
    for row, path in zip(pixels, dataset.paths()):
        assert np.array_equal(row, load_image(path, 32, resize))
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_the_second_run_decodes_nothing(photos, cache, watcher):
    first, pixels = decode_dataset(opened(photos), 32, progress=watcher)
    assert watcher.steps[DECODING] == 55
    assert any("images/s" in text for text in watcher.infos)
    before, again = files(cache), Watcher()
    second, same = decode_dataset(opened(photos), 32, progress=again)
    assert again.steps == {}
    assert files(cache) == before
    assert np.array_equal(pixels, same)
    assert first.files == second.files


def test_the_same_images_in_another_place_are_not_decoded_again(photos, cache, watcher):
    before, _ = decode_dataset(opened(photos), 32)
    kept = files(cache)
    other = photos.with_name("elsewhere")
    shutil.copytree(photos, other, copy_function=shutil.copyfile)
    for path in other.rglob("*.png"):
        os.utime(path, (1, 1))
    after, _ = decode_dataset(opened(other), 32, progress=watcher)
    assert watcher.steps == {}
    assert files(cache) == kept
    assert before.fingerprint == after.fingerprint


def test_every_size_resize_and_content_has_its_own_file(photos, cache, watcher):
    decode_dataset(opened(photos), 32)
    decode_dataset(opened(photos), 40)
    decode_dataset(opened(photos), 32, "crop")
    image(999).save(photos / "cat" / "000.png")
    _, pixels = decode_dataset(opened(photos), 32)
    assert len([name for name in files(cache) if name.endswith(".u8")]) == 4
    assert np.array_equal(pixels[0], load_image(photos / "cat" / "000.png", 32))


def test_a_truncated_cache_file_is_written_again(photos, cache, watcher):
    _, pixels = decode_dataset(opened(photos), 32)
    expected = np.array(pixels)
    del pixels
    (file,) = (cache / "decoded").glob("*.u8")
    os.truncate(file, 1000)
    _, pixels = decode_dataset(opened(photos), 32, progress=watcher)
    assert watcher.steps == {DECODING: 55}
    assert np.array_equal(pixels, expected)


@pytest.fixture
def damaged(photos) -> Path:
    (photos / "cat" / "003.png").write_bytes(b"<html>not found</html>")
    (photos / "dog" / "004.png").write_bytes((photos / "dog" / "004.png").read_bytes()[:-60])
    (photos / "dog" / "empty.jpg").write_bytes(b"")
    return photos


def test_corrupt_images_stop_the_run_and_are_all_listed(damaged, cache):
    for _ in range(2):
        with pytest.raises(InputError, match="3 of 56 images cannot be decoded") as caught:
            decode_dataset(opened(damaged), 32)
        assert caught.value.exit_code == 2
        for text in ("cat/003.png: not an image", "dog/004.png: ", "dog/empty.jpg: the file is empty", "skip"):
            assert text in str(caught.value)
        assert not list((cache / "decoded").glob("*partial*"))


def test_corrupt_images_are_skipped_on_request(damaged, watcher):
    dataset, pixels = decode_dataset(opened(damaged), 32, on_corrupt="skip", progress=watcher)
    assert len(dataset) == len(pixels) == 53
    assert all(np.array_equal(row, load_image(path, 32)) for row, path in zip(pixels, dataset.paths()))
    assert "3 of 56 images" in watcher.warnings[0]
    assert "cat/003.png" in watcher.warnings[0]


def test_after_a_stop_neither_skipping_nor_removing_decodes_again(damaged, cache, watcher):
    with pytest.raises(InputError):
        decode_dataset(opened(damaged), 32)
    kept = files(cache)
    skipped, _ = decode_dataset(opened(damaged), 32, on_corrupt="skip", progress=watcher)
    for name in ("cat/003.png", "dog/004.png", "dog/empty.jpg"):
        (damaged / name).unlink()
    removed, _ = decode_dataset(opened(damaged), 32, progress=watcher)
    assert DECODING not in watcher.steps
    assert files(cache) == kept
    assert skipped.files == removed.files


def test_many_corrupt_images_are_counted_and_the_first_ten_listed(make_folder):
    root = make_folder({"cat": 30, "dog": 30})
    for path in (root / "cat").iterdir():
        if path.name >= "005":
            path.write_bytes(b"x" + path.name.encode())
    with pytest.raises(InputError, match="25 of 60 images") as caught:
        decode_dataset(opened(root), 32)
    assert str(caught.value).count(".png") == 10
    assert "and 15 more" in str(caught.value)


def test_a_class_with_only_corrupt_images_is_an_error_even_when_skipping(make_folder, cache):
    root = make_folder({"cat": 10, "dog": 10})
    for path in (root / "cat").iterdir():
        path.write_bytes(path.name.encode())
    with pytest.raises(InputError, match="class 'cat' has no readable test images left"):
        decode_dataset(opened(root), 32, on_corrupt="skip")
    for path in (root / "dog").iterdir():
        path.write_bytes(b"dog" + path.name.encode())
    for _ in range(2):
        with pytest.raises(InputError, match="none of the 20 images"):
            decode_dataset(opened(root), 32, on_corrupt="skip")


def test_an_image_that_changes_before_it_is_decoded_is_an_error(photos, cache):
    dataset = opened(photos)
    image(777).save(photos / "dog" / "002.png")
    with pytest.raises(InputError, match="changed while"):
        decode_dataset(dataset, 32)
    (photos / "dog" / "002.png").unlink()
    with pytest.raises(InputError, match="can no longer be read"):
        decode_dataset(dataset, 32)
    assert files(cache) == {}


class Interrupter(Watcher):
    """Presses Ctrl-C after twenty images."""

    def advanced(self, description: str) -> None:
        if self.steps[description] >= 20:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_no_partial_cache(photos, cache, watcher):
    with pytest.raises(KeyboardInterrupt):
        decode_dataset(opened(photos), 32, progress=Interrupter())
    assert files(cache) == {}
    decode_dataset(opened(photos), 32, progress=watcher)
    assert watcher.steps == {DECODING: 55}


KILLED = """
import os, signal, sys
from data_helpers import Watcher
from edgekit.data import decode_dataset, open_dataset
from edgekit.recipe import Data

class Killer(Watcher):
    def advanced(self, description):
        if self.steps[description] >= 40:
            os.kill(os.getpid(), signal.SIGKILL)

decode_dataset(open_dataset(Data(path=sys.argv[1])), 32, progress=Killer())
"""


def test_the_partial_file_of_a_killed_process_is_not_used(photos, cache, watcher):
    opened(photos)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    dead = subprocess.run([sys.executable, "-c", KILLED, str(photos)], env=environment, check=False, timeout=60)
    assert dead.returncode == -9
    assert list(files(cache)) == ["new.partial"]
    dataset, pixels = decode_dataset(opened(photos), 32, progress=watcher)
    assert watcher.steps == {DECODING: 55}
    assert np.array_equal(pixels[-1], load_image(dataset.paths()[-1], 32))
    assert [Path(name).suffix for name in files(cache)] == [".json", ".u8"]


def test_two_processes_at_the_same_time_decode_once(photos):
    dataset, watchers = opened(photos), [Watcher(), Watcher()]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda w: decode_dataset(dataset, 32, progress=w)[1], watchers))
    assert sum(DECODING in w.steps for w in watchers) == 1
    assert np.array_equal(*results)


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A real file system of 1 MB as the cache."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root on Linux")
    monkeypatch.setenv("EDGEKIT_CACHE", str(folder / "cache"))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_too_little_disk_space_is_an_error_before_anything_is_decoded(photos, small_disk, watcher):
    with pytest.raises(EdgekitError, match=r"need 2\.2 MB") as caught:
        decode_dataset(opened(photos), 116, progress=watcher)
    assert caught.value.exit_code == 1
    assert "EDGEKIT_CACHE" in str(caught.value)
    assert DECODING not in watcher.steps
    assert list((small_disk / "cache" / "decoded").iterdir()) == []


def test_a_disk_that_becomes_full_leaves_nothing_behind(photos, small_disk):
    filler = small_disk / "somebody else's file"

    class Filler(Watcher):
        def advanced(self, description: str) -> None:
            if description == DECODING and not filler.exists():
                with filler.open("wb", buffering=0) as stream:
                    try:
                        while stream.write(bytes(4096)):
                            pass
                    except OSError:
                        pass

    with pytest.raises(EdgekitError, match="the disk is full") as caught:
        decode_dataset(opened(photos), 64, progress=Filler())
    assert caught.value.exit_code == 1
    assert list((small_disk / "cache" / "decoded").iterdir()) == []
    filler.unlink()
    assert decode_dataset(opened(photos), 64)[1].shape == (55, 64, 64, 3)


def test_a_cache_that_cannot_be_created_is_an_error_with_its_path(photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(EdgekitError, match="cache cannot be used") as caught:
        opened(photos)
    assert "EDGEKIT_CACHE" in str(caught.value)


def test_the_size_of_the_cache_and_clearing_it(photos, cache):
    assert cache_size() == 0
    assert clear_cache() == 0
    decode_dataset(opened(photos), 32)
    size = cache_size()
    assert size > 55 * 32 * 32 * 3
    (cache / "not ours.txt").write_text("x")
    assert clear_cache() == size
    assert cache_size() == 0
    assert (cache / "not ours.txt").exists()


def test_real_images(watcher):
    root = SHARED / "data" / "brain-tumor-mri"
    if not root.is_dir():
        pytest.skip(f"no brain-MRI images at {root}")
    dataset = opened(root, limit_per_class=20)
    dataset = dataset.take(np.concatenate([dataset.indices("train"), dataset.indices("test")[::40]]))
    dataset, pixels = decode_dataset(dataset, 96, progress=watcher)
    assert watcher.steps[DECODING] == len(pixels) == 80 + 33
    assert all(np.array_equal(row, load_image(path, 96)) for row, path in zip(pixels, dataset.paths()))


def test_clearing_the_cache_keeps_files_that_edgekit_did_not_write(photos, cache):
    """The user may have chosen a folder that contains other files, even with the same names."""
    decode_dataset(opened(photos), 32)
    outside = cache.parent / "elsewhere"
    mine = [cache / "datasets" / "cats.partial" / "1.png", cache / "datasets" / "cats" / "1.png", outside / "x.u8"]
    mine += [cache / "hashes" / "a.json", cache / "decoded" / "my.u8", cache / "fingerprints" / ".git" / "config"]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    link = cache / "decoded" / f"{'0' * 32}.u8"
    link.symlink_to(outside / "x.u8")
    size = cache_size()
    digits = digits_folder()
    assert digits.is_dir()
    assert clear_cache() > size > 0
    assert cache_size() == 0
    assert not digits.exists()
    assert all(path.read_text() == "mine" for path in mine)
    assert link.is_symlink()
