"""``data.range``: scans with 10, 12 or 14 bits in 16-bit files keep their grey levels, here and on a target."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_helpers import Watcher, image
from PIL import Image

from edgekit.data import decode_dataset, open_dataset
from edgekit.device.images import ImageError, decode_rgb, load_image, load_with_peak
from edgekit.device.pixel_range import parse_range
from edgekit.errors import InputError
from edgekit.recipe import Data, Recipe


def command(*arguments: object) -> int:
    from edgekit.cli.app import main

    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def scan(bits: int, seed: int = 0, side: int = 40) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 2**bits, (side, side), dtype=np.uint16)
    values[0, 0], values[0, 1] = 0, 2**bits - 1
    return values


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def colour_png(values: np.ndarray) -> bytes:
    """A PNG with 16 bits per colour, which Pillow reads but does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def folder(tmp_path: Path, bits: int, n: int = 10) -> Path:
    for k, name in enumerate("ab"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for i in range(n):
            (tmp_path / "scans" / name / f"{i}.png").write_bytes(png(scan(bits, 100 * k + i)))
    return tmp_path / "scans"


@pytest.mark.parametrize(
    ("bits", "used"), [(8, "0-255"), (10, "0-1023"), (12, "0-4095"), (14, "0-16383"), (16, "full")]
)
def test_the_range_is_found_and_used(tmp_path, watcher, bits, used):
    dataset = open_dataset(Data(path=str(folder(tmp_path, bits))))
    dataset, pixels = decode_dataset(dataset, 40, progress=watcher)
    assert dataset.pixel_range == used
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert len(np.unique(pixels)) > 200
    if bits == 16:
        assert watcher.warnings == []
    else:
        assert f"{(2**bits - 1) / 65535:.1%} of the 16-bit range" in watcher.warnings[0]
        assert used in watcher.warnings[0]


def test_full_keeps_the_range_and_says_what_that_costs(tmp_path, watcher):
    dataset = open_dataset(Data(path=str(folder(tmp_path, 12)), range="full"))
    dataset, pixels = decode_dataset(dataset, 40, progress=watcher)
    assert dataset.pixel_range == "full"
    assert pixels.max() == 16
    (warning,) = watcher.warnings
    assert "20 images with more than 8 bits use 0 to 4,095, 6.2% of the 16-bit range" in warning
    assert "16 levels of 256 are left" in warning
    assert "auto" in warning and "percentile" in warning


def test_percentile_stretches_every_image_by_itself(tmp_path, watcher):
    root = folder(tmp_path, 12)
    bright = scan(12, 3).astype(np.uint16) // 2 + 1000
    bright[0, 0] = 65535  # one hot pixel
    (root / "a" / "hot.png").write_bytes(png(bright))
    dataset = open_dataset(Data(path=str(root), range="percentile"))
    dataset, pixels = decode_dataset(dataset, 40, progress=watcher)
    assert dataset.pixel_range == "percentile"
    assert watcher.warnings == []
    assert all(image.min() == 0 and image.max() == 255 for image in pixels)
    assert all(90 < image.mean() < 165 for image in pixels)


def test_a_range_of_ones_own(tmp_path):
    values = np.array([[0, 1000, 1500, 2000, 65535]], np.uint16)
    row = np.asarray(decode_rgb(png(values), "1000-2000"))[0, :, 0]
    assert row.tolist() == [0, 0, 128, 255, 255]


def test_eight_bit_images_do_not_change():
    content = io.BytesIO()
    image(1).save(content, "PNG")
    plain = load_image(content.getvalue(), 16)
    for way in ("0-4095", "percentile"):
        assert np.array_equal(load_image(content.getvalue(), 16, pixel_range=way), plain)
    assert load_with_peak(content.getvalue(), 16).peak is None


@pytest.mark.parametrize("levels", [1, 2])
def test_percentile_of_an_image_with_few_values(levels):
    values = np.full((8, 8), 700, np.uint16)
    values[:, : 4 * (levels - 1)] = 300
    pixels = np.asarray(decode_rgb(png(values), "percentile"))
    assert len(np.unique(pixels)) == levels


def test_colour_with_16_bits_is_told(tmp_path, watcher):
    for k, name in enumerate("ab"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for i in range(8):
            values = np.random.default_rng(10 * k + i).integers(0, 4096, (20, 20, 3), dtype=np.uint16)
            (tmp_path / "scans" / name / f"{i}.png").write_bytes(colour_png(values))
    dataset, pixels = decode_dataset(open_dataset(Data(path=str(tmp_path / "scans"))), 32, progress=watcher)
    assert dataset.pixel_range == "0-4095"
    assert pixels.max() > 200
    assert "in colour" in watcher.warnings[0] and "16 levels" in watcher.warnings[0]


@pytest.mark.parametrize("text", ["5-5", "9-3", "0-65536", "low-high", "0-", "12bit", "", "-5-10", "0-4095 "])
def test_wrong_ranges_are_refused_early(text):
    with pytest.raises(ValueError, match="such as 0-4095"):
        parse_range(text)
    with pytest.raises(ValueError, match="such as 0-4095"):
        Recipe.model_validate({"schema_version": 1, "data": {"range": text}})
    with pytest.raises(ValueError, match="such as 0-4095"):
        load_image(png(scan(12)), 16, pixel_range=text)


def test_the_second_run_decodes_nothing(tmp_path):
    root, watcher = folder(tmp_path, 12), Watcher()
    first, _ = decode_dataset(open_dataset(Data(path=str(root))), 40)
    again, _ = decode_dataset(open_dataset(Data(path=str(root))), 40, progress=watcher)
    assert watcher.steps == {}
    assert again.pixel_range == first.pixel_range == "0-4095"
    assert len(watcher.warnings) == 1


def test_images_without_a_defined_range_are_still_refused():
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(stream, "TIFF")
    for way in ("full", "percentile", "0-4095"):
        with pytest.raises(ImageError, match="no defined range"):
            decode_rgb(stream.getvalue(), way)


def test_a_folder_of_scans_and_photos(tmp_path, watcher):
    root = folder(tmp_path, 12)
    for i in range(4):
        image(i, (40, 40)).save(root / "a" / f"photo{i}.png")
    dataset, pixels = decode_dataset(open_dataset(Data(path=str(root))), 40, progress=watcher)
    assert dataset.pixel_range == "0-4095"
    photo = list(dataset.files).index("a/photo0.png")
    assert np.array_equal(pixels[photo], load_image(root / "a" / "photo0.png", 40))


def test_a_wrong_setting_is_an_input_error(tmp_path):
    from edgekit.recipe import parse_yaml, validate

    text = "schema_version: 1\ndata: {path: x, range: 12}\n"
    with pytest.raises(InputError, match="range"):
        document, lines = parse_yaml(text, "r.yaml")
        validate(document, "r.yaml", lines)


def test_init_and_audit_say_so(tmp_path, capsys):
    root = folder(tmp_path, 12)
    assert command("data", "audit", root, "--json") == 0
    captured = capsys.readouterr()
    for text in ("20 images with more than 8 bits", "6.2% of the 16-bit range", "0-4095"):
        assert text in captured.err
        assert text in captured.out, "the notes of the document have it too"
    recipe = tmp_path / "recipe.yaml"
    assert command("init", root, "-o", recipe) == 0
    assert "6.2% of the 16-bit range" in capsys.readouterr().err
    assert "range: auto  # the images use 0 to 4,095, 6.2% of 16 bits" in recipe.read_text()


def test_a_corrupted_copy_and_the_audit_see_the_scan(tmp_path):
    from edgekit.data.audit.fingerprints import fingerprint
    from edgekit.data.audit.thumbnails import write_thumbnails
    from edgekit.data.corrupted_copy import corrupt_folder

    root = folder(tmp_path, 12)
    corrupt_folder(root, tmp_path / "out", "gaussian-noise", [1])
    copies = [np.asarray(Image.open(path)) for path in (tmp_path / "out").rglob("*.png")]
    assert len(copies) == 20
    assert min(int(copy.max()) for copy in copies) > 200
    assert int(fingerprint(open_dataset(Data(path=str(root)))).grey.max(axis=(1, 2)).min()) > 100
    (name,) = write_thumbnails([root / "a" / "0.png"], tmp_path / "thumbnails")
    assert np.asarray(Image.open(tmp_path / "thumbnails" / name)).max() > 200
