"""Documents about image folders: a suggested recipe, a corrupted copy and a downloaded dataset."""

from __future__ import annotations

from edgekit.documents.base import Document, Part


class ImageFolderRecord(Part):
    """What the images of a folder are like."""

    name: str
    root: str
    layout: str
    """How the images came to be split, in words."""
    fingerprint: str
    """SHA-256 over class names and the class, split and content of every image."""
    n_images: int
    classes: tuple[str, ...]
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
    resize: str
    backbone: str
    weights: str
    strategy: str
    class_weights: str
    batch_size: int


class SuggestionDocument(Document):
    """The result of ``edgekit init``: what a folder contains and which recipe was written for it."""

    recipe: str
    """Path of the recipe."""
    dataset: ImageFolderRecord
    suggested: SuggestedSettings


class CorruptedCopyDocument(Document):
    """``corrupted.json``: how the corrupted copy of an image folder was made."""

    corruption: str
    suite: int | str
    """Version of the corruptions; another version gives other pixels."""
    seed: int
    images_by_severity: dict[str, int]
    source: str
    """The original folder."""
    source_fingerprint: str
    counts: dict[str, dict[str, int]]
    """Images by split and class."""


class DownloadDocument(Document):
    """The result of ``edgekit data fetch``: where a public dataset is on this machine."""

    name: str
    handle: str
    """Name of the dataset on Kaggle."""
    folder: str
