"""Augmentation: the draws, their effect on an image, and that CPU and accelerator agree."""

from __future__ import annotations

import numpy as np
import pytest
from train_helpers import SIDE, coloured_noise

from edgekit.data import augmentation as augmenting
from edgekit.recipe import Augment

N = 200
CENTRE = (SIDE - 1) / 2
EVERYTHING = Augment(rotation=30, zoom=0.2, shift=0.1, flip="both", brightness=0.2, contrast=0.3)
SPOT = (22.0, 12.0)
"""Where the bright spot of the test picture is: (x, y)."""


@pytest.fixture(scope="module")
def aug():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import augmentation_layers

    return augmentation_layers


def spot(x: float, y: float) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3): a soft bright spot on black."""
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    light = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    return np.repeat(light.round().astype(np.uint8)[:, :, None], 3, axis=2)


def found(images: np.ndarray) -> np.ndarray:
    """(N, 2): where the spot of each image is, relative to the centre, as x to the right and y down."""
    light = images[..., 0].astype(float)
    light[light < 64] = 0
    total = light.sum(axis=(1, 2))
    x = (light.sum(axis=1) * np.arange(SIDE)).sum(axis=1) / total
    y = (light.sum(axis=2) * np.arange(SIDE)).sum(axis=1) / total
    return np.stack([x, y], axis=1) - CENTRE


def spots_after(aug, augment: Augment, start=SPOT, seed=0) -> np.ndarray:
    draws = augmenting.draw(augment, N, SIDE, seed, 0)
    return found(augmenting.apply_on_cpu(np.stack([spot(*start)] * N), draws))


def test_draws_without_changes_change_no_pixel(aug):
    images = coloured_noise(5).astype(np.uint8)
    draws = augmenting.draw(Augment(), 5, SIDE, 3, 1)
    assert np.array_equal(augmenting.apply_on_cpu(images, draws), images)
    on_accelerator = aug.ApplyDraws()([images, draws.warp, draws.tone])
    assert np.array_equal(np.asarray(on_accelerator), images.astype(np.float32))


@pytest.mark.parametrize("augment", [Augment(brightness=1e-9), Augment(contrast=1e-9), Augment(shift=1e-9)])
def test_tiny_changes_change_no_pixel(aug, augment):
    images = coloured_noise(5).astype(np.uint8)
    assert np.array_equal(augmenting.apply_on_cpu(images, augmenting.draw(augment, 5, SIDE, 0, 0)), images)


@pytest.mark.parametrize(
    ("flip", "mirrored"),
    [("horizontal", (slice(None), slice(None, None, -1))), ("vertical", (slice(None, None, -1),))],
)
def test_a_flip_mirrors_half_of_the_images_exactly(aug, flip, mirrored):
    image = coloured_noise(1)[0].astype(np.uint8)
    results = augmenting.apply_on_cpu(np.stack([image] * N), augmenting.draw(Augment(flip=flip), N, SIDE, 0, 0))
    flipped = [np.array_equal(result, image[mirrored]) for result in results]
    kept = [np.array_equal(result, image) for result in results]
    assert all(a != b for a, b in zip(flipped, kept))
    assert 0.35 * N < sum(flipped) < 0.65 * N


def test_both_flips_are_drawn_independently(aug):
    places = spots_after(aug, Augment(flip="both")).round(1)
    x, y = np.array(SPOT) - CENTRE
    corners, counts = np.unique(places, axis=0, return_counts=True)
    assert {tuple(corner) for corner in corners} == {(a * x, b * y) for a in (-1, 1) for b in (-1, 1)}
    assert counts.min() > 0.15 * N


def test_a_rotation_is_around_the_centre_up_to_its_angle_in_both_directions(aug):
    places = spots_after(aug, Augment(rotation=30))
    start = np.array(SPOT) - CENTRE
    assert np.hypot(*places.T) == pytest.approx(np.hypot(*start), abs=0.15)
    turned = np.rad2deg(np.arctan2(places[:, 1], places[:, 0]) - np.arctan2(start[1], start[0]))
    assert np.abs(turned).max() < 30.5
    assert turned.min() < -27
    assert turned.max() > 27
    assert abs(turned.mean()) < 5


def test_a_zoom_scales_the_distance_from_the_centre(aug):
    places = spots_after(aug, Augment(zoom=0.2))
    start = np.array(SPOT) - CENTRE
    factors = places / start
    assert factors[:, 0] == pytest.approx(factors[:, 1], abs=0.06)
    assert factors.min() > 0.77
    assert factors.max() < 1.23
    assert factors.min() < 0.83
    assert factors.max() > 1.17


def test_a_shift_moves_by_its_fraction_of_the_side_along_both_axes(aug):
    moved = spots_after(aug, Augment(shift=0.1), start=(CENTRE, CENTRE))
    limit = 0.1 * SIDE
    assert np.abs(moved).max() < limit + 0.1
    assert (np.abs(moved).max(axis=0) > 0.9 * limit).all()
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.2


def test_a_shift_does_not_change_rotation_zoom_and_flip(aug):
    alone = Augment(rotation=30, zoom=0.2, flip="horizontal")
    shifted = Augment(rotation=30, zoom=0.2, flip="horizontal", shift=0.05)
    moved = np.hypot(*(spots_after(aug, shifted) - spots_after(aug, alone)).T)
    assert 0.9 * 0.05 * SIDE < moved.max() < 1.2 * np.sqrt(2) * 0.05 * SIDE + 0.2


def test_brightness_and_contrast_of_a_grey_image(aug):
    grey = np.full((N, SIDE, SIDE, 3), 100, np.uint8)
    brighter = augmenting.apply_on_cpu(grey, augmenting.draw(Augment(brightness=0.1), N, SIDE, 0, 0))[
        :, 0, 0, 0
    ].astype(float)
    assert (brighter.min(), brighter.max()) == pytest.approx((100 - 25.5, 100 + 25.5), abs=1.5)
    contrasted = augmenting.apply_on_cpu(grey, augmenting.draw(Augment(contrast=0.5), N, SIDE, 0, 0))[
        :, 0, 0, 0
    ].astype(float)
    distances = 127.5 - contrasted
    assert (distances.min(), distances.max()) == pytest.approx((27.5 * 0.5, 27.5 * 1.5), abs=1.5)


def test_pixels_stay_in_their_range(aug):
    images = np.stack([np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE, 3), 255, np.uint8)] * 20)
    draws = augmenting.draw(Augment(brightness=0.5, contrast=0.5), len(images), SIDE, 0, 0)
    on_cpu = augmenting.apply_on_cpu(images, draws)
    on_accelerator = np.asarray(aug.ApplyDraws()([images, draws.warp, draws.tone]))
    assert on_accelerator.min() >= 0
    assert on_accelerator.max() <= 255
    assert np.abs(on_cpu - on_accelerator).max() <= 0.51


def test_cpu_and_accelerator_give_nearly_the_same_pixels(aug):
    """Tolerance: 4 levels of 255 anywhere and 0.5 on average, where neighbouring pixels differ by up to 60.

    OpenCV rounds the result to whole levels and, before its version 5, places to 1/32 pixel; the layer rounds nothing.
    """
    import cv2

    images = np.stack([cv2.GaussianBlur(image, (0, 0), 1.5) for image in coloured_noise(40)]).astype(np.uint8)
    draws = augmenting.draw(EVERYTHING, len(images), SIDE, 5, 2)
    on_cpu = augmenting.apply_on_cpu(images, draws).astype(float)
    on_accelerator = np.asarray(aug.ApplyDraws()([images, draws.warp, draws.tone]))
    assert on_accelerator.dtype == np.float32
    difference = np.abs(on_cpu - on_accelerator)
    assert difference.max() < 4
    assert difference.mean() < 0.5
    assert np.abs(on_cpu - images).mean() > 10  # something was changed


def test_draws_depend_only_on_seed_and_epoch(aug):
    def draws(seed=0, epoch=0):
        drawn = augmenting.draw(EVERYTHING, N, SIDE, seed, epoch)
        return np.concatenate([drawn.warp, drawn.tone], axis=1)

    assert np.array_equal(draws(), draws())
    assert not np.array_equal(draws(), draws(seed=1))
    assert not np.array_equal(draws(), draws(epoch=1))
    assert len(np.unique(draws()[:, 0])) == N


def test_switching_on_one_change_keeps_the_draws_of_the_others(aug):
    plain, more = (augmenting.draw(Augment(rotation=30, brightness=b), N, SIDE, 0, 0) for b in (0.0, 0.2))
    assert np.array_equal(plain.warp, more.warp)


def epoch_of(batch_size: int, *, epoch: int = 0, on_cpu: bool = True, seed: int = 0):
    from edgekit.data.augmentation import draw, epoch_order
    from edgekit.train.batches import Batches

    images, rows = coloured_noise(30).astype(np.uint8), np.arange(5, 30)
    targets = np.eye(25, dtype=np.float32)
    return Batches(
        images,
        rows,
        targets,
        np.ones(25, np.float32),
        epoch_order(25, seed, epoch),
        batch_size,
        draw(EVERYTHING, 25, SIDE, seed, epoch),
        on_cpu,
    )


def joined(batches, part: int) -> np.ndarray:
    return np.concatenate([batches[i][part] for i in range(len(batches))])


def test_an_epoch_is_the_same_with_any_batch_size(aug):
    for part in (0, 1, 2):
        assert np.array_equal(joined(epoch_of(4), part), joined(epoch_of(25), part))
    assert len(epoch_of(4)) == 7


def test_every_epoch_has_each_image_once_in_a_different_order(aug):
    orders = [joined(epoch_of(8, epoch=e), 1).argmax(axis=1) for e in (0, 1)]
    assert all(sorted(order) == list(range(25)) for order in orders)
    assert not np.array_equal(*orders)
    assert np.array_equal(orders[0], joined(epoch_of(3), 1).argmax(axis=1))


def test_one_worker_reads_the_batches(aug):
    """With more workers, the first epoch under JAX starts at the second batch (Keras 3.15)."""
    assert epoch_of(4).workers == 1


def test_fit_reads_the_same_batches_without_the_autotuner(aug):
    """With it, an epoch lasts until the autotuner wakes up: 10, 20 or 41 s (TensorFlow 2.21)."""
    batches = epoch_of(4)
    source = batches.source()
    assert source.options().autotune.enabled is False
    read = [[part.numpy() for part in batch] for batch in source]
    assert len(read) == len(batches) == int(source.cardinality())
    for index, batch in enumerate(read):
        assert all(np.array_equal(a, b) for a, b in zip(batch, batches[index]))


def test_an_accelerator_gets_the_same_images_and_draws(aug):
    on_cpu, on_accelerator = epoch_of(7), epoch_of(7, on_cpu=False)
    for index in range(len(on_cpu)):
        images, warp, tone = on_accelerator[index][0]
        assert images.dtype == np.uint8
        assert np.array_equal(augmenting.apply_on_cpu(images, augmenting.Draws(warp, tone)), on_cpu[index][0])


def test_the_augmenting_model_trains_the_network_behind_it(aug):
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(25, activation="softmax")(x))
    before = np.asarray(network.layers[-1].kernel)
    model = aug.training_model(network, EVERYTHING).model
    model.compile(keras.optimizers.Adam(0.1), keras.losses.CategoricalCrossentropy())
    batches = epoch_of(7, on_cpu=False)
    images, warp, tone = batches[0][0]
    changed = aug.ApplyDraws()([images, warp, tone])
    assert np.allclose(model.predict_on_batch([images, warp, tone]), network(changed), atol=1e-5)
    fitted = model.fit(batches.source(), epochs=1, verbose=0, shuffle=False)
    assert np.isfinite(fitted.history["loss"][0])
    assert not np.allclose(before, np.asarray(network.layers[-1].kernel))
