"""Scalings and orders of labels, judged on images: what is clear is found, what is chance is not."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.device.scaling import SCALINGS
from edgekit.documents.labels_file import read_labels_file
from edgekit.errors import InputError
from edgekit.train.imported.labels import folder_order, match_labels
from edgekit.train.imported.trials import Trial, Trials, try_scalings

RANDOM = np.random.default_rng(0)
LABELS = np.repeat(np.arange(4), 40)


def trial(accuracy: float, order: tuple[int, ...] = (0, 1, 2, 3), name: str = "unit", seed: int = 0) -> Trial:
    """A model that is right this often, and whose output i stands for class order[i]."""
    random = np.random.default_rng(seed)
    right = random.random(len(LABELS)) < accuracy
    classes = np.where(right, LABELS, (LABELS + random.integers(1, 4, len(LABELS))) % 4)
    return Trial(name, np.argsort(order)[classes], LABELS, 4, accuracy)


def test_a_good_model_with_good_labels_fits():
    assert not trial(0.9).fits_other_order
    assert trial(0.9).order.tolist() == [0, 1, 2, 3]


def test_a_permutation_is_found():
    found = trial(0.8, order=(2, 0, 1, 3))
    assert found.fits_other_order
    assert found.order.tolist() == [2, 0, 1, 3]
    assert found.reordered.mean() == pytest.approx(0.8, abs=0.1)


def test_two_exchanged_classes_of_four_are_found():
    assert trial(0.9, order=(1, 0, 2, 3)).fits_other_order


def test_a_search_among_all_orders_does_not_make_chance_look_good():
    by_chance = [trial(0.25, seed=seed) for seed in range(200)]
    assert sum(one.fits_other_order for one in by_chance) == 0
    best_of_all = np.mean([(one.order[one.predicted] == one.labels).mean() for one in by_chance])
    assert best_of_all > 0.3  # on the images themselves, the best order does look better than chance
    assert np.mean([one.reordered.mean() for one in by_chance]) == pytest.approx(0.25, abs=0.02)


def test_the_best_scaling_is_told_from_worse_but_not_from_equal_ones():
    trials = Trials(
        {"unit": trial(0.95, seed=1), "imagenet": trial(0.93, name="imagenet", seed=2), "none": trial(0.5, name="none")}
    )
    assert trials.best.scaling == "unit"
    assert [one.scaling for one in trials.equally_good()] == ["imagenet"]
    assert trials.better_than("none") is trials.best
    assert trials.better_than("imagenet") is None
    assert trials.works


def test_a_model_that_recognizes_nothing_does_not_work():
    assert not Trials({"unit": trial(0.25), "none": trial(0.25, name="none", seed=3)}).works


def test_scalings_that_give_nan_are_left_out():
    def predict(scaling):
        return np.full((4, 2), np.nan if scaling == SCALINGS["none"] else 0.5, np.float32)

    found = try_scalings(SCALINGS, predict, np.zeros(4, np.int32), lambda name: None)
    assert "none" not in found.by_scaling and "unit" in found.by_scaling


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat\ndog\n", ["cat", "dog"]),
        ("\ufeffcat\r\ndog\r\n\r\n", ["cat", "dog"]),
        ("0 cat\n1 dog\n", ["cat", "dog"]),
        ('["cat", "dog"]', ["cat", "dog"]),
        ('{"dog": 1, "cat": 0}', ["cat", "dog"]),
        ('{"0": "cat", "1": "dog"}', ["cat", "dog"]),
    ],
)
def test_label_files(tmp_path, text, labels):
    (tmp_path / "labels").write_text(text, encoding="utf-8")
    assert read_labels_file(tmp_path / "labels") == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no names"),
        ("cat\ncat\n", "'cat' occurs more than once"),
        ('{"cat": 3}', "0 is missing"),
        ("[1]", "not a class name"),
        ("0 cat\n2 dog\n", "1 is missing"),
    ],
)
def test_bad_label_files(tmp_path, text, message):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels_file(tmp_path / "labels")


def test_labels_match_folders_that_differ_in_case_and_spaces(tmp_path):
    assert match_labels(["No Tumor", "glioma"], ["Glioma", "no_tumor"], tmp_path) == ["no_tumor", "Glioma"]


def test_the_number_of_folders_must_be_that_of_the_classes(tmp_path):
    assert folder_order(["a", "b"], 2, tmp_path) == ["a", "b"]
    with pytest.raises(InputError, match="3 classes, and there are 2 image folders: 'a', 'b'"):
        folder_order(["a", "b"], 3, tmp_path)
