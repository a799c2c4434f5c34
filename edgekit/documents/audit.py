"""``audit.json``: the findings of an audit of an image folder."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from edgekit.documents.base import Document, InnerPath, JsonObject, Migration, Part


class CorruptFile(Part):
    """An image that cannot be decoded."""

    path: str
    reason: str


class ImagePair(Part):
    """Two images with the same or nearly the same content; ``b`` is a duplicate of ``a``."""

    a: str
    """Path of the first image."""
    b: str
    """Path of its duplicate."""
    distance: int
    """Number of bits of the perceptual hash that differ."""
    same_class: bool
    """Whether both have the same class."""


class LeakedImage(ImagePair):
    """A test image ``b`` that is a duplicate of a training or validation image ``a``."""

    exact: bool
    """Whether all decoded pixels are equal."""


class DuplicatesAcross(Part):
    """Images of split ``b`` that are duplicates of an image of split ``a``."""

    a: str
    """The split that comes first in training."""
    b: str
    """The later split."""
    n_files: int
    """Number of images in ``b`` with a duplicate in ``a``."""
    pairs: tuple[ImagePair, ...]
    """Each of them with its closest duplicate."""


class Duplicates(Part):
    """Duplicates within each split and across splits."""

    within: dict[str, int]
    """Number of images that are duplicates of an earlier image of the same split, by split."""
    across: tuple[DuplicatesAcross, ...]
    """Duplicates in each pair of splits."""
    groups: tuple[tuple[str, ...], ...]
    """Groups of duplicates, as paths."""


class NearDuplicates(Duplicates):
    """Near duplicates, which look alike by their perceptual hashes but do not have the same pixels."""

    max_distance: int
    """Largest number of bits that may differ."""
    hash_bits: int
    """Number of bits of the hash."""


class LabelledFile(Part):
    """An image with its class and split."""

    path: str
    label: str = Field(validation_alias="class", serialization_alias="class")
    """Class name; the key is ``class``."""
    split: str

    model_config = ConfigDict(populate_by_name=True)


class LabelConflict(Part):
    """Duplicates with different classes."""

    kind: Literal["exact", "near"]
    """``exact``: the same pixels; ``near``: images that look alike."""
    distance: int
    """Number of bits of the perceptual hash that differ."""
    files: tuple[LabelledFile, ...]
    """The images."""


class ImageSizes(Part):
    """Sizes of the images in pixels."""

    distinct: int
    """Number of different sizes."""
    most_common: dict[str, int]
    """Number of images of the most common sizes, by size (``WIDTHxHEIGHT``)."""
    width_pixels: tuple[int, int, int] | None
    """Smallest, median and largest width; ``null`` if no image can be decoded."""
    height_pixels: tuple[int, int, int] | None
    """Smallest, median and largest height; ``null`` if no image can be decoded."""


class ShortcutRecord(Part):
    """A file property that predicts the class."""

    property: str
    """``mode``, ``format``, ``size`` or another property."""
    accuracy: float
    """Accuracy of predicting the class from this property alone (0 to 1)."""
    accuracy_ci95: tuple[float, float]
    """Wilson's 95% interval of this accuracy."""
    largest_class: float
    """Accuracy of always predicting the largest class (0 to 1)."""
    n_images: int
    """Number of images."""
    values: dict[str, dict[str, int]]
    """Number of images by value of the property and class."""


class BaselineAccuracy(Part):
    """The accuracy of a rule that needs no network."""

    accuracy: float
    """Share of images that are classified correctly (0 to 1)."""
    n_samples: int
    """Number of images."""


class NearestNeighbourAccuracy(BaselineAccuracy):
    """The accuracy of the class of the nearest training or validation image, by its grey pixels."""

    size: int
    """Side of the pictures that are compared, in pixels."""


class Baselines(Part):
    """What needs no network. Of the test images; without a test split, each image is predicted from all others."""

    majority: BaselineAccuracy
    """Always naming the largest class."""
    nearest_neighbour: NearestNeighbourAccuracy
    """Naming the class of the nearest image."""


class SimilarGroups(Part):
    """Groups of images at one distance: each image is within it of another image of its group."""

    threshold: float
    """The distance: root mean square difference of 48 x 48 grey pixels, in grey levels (0 to 255)."""
    n_groups: int
    """Number of groups."""
    largest_group: float
    """Share of the images in the largest group (0 to 1)."""
    nearest_neighbour: float
    """Accuracy of the nearest image of another group (0 to 1)."""


class SimilarityCurve(Part):
    """Groups of similar images over a range of thresholds."""

    thresholds: tuple[SimilarGroups, ...]
    """The groups at each threshold."""
    proposed: float
    """The largest threshold at which no group holds more than ``largest_group`` of the images."""
    largest_group: float
    """The rule of ``proposed`` (0 to 1)."""
    n_images: int
    """Number of images that were used: all, or 8,000 at equal steps."""


class BaselinesDocument(Document):
    """``baselines.json`` of a run: accuracies that need no network, on the images that the run was tested on."""

    fingerprint: str
    """Fingerprint of the images and their splits."""
    baselines: Baselines | None
    """``null`` for too few images."""


class AuditPicture(Part):
    """A thumbnail in the folder of a study."""

    path: str
    """Path of the image below the image folder."""
    file: InnerPath
    """The thumbnail, relative to the study folder."""


def _without_baselines(value: JsonObject) -> JsonObject:
    """Version 1 knew no baselines."""
    return {**value, "baselines": None}


def _without_similarity(value: JsonObject) -> JsonObject:
    """Version 2 had no groups of similar images."""
    return {**value, "similarity": None}


class AuditDocument(Document):
    """The findings of an audit. Paths are relative to the image folder."""

    VERSION: ClassVar[int] = 3
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: _without_baselines, 2: _without_similarity}

    root: str
    """The image folder."""
    name: str
    """Name of the dataset."""
    layout: str
    """How the images came to be split, in words."""
    fingerprint: str
    """SHA-256 over the class names and the class, split and content of every image."""
    n_images: int
    """Number of images."""
    splits: dict[str, int]
    """Number of images by split."""
    classes: dict[str, dict[str, int]]
    """Number of images by split and class."""
    largest_class_over_smallest: dict[str, float | None]
    """Size of the largest class relative to the smallest, by split; ``null`` if a class has no images."""
    corrupt: tuple[CorruptFile, ...]
    """Images that cannot be decoded."""
    exact_duplicates: Duplicates
    """Images with the same pixels."""
    near_duplicates: NearDuplicates
    """Images that look alike. An image with an exact duplicate does not count here."""
    label_conflicts: tuple[LabelConflict, ...]
    """Duplicates with different classes."""
    leaked_test_images: tuple[LeakedImage, ...]
    """Test images that are duplicates of training or validation images, the closest first."""
    sizes: ImageSizes
    """Sizes of the images."""
    modes: dict[str, int]
    """Number of images by Pillow mode."""
    formats: dict[str, int]
    """Number of images by file format."""
    shortcuts: tuple[ShortcutRecord, ...]
    """File properties that predict the class, the most accurate first."""
    baselines: Baselines | None
    """Accuracies that need no network; None for too few images, or in an audit of an older edgekit."""
    similarity: SimilarityCurve | None = None
    """Groups of similar images; ``null`` for too few images, or in an audit of an older edgekit."""
    notes: tuple[str, ...] = ()
    """Warnings about the folder."""
    pictures: tuple[AuditPicture, ...] | None = None
    """Thumbnails of leaked images and their duplicates; only in the audit of a study."""
