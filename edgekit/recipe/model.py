"""Which network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.section import Fraction, Section, unknown_name
from edgekit.registry import BACKBONES, get_backbone


class Head(Section):
    """What stands on the backbone: average pooling, Dense(units, ReLU), BatchNorm, Dropout, Dense(classes, softmax)."""

    units: Annotated[int, Field(ge=0)] = 256
    """0: no hidden layer."""
    batchnorm: bool = True
    batchnorm_momentum: Fraction = 0.9
    """Keras's 0.99 needs hundreds of steps before inference mode is right, more than a small folder gives."""
    dropout: Fraction = 0.5


class Model(Section):
    """The network."""

    backbone: str = "mobilenetv2"
    alpha: float = 1.0
    """Width multiplier (MobileNetV2)."""
    weights: str = "imagenet"
    """``imagenet`` (downloaded by Keras), ``none``, or the path of a Keras weights file of the backbone (no top)."""
    head: Head = Head()

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, value: str) -> str:
        if value not in BACKBONES:
            raise ValueError(unknown_name("backbone", value, list(BACKBONES)))
        return value

    @model_validator(mode="after")
    def _alpha_fits(self) -> Model:
        alphas = get_backbone(self.backbone).alphas
        if not alphas and self.alpha != 1.0:
            raise ValueError(f"alpha {self.alpha} was given, but the width of {self.backbone} cannot be chosen")
        if alphas and not 0.1 <= self.alpha <= 2.0:
            raise ValueError(f"alpha must be between 0.1 and 2.0, not {self.alpha}")
        if alphas and self.weights == "imagenet" and self.alpha not in alphas:
            raise ValueError(
                f"no ImageNet weights exist for alpha {self.alpha}; choose among {', '.join(map(str, alphas))}, "
                "or weights: none"
            )
        return self
