"""``statistics.json`` of a deployment: the test split as the model sees it."""

from __future__ import annotations

from edgekit.documents.base import Document


class DriftReference(Document):
    """What the drift check of ``watch`` compares pictures with. The device program reads it."""

    model_sha256: str
    """Of the deployed model file."""
    n_images: int
    values: dict[str, tuple[float, ...]]
    """One value per test image: ``confidence``, the probability of the top class, and the input features
    ``brightness``, ``contrast``, ``sharpness``, ``saturation`` and ``warmth``, in units of a pixel value (0-255)."""
    predicted: tuple[int, ...]
    """How many test images the model assigned to each class."""
