"""How training images are changed: one by one, and mixed in pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.recipe.section import Fraction, Section, StageName


class Augment(Section):
    """Random changes of the training images. All 0 or ``none``: no augmentation.

    Of others that go by name: AugMix is not offered. Keras's layer draws its chains of operations when the step is
    compiled, so that every batch would get the same ones.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees, uniform in [-rotation, rotation]."""
    zoom: Fraction = 0.0
    """Scale factor uniform in [1 - zoom, 1 + zoom]."""
    shift: Fraction = 0.0
    """Uniform in [-shift, shift] of the image's side, both axes."""
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    brightness: Fraction = 0.0
    """Offset uniform in [-brightness, brightness] of the full range (255)."""
    contrast: Fraction = 0.0
    """Factor about mid-grey, uniform in [1 - contrast, 1 + contrast]."""
    randaugment: Annotated[int, Field(ge=0, le=8)] = 0
    """Operations of Keras's RandAugment on each batch (Cubuk et al. 2020 use 2), after the changes above. It computes
    all its operations in every step: for a GPU. Its draws differ between backends, not between backbones."""
    randaugment_strength: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Of its operations: 0.3 is about magnitude 9 of 30."""
    erasing: Fraction = 0.0
    """Probability that a box of an image is filled with a random colour (Zhong et al. 2020), after all of these."""
    erasing_area: Annotated[float, Field(ge=0.02, le=1)] = 0.33
    """Largest part of the image that is erased; the smallest is 0.02, sides are between 0.3 and 3.3 to 1."""

    @property
    def active(self) -> bool:
        amounts = (self.rotation, self.zoom, self.shift, self.brightness, self.contrast, self.randaugment, self.erasing)
        return self.flip != "none" or any(amounts)


class MixUp(Section):
    """Two images laid over each other, their labels mixed in the same ratio (Zhang et al. 2018)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of a batch to be mixed this way."""
    alpha: Annotated[float, Field(gt=0)] = 0.2
    """The ratio is drawn from Beta(alpha, alpha) for each pair: small values leave most of one of the two images."""


class CutMix(Section):
    """A box of one image pasted into another, their labels mixed by its area (Yun et al. 2019)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of a batch to be mixed this way."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """The area is drawn from Beta(alpha, alpha) for each pair: 1 is uniform."""


class Mix(Section):
    """Training on mixed pairs of images. A batch is mixed by one of the two, or by none."""

    mixup: MixUp = MixUp()
    cutmix: CutMix = CutMix()
    stages: Annotated[list[StageName], Field(min_length=1)] = ["feature-extraction", "fine-tuning", "from-scratch"]
    """Where images are mixed. In ``feature-extraction`` every epoch goes through the frozen backbone again."""
    off_last_epochs: Annotated[int, Field(ge=0)] = 0
    """So many epochs at the end of a stage (of its ``epochs``, not of those early stopping leaves) train unmixed."""

    @property
    def active(self) -> bool:
        return self.mixup.probability > 0 or self.cutmix.probability > 0

    def active_in(self, stage: str) -> bool:
        """Whether the stage of this name mixes images."""
        return self.active and stage in self.stages

    @model_validator(mode="after")
    def _one_of_two(self) -> Mix:
        if (together := self.mixup.probability + self.cutmix.probability) > 1 + 1e-9:
            raise ValueError(
                f"a batch is mixed by mixup or by cutmix: their probabilities are at most 1 together, not {together:g}"
            )
        return self
