"""Files that are no images, damaged images, and images that are converted: the cause of each is named."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_helpers import Watcher, image
from PIL import Image

from edgekit.data import decode_dataset, open_dataset
from edgekit.data.image_properties import read_properties
from edgekit.device.images import ImageError, ImageTooLargeError, decode_rgb, load_image, read_header
from edgekit.errors import InputError
from edgekit.recipe import Data

HERE = Path(__file__).parent


def encoded(picture: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


PICTURE = image(1, (80, 60))
JPEG, PNG = encoded(PICTURE, "JPEG"), encoded(PICTURE, "PNG")
CAUSES = {
    "lfs.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n", "Git LFS pointer"),
    "annex.jpg": (b"/annex/objects/SHA256E-s123--abc.jpg\n", "git-annex pointer"),
    "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50), "HEIC"),
    "phone2.png": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(50), "HEIC"),
    "web.jpg": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(50), "AVIF"),
    "clip.jpg": (b"\0\0\0\x18ftypmp42\0\0\0\0isom" + bytes(50), "a video"),
    "page.jpg": (b"\n<!DOCTYPE html><html><body>404</body>", "web page"),
    "bare.png": (b"<html>404</html>", "web page"),
    "drawing.png": (b'<?xml version="1.0"?><svg xmlns="x"></svg>', "SVG"),
    "xl.jpg": (b"\xff\x0a" + bytes(50), "JPEG XL"),
    "two.jpg": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000"),
    "paper.jpg": (b"%PDF-1.7\n", "PDF"),
    "packed.jpg": (b"PK\x03\x04" + bytes(50), "ZIP"),
    "scan.tif": (bytes(128) + b"DICM" + bytes(50), "DICOM"),
    "layers.png": (b"8BPS\0\1" + bytes(50), "Photoshop"),
    "zeros.jpg": (bytes(5000), "zero bytes"),
    "array.png": (b"\x93NUMPY\1\0" + bytes(50), "NumPy"),
    "empty.jpg": (b"", "empty"),
    "cut.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "cut.png": (PNG[: len(PNG) // 2], "truncated"),
    "start.jpg": (JPEG[:8], "truncated"),
    "start.png": (PNG[:20], "truncated"),
    "text.jpg": (b"hello", "not an image"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_named(name):
    content, cause = CAUSES[name]
    for read in (decode_rgb, lambda content: load_image(content, 32)):
        with pytest.raises(ImageError) as caught:
            read(content)
        assert cause in caught.value.reason
        assert len(caught.value.reason) <= 100


def test_one_message_names_every_file_and_its_cause(make_folder):
    root = make_folder({"cat": 12, "dog": 12})
    chosen = ("lfs.jpg", "phone.jpg", "web.jpg", "cut.jpg", "page.jpg", "empty.jpg")
    for name in chosen:
        (root / "cat" / name).write_bytes(CAUSES[name][0])
    with pytest.raises(InputError, match="6 of 30 images cannot be decoded") as caught:
        decode_dataset(open_dataset(Data(path=str(root))), 32)
    for name in chosen:
        (line,) = [line for line in str(caught.value).splitlines() if f"cat/{name}" in line]
        assert CAUSES[name][1] in line


def conversions(root: Path) -> None:
    frames = [image(seed, (20, 20)) for seed in range(3)]
    frames[0].save(root / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    image(5, (20, 20), "RGBA").save(root / "cat" / "clear.png")
    image(6, (20, 20)).quantize(8).save(root / "cat" / "palette.png")
    image(7, (20, 20)).convert("CMYK").save(root / "cat" / "print.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image(8, (20, 20)).save(root / "dog" / "turned.jpg", exif=exif)
    Image.fromarray(np.full((20, 20), 60_000, np.uint16)).save(root / "dog" / "deep.png")


def test_what_is_converted_is_named_in_one_summary(make_folder):
    root = make_folder({"cat": 8, "dog": 8})
    conversions(root)
    facts = read_properties(open_dataset(Data(path=str(root))))
    assert facts.traits == {
        "animated": ["cat/moving.gif"],
        "alpha": ["cat/clear.png"],
        "palette": ["cat/palette.png"],
        "CMYK": ["cat/print.jpg"],
        "rotated": ["dog/turned.jpg"],
        "16-bit": ["dog/deep.png"],
    }
    (note,) = facts.notes
    assert note.startswith("converted when they are read, of 22 images:")
    for files in facts.traits.values():
        assert files[0] in note


def test_folders_of_plain_images_need_no_word(make_folder):
    assert read_properties(open_dataset(Data(path=str(make_folder({"cat": 8, "dog": 8}))))).notes == []


NOISY = """
import sys, warnings
from edgekit.device.images import ImageError, decode_rgb, read_header
warnings.simplefilter("always")
for path in sys.argv[1:]:
    for read in (decode_rgb, read_header):
        try:
            read(path)
        except ImageError:
            pass
"""


def test_nothing_that_pillow_says_reaches_the_terminal(tmp_path):
    palette = image(1, (40, 40)).quantize(8)
    Image.new("L", (9500, 9500)).save(tmp_path / "large.png")  # more than Pillow's own limit for a warning
    (tmp_path / "palette.png").write_bytes(encoded(palette, "PNG", transparency=bytes([0, 128, 255] + [255] * 5)))
    (tmp_path / "exif.jpg").write_bytes(encoded(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12"))
    tiff = encoded(PICTURE, "TIFF")
    (tmp_path / "cut.tif").write_bytes(tiff[: len(tiff) - 40])
    (tmp_path / "cut2.tif").write_bytes(tiff[:2000])
    samples = bytearray(tiff)
    at = tiff.find(struct.pack("<HHI", 277, 3, 1))  # SamplesPerPixel
    samples[at + 8 : at + 10] = struct.pack("<H", 99)
    (tmp_path / "samples.tif").write_bytes(bytes(samples))
    for number, compression in enumerate(("tiff_deflate", "tiff_lzw", "jpeg", "group4", "tiff_adobe_deflate")):
        picture = image(3, (60, 60)).convert("1" if compression == "group4" else "RGB")
        packed = bytearray(encoded(picture, "TIFF", compression=compression))
        for place in range(8, min(len(packed), 200), 7):
            packed[place] ^= 0x5A
        (tmp_path / f"packed{number}.tif").write_bytes(bytes(packed))
        middle = bytearray(encoded(picture, "TIFF", compression=compression))
        middle[-10:] = bytes(10)
        (tmp_path / f"tags{number}.tif").write_bytes(bytes(middle))
    paths = sorted(map(str, tmp_path.iterdir()))
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", NOISY, *paths], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def bomb(side: int, colour_type: int = 6, bits: int = 8) -> bytes:
    """A PNG of one colour, made without its pixels in memory."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    # Zeros only, so a compressed block can be repeated, and their checksum follows from their number.
    total, block = side * (1 + side * {6: 4, 2: 3, 0: 1}[colour_type] * bits // 8), 1 << 20
    first, last = zlib.compressobj(9, wbits=-15), zlib.compressobj(9, wbits=-15)
    repeated = first.compress(bytes(block)) + first.flush(zlib.Z_FULL_FLUSH)
    data = b"\x78\xda" + repeated * (total // block) + last.compress(bytes(total % block)) + last.flush()
    data += struct.pack(">I", total % 65521 << 16 | 1)
    header = struct.pack(">IIBBBBB", side, side, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


MEMORY = """
import resource, sys
from edgekit.device.images import ImageError, load_image
load_image(sys.argv[2], 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_image(sys.argv[1], 224)
    print("decoded", end=" ")
except ImageError as error:
    print(type(error).__name__, end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


def grown(path: Path, limit_mb: int | None) -> tuple[str, int]:
    """What became of the file, and by how many MB its decoding grew a process."""
    small = path.with_name("small.png")
    image(1).save(small)
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    environment |= {} if limit_mb is None else {"EDGEKIT_MAX_IMAGE_MB": str(limit_mb)}
    command = [sys.executable, "-c", MEMORY, str(path), str(small)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    what, grew = done.stdout.split()
    return what, int(grew)


def test_a_small_file_does_not_take_all_memory(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(13_000))
    assert path.stat().st_size < 1_000_000
    what, grew = grown(path, None)
    assert what == "ImageTooLargeError"
    assert grew < 50


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "RGB16", "L", "CMYK", "WEBP"])
def test_the_memory_stays_below_the_limit(tmp_path, mode):
    path, side = tmp_path / f"large.{'tif' if mode == 'CMYK' else 'webp' if mode == 'WEBP' else 'png'}", 4000
    if mode == "I;16":
        Image.fromarray(np.zeros((side, side), np.uint16)).save(path)
    elif mode in ("CMYK", "WEBP"):
        Image.new("CMYK" if mode == "CMYK" else "RGB", (side, side)).save(path)
    else:
        path.write_bytes(bomb(side, {"RGBA": 6, "RGB16": 2, "L": 0}[mode], 16 if mode == "RGB16" else 8))
    needed = int(side * side * {"I;16": 6, "L": 5, "WEBP": 16}.get(mode, 8) / 1e6 + path.stat().st_size / 1e6) + 1
    what, grew = grown(path, needed)
    assert what == "decoded"
    assert grew < needed + 15
    assert grown(path, needed - 3)[0] == "ImageTooLargeError"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "CMYK", "P"])
def test_every_mode_counts_with_its_bytes(tmp_path, mode, monkeypatch):
    side = 2000
    picture = Image.fromarray(np.zeros((side, side), np.uint16)) if mode == "I;16" else Image.new(mode, (side, side))
    path = tmp_path / f"x.{'tif' if mode == 'CMYK' else 'png'}"
    picture.save(path)
    needed = side * side * {"L": 5, "P": 5, "I;16": 6}.get(mode, 8) / 1e6
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", str(int(needed) - 1))
    with pytest.raises(ImageTooLargeError, match="2000 x 2000 pixels"):
        decode_rgb(path)
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", str(int(needed + path.stat().st_size / 1e6) + 1))
    assert decode_rgb(path).size == (side, side)


def test_a_large_jpeg_counts_as_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "x.jpg"
    Image.new("RGB", (4000, 4000)).save(path)
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", "20")
    assert load_image(path, 32).shape == (32, 32, 3)
    with pytest.raises(ImageTooLargeError):
        decode_rgb(path)


@pytest.mark.parametrize("text", ["none", "0", "-5", "1.5", "1e9"])
def test_a_wrong_limit_is_told(monkeypatch, text):
    monkeypatch.setenv("EDGEKIT_MAX_IMAGE_MB", text)
    with pytest.raises(ImageTooLargeError, match="EDGEKIT_MAX_IMAGE_MB is not a number"):
        decode_rgb(PNG)


def test_transparency_is_blended_the_same_in_strips(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (97, 53, 4), dtype=np.uint8)
    content = encoded(Image.fromarray(pixels), "PNG")
    whole = np.asarray(decode_rgb(content))
    monkeypatch.setattr("edgekit.device.images._STRIP_PIXELS", 500)
    assert np.array_equal(np.asarray(decode_rgb(content)), whole)
    white = Image.new("RGBA", (53, 97), (255, 255, 255, 255))
    expected = Image.alpha_composite(white, Image.fromarray(pixels)).convert("RGB")
    assert np.array_equal(whole, np.asarray(expected))


def test_headers_name_the_depth():
    assert read_header(encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG")).bits == 16
    assert read_header(PNG).bits == 8


def test_the_watcher_gets_one_warning_for_left_out_images(make_folder):
    root, watcher = make_folder({"cat": 12, "dog": 12}), Watcher()
    for name in ("lfs.jpg", "phone.jpg"):
        (root / "cat" / name).write_bytes(CAUSES[name][0])
    decode_dataset(open_dataset(Data(path=str(root))), 32, on_corrupt="skip", progress=watcher)
    (warning,) = watcher.warnings
    assert "Git LFS" in warning and "HEIC" in warning


def test_many_damaged_files_are_summed_up_by_cause(make_folder):
    root = make_folder({"cat": 12, "dog": 12})
    for number in range(15):
        pointer = CAUSES["lfs.jpg"][0].replace(b"1234", str(number).encode())
        (root / "cat" / f"lfs{number:02d}.jpg").write_bytes(pointer)
    (root / "dog" / "phone.jpg").write_bytes(CAUSES["phone.jpg"][0])
    with pytest.raises(InputError, match="16 of 40 images cannot be decoded") as caught:
        decode_dataset(open_dataset(Data(path=str(root))), 32)
    assert "and 6 more" in str(caught.value)
    assert "15 x not an image: a Git LFS pointer" in str(caught.value)
    assert "1 x not an image: a HEIC image" in str(caught.value)


def test_a_folder_of_pointers_says_so(make_folder):
    root = make_folder({"cat": 0, "dog": 0})
    for number in range(10):
        for name in ("cat", "dog"):
            pointer = CAUSES["lfs.jpg"][0].replace(b"1234", f"{name}{number}".encode())
            (root / name / f"{number}.jpg").write_bytes(pointer)
    with pytest.raises(InputError, match="none of the 20 images") as caught:
        decode_dataset(open_dataset(Data(path=str(root))), 32)
    assert "git lfs pull" in str(caught.value)


def test_the_limit_is_half_of_a_small_memory(monkeypatch):
    from edgekit.device.images import limit_mb

    monkeypatch.delenv("EDGEKIT_MAX_IMAGE_MB", raising=False)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 125_000}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert limit_mb() == 256
    sizes["SC_PHYS_PAGES"] *= 100
    assert limit_mb() == 1000
