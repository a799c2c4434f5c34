"""The page decodes and resizes as edgekit's own decoder does, bit for bit."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from edgekit.device.images import ImageError, load_image
from edgekit.web.assets import assets
from edgekit.web.chromium import Browser
from edgekit.web.server import PageServer

EVENT = "edgekitEvent"
PILLOW = int(PIL.__version__.partition(".")[0])
PLAIN = {"resize": "stretch", "filter": "bilinear", "range": "full", "pillow": PILLOW, "channels": 3}


class InBrowser:
    """The decoder of the page."""

    def __init__(self, browser: Browser, server: PageServer) -> None:
        self.browser, self.server = browser, server

    def events(self, files: list[Path], **geometry: object) -> list[dict]:
        job = {
            "files": [self.server.url(self.server.share(path)) for path in files],
            "geometry": {
                "resize": "stretch",
                "filter": "bilinear",
                "range": "full",
                "pillow": PILLOW,
                "channels": 3,
                **geometry,
            },
        }
        self.browser.evaluate(f"edgekitRun('pixels', {json.dumps(job)})")
        found = []
        for text in self.browser.bound_calls(EVENT, 60):
            event = json.loads(text)
            if event["event"] == "done":
                break
            found.append(event)
            if event["event"] == "error":
                break
        return found

    def load(
        self, files: list[Path], height: int, width: int, channels: int = 3, **geometry: object
    ) -> list[np.ndarray]:
        events = self.events(files, height=height, width=width, channels=channels, **geometry)
        pixels = [np.frombuffer(base64.b64decode(event["pixels_b64"]), np.uint8) for event in events]
        return [one.reshape(height, width, channels) for one in pixels]


@pytest.fixture(scope="module")
def in_browser(browser, web_runtime) -> Iterator[InBrowser]:
    served = {**assets(headless=True), **{f"runtime/{name}": path for name, path in web_runtime.items()}}
    browser.bind(EVENT)
    with closing(PageServer(served)) as server:
        browser.open(server.url("job.html"))
        yield InBrowser(browser, server)


def photo() -> np.ndarray:
    datasets = pytest.importorskip("sklearn.datasets")
    return np.asarray(datasets.load_sample_images().images[1])[40:221, 100:333]  # 181 x 233


def deep(pixels: np.ndarray) -> np.ndarray:
    """16 bits per channel, with values that 8 bits do not have."""
    return pixels.astype(np.uint16) * 257 + np.random.default_rng(0).integers(-100, 100, pixels.shape).astype(np.uint16)


def png_bytes(
    samples: np.ndarray, bits: int, kind: int, *extra: tuple[bytes, bytes], interlaced: bool = False
) -> bytes:
    """A PNG file written by hand, for what Pillow does not write. ``samples`` (H, W, channels) in their own range."""
    height, width = samples.shape[:2]

    def packed(part: np.ndarray) -> bytes:
        if bits == 16:
            rows = [row.astype(">u2").tobytes() for row in part]
        elif bits == 8:
            rows = [row.astype(np.uint8).tobytes() for row in part]
        else:
            masks = np.arange(bits - 1, -1, -1)
            rows = [
                np.packbits((row.reshape(-1, 1) >> masks & 1).reshape(-1).astype(np.uint8)).tobytes() for row in part
            ]
        return b"".join(b"\0" + row for row in rows)

    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [samples[top::down, left::right] for left, top, right, down in passes]
    content = b"".join(packed(part) for part in parts if part.size)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in chunks)


def odd_files(folder: Path) -> dict[str, Path]:
    """One file of every kind that a browser can open."""
    pixels = photo()
    image, grey = Image.fromarray(pixels), Image.fromarray(pixels).convert("L")
    alpha = Image.fromarray(np.random.default_rng(1).integers(0, 256, pixels.shape[:2], np.uint8))
    levels = np.asarray(grey)[..., None]
    made: dict[str, Path] = {}

    def save(name: str, what: Image.Image | bytes, **options: object) -> None:
        made[name] = folder / name
        if isinstance(what, bytes):
            made[name].write_bytes(what)
        else:
            what.save(made[name], **options)

    save("rgb.png", image)
    save("grey.png", grey)
    save("one-bit.png", grey.convert("1"))
    save("palette.png", image.convert("P", palette=Image.Palette.ADAPTIVE, colors=200))
    save(
        "palette-clear.png",
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=16),
        transparency=bytes(range(0, 256, 16)),
    )
    save("rgba.png", Image.merge("RGBA", (*image.split(), alpha)))
    save("grey-alpha.png", Image.merge("LA", (grey, alpha)))
    save("profile.png", image, icc_profile=_other_profile())
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.png", image, exif=exif)
    save("two-bits.png", png_bytes(levels >> 6, 2, 0))
    save("four-bits.png", png_bytes(levels >> 4, 4, 0))
    save("palette-four-bits.png", png_bytes(levels >> 4, 4, 3, (b"PLTE", bytes(range(0, 240, 5)))))
    save("grey-16.png", png_bytes(deep(levels), 16, 0))
    save("rgb-16.png", png_bytes(deep(pixels), 16, 2))
    save("rgba-16.png", png_bytes(deep(np.dstack([pixels, np.asarray(alpha)])), 16, 6))
    save("grey-alpha-16.png", png_bytes(deep(np.dstack([levels, np.asarray(alpha)])), 16, 4))
    save("interlaced.png", png_bytes(pixels, 8, 2, interlaced=True))
    save("interlaced-one-bit.png", png_bytes(levels >> 7, 1, 0, interlaced=True))
    key = struct.pack(">HHH", *(int(value) for value in pixels[5, 5]))
    save("key.png", png_bytes(pixels, 8, 2, (b"tRNS", key)))
    save("key-grey.png", png_bytes(levels, 8, 0, (b"tRNS", struct.pack(">H", int(levels[9, 9, 0])))))
    save("rgb.bmp", image)
    save("rgb.webp", image, lossless=True)
    save("rgb.gif", image.convert("P", palette=Image.Palette.ADAPTIVE))
    clear = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=30)
    save("clear.gif", clear, transparency=3)
    save("profile.jpg", image, quality=90, icc_profile=_other_profile())
    save("progressive.jpg", image, quality=80, progressive=True)
    return made


def _other_profile() -> bytes:
    """A colour profile that is not sRGB, so that applying it would change the pixels."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def compare(files: dict[str, Path], ours: list[np.ndarray], theirs: Callable[[Path], np.ndarray]) -> dict[str, int]:
    """The largest difference of a pixel, for each file that has any."""
    found = {}
    for (name, path), pixels in zip(files.items(), ours, strict=True):
        difference = int(np.abs(pixels.astype(int) - theirs(path).astype(int)).max())
        if difference:
            found[name] = difference
    return found


def test_every_kind_of_file_gives_the_same_pixels(in_browser, tmp_path):
    files = odd_files(tmp_path)
    pixels = in_browser.load(list(files.values()), 96, 128)
    assert compare(files, pixels, lambda path: load_image(path, (96, 128))) == {}


def test_photographs_give_the_same_pixels(in_browser, photos):
    files = {path.name: path for path in photos}
    pixels = in_browser.load(photos, 200, 200)
    assert compare(files, pixels, lambda path: load_image(path, 200)) == {}


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos", "area", "nearest"])
def test_every_way_to_resize_gives_the_same_pixels(in_browser, tmp_path, resize, resample):
    pixels = photo()
    files = {}
    for number, (height, width) in enumerate([(181, 233), (31, 57), (97, 20), (64, 64), (181, 5)]):
        files[f"{height}x{width}"] = tmp_path / f"{number}.png"
        Image.fromarray(pixels[:height, :width]).save(files[f"{height}x{width}"])
    for height, width in ((64, 64), (47, 83)):
        ours = in_browser.load(list(files.values()), height, width, resize=resize, filter=resample)
        theirs = partial(load_image, size=(height, width), resize=resize, resample=resample)
        assert compare(files, ours, theirs) == {}


@pytest.mark.parametrize("pixel_range", ["full", "percentile", "1000-30000"])
def test_16_bit_scans_give_the_same_pixels(in_browser, tmp_path, pixel_range):
    levels = np.asarray(Image.fromarray(photo()).convert("L"))[..., None]
    files = {"grey": tmp_path / "grey.png", "rgb": tmp_path / "rgb.png"}
    files["grey"].write_bytes(png_bytes(deep(levels), 16, 0))
    files["rgb"].write_bytes(png_bytes(deep(photo()), 16, 2))
    ours = in_browser.load(list(files.values()), 64, 64, range=pixel_range)
    assert compare(files, ours, lambda path: load_image(path, 64, pixel_range=pixel_range)) == {}


def test_grey_models_get_the_same_pixels(in_browser, photos):
    ours = in_browser.load(photos[:10], 200, 170, channels=1)
    files = {path.name: path for path in photos[:10]}
    assert compare(files, ours, lambda path: load_image(path, (200, 170), channels=1)) == {}


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_large_jpeg_files_come_close(in_browser, tmp_path, scale, orientation):
    """edgekit decodes them at a fraction of their size, which a browser cannot."""
    path = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo()).resize((701, 651), Image.Resampling.BICUBIC).save(path, quality=90, exif=exif)
    size = 640 // (2 * scale)
    (ours,) = in_browser.load([path], size, size)
    difference = np.abs(ours.astype(int) - load_image(path, size).astype(int))
    assert difference.mean() < 0.4
    assert difference.max() <= 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no image", "cannot decode"),
        (b"\x89PNG\r\n\x1a\n", "damaged or truncated"),
    ],
)
def test_what_is_no_image_is_refused_in_words(in_browser, tmp_path, content, reason):
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(ImageError):
        load_image(path, 32)
    (event,) = in_browser.events([path], height=32, width=32)
    assert (event["event"], event["kind"]) == ("error", "image")
    assert reason in event["reason"]


def test_a_truncated_png_is_refused(in_browser, tmp_path):
    path = tmp_path / "cut.png"
    Image.fromarray(photo()).save(path)
    path.write_bytes(path.read_bytes()[:-20_000])
    (event,) = in_browser.events([path], height=32, width=32)
    assert event["kind"] == "image"
