"""Corruptions: shape, type and range, the same again for seed and image, and worse with severity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from edgekit.device import corruptions
from edgekit.device.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, corrupt

names = pytest.mark.parametrize("name", CORRUPTIONS)


def scene(seed: int, side: int = 96) -> np.ndarray:
    """uint8 (side, side, 3) that looks a little like a picture: soft shapes of several colours, and texture."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side))
    texture = Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))
    blended = Image.blend(coarse, texture.filter(ImageFilter.GaussianBlur(1)), 0.35)
    return np.array(blended)


SCENES = [scene(seed) for seed in range(12)]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in levels."""
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


@settings(max_examples=60)
@given(
    name=st.sampled_from(list(CORRUPTIONS)),
    severity=st.sampled_from(SEVERITIES),
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    seed=st.integers(0, 100),
    contents=st.sampled_from(["noise", "black", "white"]),
)
def test_any_image_gives_an_image_and_the_original_is_unchanged(name, severity, height, width, seed, contents):
    random = np.random.default_rng(seed)
    pixels = {
        "noise": random.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "black": np.zeros((height, width, 3), np.uint8),
        "white": np.full((height, width, 3), 255, np.uint8),
    }[contents]
    before = pixels.copy()
    result = corrupt(pixels, name, severity, seed)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8
    assert np.array_equal(pixels, before)
    assert not np.shares_memory(result, pixels)
    assert np.array_equal(result, corrupt(before, name, severity, seed))


RANDOM = {"haze", "deep-water", "gaussian-noise", "shot-noise", "motion-blur", "fog", "low-light"}


@names
def test_random_parts_depend_on_seed_and_image(name):
    image = SCENES[0]
    draws = [corrupt(image, name, 3, seed) for seed in range(8)]
    different = any(not np.array_equal(draws[0], draw) for draw in draws[1:])
    assert different == (name in RANDOM | {"rotation"})
    if name in {"gaussian-noise", "shot-noise", "low-light"}:  # another image has another noise
        grey = np.full((96, 96, 3), 120, np.uint8)
        other = grey.copy()
        other[0, 0] = 121
        assert not np.array_equal(corrupt(grey, name, 3)[1:], corrupt(other, name, 3)[1:])


@names
def test_images_get_worse_with_severity_on_average(name):
    distances = np.array([[distance(corrupt(s, name, severity), s) for s in SCENES] for severity in SEVERITIES])
    average = distances.mean(axis=1)
    assert average[0] > 1
    assert average[-1] > 1.05 * average[0]
    assert (average[1:] > 0.95 * average[:-1]).all()  # fog is rougher, not thicker, from one severity to the next


def test_pixels_match_the_suite():
    """Raise SUITE when one of these changes: stored results are then measured anew."""
    grey = scene(0, 32)
    means = {name: round(float(corrupt(grey, name, 3).mean()), 1) for name in CORRUPTIONS}
    assert means == pytest.approx(EXPECTED_MEANS, abs=0.35)  # JPEG and resizing differ a little between versions


EXPECTED_MEANS = {
    "colour-cast": 81.2,
    "haze": 124.2,
    "deep-water": 107.4,
    "gaussian-noise": 131.6,
    "shot-noise": 129.8,
    "defocus-blur": 132.2,
    "motion-blur": 131.9,
    "brightness": 187.8,
    "contrast": 132.2,
    "jpeg": 132.9,
    "pixelate": 132.3,
    "fog": 122.7,
    "low-light": 50.6,
    "exposure": 201.2,
    "rotation": 130.6,
}


def test_noise_has_the_stated_strength():
    grey = np.full((200, 200, 3), 128, np.uint8)
    for severity, deviation in zip(SEVERITIES, (0.08, 0.12, 0.18)):
        assert corrupt(grey, "gaussian-noise", severity).std() / 255 == pytest.approx(deviation, rel=0.03)
    for severity, photons in zip(SEVERITIES, (60, 25, 12)):
        noisy = corrupt(grey, "shot-noise", severity) / 255 * photons
        assert noisy.mean() == pytest.approx(photons * 128 / 255, rel=0.02)
        assert noisy.var() == pytest.approx(photons * 128 / 255, rel=0.06)


def test_defocus_spreads_a_point_over_a_disc():
    point = np.zeros((224, 224, 3), np.uint8)
    point[112, 112] = 255
    spread = corrupt(point, "defocus-blur", 2)[:, :, 0] > 0
    rows, columns = np.nonzero(spread)
    assert np.hypot(rows - 112, columns - 112).max() <= 4
    assert spread.sum() == pytest.approx(np.pi * 4**2, rel=0.1)


def test_blur_keeps_what_is_flat_and_rotation_keeps_the_centre():
    flat = np.full((64, 80, 3), 77, np.uint8)
    for name in ("defocus-blur", "motion-blur", "rotation", "pixelate"):
        assert np.abs(corrupt(flat, name, 5).astype(int) - 77).max() <= 1
    spot = np.zeros((97, 97, 3), np.uint8)
    spot[44:53, 44:53] = 255
    turned = corrupt(spot, "rotation", 5)
    assert (turned[46:51, 46:51] == 255).all()
    assert turned.sum() == pytest.approx(spot.sum(), rel=0.05)


def test_rotation_turns_by_its_angle():
    line = np.zeros((101, 101, 3), np.uint8)
    line[49:52] = 255
    rows, columns = np.nonzero(corrupt(line, "rotation", 3)[:, 20:80, 0] > 128)
    assert abs(np.rad2deg(np.arctan(np.polyfit(columns, rows, 1)[0]))) == pytest.approx(20, abs=1)


def test_water_takes_red_first_and_haze_veils():
    white = np.full((32, 32, 3), 200, np.uint8)
    red, green, blue = corrupt(white, "colour-cast", 3).mean(axis=(0, 1))
    assert red < 0.3 * 200 < green < blue
    assert corrupt(np.zeros((32, 32, 3), np.uint8), "haze", 5).mean() > 60
    channels = (0, 1)
    assert (SCENES[0].std(axis=channels) > 1.5 * corrupt(SCENES[0], "haze", 5).std(axis=channels)).all()


def test_groups_name_corruptions():
    assert set(GROUPS["all"]) == set(CORRUPTIONS)
    assert all(name in CORRUPTIONS for group in GROUPS.values() for name in group)


@pytest.mark.parametrize(
    ("pixels", "name", "severity"),
    [
        (SCENES[0], "rain", 1),
        (SCENES[0], "haze", 0),
        (SCENES[0], "haze", 6),
        (SCENES[0].astype(float), "haze", 1),
        (SCENES[0][:, :, 0], "haze", 1),
    ],
)
def test_what_is_none_is_refused(pixels, name, severity):
    with pytest.raises(ValueError, match=r"corruption|severity|pixels"):
        corrupt(pixels, name, severity)


def test_the_module_needs_no_package():
    """It is shipped to the target with its folder alone."""
    source = Path(corruptions.__file__).read_text(encoding="utf-8")
    assert "edgekit" not in source
    assert "scipy" not in source
