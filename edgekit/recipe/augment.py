"""Augmentation: how training images are changed, one by one or mixed in pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.recipe.section import MOST, Fraction, PhaseName, Probability, Section


class Augment(Section):
    """Random changes to single training images, drawn anew in every epoch.

    With every amount at 0 and ``flip: none``, images are not augmented. AugMix is not available: the Keras layer
    draws its chain of operations once, when the training step is compiled, so every batch would get the same chain.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation in degrees (0 to 180). Each angle is drawn uniformly from [-rotation, rotation]."""
    zoom: Fraction = 0.0
    """Largest relative change of scale (0 to 1). Each factor is drawn uniformly from [1 - zoom, 1 + zoom]."""
    shift: Fraction = 0.0
    """Largest shift along each axis, as a fraction of the image side (0 to 1), in either direction."""
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    """Axes along which an image is mirrored with probability 0.5. Leave it at ``none`` where left and right matter."""
    brightness: Fraction = 0.0
    """Largest brightness offset, as a fraction of the full range of 255 (0 to 1), in either direction."""
    contrast: Fraction = 0.0
    """Largest relative change of contrast around mid-grey (0 to 1). Each factor is drawn from
    [1 - contrast, 1 + contrast]."""
    randaugment: Annotated[int, Field(ge=0, le=8)] = 0
    """Number of RandAugment operations applied to each batch after the changes above (0 to 8; Cubuk et al. 2020 use
    2). Keras computes every operation in each step, so use it on a GPU. The draws are the same for every backbone but
    differ between Keras backends."""
    randaugment_strength: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Strength of the RandAugment operations (above 0, up to 1). 0.3 corresponds to about magnitude 9 of 30."""
    erasing: Fraction = 0.0
    """Probability (0 to 1) that a random box of an image is filled with one random colour (random erasing, Zhong et al.
    2020). Applied last."""
    erasing_area: Annotated[float, Field(ge=0.02, le=1)] = 0.33
    """Largest erased area, as a fraction of the image (0.02 to 1). The smallest is 0.02, and the sides of the box have
    a ratio between 0.3 and 3.3."""

    @property
    def active(self) -> bool:
        """Whether any augmentation is switched on."""
        amounts = (self.rotation, self.zoom, self.shift, self.brightness, self.contrast, self.randaugment, self.erasing)
        return self.flip != "none" or any(amounts)


class MixUp(Section):
    """MixUp: two images are blended, and so are their labels, in the same ratio (Zhang et al. 2018)."""

    probability: Probability = 0.0
    """Probability (0 to 1) that a batch is mixed with MixUp."""
    alpha: Annotated[float, Field(gt=0)] = 0.2
    """Parameter of the Beta(alpha, alpha) distribution that each pair's ratio is drawn from (above 0). Small values
    keep one of the two images almost unchanged."""


class CutMix(Section):
    """CutMix: a box of one image is pasted into another, and labels are mixed by area (Yun et al. 2019)."""

    probability: Probability = 0.0
    """Probability (0 to 1) that a batch is mixed with CutMix."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Parameter of the Beta(alpha, alpha) distribution that each pair's area is drawn from (above 0). 1 makes every
    area equally likely."""


class Mix(Section):
    """Training on mixed pairs of images. Each batch is mixed with MixUp, with CutMix or not at all."""

    mixup: MixUp = MixUp()
    """Settings of MixUp."""
    cutmix: CutMix = CutMix()
    """Settings of CutMix. The two probabilities must not add up to more than 1."""
    phases: Annotated[list[PhaseName], Field(min_length=1)] = ["feature-extraction", "fine-tuning", "from-scratch"]
    """Training phases in which images are mixed. With ``feature-extraction``, the frozen backbone has to be computed
    again in every epoch. Earlier versions called this setting ``stages``, which is still accepted."""
    off_last_epochs: Annotated[int, Field(ge=0, le=MOST)] = 0
    """Number of epochs at the end of each phase that train on unmixed images (0 or more). They are counted from the
    phase's ``epochs``, whether or not early stopping ends it sooner."""

    @property
    def active(self) -> bool:
        """Whether any batch is mixed."""
        return self.mixup.probability > 0 or self.cutmix.probability > 0

    def active_in(self, phase: str) -> bool:
        """Whether images are mixed in the phase called ``phase``."""
        return self.active and phase in self.phases

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, values: object) -> object:
        if isinstance(values, dict) and "stages" in values:
            return {**{key: value for key, value in values.items() if key != "stages"}, "phases": values["stages"]}
        return values

    @model_validator(mode="after")
    def _one_of_two(self) -> Mix:
        if (together := self.mixup.probability + self.cutmix.probability) > 1 + 1e-9:
            raise ValueError(
                "a batch is mixed with either mixup or cutmix: "
                f"their probabilities must not add up to more than 1, but they add up to {together:g}"
            )
        return self
