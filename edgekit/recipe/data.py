"""The images, and how they are split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edgekit.recipe.section import Count, Fraction, PathText, Section, Seed


class Split(Section):
    """How to split the images if the folder has no validation or test folders."""

    val: Fraction = 0.2
    """Fraction of the training images to use for validation (0 to 1)."""
    test: Fraction = 0.2
    """Fraction of all images to use for the test split (0 to 1)."""
    gate: Fraction = 0.1
    """Fraction of the training images to set aside for the accuracy gate (0 to 1). These images choose nothing:
    neither weights nor the best epoch. No images are set aside where they would be fewer than 100; the gate then uses
    the validation images."""
    seed: Seed = 0
    """Seed of the random split (0 to 2**31 - 1)."""
    dedupe: bool = False
    """Keep duplicate images (same pixels, or nearly the same; see ``edgekit data audit``) in one split, and drop
    training images that duplicate an image in the folder's own test or validation split."""
    groups: Literal["similar"] | None = None
    """``similar``: keep groups of similar images in one split: copies, as ``dedupe`` does, but also, for example, the
    frames of one recording. edgekit then draws all splits, even if the folder has splits of its own."""
    similar_within: Annotated[float, Field(ge=0, le=255)] | None = None
    """With ``groups: similar``: largest distance of neighbours in a group, as the root mean square difference of
    48 x 48 grey pixels (0 to 255). If omitted, the distance that ``edgekit data audit`` proposes."""

    @model_validator(mode="after")
    def _groups_fit(self) -> Split:
        if self.groups is None and self.similar_within is not None:
            raise ValueError("similar_within requires groups: similar")
        if self.groups is not None and self.dedupe:
            raise ValueError("dedupe and groups exclude each other: similar groups contain all duplicates")
        return self


def _pixel_range(text: str) -> str:
    from edgekit.device.pixel_range import parse_range

    if text not in ("auto", "percentile"):
        parse_range(text)
    return text


class Data(Section):
    """The images: give either ``path`` or ``name``."""

    path: PathText | None = None
    """Folder of labelled images: one folder per class, or train, val and test folders with class folders inside."""
    labels_from: PathText = "auto"
    """Where the labels are: ``auto`` (the folders, whatever usual layout they have), ``folders`` (the outermost folders
    are the classes), ``inner-folders`` (the folders that contain the images are), ``file-names`` (``cat.0.jpg``), or a
    CSV file in the image folder, or elsewhere, with a file and a label in each row."""
    name: Literal["digits"] | None = None
    """Name of an embedded dataset. ``digits``: 1,797 handwritten digits from scikit-learn."""
    image_size: Annotated[int, Field(ge=8, le=2048)] = 224
    """Height and width of the network input in pixels (8 to 2048). Every backbone has its own lower limit, of at least
    32."""
    range: Annotated[str, AfterValidator(_pixel_range)] = "auto"
    """How images with more than 8 bits become 0 to 255: ``auto`` (from the smallest of 0-255, 0-1023, 0-4095, 0-16383
    and 0-65535 that holds the values of all images), ``full`` (0-65535), ``percentile`` (from the 0.5th to the 99.5th
    percentile of each image), or a range such as ``0-4095``."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How images become square: ``stretch`` changes the aspect ratio, ``crop`` keeps the centre, ``pad`` adds black
    bars."""
    on_corrupt: Literal["stop", "skip"] = "stop"
    """What to do about images that cannot be decoded: ``stop`` lists them and ends, ``skip`` warns and leaves them
    out."""
    split: Split = Split()
    """How to split the images."""
    limit_per_class: Count | None = None
    """Upper limit on the training images, and on the validation images, of each class (at least 1; the choice depends
    on the split seed). The test split is not limited. ``null`` uses all."""
