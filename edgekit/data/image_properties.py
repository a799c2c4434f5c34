"""Reads sizes, shapes, modes and formats of the images of a dataset from their headers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from edgekit.data.conversions import conversion_note, deep_images
from edgekit.data.dataset import Dataset
from edgekit.data.pixel_range import DeepImages
from edgekit.data.reasons import listing
from edgekit.device.images import ImageError, read_header
from edgekit.errors import InputError
from edgekit.support.progress import SILENT, Progress

SAMPLED_IMAGES = 2000
"""Upper limit on the headers that are read. Larger folders are sampled evenly."""


@dataclass(frozen=True)
class ImageProperties:
    """Properties of the images of a dataset. ``short_sides`` are in pixels, sorted; ``shapes`` are width / height."""

    dataset: Dataset
    sampled: int
    short_sides: tuple[int, ...]
    shapes: tuple[float, ...]
    modes: dict[str, int]
    formats: dict[str, int]
    unreadable: dict[str, str]
    """Reasons by path."""
    traits: dict[str, list[str]] = field(default_factory=dict)
    """Paths of the images that are converted when they are read, by the trait that makes this necessary."""
    deep: DeepImages = field(default_factory=DeepImages)
    """The images with more than 8 bits."""

    @property
    def notes(self) -> list[str]:
        """Warnings about images that are converted, and about a range that is hardly used."""
        notes = [
            conversion_note(self.traits, self.sampled, len(self.dataset)),
            self.deep.note(self.dataset.pixel_range),
        ]
        return [note for note in notes if note is not None]

    @cached_property
    def class_sizes(self) -> dict[str, int]:
        """Number of training images of each class."""
        return self.dataset.counts()["train"]

    @property
    def skew(self) -> float:
        """Number of training images of the largest class, relative to the smallest."""
        return max(self.class_sizes.values()) / min(self.class_sizes.values())

    @property
    def shape_spread(self) -> float:
        """How much the shapes differ: the 95th percentile of width / height, relative to the 5th."""
        low, high = np.percentile(self.shapes, [5, 95])
        return float(high / low)


def read_properties(dataset: Dataset, progress: Progress = SILENT) -> ImageProperties:
    """Read the headers of an even sample of the images; raises :class:`InputError` if none can be read."""
    positions = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), SAMPLED_IMAGES)).astype(int)).tolist()
    short_sides, shapes, unreadable = [], [], {}
    modes: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    traits: dict[str, list[str]] = {}
    with progress.bar("reading image headers", len(positions)) as bar:
        for position in positions:
            try:
                header = read_header(dataset.root / dataset.files[position])
            except (ImageError, OSError) as error:
                unreadable[dataset.files[position]] = str(error)
            else:
                short_sides.append(min(header.width, header.height))
                shapes.append(header.width / header.height)
                modes[header.mode] += 1
                formats[header.format] += 1
                for trait in header.traits:
                    traits.setdefault(trait, []).append(dataset.files[position])
            bar.advance()
    if not shapes:
        raise InputError("none of the images can be read", where=str(dataset.root), hint=f"\n{listing(unreadable)}")
    return ImageProperties(
        dataset=dataset,
        sampled=len(positions),
        short_sides=tuple(sorted(short_sides)),
        shapes=tuple(shapes),
        modes=dict(modes.most_common()),
        formats=dict(formats.most_common()),
        unreadable=unreadable,
        traits=traits,
        deep=deep_images(dataset.root, traits.get("16-bit", [])),
    )
