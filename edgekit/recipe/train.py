"""How the network is trained, stage by stage."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgekit.recipe.augment import Augment, Mix
from edgekit.recipe.section import Fraction, Section, StageName, Strategy


class Stage(Section):
    """One stage of training."""

    epochs: Annotated[int, Field(ge=1)] = 10
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    schedule: Literal["plateau", "cosine"] = "plateau"
    """``plateau``: constant, lowered as ``train.reduce_lr`` says; ``cosine``: falls to 0 over the stage's epochs, in
    every step (Loshchilov and Hutter 2017), which serves a few epochs better."""
    dropout: Fraction | None = None
    """Dropout of the head in this stage; ``null``: as in ``model.head``."""


class FeatureExtraction(Stage):
    """The stage that trains the head on the frozen backbone."""

    views: Annotated[int, Field(ge=1)] | None = None
    """With augmentation: how many copies of the training images go through the frozen backbone, once each, the first
    unchanged and the others augmented; the epochs take them in turn. ``null``: every epoch is augmented anew and goes
    through the backbone again."""


class FineTuning(Stage):
    """The second stage of ``fine-tuning``: the last layers of the backbone are opened.

    Exactly one of ``last_layers``, ``from_layer``, ``from_block`` and ``fraction`` says how many;
    ``edgekit list backbones --layers NAME`` shows what each means for a backbone.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    last_layers: Annotated[int, Field(ge=1)] | None = 30
    """How many of the backbone's last layers are trained (layers as Keras counts them, also those without weights)."""
    from_layer: str | None = None
    """The name of the first backbone layer to train."""
    from_block: str | None = None
    """The block to begin at: the first layer of this name, or whose name begins with it and ``_``: ``conv5``."""
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """The part of the backbone's layers to train, from the end, rounded up to a whole layer; 1 is all."""
    train_batchnorm: bool = False
    """Pretrained BatchNorm layers stay in inference mode unless this is true."""
    groups: Annotated[int, Field(ge=1)] = 1
    """Groups of about as many opened layers, for the two settings below; the head is one of its own before them."""
    rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Discriminative learning rates: each group learns at this times the rate of the group behind it."""
    unfreeze_every: Annotated[int, Field(ge=1)] | None = None
    """Gradual unfreezing: the last group is open from the first epoch, one more after every so many epochs."""

    @model_validator(mode="before")
    @classmethod
    def _no_default_beside_another_way(cls, values: Any) -> Any:
        if isinstance(values, dict) and any(values.get(way) is not None for way in _WAYS[1:]):
            return {"last_layers": None, **values}
        return values

    @model_validator(mode="after")
    def _one_way(self) -> FineTuning:
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(_WAYS)}, not {' and '.join(given)} (null takes one away)")
        if not given:
            raise ValueError(f"say which layers to open: {', '.join(_WAYS)}")
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> FineTuning:
        if self.groups == 1 and self.unfreeze_every is not None:
            raise ValueError("unfreeze_every opens one group after the other: give groups of at least 2")
        if self.unfreeze_every is not None and self.unfreeze_every * (self.groups - 1) >= self.epochs:
            raise ValueError(
                f"the last of {self.groups} groups would open after {self.unfreeze_every * (self.groups - 1)} epochs, "
                f"and there are {self.epochs}: give fewer groups, or a smaller unfreeze_every"
            )
        return self


_WAYS = ("last_layers", "from_layer", "from_block", "fraction")
"""The settings of :class:`FineTuning` that say which layers are opened."""


class FromScratch(Stage):
    """The single stage of ``from-scratch``: every layer is trained."""

    epochs: Annotated[int, Field(ge=1)] = 30
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batchnorm_momentum: Fraction = 0.9
    """Keras's ImageNet models use 0.99 to 0.999, which needs thousands of steps before inference mode is right."""


class EarlyStopping(Section):
    """Stop a stage when the monitored value has not improved; the best weights are restored in any case."""

    enabled: bool = True
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    patience: Annotated[int, Field(ge=1)] = 5


class ReduceLR(Section):
    """Lower the learning rate when the validation loss has not improved."""

    enabled: bool = True
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    patience: Annotated[int, Field(ge=1)] = 2
    min_learning_rate: Annotated[float, Field(ge=0)] = 1e-6


class Train(Section):
    """How the network is trained."""

    strategy: Strategy = "fine-tuning"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    batch_size: Annotated[int, Field(ge=1)] = 32
    label_smoothing: Fraction = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """``gpu``: an error where none is found."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Each stage ends with the epoch in which this much time is used up; ``null``: no limit."""
    start_from: str | None = None
    """``fine-tuning`` only: a finished ``feature-extraction`` run with the same settings, whose head is taken over."""
    augment: Augment = Augment()
    mix: Mix = Mix()
    feature_extraction: FeatureExtraction = FeatureExtraction()
    fine_tuning: FineTuning = FineTuning()
    from_scratch: FromScratch = FromScratch()
    early_stopping: EarlyStopping = EarlyStopping()
    reduce_lr: ReduceLR = ReduceLR()

    def stages(self) -> dict[StageName, Stage]:
        """The stages of the strategy, in their order."""
        if self.strategy == "from-scratch":
            return {"from-scratch": self.from_scratch}
        stages: dict[StageName, Stage] = {"feature-extraction": self.feature_extraction}
        if self.strategy == "fine-tuning":
            stages["fine-tuning"] = self.fine_tuning
        return stages

    @model_validator(mode="after")
    def _pictures_can_be_changed(self) -> Train:
        mixed = {name: stage for name, stage in self.stages().items() if self.mix.active_in(name)}
        if "feature-extraction" in mixed and self.feature_extraction.views is not None:
            raise ValueError(
                "feature_extraction.views keeps the features of single images, and mix pairs their pixels: give "
                "feature_extraction.views null (every epoch goes through the backbone), or leave feature-extraction "
                "out of mix.stages"
            )
        if self.augment.randaugment and self.feature_extraction.views is not None and self.strategy != "from-scratch":
            raise ValueError(
                "feature_extraction.views keeps features, and augment.randaugment changes images in the training step: "
                "give feature_extraction.views null, or randaugment 0"
            )
        if mixed and self.batch_size == 1:
            raise ValueError("mix pairs the images of a batch: batch_size has to be at least 2")
        for name, stage in mixed.items():
            if self.mix.off_last_epochs >= stage.epochs:
                raise ValueError(
                    f"mix.off_last_epochs {self.mix.off_last_epochs} leaves none of the {stage.epochs} epochs of "
                    f"{name} mixed: give fewer, or leave {name} out of mix.stages"
                )
        return self
