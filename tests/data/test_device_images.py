"""Every kind of image file comes out as the same 8-bit RGB pixels."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.device.images import IMAGE_SUFFIXES, ImageError, decode_rgb, load_image, read_header

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def smooth(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


def pixels(content: bytes) -> np.ndarray:
    image = decode_rgb(content)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_the_pixels(format):
    assert np.array_equal(pixels(encoded(smooth(), format)), np.asarray(smooth()))


@pytest.mark.parametrize(("format", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_close(format, options):
    difference = pixels(encoded(smooth(), format, **options)).astype(int) - np.asarray(smooth())
    assert np.abs(difference).mean() < 3


def test_lossless_webp_keeps_the_pixels():
    assert np.array_equal(pixels(encoded(smooth(), "WEBP", lossless=True)), np.asarray(smooth()))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_is_repeated_over_the_channels(mode):
    grey = smooth(mode)
    expected = np.asarray(grey.convert("L"))
    assert np.array_equal(pixels(encoded(grey, "PNG")), np.stack([expected] * 3, axis=-1))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(format):
    deep = np.linspace(0, 65535, 40 * 30).astype(np.uint16).reshape(30, 40)
    if format == "PPM":  # not every Pillow can write this one
        content = b"P5 40 30 65535\n" + deep.astype(">u2").tobytes()
    else:
        content = encoded(Image.fromarray(deep), format)
    result = pixels(content)
    assert np.abs(result - (deep / 257)[..., None]).max() <= 0.5
    assert result.min() == 0
    assert result.max() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(mode):
    image = Image.new("RGBA", (2, 1))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    result = pixels(encoded(image.convert(mode), "PNG"))
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[0, 1].tolist() == [127, 127, 127]


def test_a_palette_with_a_transparent_colour_becomes_white():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, 0, 0, 255] + [0] * 762)
    image.putpixel((1, 0), 1)
    result = pixels(encoded(image, "PNG", transparency=0))
    assert result[0].tolist() == [list(WHITE), [0, 0, 255]]


@pytest.mark.parametrize(("mode", "clear"), [("RGB", RED), ("L", 7)])
def test_a_colour_marked_as_transparent_becomes_white(mode, clear):
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((0, 0), clear)
    result = pixels(encoded(image, "PNG", transparency=clear))
    assert result[0].tolist() == [list(WHITE), [0, 0, 0]]


def test_cmyk_jpeg_has_the_colours_of_its_rgb_original():
    result = pixels(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(result.astype(int) - RED).max() < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(smooth(size=(64, 32)), format, exif=exif, **({"quality": 95} if format == "JPEG" else {}))
    upright = decode_rgb(content)
    assert upright.size == ((32, 64) if orientation >= 5 else (64, 32))
    # What the EXIF standard says the first row and column of the file are when looked at.
    stored = np.asarray(smooth(size=(64, 32))).astype(int)
    looked_at = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    assert np.abs(np.asarray(upright).astype(int) - looked_at).mean() < 4
    assert read_header(content)[:2] == upright.size


def test_damaged_exif_does_not_make_an_image_corrupt():
    content = encoded(smooth(), "JPEG", exif=b"Exif\x00\x00nonsense that is no TIFF header")
    assert pixels(content).shape == (30, 40, 3)


def test_the_first_frame_of_an_animation_is_used():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0), (0, 0, 255))]
    for format in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        content = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert (pixels(content) == RED).all(), format


def test_a_transparent_gif_becomes_white():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, 0, 0, 255] + [0] * 762)
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image, "GIF", transparency=0))[0].tolist() == [list(WHITE), [0, 0, 255]]


def bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


NOT_IMAGES = {
    "empty": b"",
    "html": b"<html>404 Not Found</html>",
    "cut jpeg": encoded(smooth(size=(200, 200)), "JPEG")[:-400],
    "cut png": encoded(smooth(size=(200, 200)), "PNG")[:-400],
    "cut bmp": encoded(smooth(), "BMP")[:-400],
    "cut webp": encoded(smooth(size=(200, 200)), "WEBP")[:-400],
    "only a header": encoded(smooth(), "PNG")[:20],
    "wrong checksum": encoded(smooth(), "PNG").replace(b"IHDR", b"IHDX"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "bomb": bomb(),
    "floats": encoded(Image.new("F", (4, 4), 0.5), "TIFF"),
    "32-bit integers": encoded(Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)), "TIFF"),
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_an_unusable_file_is_an_error_with_a_reason(name):
    for load in (decode_rgb, lambda content: load_image(content, 32)):
        with pytest.raises(ImageError) as caught:
            load(NOT_IMAGES[name])
        assert 3 < len(caught.value.reason) <= 100


def test_the_reasons_of_common_cases_are_clear():
    reasons = {}
    for name in ("empty", "html", "postscript", "bomb"):
        with pytest.raises(ImageError) as caught:
            decode_rgb(NOT_IMAGES[name])
        reasons[name] = caught.value.reason
    assert reasons == {
        "empty": "the file is empty",
        "html": "not an image: a web page (HTML), as a failed download leaves it",
        "postscript": "not an image: a PostScript file",
        "bomb": "too many pixels",
    }


def test_a_phone_jpeg_with_several_pictures_gives_the_first():
    content = encoded(smooth(), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))], quality=95)
    assert np.abs(pixels(content).astype(int) - np.asarray(smooth())).mean() < 3
    assert load_image(content, 16).shape == (16, 16, 3)


def test_a_file_that_cannot_be_read_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode_rgb(tmp_path / "missing.png")


def test_path_bytes_and_open_file_give_the_same(tmp_path):
    path = tmp_path / "ünï code.jpg"
    path.write_bytes(encoded(smooth(), "JPEG"))
    with path.open("rb") as stream:
        results = [load_image(source, 32) for source in (path, str(path), path.read_bytes(), stream)]
    assert all(np.array_equal(result, results[0]) for result in results)
    assert results[0].shape == (32, 32, 3)
    assert results[0].dtype == np.uint8


def test_resize_stretch_crop_and_pad():
    wide = Image.new("RGB", (40, 20), (0, 0, 255))
    wide.paste(RED, (10, 0, 30, 20))  # the centre square is red, the sides are blue
    content = encoded(wide, "PNG")
    stretched, cropped, padded = (load_image(content, 20, resize) for resize in ("stretch", "crop", "pad"))
    assert (stretched[:, :4] == (0, 0, 255)).all()
    assert (stretched[:, 7:13] == RED).all()
    assert (cropped == RED).all()
    assert (padded[:5] == 0).all()
    assert (padded[-5:] == 0).all()
    assert (padded[6:14, 7:13] == RED).all()
    with pytest.raises(ValueError, match="stretch, crop, pad"):
        load_image(content, 20, "squash")


def test_resize_is_antialiased():
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    result = load_image(encoded(Image.fromarray(stripes), "PNG"), 8)
    assert np.abs(result.astype(int) - 127).max() <= 8  # at the border the filter is cut off


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_large_jpeg_decoded_at_a_small_size_looks_the_same(resize):
    content = encoded(smooth(size=(1200, 900)), "JPEG", quality=90)
    whole = encoded(decode_rgb(content), "PNG")  # the same pixels without the shortcut
    difference = load_image(content, 48, resize).astype(int) - load_image(whole, 48, resize)
    assert np.abs(difference).max() <= 4


def test_an_image_already_of_that_size_is_not_resampled():
    content = encoded(smooth(size=(32, 32)), "PNG")
    assert np.array_equal(load_image(content, 32), np.asarray(smooth(size=(32, 32))))


def test_common_suffixes_are_known():
    assert {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"} <= IMAGE_SUFFIXES


def test_the_module_imports_nothing_else_of_edgekit(tmp_path):
    (tmp_path / "device").mkdir()
    for name in ("images.py", "file_kinds.py", "image_memory.py", "libtiff_messages.py", "pixel_range.py"):
        source = Path(__file__).parents[2] / "edgekit" / "device" / name
        (tmp_path / "device" / name).write_bytes(source.read_bytes())
    code = "import sys, device.images; sys.exit(any(m.split('.')[0] == 'edgekit' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
