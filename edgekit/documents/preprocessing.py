"""How images reach a third-party model, and how its output becomes probabilities."""

from __future__ import annotations

from edgekit.documents.base import Part


class ScalingRecord(Part):
    """``(pixel - mean) / std`` for each channel of 0-255; ``bgr``: red and blue are swapped first."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool


class PreprocessingRecord(Part):
    """What was assumed about a third-party model, from its metadata or from options."""

    scaling: ScalingRecord | None
    """``null``: the input takes pixels as they are."""
    resize: str
    filter: str
    """How pixels were computed when images were resized: ``bilinear``, ``bicubic``, ``lanczos``, ``area``,
    ``nearest``."""
    height: int
    width: int
    channels: int
    """3: RGB, 1: grey."""
    batch: int
    """Images of one run, whose latency this is. The image is repeated in a batch above 1."""
    dynamic_batch: bool
    """The model leaves the batch open; it was measured at 1."""
    output: str
    """Name of the output with the scores."""
    output_operator: str
    """What computes it: ``softmax``, ``sigmoid``, ``scores`` (logits), or empty where that is not known."""
    activation: str
    """What had to make probabilities of the output: ``softmax``, ``sigmoid``, ``none``, or ``auto``."""
    preset: str | None = None
