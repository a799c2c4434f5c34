"""The network: backbone, weights and head."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.section import Fraction, PathText, Section, known_backbone
from edgekit.registry import get_backbone


class Head(Section):
    """The layers on top of the backbone.

    In order: global average pooling, Dense(units, ReLU), BatchNorm, Dropout, Dense(classes, softmax).
    """

    units: Annotated[int, Field(ge=0, le=65_536)] = 256
    """Units of the hidden dense layer (0 to 65,536). 0 leaves the layer out."""
    batchnorm: bool = True
    """Whether the head has a BatchNorm layer."""
    batchnorm_momentum: Fraction = 0.9
    """Momentum of that BatchNorm layer (0 to 1). The Keras default of 0.99 needs hundreds of steps before inference
    mode is accurate, more than a small dataset provides."""
    dropout: Fraction = 0.5
    """Dropout rate (0 to 1). 0 leaves the layer out."""


class Model(Section):
    """The network."""

    backbone: str = "mobilenetv2"
    """Name of the backbone (``edgekit list backbones``), ``keras:NAME`` for another class of ``keras.applications``,
    or the path of a ``.keras`` or ``.h5`` file with a feature extractor of your own."""
    alpha: float = 1.0
    """Width multiplier, for backbones that have one (MobileNetV2: 0.1 to 2.0; ImageNet weights exist for some)."""
    weights: PathText = "imagenet"
    """Initial weights of the backbone: ``imagenet`` (downloaded by Keras), ``none`` (random), or the path of a Keras
    weights file of the backbone without its top. A backbone from a file always has the weights of that file."""
    scaling: str | None = None
    """For a backbone from a file: the scaling that its weights expect of the pixels (``none``, ``unit``,
    ``symmetric``, ``imagenet``, ``caffe`` or ``MEAN,STD``). ``null`` is ``none``: 0 to 255, or scaled in the model."""
    head: Head = Head()
    """The layers on top of the backbone."""

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, value: str) -> str:
        return known_backbone(value)

    @model_validator(mode="after")
    def _file_fits(self) -> Model:
        if get_backbone(self.backbone).file is None:
            if self.scaling is not None:
                raise ValueError(f"scaling is for a backbone from a file; {self.backbone} has its own")
        elif self.weights not in ("imagenet", "none"):
            raise ValueError("a backbone from a file has the weights of that file; leave out weights")
        return self

    @model_validator(mode="after")
    def _alpha_fits(self) -> Model:
        alphas = get_backbone(self.backbone).alphas
        if not alphas and self.alpha != 1.0:
            raise ValueError(f"alpha is {self.alpha}, but {self.backbone} has no width multiplier")
        if alphas and not 0.1 <= self.alpha <= 2.0:
            raise ValueError(f"alpha must be between 0.1 and 2.0, not {self.alpha}")
        if alphas and self.weights == "imagenet" and self.alpha not in alphas:
            raise ValueError(
                f"there are no ImageNet weights for alpha {self.alpha}; choose one of {', '.join(map(str, alphas))}, "
                "or set weights: none"
            )
        return self
