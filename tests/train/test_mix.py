"""MixUp and CutMix against the definitions in their papers: pixels, labels, weights, and which batches are mixed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_phases import make_job
from train_helpers import SIDE, coloured_noise

from edgekit.errors import InputError
from edgekit.recipe import Augment, Mix, validate

MIXUP = Mix.model_validate({"mixup": {"probability": 1.0, "alpha": 0.4}})
CUTMIX = Mix.model_validate({"cutmix": {"probability": 1.0, "alpha": 1.0}})
BRIGHTER = Augment(brightness=0.2)
BOTH = Mix.model_validate({"mixup": {"probability": 0.3}, "cutmix": {"probability": 0.5}})


@pytest.fixture(scope="module")
def mixing():
    from edgekit.train.backend import prepare_backend

    prepare_backend("cpu")
    from edgekit.train import mix

    return mix


def one_colour_each(n_images: int) -> np.ndarray:
    """uint8 (N, SIDE, SIDE, 3): every pixel of image i has the level i, which identifies the image."""
    return np.repeat(np.arange(n_images, dtype=np.uint8), SIDE * SIDE * 3).reshape(n_images, SIDE, SIDE, 3)


@settings(max_examples=60)
@given(
    n_images=st.integers(1, 40),
    alpha=st.floats(0.05, 4.0),
    seed=st.integers(0, 1000),
    epoch=st.integers(0, 50),
    batch=st.integers(0, 200),
)
def test_cutmix_labels_are_exactly_the_area_that_was_pasted(mixing, n_images, alpha, seed, epoch, batch):
    mix = Mix.model_validate({"cutmix": {"probability": 1.0, "alpha": alpha}})
    pairs = mixing.draw_pairs(mix, n_images, SIDE, seed, epoch, batch)
    mixed = mixing.mix_on_cpu(one_colour_each(n_images), pairs)
    labels, weights = mixing.mix_targets(np.eye(n_images, dtype=np.float32), np.ones(n_images, np.float32), pairs)
    own = (mixed[..., 0] == np.arange(n_images)[:, None, None]).mean(axis=(1, 2))
    theirs = (mixed[..., 0] == pairs.partner[:, None, None]).mean(axis=(1, 2))
    paired = pairs.partner != np.arange(n_images)
    assert np.allclose(own[paired] + theirs[paired], 1)
    assert np.allclose(labels[np.arange(n_images), np.arange(n_images)][paired], own[paired], atol=1e-6)
    assert np.allclose(labels[np.arange(n_images), pairs.partner][paired], theirs[paired], atol=1e-6)
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(weights, 1)


@settings(max_examples=40)
@given(n_images=st.integers(1, 40), alpha=st.floats(0.05, 4.0), seed=st.integers(0, 1000), batch=st.integers(0, 200))
def test_mixup_blends_pixels_and_labels_in_one_ratio(mixing, n_images, alpha, seed, batch):
    mix = Mix.model_validate({"mixup": {"probability": 1.0, "alpha": alpha}})
    pairs = mixing.draw_pairs(mix, n_images, SIDE, seed, 0, batch)
    images = coloured_noise(n_images).astype(np.uint8)
    ratio = pairs.share[:, None, None, None]
    expected = ratio * images + (1 - ratio) * images[pairs.partner]
    assert np.abs(mixing.mix_on_cpu(images, pairs) - expected).max() <= 0.51  # rounded to whole levels
    labels, _ = mixing.mix_targets(np.eye(n_images, dtype=np.float32), np.ones(n_images, np.float32), pairs)
    one_hot = np.eye(n_images)
    assert np.allclose(labels, pairs.share[:, None] * one_hot + (1 - pairs.share[:, None]) * one_hot[pairs.partner])
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_ratios_are_beta_distributed(mixing, alpha):
    mix = Mix.model_validate({"mixup": {"probability": 1.0, "alpha": alpha}})
    shares = np.concatenate([mixing.draw_pairs(mix, 50, SIDE, 0, 0, batch).share for batch in range(80)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def test_cutmix_boxes_are_centred_anywhere_and_clipped(mixing):
    """The boxes of the paper are square unless clipped, and their area before clipping is uniform (alpha 1)."""
    boxes = np.concatenate([mixing.draw_pairs(CUTMIX, 50, 224, 0, 0, batch).box for batch in range(80)])
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    inside = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2:] < 224).all(axis=1)
    assert (width[inside] == height[inside]).all()
    assert 0.1 < inside.mean() < 0.9
    assert boxes.min() == 0
    assert boxes.max() == 224
    # The centre is uniform over the image, so a box touches every border equally often.
    touching = [(boxes[:, i] == edge).mean() for i, edge in ((0, 0), (1, 0), (2, 224), (3, 224))]
    assert np.ptp(touching) < 0.05


def test_each_batch_is_mixed_with_one_of_the_two_or_not_at_all(mixing):
    batches = [mixing.draw_pairs(BOTH, 16, SIDE, 0, 0, batch) for batch in range(600)]
    blended = np.array([(pairs.keep < 1).any() for pairs in batches])
    pasted = np.array([pairs.box.any() for pairs in batches])
    assert not (blended & pasted).any()
    assert blended.mean() == pytest.approx(0.3, abs=0.05)
    assert pasted.mean() == pytest.approx(0.5, abs=0.05)
    alone = [pairs for pairs, mixed in zip(batches, blended | pasted) if not mixed]
    images = coloured_noise(16).astype(np.uint8)
    assert all(np.array_equal(mixing.mix_on_cpu(images, pairs), images) for pairs in alone[:5])


def test_pairs_depend_only_on_seed_epoch_and_batch(mixing):
    def drawn(seed=0, epoch=0, batch=0):
        pairs = mixing.draw_pairs(MIXUP, 16, SIDE, seed, epoch, batch)
        return np.concatenate([pairs.partner, pairs.share])

    assert np.array_equal(drawn(), drawn())
    for other in ({"seed": 1}, {"epoch": 1}, {"batch": 1}):
        assert not np.array_equal(drawn(), drawn(**other))


@pytest.mark.parametrize("mix", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
def test_an_accelerator_mixes_the_same_pixels(mixing, mix):
    pairs = mixing.draw_pairs(mix, 12, SIDE, 3, 0, 0)
    images = coloured_noise(12).astype(np.uint8)
    on_step = np.asarray(mixing.ApplyPairs()([images, pairs.partner, pairs.plan]))
    assert np.abs(on_step - mixing.mix_on_cpu(images, pairs)).max() <= 0.51
    assert not np.array_equal(on_step, images)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_mixed_image_is_the_mixed_loss_of_its_two_labels(mixing, smoothing):
    """With class weights and label smoothing: share * w_a * CE(a) + (1 - share) * w_b * CE(b)."""
    import keras

    n_images = 12
    random = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[np.arange(n_images) % 4]
    weights = np.array([0.4, 1.0, 1.7, 3.0], np.float32)[np.arange(n_images) % 4]
    predicted = random.dirichlet(np.ones(4), n_images).astype(np.float32)
    pairs = mixing.draw_pairs(MIXUP, n_images, SIDE, 0, 0, 0)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, reduction="none")
    own = weights * np.asarray(loss(labels, predicted))
    theirs = weights[pairs.partner] * np.asarray(loss(labels[pairs.partner], predicted))
    mixed, mixed_weights = mixing.mix_targets(labels, weights, pairs)
    assert np.allclose(mixed.sum(axis=1), 1, atol=1e-6)
    result = mixed_weights * np.asarray(loss(mixed, predicted))
    assert np.allclose(result, pairs.share * own + (1 - pairs.share) * theirs, rtol=1e-4)


def test_cpu_and_accelerator_train_alike_on_mixed_batches(tmp_path, mixing):
    mix = {"mixup": {"probability": 0.5}, "cutmix": {"probability": 0.5}}
    on_cpu = make_job(tmp_path / "cpu", strategy="from-scratch", mix=mix).go()
    on_step = make_job(tmp_path / "step", strategy="from-scratch", mix=mix)
    on_step.on_accelerator = True
    assert np.allclose(on_cpu.values, on_step.go().values, atol=0.03)


def test_images_are_augmented_before_they_are_mixed(mixing):
    import keras

    from edgekit.data import augmentation as augmenting
    from edgekit.train import augmentation_layers, batches

    images = np.repeat(one_colour_each(12)[:, :, :, :1] * 10 + 60, 3, axis=3)
    drawn = augmenting.draw(BRIGHTER, 12, SIDE, 0, 0)

    def epoch(on_cpu: bool):
        rows, one_hot, ones = np.arange(12), np.eye(12, dtype=np.float32), np.ones(12, np.float32)
        pairs = lambda n_images, batch: mixing.draw_pairs(CUTMIX, n_images, SIDE, 0, 0, batch)  # noqa: E731
        return batches.Batches(images, rows, one_hot, ones, rows, 12, drawn, on_cpu, pairs)[0]

    mixed, labels, _ = epoch(on_cpu=True)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    nothing = keras.Model(image, keras.layers.Identity()(image))
    inputs, same_labels, _ = epoch(on_cpu=False)
    on_step = np.asarray(
        augmentation_layers.training_model(nothing, BRIGHTER, mix=True).model.predict_on_batch(list(inputs))
    )
    assert np.abs(on_step - mixed).max() <= 0.51
    assert np.array_equal(labels, same_labels)
    levels = augmenting.apply_on_cpu(images, drawn)[:, 0, 0, 0]
    partner = mixing.draw_pairs(CUTMIX, 12, SIDE, 0, 0, 0).partner
    for i in range(12):
        assert set(np.unique(mixed[i])) <= {levels[i], levels[partner[i]]}


def test_the_last_epochs_are_trained_unmixed(tmp_path, mixing, monkeypatch):
    from edgekit.train import feed

    mixed_epochs = []

    def drawn(mix, n_images, image_size, seed, epoch, batch):
        mixed_epochs.append(epoch)
        return mixing.draw_pairs(mix, n_images, image_size, seed, epoch, batch)

    monkeypatch.setattr(feed, "draw_pairs", drawn)
    mix = {"cutmix": {"probability": 1.0}, "phases": ["fine-tuning"], "off_last_epochs": 2}
    job = make_job(tmp_path, strategy="fine-tuning", epochs=3, mix=mix).go()
    assert set(mixed_epochs) == {3}  # three of feature extraction come before, unmixed and on stored features
    assert (tmp_path / "features-train.npy").is_file()
    assert job.records[1].epochs_run == 3


def test_feature_extraction_on_mixed_images_stores_no_training_features(tmp_path, mixing):
    make_job(tmp_path, epochs=1, mix={"mixup": {"probability": 1.0}}).go()
    assert not (tmp_path / "features-train.npy").exists()
    assert (tmp_path / "features-val.npy").is_file()


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        (
            {"mix": {"mixup": {"probability": 0.6}, "cutmix": {"probability": 0.6}}},
            "must not add up to more than 1, but they add up to 1.2",
        ),
        (
            {"mix": {"mixup": {"probability": 1.0}}, "feature_extraction": {"views": 3}},
            "leave feature-extraction out of mix.phases",
        ),
        ({"mix": {"mixup": {"probability": 1.0}}, "batch_size": 1}, "batch_size must be at least 2"),
        (
            {"mix": {"cutmix": {"probability": 1.0}, "off_last_epochs": 10}},
            "none of the 10 epochs of feature-extraction would be mixed",
        ),
        ({"mix": {"mixup": {"probability": 1.0, "alpha": 0.0}}}, "greater than 0"),
    ],
)
def test_mix_settings_that_do_not_fit_together_are_an_error(train, expected):
    with pytest.raises(InputError, match=expected):
        validate({"train": {"strategy": "feature-extraction", **train}}, "recipe")


def test_views_can_be_combined_with_mixing_in_fine_tuning():
    train = {"mix": {"mixup": {"probability": 1.0}, "phases": ["fine-tuning"]}, "feature_extraction": {"views": 3}}
    assert validate({"train": train}, "recipe").train.mix.active_in("fine-tuning")


def test_the_former_name_of_the_phases_is_still_read():
    mix = validate({"train": {"mix": {"stages": ["fine-tuning"]}}}, "recipe").train.mix
    assert mix.phases == ["fine-tuning"]
    assert "stages" not in mix.model_dump()
