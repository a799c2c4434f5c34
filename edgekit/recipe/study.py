"""What a study compares, expects and asks for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from edgekit.recipe.section import Section, Strategy, known_corruptions, unknown_name
from edgekit.registry import BACKBONES, SCHEMES

ArmName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
"""Lower-case letters, digits and hyphens: it becomes part of folder names."""


class Budget(Section):
    """What every cell of a study may spend on training."""

    equal: Literal["epochs", "seconds", "compute"] = "epochs"
    """``epochs``: the stages' own, for all. ``seconds``: each stage ends with the epoch in which its time is used up
    (the epochs are then the most there are). ``compute``: epochs in inverse proportion to the multiply-accumulates."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """With ``equal: seconds``."""
    reference: str | None = None
    """With ``equal: compute``: the backbone that has the recipe's epochs; left out, the one that computes most."""

    @model_validator(mode="after")
    def _complete(self) -> Budget:
        if (self.equal == "seconds") != (self.seconds is not None):
            raise ValueError("seconds are given with equal: seconds, and only then")
        if self.reference is not None and self.equal != "compute":
            raise ValueError("reference belongs to equal: compute")
        return self


class Compare(Section):
    """The cells of a study: the product of these lists and the arms. Empty: the value given elsewhere."""

    backbones: list[str] = []
    strategies: list[Strategy] = []
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = []
    overrides: dict[str, dict[str, Any]] = {}
    """Settings of one backbone: ``{vgg16: {train.from_scratch.learning_rate: 1.0e-4}}``. Named in the report."""
    arms: dict[ArmName, dict[str, Any]] = {}
    """Ways of training that are compared with all else equal, each with its settings:
    ``{basic: {}, mixed: {train.mix.mixup.probability: 0.5}}``."""
    budget: Budget = Budget()

    @field_validator("backbones")
    @classmethod
    def _known_backbones(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in BACKBONES:
                raise ValueError(unknown_name("backbone", name, list(BACKBONES)))
        return value


Accuracy = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=0)]


class Reported(Section):
    """A published figure that stands beside the measured ones, marked as reported."""

    backbone: str
    strategy: Strategy
    arm: ArmName | None = None
    """Of the study here that trains as the source did."""
    accuracy: Accuracy | None = None
    """On test images; left out where the source has only ``val_accuracy``."""
    n_samples: Annotated[int, Field(ge=1)]
    """Images behind ``accuracy``, or behind ``val_accuracy`` where that is all there is."""
    source: str
    val_accuracy: Accuracy | None = None
    loss: Loss | None = None
    """Cross-entropy on test images, in nats."""
    val_loss: Loss | None = None
    train_seconds: float | None = None
    size_mb: float | None = None

    @model_validator(mode="after")
    def _has_an_accuracy(self) -> Reported:
        if self.accuracy is None and self.val_accuracy is None:
            raise ValueError("give accuracy (on test images) or val_accuracy (on validation images)")
        return self


class Side(Section):
    """The models one side of a claim is about. What is left out: every one on the left, the same on the right."""

    backbone: str | None = None
    """On the right also ``others``: every other backbone of the study, each for itself."""
    strategy: Strategy | None = None
    arm: ArmName | None = None
    file: str | None = None
    """``tflite-int8``; left out, latency and size are of every file, everything else is of the Keras model."""

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, value: str | None) -> str | None:
        if value is not None and value not in (*BACKBONES, "others"):
            raise ValueError(unknown_name("backbone", value, [*BACKBONES, "others"]))
        return value

    @field_validator("file")
    @classmethod
    def _known_file(cls, value: str | None) -> str | None:
        if value is not None and value not in SCHEMES:
            raise ValueError(unknown_name("export", value, list(SCHEMES)))
        return value


DIFFERENCES = {"accuracy": "points", "corrupted_accuracy": "points", "accuracy_lost": "points", "loss": "nats"}
"""Metrics that are compared by the difference left - right, and its unit; all others by the ratio left / right."""

CORRUPTED = ("corrupted_accuracy", "accuracy_lost")
"""Metrics of what ``edgekit evaluate --corruptions`` stores."""


class Claim(Section):
    """A sentence that a study can support or refute, as data. The report judges it with the interval that decides it.

    Accuracy is compared by the difference left - right in points, ``loss`` by the difference in nats, everything else
    by the ratio left / right.
    ``above``: the difference exceeds ``margin`` points (the ratio exceeds the factor ``margin``); ``below``: the same
    the other way round; ``not-below``: less than the margin below; ``not-above``; ``within``: neither further.

    ``corrupted_accuracy``: the mean over ``corruptions`` and severities. ``accuracy_lost``: clean accuracy minus that.
    ``loss``: cross-entropy of the Keras model on the test images.
    """

    text: str
    metric: Literal[
        "accuracy", "corrupted_accuracy", "accuracy_lost", "loss",
        "latency", "train_seconds", "epoch_seconds", "size_bytes", "parameters", "macs",
    ]  # fmt: skip
    left: Side
    relation: Literal["above", "below", "not-above", "not-below", "within"]
    right: Side
    margin: float | None = None
    """Points of accuracy or nats of loss (default 0), or a factor of at least 1 (default 1)."""
    corruptions: list[str] = []
    """Names of corruptions or groups of them; empty: all that both sides were shown."""
    target: str | None = None
    """Latency, and accuracy of files: on this target; left out: on every target that was measured."""
    threads: Annotated[int, Field(ge=1)] = 1

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, value: list[str]) -> list[str]:
        return known_corruptions(value)

    @model_validator(mode="after")
    def _sides_fit(self) -> Claim:
        if self.left.backbone == "others":
            raise ValueError("others stands on the right of a claim only")
        if self.corruptions and self.metric not in CORRUPTED:
            raise ValueError(f"corruptions belong to the metrics {' and '.join(CORRUPTED)}, not to {self.metric}")
        if self.metric == "loss" and (self.left.file or self.right.file):
            raise ValueError(
                "the loss is that of the Keras model: leave file out (an int8 file gives probabilities in steps of "
                "1/256, and 0 has no logarithm)"
            )
        return self

    @model_validator(mode="after")
    def _margin_fits(self) -> Claim:
        if self.margin is None:
            return self
        unit = DIFFERENCES.get(self.metric)
        if unit == "points" and not 0 <= self.margin <= 100:
            raise ValueError(f"the margin of {self.metric} is 0 to 100 points, not {self.margin}")
        if unit == "nats" and self.margin < 0:
            raise ValueError(f"the margin of a loss is 0 or more nats, not {self.margin}")
        if unit is None and self.margin < 1:
            raise ValueError(f"the margin of {self.metric} is a factor of at least 1, not {self.margin}")
        return self


class Constraint(Section):
    """What a model must keep to be chosen; the report names the most accurate that does, or the nearest."""

    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """p50, batch 1."""
    max_size_mb: Annotated[float, Field(gt=0)] | None = None
    """Millions of bytes of the deployed file."""
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None
    max_points_lost: Annotated[float, Field(ge=0, le=100)] | None = None
    """Points of accuracy below the most accurate candidate."""
    threads: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _limits_something(self) -> Constraint:
        if all(value is None for name, value in self if name != "threads"):
            raise ValueError("give at least one limit: max_latency_ms, max_size_mb, max_memory_mb, max_points_lost")
        return self
