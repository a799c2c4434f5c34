"""``--resume`` with other images than before is an error that says what happened to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from train_helpers import changed, edgekit_here, recipe, write_images

from edgekit.documents.dataset_list import read_dataset_csv, write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.run import RunDocument
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.progress import Progress

COUNTS = dict.fromkeys(("train", "val", "test"), (4, 4, 4))


class Stop(Progress):
    """Ctrl-C when the features of the training images are computed."""

    def bar(self, description: str, total: int):
        if description.startswith("features of val"):
            raise KeyboardInterrupt
        return super().bar(description, total)


class Unfinished:
    """A run that was interrupted, and its images, which a test may change."""

    def __init__(self, folder: Path, weights: Path, *, broken: bool = False, flat: bool = False) -> None:
        self.images, self.kept, self.run = folder / "images", folder / "kept", RunFolder(folder / "run")
        write_images(self.images, {"all": (9, 9, 9)} if flat else COUNTS, seed=3)
        if flat:
            for place in (self.images / "all").iterdir():
                place.rename(self.images / place.name)
            (self.images / "all").rmdir()
        if broken:
            (self.images / "train" / "blue" / "broken.png").write_bytes(b"\x89PNG no image")
        shutil.copytree(self.images, self.kept)
        self.recipe = recipe(self.images, weights, epochs=1)
        if broken:
            self.recipe = changed(self.recipe, "data", on_corrupt="skip")
        with pytest.raises(KeyboardInterrupt):
            self.train(resume=False, progress=Stop())
        assert self.run.read_run().status == "running"
        shutil.copytree(self.run.path, folder / "as it was")

    def train(self, *, resume: bool = True, progress: Progress | None = None) -> RunDocument:
        from edgekit.train.training import train

        return train(self.recipe, self.run, resume=resume, progress=progress or Progress())

    def restored(self) -> Unfinished:
        for path, kept in ((self.images, self.kept), (self.run.path, self.run.path.with_name("as it was"))):
            shutil.rmtree(path)
            shutil.copytree(kept, path)
        return self

    def refused(self, *said: str) -> None:
        before = sha256_file(self.run.run_json)
        with pytest.raises(InputError) as error:
            self.train()
        for text in said:
            assert text in str(error.value)
        assert "new run" in str(error.value.hint)
        assert sha256_file(self.run.run_json) == before


@pytest.fixture(scope="module")
def made(tmp_path_factory, weights, cache):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(cache))
        return Unfinished(tmp_path_factory.mktemp("unfinished"), weights)


@pytest.fixture
def unfinished(made) -> Unfinished:
    return made.restored()


@pytest.fixture(scope="module")
def made_with_a_broken_image(tmp_path_factory, weights, cache):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(cache))
        return Unfinished(tmp_path_factory.mktemp("broken"), weights, broken=True)


@pytest.fixture
def broken(made_with_a_broken_image) -> Unfinished:
    return made_with_a_broken_image.restored()


def test_a_run_resumes_on_the_same_images(unfinished):
    rows = read_dataset_csv(unfinished.run.dataset)
    assert unfinished.train().done
    assert read_dataset_csv(unfinished.run.dataset) == rows


def test_an_added_image_is_an_error(unfinished):
    shutil.copy(unfinished.images / "test" / "blue" / "1.png", unfinished.images / "train" / "blue" / "new.png")
    unfinished.refused("1 added (train/blue/new.png)")


def test_a_removed_image_is_an_error(unfinished):
    (unfinished.images / "train" / "blue" / "1.png").unlink()
    (unfinished.images / "test" / "blue" / "2.png").unlink()
    unfinished.refused("2 removed (test/blue/2.png, train/blue/1.png)")


def test_a_replaced_image_is_an_error(unfinished):
    shutil.copy(unfinished.images / "val" / "green" / "1.png", unfinished.images / "val" / "green" / "2.png")
    unfinished.refused("1 changed (val/green/2.png)")


def test_an_image_of_another_class_is_an_error(unfinished):
    (unfinished.images / "train" / "blue" / "1.png").rename(unfinished.images / "train" / "green" / "other.png")
    unfinished.refused("1 moved to another class (train/green/other.png)")


def test_a_test_image_among_the_training_images_is_an_error(unfinished):
    for number in range(3):
        name = f"{number}.png"
        (unfinished.images / "test" / "blue" / name).rename(unfinished.images / "train" / "blue" / f"moved-{name}")
    (unfinished.images / "val" / "blue" / "1.png").unlink()
    unfinished.refused(
        "1 removed, 3 moved to another split (val/blue/1.png, train/blue/moved-0.png, train/blue/moved-1.png, ...)"
    )


def test_more_images_that_change_the_drawn_splits_are_an_error(tmp_path, weights):
    """edgekit draws the splits of a folder that has none, and draws different ones from more images."""
    unfinished = Unfinished(tmp_path, weights, flat=True)
    for name in ("amber", "blue", "green"):
        for number in range(4):
            content = (unfinished.images / name / f"{number}.png").read_bytes()
            (unfinished.images / name / f"more-{number}.png").write_bytes(content + b"more")
    unfinished.refused("12 added")


@pytest.mark.parametrize("damage", ["missing", "cut", "edited", "no text"])
def test_a_run_without_its_list_of_images_is_not_resumed(unfinished, damage, capsys):
    listed = unfinished.run.dataset
    unfinished.run.checkpoint.mkdir(exist_ok=True)
    if damage == "missing":
        listed.unlink()
    elif damage == "cut":
        listed.write_text(listed.read_text()[:-70])
    elif damage == "no text":
        listed.write_bytes(listed.read_bytes() + b"\xff\xfe\n")
    else:
        write_dataset_csv(listed, read_dataset_csv(listed)[1:])
    unfinished.refused("list of images is missing" if damage == "missing" else "list of images is damaged")
    assert edgekit_here("train", "--run", unfinished.run.path, "--resume") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_stopped_before_the_list_was_written_needs_the_same_images(unfinished):
    unfinished.run.dataset.unlink()
    shutil.rmtree(unfinished.run.checkpoint)
    extra = unfinished.images / "train" / "blue" / "new.png"
    shutil.copy(unfinished.images / "test" / "blue" / "1.png", extra)
    unfinished.refused("the images have changed")
    extra.unlink()
    assert unfinished.train().done


def test_a_skipped_image_may_stay_or_be_removed(broken):
    assert all("broken" not in row.path for row in read_dataset_csv(broken.run.dataset))
    assert [image.path for image in broken.run.read_run().dataset.corrupt] == ["train/blue/broken.png"]
    assert broken.train().done
    broken.restored()
    (broken.images / "train" / "blue" / "broken.png").unlink()
    assert broken.train().done


def test_a_skipped_image_that_was_repaired_counts_as_added(broken):
    shutil.copy(broken.images / "test" / "blue" / "1.png", broken.images / "train" / "blue" / "broken.png")
    broken.refused("1 added (train/blue/broken.png)")


def test_another_corrupt_image_counts_as_added(broken):
    (broken.images / "train" / "blue" / "second.png").write_bytes(b"\x89PNG none either")
    broken.refused("1 added (train/blue/second.png)")


def test_files_of_the_user_in_a_run_folder_are_kept(unfinished):
    """Pictures, checkpoints and partial files of edgekit are removed; notes next to them are kept."""
    run = unfinished.run
    mine = [run.checkpoint / "notes.txt", run.checkpoint / "mine.npz", run.gradcam / "notes.txt", run.gradcam / "a.jpg"]
    (run.gradcam).mkdir(parents=True)
    (run.gradcam / "999.jpg").write_text("of an older evaluation")
    for path in mine:
        path.write_text("mine")
    unfinished.train()
    assert all(path.read_text() == "mine" for path in mine)
    assert sorted(run.checkpoint.iterdir()) == sorted(mine[:2])
    assert not (run.gradcam / "999.jpg").exists()
