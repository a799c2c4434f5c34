"""Filters and shapes of the one decoder."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from edgekit.device.images import FILTERS, load_image


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("name", FILTERS)
def test_pixels_are_those_of_pillow(photo, name):
    with Image.open(photo) as image:
        expected = np.array(image.resize((40, 24), FILTERS[name]))
    assert np.array_equal(load_image(photo, (24, 40), "stretch", resample=name), expected)


def test_filters_differ(photo):
    found = [load_image(photo, 32, resample=name).tobytes() for name in FILTERS]
    assert len(set(found)) == len(FILTERS)
    assert load_image(photo, 32).tobytes() == found[list(FILTERS).index("bilinear")]


def test_only_the_default_filter_decodes_a_jpeg_smaller(tmp_path):
    """Another filter is asked for to get the pixels of another program, which has decoded the whole image."""
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).resize((800, 800))
    smooth.save(tmp_path / "large.jpg", quality=95)
    with Image.open(tmp_path / "large.jpg") as image:
        whole = np.array(image.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(load_image(tmp_path / "large.jpg", 32, resample="bicubic"), whole)


def test_a_tall_target(photo):
    with Image.open(photo) as image:
        cropped = np.array(image.resize((20, 61), Image.Resampling.BILINEAR, box=(35, 0, 55, 61)))
    assert np.array_equal(load_image(photo, (61, 20), "crop"), cropped)
    padded = load_image(photo, (61, 30), "pad")
    assert padded.shape == (61, 30, 3)
    assert not padded[0].any()
    assert not padded[-1].any()
    assert padded[30].any()


def test_grey(photo):
    with Image.open(photo) as image:
        expected = np.array(image.resize((32, 32), Image.Resampling.BILINEAR).convert("L"))
    grey = load_image(photo, 32, channels=1)
    assert grey.shape == (32, 32, 1)
    assert np.array_equal(grey[..., 0], expected)


def test_unknown_filter(photo):
    with pytest.raises(ValueError, match="filter"):
        load_image(photo, 32, resample="cubic")
