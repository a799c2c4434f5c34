"""Documents about image folders: a suggested recipe, a corrupted copy and a downloaded dataset."""

from __future__ import annotations

from edgekit.documents.base import Document, Part


class ImageFolderRecord(Part):
    """What the images of a folder are like."""

    name: str
    """Name of the dataset."""
    root: str
    """The image folder."""
    layout: str
    """How the images came to be split, in words."""
    fingerprint: str
    """SHA-256 over class names and the class, split and content of every image."""
    n_images: int
    """Number of images."""
    classes: tuple[str, ...]
    """Class names, sorted."""
    counts: dict[str, dict[str, int]]
    """Images by split and class."""
    sampled: int
    """Number of images whose headers were read."""
    short_side_pixels: tuple[int, int, int]
    """Smallest, median and largest length of the shorter side."""
    formats: dict[str, int]
    """Number of sampled images by file format."""
    modes: dict[str, int]
    """Number of sampled images by Pillow mode."""
    unreadable: dict[str, str]
    """Reasons why sampled images cannot be read, by path."""


class SuggestedSettings(Part):
    """The settings that depend on the images."""

    image_size: int
    """``data.image_size``."""
    resize: str
    """``data.resize``."""
    backbone: str
    """``model.backbone``."""
    weights: str
    """``model.weights``."""
    strategy: str
    """``train.strategy``."""
    class_weights: str
    """``train.class_weights``."""
    batch_size: int
    """``train.batch_size``."""


class SuggestionDocument(Document):
    """The result of ``edgekit init``: what a folder contains and which recipe was written for it."""

    recipe: str
    """Path of the recipe."""
    dataset: ImageFolderRecord
    """The images."""
    suggested: SuggestedSettings
    """Some settings of the recipe."""


class CorruptedCopyDocument(Document):
    """``corrupted.json``: how the corrupted copy of an image folder was made."""

    corruption: str
    """Name of the corruption."""
    suite: int | str
    """Version of the corruptions; another version gives other pixels."""
    seed: int
    """Seed of the choice of images, the severities and the noise."""
    images_by_severity: dict[str, int]
    """Number of images of each severity."""
    source: str
    """The original folder."""
    source_fingerprint: str
    """SHA-256 over the class names and the class, split and content of every original image."""
    counts: dict[str, dict[str, int]]
    """Images by split and class."""


class DownloadDocument(Document):
    """The result of ``edgekit data fetch``: where a public dataset is on this machine."""

    name: str
    """Name of the dataset."""
    handle: str
    """Name of the dataset on Kaggle."""
    folder: str
    """Folder on this machine that contains the images."""
