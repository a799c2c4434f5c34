"""Random erasing and RandAugment: the boxes, agreement of CPU and accelerator, and repeatable epochs."""

from __future__ import annotations

import numpy as np
import pytest
from listeners import StopsAt
from test_phases import make_job
from train_helpers import SIDE, coloured_noise

from edgekit.data import augmentation as augmenting
from edgekit.errors import InputError
from edgekit.recipe import Augment, validate

N = 400
ERASING = Augment(erasing=0.6, erasing_area=0.4)


@pytest.fixture(scope="module")
def aug():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import augmentation_layers

    return augmentation_layers


def test_boxes_have_the_area_and_shape_of_the_paper():
    erase = augmenting.draw(ERASING, N, 224, 0, 0).erase
    drawn = erase[:, 2] > 0
    assert drawn.mean() == pytest.approx(0.6, abs=0.08)
    width, height = (erase[:, 2:4] - erase[:, :2])[drawn].T
    assert erase[:, :4].min() >= 0
    assert erase[:, :4].max() <= 224
    share = width * height / 224**2
    assert share.max() < 0.41
    assert share.min() > 0.019
    assert share.mean() == pytest.approx(0.21, abs=0.02)
    assert (np.maximum(width, height) / np.minimum(width, height)).max() < 3.4


def test_only_the_box_is_erased_and_with_one_colour():
    images = coloured_noise(N).astype(np.uint8)
    draws = augmenting.draw(ERASING, N, SIDE, 0, 0)
    changed = augmenting.apply_on_cpu(images, draws)
    for image, result, (x0, y0, x1, y1, *colour) in zip(images, changed, draws.erase.astype(int)):
        expected = image.copy()
        expected[y0:y1, x0:x1] = colour
        assert np.array_equal(result, expected)


def test_an_accelerator_erases_the_same_boxes(aug):
    images = coloured_noise(20).astype(np.uint8)
    draws = augmenting.draw(ERASING, 20, SIDE, 3, 1)
    on_step = np.asarray(aug.ApplyErasing()([images, draws.erase]))
    assert np.array_equal(on_step, augmenting.apply_on_cpu(images, draws))


def test_erasing_keeps_the_other_draws():
    plain, erasing = (augmenting.draw(Augment(zoom=0.2, erasing=e), N, SIDE, 0, 0) for e in (0.0, 0.5))
    assert np.array_equal(plain.warp, erasing.warp)
    assert plain.erase is None


def test_cpu_and_accelerator_train_alike_on_erased_and_mixed_images(tmp_path, aug):
    settings = {"augment": {"erasing": 0.5}, "mix": {"cutmix": {"probability": 0.5}}}
    on_cpu = make_job(tmp_path / "cpu", "from-scratch", epochs=2, **settings).go()
    on_step = make_job(tmp_path / "step", "from-scratch", epochs=2, **settings)
    on_step.on_accelerator = True
    assert np.allclose(on_cpu.values, on_step.go().values, atol=0.03)


def test_randaugment_changes_training_and_resumes_with_the_same_draws(tmp_path, aug):
    settings = {"epochs": 2, "augment": {"randaugment": 2}}
    whole = make_job(tmp_path / "whole", "from-scratch", **settings).go()
    plain = make_job(tmp_path / "plain", "from-scratch", epochs=2).go()
    assert not np.allclose(whole.values, plain.values, atol=0.01)
    stopped = make_job(tmp_path / "stopped", "from-scratch", **settings)
    with pytest.raises(KeyboardInterrupt):
        stopped.go(StopsAt("from-scratch  1/2"))
    assert stopped.go().values == pytest.approx(whole.values, abs=1e-5)


def test_views_of_images_that_change_in_the_step_are_an_error():
    with pytest.raises(InputError, match=r"randaugment changes images in the training step"):
        validate({"train": {"augment": {"randaugment": 2}, "feature_extraction": {"views": 2}}}, "recipe")
