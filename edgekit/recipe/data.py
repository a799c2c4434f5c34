"""Which images, and how they are shared out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgekit.recipe.section import Fraction, Section


class Split(Section):
    """How images are shared out where the folder has no such split."""

    val: Fraction = 0.2
    """Part of the training images kept for validation."""
    test: Fraction = 0.2
    """Part of all images kept for the test."""
    seed: int = 0
    dedupe: bool = False
    """Images that repeat each other (the same pixels, or nearly: see ``edgekit data audit``) stay in one split; copies
    of images in the folder's own test (or validation) split are left out of training."""


class Data(Section):
    """The images. Either ``path`` (a folder) or ``name`` (an embedded dataset)."""

    path: str | None = None
    name: Literal["digits"] | None = None
    image_size: Annotated[int, Field(ge=32, le=2048)] = 224
    """Height and width in pixels that the network sees."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How other shapes become square: stretched, centre-cropped, or padded with black."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    split: Split = Split()
    limit_per_class: Annotated[int, Field(ge=1)] | None = None
    """At most this many training and this many validation images per class (seeded choice); the test split stays."""
