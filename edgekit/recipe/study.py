"""What a study compares, what it expects and what it requires."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from edgekit.errors import InputError
from edgekit.recipe.section import (
    MOST_THREADS,
    Count,
    Section,
    Seed,
    Strategy,
    known_backbone,
    known_corruptions,
    known_name,
)
from edgekit.registry import SCHEMES

ArmName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
"""Lower-case letters, digits and hyphens, because it becomes part of folder names."""
Settings = dict[str, Any]
"""Recipe settings by their dotted key: ``{train.batch_size: 8}``."""


class Budget(Section):
    """How much training each cell of a study gets."""

    equal: Literal["epochs", "seconds", "compute"] = "epochs"
    """What is the same for all cells. ``epochs``: the epochs of the recipe. ``seconds``: each phase ends with the epoch
    in which its time runs out, and the epochs of the recipe are an upper limit. ``compute``: epochs in inverse
    proportion to the multiply-accumulates of the backbone."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """With ``equal: seconds``: time for each phase in seconds (above 0)."""
    reference: str | None = None
    """With ``equal: compute``: the backbone that trains for the recipe's own epochs. If omitted, the backbone
    with the most multiply-accumulates."""

    @model_validator(mode="after")
    def _complete(self) -> Budget:
        if (self.equal == "seconds") != (self.seconds is not None):
            raise ValueError("equal: seconds needs a value for seconds, and only equal: seconds does")
        if self.reference is not None and self.equal != "compute":
            raise ValueError("reference requires equal: compute")
        return self


class Compare(Section):
    """The cells of a study: every combination of these lists and the arms.

    An empty list uses the one value that the recipe has elsewhere.
    """

    backbones: Annotated[list[str], Field(max_length=100)] = []
    """Backbones to compare. ``edgekit list backbones`` shows all of them."""
    strategies: Annotated[list[Strategy], Field(max_length=3)] = []
    """Training strategies to compare."""
    seeds: Annotated[list[Seed], Field(max_length=1000)] = []
    """Seeds to train each model with (0 to 2**31 - 1; at most 1,000 seeds, each once)."""
    overrides: Annotated[dict[str, Settings], Field(max_length=100)] = {}
    """Settings for one backbone: ``{vgg16: {train.from_scratch.learning_rate: 1.0e-4}}``. The report lists them."""
    arms: Annotated[dict[ArmName, Settings], Field(max_length=100)] = {}
    """Training variants that are compared with everything else equal, each with its settings:
    ``{basic: {}, mixed: {train.mix.mixup.probability: 0.5}}``."""
    budget: Budget = Budget()
    """How much training each cell gets."""
    pairs: Annotated[list[Annotated[list[str], Field(min_length=2, max_length=2)]], Field(max_length=10_000)] = []
    """Pairs of a backbone and an arm to compare, ``[[mobilenetv2, wide], [vgg16, narrow]]``. An empty list compares
    every backbone with every arm."""

    @field_validator("backbones")
    @classmethod
    def _known_backbones(cls, value: list[str]) -> list[str]:
        return [known_backbone(name) for name in value]

    @field_validator("backbones", "strategies", "seeds")
    @classmethod
    def _each_once(cls, value: list[Any]) -> list[Any]:
        for one in value:
            if value.count(one) > 1:
                raise ValueError(f"{one} is given twice")
        return value


class Choose(Section):
    """Where ``edgekit choose`` looks for the network to deploy. An empty list uses the default."""

    backbones: Annotated[list[str], Field(max_length=100)] = []
    """Backbones to try. The default is those of ``compare.backbones``, or else the recipe's own backbone with
    MobileNetV2, MobileNet and MobileNetV3Small."""
    alphas: Annotated[list[Annotated[float, Field(ge=0.1, le=2)]], Field(max_length=20)] = []
    """Width multipliers to try where a backbone has one (0.1 to 2.0). The default is 1, 0.75, 0.5 and 0.35; with
    ImageNet weights, those of them that have weights."""
    image_sizes: Annotated[list[Annotated[int, Field(ge=8, le=2048)]], Field(max_length=20)] = []
    """Image sizes to try, in pixels (8 to 2048). The default is ``data.image_size`` and 0.7 of it."""
    finalists: Annotated[int, Field(ge=1, le=50)] = 3
    """How many networks are trained for all epochs of the recipe (1 to 50)."""
    tune: bool = True
    """Whether to look for the fastest runtime settings of the finalists, as ``edgekit bench --tune`` does."""

    @field_validator("backbones")
    @classmethod
    def _known_backbones(cls, value: list[str]) -> list[str]:
        return [known_backbone(name) for name in value]


Accuracy = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=0)]


class Reported(Section):
    """A published result. The report shows it next to the measured ones and marks it as reported."""

    backbone: str
    """Backbone of the published model."""
    strategy: Strategy
    """Strategy that it was trained with."""
    arm: ArmName | None = None
    """Arm of this study that trains the way the source did."""
    accuracy: Accuracy | None = None
    """Accuracy on test images (0 to 1). Leave it out if the source gives only ``val_accuracy``."""
    n_samples: Count
    """Number of images behind ``accuracy``, or behind ``val_accuracy`` if that is all the source gives."""
    source: str
    """Where the result was published."""
    val_accuracy: Accuracy | None = None
    """Accuracy on validation images (0 to 1)."""
    loss: Loss | None = None
    """Cross-entropy on test images in nats (0 or more)."""
    val_loss: Loss | None = None
    """Cross-entropy on validation images in nats (0 or more)."""
    train_seconds: float | None = None
    """Training time in seconds."""
    size_mb: float | None = None
    """Size of the model file in megabytes (millions of bytes)."""

    @model_validator(mode="after")
    def _has_an_accuracy(self) -> Reported:
        if self.accuracy is None and self.val_accuracy is None:
            raise ValueError("give accuracy (on test images) or val_accuracy (on validation images)")
        return self


class Side(Section):
    """The models on one side of a claim.

    A key that is omitted on the left means "each of them"; on the right, "the same as on the left".
    """

    backbone: str | None = None
    """Backbone. On the right, ``others`` means each of the other backbones of the study, one at a time."""
    strategy: Strategy | None = None
    """Training strategy."""
    arm: ArmName | None = None
    """Arm of the study."""
    file: str | None = None
    """Exported file, such as ``tflite-int8``. If omitted, latency and size are compared for every file, and all other
    metrics for the Keras model. On the right, ``keras`` means the Keras model itself (for accuracy)."""

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, value: str | None) -> str | None:
        return value if value in (None, "others") else known_backbone(str(value))

    @field_validator("file")
    @classmethod
    def _known_file(cls, value: str | None) -> str | None:
        return value if value is None else known_name("exported file", value, [*SCHEMES, "keras"])


DIFFERENCES = {"accuracy": "points", "corrupted_accuracy": "points", "accuracy_lost": "points", "loss": "nats"}
"""Metrics that are compared by the difference left - right, and their units; the others, by the ratio left / right."""

CORRUPTED = ("corrupted_accuracy", "accuracy_lost")
"""Metrics computed from the predictions that ``edgekit evaluate --corruptions`` stores."""


class Claim(Section):
    """A statement that a study can support or refute. The report tests it with a confidence interval.

    Accuracy is compared by the difference left - right in points, ``loss`` by the difference in nats, and everything
    else by the ratio left / right.
    """

    text: str
    """The statement in words."""
    metric: Literal[
        "accuracy", "corrupted_accuracy", "accuracy_lost", "loss",
        "latency", "train_seconds", "epoch_seconds", "size_bytes", "parameters", "macs",
    ]  # fmt: skip
    """What is compared. ``corrupted_accuracy`` is the mean over ``corruptions`` and severities, ``accuracy_lost`` is
    the accuracy on clean images minus that, and ``loss`` is the cross-entropy of the Keras model on test images."""
    left: Side
    """The models that the claim is about."""
    relation: Literal["above", "below", "not-above", "not-below", "within"]
    """``above``: left exceeds right by more than ``margin`` (points or nats), or by more than the factor ``margin``.
    ``below``: the other way round. ``not-below``: left is less than ``margin`` below right. ``not-above``: less than
    ``margin`` above it. ``within``: both."""
    right: Side
    """The models that they are compared with."""
    about: Literal["methods", "networks"] = "methods"
    """``methods``: the statement holds for any seed, so that accuracy and loss need at least two seeds for a verdict.
    ``networks``: it is about these trained networks only, and one seed is enough."""
    margin: float | None = None
    """Points of accuracy (0 to 100) or nats of loss (0 or more), by default 0; for all other metrics a factor of at
    least 1, by default 1."""
    corruptions: Annotated[list[str], Field(max_length=100)] = []
    """Names of corruptions or of groups of them. An empty list uses all that both sides were evaluated on."""
    target: str | None = None
    """Target for latency and for the accuracy of exported files. If omitted, every target that was measured."""
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    """Number of threads for latency (at least 1)."""

    def digest(self) -> str:
        """SHA-256 of the claim as it is written. Keys that have their default value do not count."""
        content = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, value: list[str]) -> list[str]:
        return known_corruptions(value)

    @model_validator(mode="after")
    def _sides_fit(self) -> Claim:
        if self.left.backbone == "others":
            raise ValueError("others is allowed only on the right of a claim")
        if "keras" in (self.left.file, self.right.file) and (self.left.file == "keras" or self.metric != "accuracy"):
            raise ValueError("the file keras is allowed only on the right of a claim about accuracy")
        if self.corruptions and self.metric not in CORRUPTED:
            raise ValueError(f"corruptions require the metric {' or '.join(CORRUPTED)}, not {self.metric}")
        if self.metric == "loss" and (self.left.file or self.right.file):
            raise ValueError(
                "loss is measured for the Keras model only, so leave out file (an int8 file gives probabilities in "
                "steps of 1/256, and the logarithm of 0 is not finite)"
            )
        return self

    @model_validator(mode="after")
    def _margin_fits(self) -> Claim:
        if self.margin is None:
            return self
        unit = DIFFERENCES.get(self.metric)
        if unit == "points" and not 0 <= self.margin <= 100:
            raise ValueError(f"the margin of {self.metric} must be 0 to 100 points, not {self.margin}")
        if unit == "nats" and self.margin < 0:
            raise ValueError(f"the margin of {self.metric} must be 0 nats or more, not {self.margin}")
        if unit is None and self.margin < 1:
            raise ValueError(f"the margin of {self.metric} must be a factor of at least 1, not {self.margin}")
        return self


class Constraint(Section):
    """Limits for a recommendation.

    The report names the exported file to deploy within them, the nearest one, or the files that it cannot decide
    between: a limit is met only if the whole interval is within it.
    """

    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Largest median latency at batch size 1, in milliseconds (above 0)."""
    max_size_mb: Annotated[float, Field(gt=0)] | None = None
    """Largest size of the exported file in megabytes (millions of bytes, above 0)."""
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None
    """Largest memory that loading and running the file adds to a process, in megabytes (millions of bytes, above 0)."""
    max_points_lost: Annotated[float, Field(ge=0, le=100)] | None = None
    """How many points of accuracy the file may lose against the most accurate one (0 to 100)."""
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    """Number of threads that latency is measured with (at least 1)."""

    @model_validator(mode="after")
    def _limits_something(self) -> Constraint:
        if all(value is None for name, value in self if name != "threads"):
            raise ValueError("give at least one limit: max_latency_ms, max_size_mb, max_memory_mb, max_points_lost")
        return self


LIMITS = ("latency_ms", "size_mb", "memory_mb", "points_lost")
"""What a constraint limits; with ``max_`` in front, the keys of a recipe."""


def constraint_of(values: Mapping[str, float | str]) -> Constraint:
    """A constraint from ``{"latency_ms": 30, "threads": 4}``; :class:`InputError` for names or values that are none.

    Values may be text, as on a command line.
    """
    numbers = {name: _number(value) for name, value in values.items()}
    for name, number in numbers.items():
        usable = math.isfinite(number) and number >= 0 and (number > 0 or name == "points_lost")
        if name not in (*LIMITS, "threads") or not usable or (name == "threads" and number % 1):
            raise InputError(
                f"unknown constraint {f'{name}={values[name]}'!r}",
                hint=f"give one of {', '.join(f'{n}=NUMBER' for n in LIMITS)}, or threads=NUMBER",
            )
    threads = int(numbers.pop("threads", 1))
    if not numbers:
        raise InputError("threads alone is not a constraint", hint="add latency_ms=NUMBER")
    return Constraint.model_validate({**{f"max_{name}": value for name, value in numbers.items()}, "threads": threads})


def _number(value: float | str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
