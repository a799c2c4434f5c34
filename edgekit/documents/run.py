"""``run.json``: one trained network, how it was trained, and how good it is."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.base import Document, Part
from edgekit.recipe import Recipe

SplitName = Literal["train", "val", "test"]


class WeightsRecord(Part):
    """Where the backbone's first weights came from."""

    source: str
    """``imagenet``, ``none`` (random) or ``file``."""
    path: str | None = None
    """The weights file, where ``source`` is ``file``."""
    sha256: str | None = None


class SkippedImage(Part):
    """An image that was left out because it cannot be decoded."""

    path: str
    sha256: str


class DatasetRecord(Part):
    """The images of a run; ``dataset.csv`` lists them one by one."""

    name: str
    root: str
    """The image folder at the time of training."""
    fingerprint: str
    """SHA-256 over paths, classes, splits and contents."""
    classes: tuple[str, ...]
    """Class names in the order of the network's outputs."""
    layout: str
    n_files: int
    counts: dict[str, dict[str, int]]
    """Images by split and class."""
    corrupt: tuple[SkippedImage, ...] | None = None
    """Images that were left out; None in runs of older versions, which did not record them."""


class ModelRecord(Part):
    """Size and cost of the trained network."""

    parameters: int
    macs: int | None = None
    """Multiply-accumulates for one image."""
    layers: int
    input_shape: tuple[int, ...]
    """(H, W, 3)."""
    keras_size_bytes: int | None = None
    """Size of ``model.keras``; None until training is done."""


class TrainingEnvironment(Part):
    """The machine and libraries that trained the network."""

    python: str
    platform: str
    cpu: str | None
    cores: int | None
    usable_cores: int | None = None
    backend: str
    """The Keras backend: ``tensorflow``, ``jax`` or ``torch``."""
    gpu: str | None
    """Name of the GPU; None where the CPU trained."""
    versions: dict[str, str]


class PhaseRecord(Part):
    """One phase of training: feature extraction, fine-tuning or from scratch."""

    name: Literal["feature-extraction", "fine-tuning", "from-scratch"]
    epochs: int
    """Epochs that the recipe allows."""
    epochs_run: int
    best_epoch: int
    """The epoch whose weights were kept, counted from 1."""
    stopped_early: bool
    seconds: float
    images_per_second: float | None
    trainable_parameters: int
    trainable_layers: int
    feature_seconds: float | None = None
    """Time to compute the features of the frozen backbone, where the phase stored them."""
    opened_layers: tuple[str, ...] | None = None
    """Backbone layers that fine-tuning opened, in the network's order."""
    layer_groups: dict[str, int] | None = None
    """Group of each opened layer, where groups have learning rates of their own."""
    taken_over_from: str | None = None
    """The run whose feature extraction was taken over."""


class TimingRecord(Part):
    """Wall-clock seconds; None until that part is done."""

    data_seconds: float | None = None
    train_seconds: float | None = None
    evaluate_seconds: float | None = None
    total_seconds: float | None = None


class ClassMetrics(Part):
    """Precision, recall and F1 of one class; ``support`` is its number of images."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class SplitMetrics(Part):
    """How good the network is on one split."""

    accuracy: float
    n_samples: int
    accuracy_ci95: tuple[float, float]
    """Wilson's interval."""
    macro_f1: float
    macro_precision: float
    macro_recall: float
    log_loss: float
    """Mean cross-entropy in nats."""
    ece: float
    """Expected calibration error, 0 to 1."""
    per_class: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    """True class in rows, predicted class in columns."""


class RunDocument(Document):
    """One training run."""

    status: Literal["running", "done"]
    run_id: str
    created: str
    """ISO 8601, UTC."""
    edgekit_version: str
    recipe: Recipe
    backbone: str
    alpha: float | None = None
    """Width multiplier."""
    strategy: str
    seed: int
    weights: WeightsRecord
    dataset: DatasetRecord
    model: ModelRecord
    environment: TrainingEnvironment
    warnings: tuple[str, ...] = ()
    stages: tuple[PhaseRecord, ...] = ()
    """The phases of training, in order."""
    timing: TimingRecord = TimingRecord()
    metrics: dict[SplitName, SplitMetrics] = {}
    """By split; empty until the run is scored."""
    accuracy: float | None = None
    """Accuracy on the test split."""
    n_samples: int | None = None
    accuracy_ci95: tuple[float, float] | None = None
    files: dict[str, str] = {}
    """SHA-256 of the run's files by name."""

    @property
    def done(self) -> bool:
        """Whether training has finished."""
        return self.status == "done"


class GradCamPicture(Part):
    """One Grad-CAM picture of a test image."""

    picture: str
    """File name beside ``gradcam.json``."""
    file: str
    """The test image, below the dataset's root."""
    label: str
    predicted: str
    probability: float
    right: bool


class GradCamDocument(Document):
    """``gradcam.json``: where the network looks in some test images."""

    images: tuple[GradCamPicture, ...]
