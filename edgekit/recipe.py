"""The recipe: every choice of a run, checked before slow work. Unknown keys and wrong types are refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgekit.errors import InputError
from edgekit.registry import BACKBONES, SCHEMES, get_backbone

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Strategy = Literal["feature-extraction", "fine-tuning", "from-scratch"]
StageName = Literal["feature-extraction", "fine-tuning", "from-scratch"]
"""Each strategy ends with the stage of its name; ``fine-tuning`` begins with ``feature-extraction``."""


class Section(BaseModel):
    """A part of a recipe: immutable, strictly typed, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
            raise ValueError(_unknown("backbone", value, list(BACKBONES)))
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


class Calibration(Section):
    """Images that show the int8 converters the range of values; always from the training split."""

    images: Annotated[int, Field(ge=1)] = 200
    seed: int = 0


class Export(Section):
    """Which files are made of the trained network."""

    files: list[str] = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]
    calibration: Calibration = Calibration()
    parity_images: Annotated[int, Field(ge=1)] = 400
    """At most so many validation images on which every file is compared with the Keras model."""
    max_drop: Annotated[float, Field(ge=0, le=100)] | None = 1.0
    """Points of accuracy that a file with smaller numbers than fp32 may lose on them; ``null``: any."""
    sensitivity: bool = False
    """Rank the layers by what quantizing each alone does to the answers (int8 files; minutes)."""
    repair: bool = False
    """Keep the costliest layers of an int8 file in float where it loses more than ``max_drop``."""

    @field_validator("files")
    @classmethod
    def _known_schemes(cls, value: list[str]) -> list[str]:
        for key in value:
            if key not in SCHEMES:
                raise ValueError(_unknown("export", key, list(SCHEMES)))
        return list(dict.fromkeys(value))


class Bench(Section):
    """How the files are measured."""

    protocol: Literal["quick", "standard", "full"] = "standard"
    threads: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = [1, 0]
    """Thread counts to measure with; 0 is all cores."""
    images: Annotated[int, Field(ge=1)] | None = None
    """At most this many test images for accuracy (seeded, stratified choice); ``null``: all."""


class Robustness(Section):
    """Corrupted test images that ``compare`` shows every model of a study, as ``edgekit evaluate --corruptions``."""

    corruptions: list[str] = []
    """Names of corruptions or groups of them; empty: none."""
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = [1, 2, 3, 4, 5]
    seed: Annotated[int, Field(ge=0)] = 0
    images: Annotated[int, Field(ge=2)] | None = None
    """At most this many test images (seeded, stratified choice); ``null``: all."""

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, value: list[str]) -> list[str]:
        from edgekit.device.corruptions import CORRUPTIONS, GROUPS

        for name in value:
            if name not in CORRUPTIONS and name not in GROUPS:
                raise ValueError(_unknown("corruption", name, [*GROUPS, *CORRUPTIONS]))
        return value


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
                raise ValueError(_unknown("backbone", name, list(BACKBONES)))
        return value


class Reported(Section):
    """A published figure that stands beside the measured ones, marked as reported."""

    backbone: str
    strategy: Strategy
    accuracy: Annotated[float, Field(ge=0, le=1)]
    n_samples: Annotated[int, Field(ge=1)]
    source: str
    val_accuracy: float | None = None
    train_seconds: float | None = None
    size_mb: float | None = None


class Side(Section):
    """The models one side of a claim is about. What is left out: every one on the left, the same on the right."""

    backbone: str | None = None
    """On the right also ``others``: every other backbone of the study, each for itself."""
    strategy: Strategy | None = None
    file: str | None = None
    """``tflite-int8``; left out, accuracy is that of the Keras model, and latency and size are of every file."""

    @field_validator("backbone")
    @classmethod
    def _known_backbone(cls, value: str | None) -> str | None:
        if value is not None and value not in (*BACKBONES, "others"):
            raise ValueError(_unknown("backbone", value, [*BACKBONES, "others"]))
        return value

    @field_validator("file")
    @classmethod
    def _known_file(cls, value: str | None) -> str | None:
        if value is not None and value not in SCHEMES:
            raise ValueError(_unknown("export", value, list(SCHEMES)))
        return value


class Claim(Section):
    """A sentence that a study can support or refute, as data. The report judges it with the interval that decides it.

    Accuracy is compared by the difference left - right in points, everything else by the ratio left / right.
    ``above``: the difference exceeds ``margin`` points (the ratio exceeds the factor ``margin``); ``below``: the same
    the other way round; ``not-below``: less than the margin below; ``not-above``; ``within``: neither further.
    """

    text: str
    metric: Literal["accuracy", "latency", "train_seconds", "epoch_seconds", "size_bytes", "parameters", "macs"]
    left: Side
    relation: Literal["above", "below", "not-above", "not-below", "within"]
    right: Side
    margin: float | None = None
    """Points of accuracy (default 0), or a factor of at least 1 (default 1)."""
    target: str | None = None
    """Latency: on this target; left out: on every target that was measured."""
    threads: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _margin_fits(self) -> Claim:
        if self.left.backbone == "others":
            raise ValueError("others stands on the right of a claim only")
        if self.margin is None:
            return self
        if self.metric == "accuracy" and not 0 <= self.margin <= 100:
            raise ValueError(f"the margin of an accuracy is 0 to 100 points, not {self.margin}")
        if self.metric != "accuracy" and self.margin < 1:
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


class Recipe(Section):
    """A whole recipe; every section has defaults, only the images must be named."""

    schema_version: Literal[1] = 1
    name: str = "recipe"
    description: str = ""
    arm: str | None = None
    """Of the study this recipe is a cell of; set by ``compare``."""
    data: Data = Data()
    model: Model = Model()
    train: Train = Train()
    export: Export = Export()
    bench: Bench = Bench()
    robustness: Robustness = Robustness()
    compare: Compare = Compare()
    reported: list[Reported] = []
    claims: list[Claim] = []
    constraints: list[Constraint] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        backbone = get_backbone(self.model.backbone)
        if self.data.image_size < backbone.min_image_size:
            raise ValueError(
                f"data.image_size {self.data.image_size} is below the {backbone.min_image_size} "
                f"that {backbone.title} needs"
            )
        if self.data.path is not None and self.data.name is not None:
            raise ValueError("data.path and data.name exclude each other: give one")
        if self.train.start_from is not None and self.train.strategy != "fine-tuning":
            raise ValueError("train.start_from belongs to train.strategy fine-tuning")
        if self.train.strategy == "from-scratch" and self.model.weights != "none":
            raise ValueError("train.strategy from-scratch needs model.weights: none")
        return self

    def document(self) -> dict[str, Any]:
        """The recipe as plain JSON-ready values, every default written out."""
        return self.model_dump(mode="json")


def load_recipe(source: str | Path | None, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe file, or a shipped one by its name, and apply dotted ``settings`` on top.

    ``settings`` maps keys such as ``train.batch_size`` to values. Raises :class:`InputError` that names the key,
    the line and the valid choices.
    """
    text, origin = _read(source)
    document, lines = parse_yaml(text, origin)
    for key, value in (settings or {}).items():
        assign(document, key, value)
    return validate(document, origin, lines)


def parse_setting(text: str) -> tuple[str, Any]:
    """``train.batch_size=16`` as key and YAML value."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set takes key=value, not {text!r}", hint="for example --set train.batch_size=16")
    try:
        return key.strip(), yaml.load(value, _Loader)  # noqa: S506 - a SafeLoader subclass
    except yaml.YAMLError as error:
        raise InputError(f"the value of --set {key} is not YAML: {error}") from None


def assign(document: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted ``key`` in a nested dictionary, making sections on the way."""
    *sections, last = key.split(".")
    for name in sections:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InputError(f"{key}: {name} holds a value, not a section")
        document = inner
    document[last] = value


def validate(document: dict[str, Any], origin: str, lines: Mapping[tuple[str, ...], int] | None = None) -> Recipe:
    """Turn a plain document into a :class:`Recipe`, all errors collected into one :class:`InputError`."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        problems = [_explain(e, lines or {}) for e in error.errors()]
        noun = "problem" if len(problems) == 1 else "problems"
        raise InputError(
            f"the recipe has {len(problems)} {noun}:\n" + "\n".join(f"  - {p}" for p in problems), where=origin
        ) from None


def differences(a: Any, b: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys in which two recipe documents differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a.keys() | b.keys():
            yield from differences(a.get(key), b.get(key), f"{prefix}.{key}" if prefix else key)
    elif a != b:
        yield prefix


def shipped_recipes() -> dict[str, str]:
    """Name and text of every recipe in the package."""
    folder = resources.files("edgekit") / "recipes"
    if not folder.is_dir():  # a source checkout: the wheel carries the top-level folder inside the package
        folder = Path(__file__).parent.parent / "recipes"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".yaml")
    }


def parse_yaml(text: str, origin: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The document and the line of every key; duplicate keys are refused."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            document = loader.construct_document(node) if node is not None else {}
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{origin}:{mark.line + 1}" if mark is not None else origin
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"this is not valid YAML: {problem}", where=line) from None
    if not isinstance(document, dict):
        raise InputError("a recipe is a mapping of sections (data, model, train, ...)", where=origin)
    return document, _key_lines(node)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and reads 3e-4 as a number (YAML 1.2)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def _construct_scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node))
    try:
        return float(text) if node.style is None and "e" in text.lower() else text
    except ValueError:
        return text


_Loader.add_constructor("tag:yaml.org,2002:str", _construct_scalar)


def _key_lines(node: Any, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*prefix, str(key.value))
            lines[path] = key.start_mark.line + 1
            lines |= _key_lines(value, path)
    return lines


def _read(source: str | Path | None) -> tuple[str, str]:
    if source is None:
        return "", "command line"
    path = Path(source)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8"), str(path)
        except UnicodeDecodeError:
            raise InputError("a recipe is a text file in UTF-8", where=str(path)) from None
    recipes = shipped_recipes()
    if str(source) in recipes:
        return recipes[str(source)], f"{source} (shipped recipe)"
    raise InputError(
        f"there is no recipe file or shipped recipe called {str(source)!r}",
        hint=f"give the path of a YAML file, or one of: {', '.join(recipes)}",
    )


def _unknown(kind: str, value: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(value, choices, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return f"no {kind} is called {value!r}{guess} (choices: {', '.join(choices)})"


def _explain(error: Any, lines: Mapping[tuple[str, ...], int]) -> str:
    location = tuple(str(part) for part in error["loc"])
    key = ".".join(location)
    line = next((lines[location[:n]] for n in range(len(location), 0, -1) if location[:n] in lines), None)
    at = f"line {line}, {key}" if line is not None else key
    if error["type"] == "extra_forbidden":
        choices = _keys_of(location[:-1])
        close = difflib.get_close_matches(location[-1], choices, n=1)
        guess = f"did you mean {close[0]!r}? " if close else ""
        return f"{at}: unknown key; {guess}Keys here: {', '.join(choices)}"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if error["type"] == "value_error":
        return f"{at}: {message}" if at else message
    return f"{at}: {message}, not {error['input']!r}"


def _keys_of(location: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for name in location:
        field = section.model_fields.get(name)
        if field is None:
            continue  # an index of a list
        candidates = [field.annotation, *get_args(field.annotation)]
        inner = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if inner is None:
            return []
        section = inner
    return list(section.model_fields)
