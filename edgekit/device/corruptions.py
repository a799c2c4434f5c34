"""Image corruptions of cameras, weather and water, with the same pixels on each machine.

There are fifteen corruptions in five severities. Their random parts (noise, direction, clouds) depend only on the seed,
the name and the pixels, and are the same for all severities of an image. Lengths are given for a side of 224 pixels and
scale with the image. NumPy and Pillow only, because this module also runs on the target.

Sources: the severities of the standard corruptions follow ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261).
Water: a pixel J seen through d meters becomes J * t + B * (1 - t) with t = exp(-beta * d) in each channel, where B is
the light that the water scatters (Jaffe 1990; Akkaynak and Treibitz 2018).
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)

SUITE = "1"
"""Raised when a corruption produces different pixels. Results of different suites are never compared."""

REFERENCE_SIDE = 224

Pixels = np.ndarray

_own = threading.local()
"""Buffers of each thread, reused from one image to the next."""

WATER_ATTENUATION = (0.35, 0.07, 0.05)
"""Per meter, for red, green and blue: roughly clear coastal water."""
WATER_VEIL = (60.0, 140.0, 150.0)
"""The light that the water scatters, RGB in 0-255."""


class Random:
    """The random numbers of one image, from a Philox generator's raw bits, which are the same in each NumPy version."""

    def __init__(self, key: bytes) -> None:
        self._bits = np.random.Philox(key=int.from_bytes(key, "little"))

    def words(self, shape: tuple[int, ...]) -> Any:
        """uint16 of ``shape``, uniform."""
        count = int(np.prod(shape))
        return self._bits.random_raw((count + 3) // 4).astype("<u8", copy=False).view("<u2")[:count].reshape(shape)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.words((1,))[0]) / 65536

    def normal(self, shape: tuple[int, ...]) -> Any:
        """float32 of ``shape``: quantiles of the standard normal distribution (65,536 steps, up to 4.3 deviations)."""
        return np.asarray(_taken(_normal_table(), self.words(shape)))


def corrupt(pixels: Pixels, name: str, severity: int, seed: int = 0) -> Pixels:
    """Apply the corruption ``name`` to ``pixels`` uint8 (H, W, 3), RGB. Returns a new array of the same shape.

    ``severity`` is 1 (mild) to 5. Raises :class:`ValueError` for an unknown name or severity, or unsuitable pixels.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}: choose one of: {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1 to 5, not {severity!r}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
    digest = hashlib.blake2b(f"{name}/{seed}/{pixels.shape}/".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return CORRUPTIONS[name](pixels, severity - 1, Random(digest.digest()))


def gaussian_noise(pixels: Pixels, level: int, random: Random) -> Pixels:
    """Noise of the same strength in all channels: poor light, a warm sensor."""
    return _add_noise(pixels, (0.08, 0.12, 0.18, 0.26, 0.38)[level], random)


def shot_noise(pixels: Pixels, level: int, random: Random) -> Pixels:
    """Photon noise: a Poisson distribution, drawn from its quantiles in 4096 steps."""
    table = _poisson_table((60, 25, 12, 5, 3)[level])
    place = pixels.astype(np.intp)
    place <<= 12
    place += random.words(pixels.shape) >> 4
    return np.asarray(_taken(table, place))


def defocus_blur(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001 - all have the same signature
    """The lens is out of focus: each point becomes a disc."""
    radius = max((3, 4, 6, 8, 10)[level] * _scale(pixels), 1.0 + 0.5 * level)
    reach = int(radius)
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((reach + 1, reach), (reach, reach), (0, 0)), mode="symmetric")
    down = np.cumsum(padded, axis=0, dtype=np.int32)  # down the columns: adds whole rows, which is fast
    total, count = np.zeros(pixels.shape, np.int32), 0
    for column in range(-reach, reach + 1):
        half = int(np.sqrt(radius * radius - column * column))
        columns = down[:, reach + column : reach + column + width]
        total += columns[reach + 1 + half : reach + 1 + half + height]
        total -= columns[reach - half : reach - half + height]
        count += 2 * half + 1
    return _to_pixels(total.astype(np.float32) / count)


def motion_blur(pixels: Pixels, level: int, random: Random) -> Pixels:
    """The camera moves during the exposure, within 45 degrees of the horizontal."""
    scale = _scale(pixels)
    length = max(round((10, 15, 15, 15, 20)[level] * scale), 2 + level)
    sigma = max((3, 5, 8, 12, 15)[level] * scale, 1.0 + 0.5 * level)
    angle = np.deg2rad(random.uniform(-45, 45))
    steps = np.arange(length + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    # Integer weights that sum to 256 keep the sum of all shifted images within 16 bits.
    whole = np.floor(256 * weights / weights.sum()).astype(np.uint16)
    whole[0] += 256 - whole.sum()
    columns, rows = np.rint(steps * np.cos(angle)).astype(int), np.rint(steps * np.sin(angle)).astype(int)
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((length, length), (length, length), (0, 0)), mode="symmetric").astype(np.uint16)
    total = np.full(pixels.shape, 128, np.uint16)  # rounds
    for weight, column, row in zip(whole, columns, rows):
        if weight:
            total += weight * padded[length + row : length + row + height, length + column : length + column + width]
    return (total >> 8).astype(np.uint8)


def brightness(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """Raises the value of HSV: hue and saturation stay the same until a channel saturates."""
    offset = 255 * (0.1, 0.2, 0.3, 0.4, 0.5)[level]
    value = np.maximum(np.maximum(pixels[:, :, 0], pixels[:, :, 1]), pixels[:, :, 2]).astype(np.float32)
    raised = np.minimum(value + np.float32(offset), 255)
    result = pixels * np.repeat((raised / np.maximum(value, 1))[:, :, None], 3, axis=2)
    result[value == 0] = offset
    return _to_pixels(result)


def contrast(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """Moves each channel towards its mean."""
    factor = (0.4, 0.3, 0.2, 0.1, 0.05)[level]
    mean = _mean(pixels)
    return _look_up(pixels, (_levels() - mean) * factor + mean)


def jpeg(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """Compressed too much."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=(25, 18, 15, 10, 7)[level])
    with Image.open(stream, formats=("JPEG",)) as image:
        return np.array(image.convert("RGB"))


def pixelate(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """Scaled down and up again."""
    factor = (0.6, 0.5, 0.4, 0.3, 0.25)[level]
    image = Image.fromarray(pixels)
    small = image.resize((max(1, int(image.width * factor)), max(1, int(image.height * factor))), Image.Resampling.BOX)
    return np.array(small.resize(image.size, Image.Resampling.BOX))


def fog(pixels: Pixels, level: int, random: Random) -> Pixels:
    """Bright clouds over the image, whose brightest level stays the same."""
    thickness, roughness = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[level]
    most = max(float(pixels.max()), 1.0)
    clouds = _clouds(pixels.shape[0], pixels.shape[1], roughness, random)
    # pixels + 255 * thickness * clouds, scaled so that the brightest level stays
    lit = np.repeat(np.float32(255 * thickness) * clouds[:, :, None], 3, axis=2)
    lit += pixels
    lit *= np.float32(most / (most + 255 * thickness))
    return _to_pixels(lit)


def low_light(pixels: Pixels, level: int, random: Random) -> Pixels:
    """One to five stops less light on a small sensor: dark, with photon and read noise."""
    linear = (_levels()[:, 0] / 255) ** 2.2 / 2 ** (level + 1)
    deviation = np.sqrt(linear / 2000 + 0.004**2)  # 2,000 electrons at white, read noise of 8
    level_of = pixels.astype(np.intp)
    light = _taken((4096 * deviation).astype(np.float32), level_of)
    light *= random.normal(pixels.shape)
    light += _taken((4096 * linear).astype(np.float32), level_of)
    encode = _to_pixels(255 * (np.arange(4097) / 4096) ** (1 / 2.2))
    np.clip(light, 0, 4096, out=light)
    return np.asarray(_taken(encode, light))


def exposure(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """Overexposed by half a stop to two and a half stops, clipped at white."""
    return _look_up(pixels, 255 * ((_levels() / 255) ** 2.2 * 2 ** (0.5 * (level + 1))) ** (1 / 2.2))


def rotation(pixels: Pixels, level: int, random: Random) -> Pixels:
    """The camera is tilted; the image is mirrored beyond its border."""
    angle = np.deg2rad((5, 10, 20, 30, 45)[level]) * (-1 if random.uniform(-1, 1) < 0 else 1)
    height, width = pixels.shape[:2]
    margin = int(np.ceil(0.25 * max(height, width))) + 1
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = width / 2, height / 2
    matrix = (cosine, -sine, x - cosine * x + sine * y + margin, sine, cosine, y - sine * x - cosine * y + margin)
    image = Image.fromarray(padded).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.array(image)


def colour_cast(pixels: Pixels, level: int, random: Random) -> Pixels:  # noqa: ARG001
    """One to eight meters of water, which absorbs red first."""
    return np.array(_behind_water(pixels, level))


def _behind_water(pixels: Pixels, level: int) -> Any:
    return _looked_up(pixels, _levels() * np.exp(-np.array(WATER_ATTENUATION) * (1, 2, 4, 6, 8)[level]))


def haze(pixels: Pixels, level: int, random: Random) -> Pixels:
    """Water scatters light: a blue-green veil that gets denser towards one side, and a slight blur."""
    return _hazed(Image.fromarray(pixels), level, random)


def _hazed(image: Any, level: int, random: Random) -> Pixels:
    width, height = image.size
    angle = random.uniform(0, 2 * np.pi)
    strength = -np.log((0.75, 0.6, 0.45, 0.35, 0.25)[level])
    # exp(-strength * (1 + 0.3 * (x + y))) with x and y from -1 to 1 in the direction of the angle
    across = np.exp(-strength * (1 + 0.3 * np.cos(angle) * np.linspace(-1, 1, width)))
    down = np.exp(-strength * 0.3 * np.sin(angle) * np.linspace(-1, 1, height))
    through = np.outer(down.astype(np.float32), np.repeat(across.astype(np.float32), 3)).reshape(height, width, 3)
    blur = ImageFilter.BoxBlur((0.4, 0.8, 1.2, 1.6, 2.2)[level] * max(width, height) / REFERENCE_SIDE)
    veil = _veil(height, width)
    seen = np.asarray(image.filter(blur)) - veil
    seen *= through
    seen += veil
    return _to_pixels(seen)


def deep_water(pixels: Pixels, level: int, random: Random) -> Pixels:
    """Colour cast, haze, low contrast and noise combined, each milder than alone."""
    milder = max(0, level - 1)
    seen = _hazed(_behind_water(pixels, milder), milder, random).astype(np.float32)
    factor = (0.9, 0.8, 0.7, 0.6, 0.5)[level]
    noise = random.normal(pixels.shape)
    noise *= np.float32(255 * (0.02, 0.03, 0.04, 0.06, 0.08)[level])
    noise += np.float32((1 - factor) * _mean(seen).mean())
    seen *= np.float32(factor)
    noise += seen
    return _to_pixels(noise)


CORRUPTIONS: dict[str, Callable[[Pixels, int, Random], Pixels]] = {
    "colour-cast": colour_cast,
    "haze": haze,
    "deep-water": deep_water,
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "defocus-blur": defocus_blur,
    "motion-blur": motion_blur,
    "brightness": brightness,
    "contrast": contrast,
    "jpeg": jpeg,
    "pixelate": pixelate,
    "fog": fog,
    "low-light": low_light,
    "exposure": exposure,
    "rotation": rotation,
}

GROUPS: dict[str, tuple[str, ...]] = {
    "underwater": ("colour-cast", "haze", "deep-water", "gaussian-noise", "contrast"),
    "standard": (
        "gaussian-noise", "shot-noise", "defocus-blur", "motion-blur",
        "brightness", "contrast", "jpeg", "pixelate", "fog",
    ),
    "sensor": ("low-light", "exposure", "rotation"),
    "all": tuple(CORRUPTIONS),
}  # fmt: skip
"""Names for several corruptions. A corruption may be in more than one group."""


def _scale(pixels: Pixels) -> float:
    return float(max(pixels.shape[:2]) / REFERENCE_SIDE)


def _levels() -> Any:
    """float64 (256, 1): all levels, from which to compute a table of one or three columns."""
    return np.arange(256.0)[:, None]


def _to_pixels(values: Any) -> Pixels:
    """Round and clip to 0-255. Overwrites a float32 array."""
    if not (isinstance(values, np.ndarray) and values.dtype == np.float32 and values.flags.owndata):
        values = np.array(values, np.float32)
    np.rint(values, out=values)  # in place: allocating arrays of this size costs more than the arithmetic
    np.clip(values, 0, 255, out=values)
    return np.asarray(values.astype(np.uint8))


def _mean(pixels: Pixels) -> Any:
    """float64 (3,): the mean of each channel. Sums of integers below 2^24 are exact in float32."""
    height, width = pixels.shape[:2]
    of_columns = pixels.reshape(height, -1).astype(np.float32, copy=False).sum(axis=0)
    return of_columns.reshape(width, 3).astype(np.float64).sum(axis=0) / (height * width)


def _taken(table: Any, places: Any) -> Any:
    """``table[places]``, faster: NumPy indexes fastest with its own integer type, and the buffer is reused."""
    if places.dtype != np.intp:
        if getattr(_own, "places", np.empty(0)).shape != places.shape:
            _own.places = np.empty(places.shape, np.intp)
        np.copyto(_own.places, places, casting="unsafe")
        places = _own.places
    return np.take(table, places)


def _look_up(pixels: Pixels, table: Any) -> Pixels:
    """Apply ``table``, (256, 1) for all channels or (256, 3) for each, to the levels of ``pixels``."""
    return np.array(_looked_up(pixels, table))


def _looked_up(pixels: Pixels, table: Any) -> Any:
    """The same, as a Pillow image for further steps."""
    rounded = _to_pixels(np.broadcast_to(table, (256, 3)))
    return Image.fromarray(pixels).point(rounded.T.ravel().tolist())


def _add_noise(pixels: Pixels, deviation: float, random: Random) -> Pixels:
    noise = random.normal(pixels.shape)
    noise *= np.float32(255 * deviation)
    noise += pixels
    return _to_pixels(noise)


@lru_cache(maxsize=4)
def _veil(height: int, width: int) -> Any:
    """float32 (H, W, 3): every pixel has the colour of the veil. Not broadcast, because that is slow here."""
    return np.tile(np.array(WATER_VEIL, np.float32), (height, width, 1))


@lru_cache(maxsize=1)
def _normal_table() -> Any:
    """float32 (65536,): the quantiles in the middle of equally probable intervals."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile((i + 0.5) / 65536) for i in range(65536)], np.float32)


@lru_cache(maxsize=8)
def _poisson_table(photons: int) -> Pixels:
    """uint8 (256, 4096): for each level, the quantiles of a Poisson count with ``photons`` at white, as levels."""
    mean = _levels() * (photons / 255)
    counts = np.arange(2 * photons + 30)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        probability = np.exp(counts * np.log(mean) - mean - log_factorial)
    probability[0] = counts == 0  # no light, no photons
    below = np.cumsum(probability, axis=1)
    quantiles = (np.arange(4096) + 0.5) / 4096
    drawn = np.stack([np.searchsorted(row, quantiles) for row in below])
    return _to_pixels(drawn * (255 / photons))


def _clouds(height: int, width: int, roughness: float, random: Random) -> Any:
    """float32 (H, W), 0 to 1: the sum of random grids of 2, 4, 8 ... points, each ``roughness`` times weaker."""
    bilinear = Image.Resampling.BILINEAR
    total, strength, points = np.zeros((1, 1), np.float32), 1.0, 2
    while points < 2 * max(height, width):
        finer = np.asarray(Image.fromarray(total).resize((points, points), bilinear))
        grid = random.words((points, points)).astype(np.float32) / 32768 - 1
        total = finer + np.float32(strength) * grid
        strength, points = strength / roughness, points * 2
    total = total[:height, :width] - total[:height, :width].min()
    return total / max(float(total.max()), 1e-6)
