"""``audit.json``: what an audit found in an image folder."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from edgekit.documents.base import Document, Part


class CorruptFile(Part):
    """An image that cannot be decoded."""

    path: str
    reason: str


class ImagePair(Part):
    """Two images with the same or nearly the same content; ``b`` repeats ``a``."""

    a: str
    b: str
    distance: int
    """Differing bits of the perceptual hash."""
    same_class: bool


class LeakedImage(ImagePair):
    """A test image that repeats a training or validation image."""

    exact: bool
    """Whether all decoded pixels are equal."""


class DuplicatesAcross(Part):
    """Images of split ``b`` that repeat an image of split ``a``."""

    a: str
    b: str
    n_files: int
    pairs: tuple[ImagePair, ...]


class Duplicates(Part):
    """Duplicates within each split and across splits."""

    within: dict[str, int]
    """By split: images that repeat an earlier one of it."""
    across: tuple[DuplicatesAcross, ...]
    groups: tuple[tuple[str, ...], ...]
    """Images with the same content, each group as paths."""


class NearDuplicates(Duplicates):
    """Near duplicates by perceptual hash."""

    max_distance: int
    hash_bits: int


class LabelledFile(Part):
    """An image with its class and split."""

    path: str
    label: str = Field(alias="class")
    split: str

    model_config = ConfigDict(populate_by_name=True)


class LabelConflict(Part):
    """Images with the same or nearly the same content under different classes."""

    kind: Literal["exact", "near"]
    distance: int
    files: tuple[LabelledFile, ...]


class ImageSizes(Part):
    """Sizes in pixels; ranges are smallest, median, largest."""

    distinct: int
    most_common: dict[str, int]
    width_pixels: tuple[int, int, int] | None
    height_pixels: tuple[int, int, int] | None


class ShortcutRecord(Part):
    """A property of the files that tells the class."""

    property: str
    accuracy: float
    accuracy_ci95: tuple[float, float]
    largest_class: float
    """Accuracy of always guessing the largest class."""
    n_images: int
    values: dict[str, dict[str, int]]


class AuditPicture(Part):
    """A thumbnail beside the audit of a study."""

    path: str
    file: str


class AuditDocument(Document):
    """What an audit found."""

    root: str
    name: str
    layout: str
    fingerprint: str
    n_images: int
    splits: dict[str, int]
    classes: dict[str, dict[str, int]]
    largest_class_over_smallest: dict[str, float | None]
    corrupt: tuple[CorruptFile, ...]
    exact_duplicates: Duplicates
    near_duplicates: NearDuplicates
    label_conflicts: tuple[LabelConflict, ...]
    leaked_test_images: tuple[LeakedImage, ...]
    sizes: ImageSizes
    modes: dict[str, int]
    formats: dict[str, int]
    shortcuts: tuple[ShortcutRecord, ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[AuditPicture, ...] | None = None
    """Thumbnails of leaked pairs; only in a study."""
