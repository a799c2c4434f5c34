"""``run.json``: a trained network, how it was trained and how accurate it is."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from edgekit.documents.base import Document, FileName, JsonObject, Migration, Part
from edgekit.recipe import Recipe

SplitName = Literal["train", "val", "test", "gate"]


class WeightsRecord(Part):
    """Where the initial weights of the backbone came from."""

    source: str
    """``imagenet``, ``none`` (random) or ``file``."""
    path: str | None = None
    """The weights file, if ``source`` is ``file``."""
    sha256: str | None = None
    """SHA-256 of the weights file."""


class SkippedImage(Part):
    """An image that was left out because it cannot be decoded."""

    path: str
    sha256: str


class DatasetRecord(Part):
    """The images of a run; ``dataset.csv`` lists them one by one."""

    name: str
    """Name of the image folder, or of the embedded dataset."""
    root: str
    """The image folder at the time of training."""
    fingerprint: str
    """SHA-256 over the class names and the class, split and content of every image."""
    classes: tuple[str, ...]
    """Class names in the order of the network's outputs."""
    layout: str
    """How the images came to be split, in words."""
    n_files: int
    """Number of images."""
    counts: dict[str, dict[str, int]]
    """Images by split and class."""
    pixel_range: str = "full"
    """How values of more than 8 bits became 0 to 255: ``full`` (0-65535), ``percentile``, or a range such as
    ``0-4095``. Exported files, and the targets that run them, use the same."""
    corrupt: tuple[SkippedImage, ...] | None = None
    """Images that were left out; ``null`` in runs of older versions, which did not record them."""


class ModelRecord(Part):
    """Size and cost of the trained network."""

    parameters: int
    """Number of weights."""
    macs: int | None = None
    """Multiply-accumulates for one image."""
    layers: int
    """Number of Keras layers."""
    input_shape: tuple[int, ...]
    """(H, W, 3)."""
    keras_size_bytes: int | None = None
    """Size of ``model.keras`` in bytes; ``null`` until training is done."""


class TrainingEnvironment(Part):
    """The machine and libraries that trained the network."""

    python: str
    """Version of Python."""
    platform: str
    """Operating system, with its version and architecture."""
    cpu: str | None
    """Name of the processor."""
    cores: int | None
    """Number of logical cores of the machine."""
    usable_cores: int | None = None
    """Number of cores that the process could use."""
    backend: str
    """The Keras backend: ``tensorflow``, ``jax`` or ``torch``."""
    gpu: str | None
    """Name of the GPU; ``null`` if the network was trained on the CPU."""
    versions: dict[str, str]
    """Versions of the libraries, by package."""


class PhaseRecord(Part):
    """One phase of training: feature extraction, fine-tuning or from scratch."""

    name: Literal["feature-extraction", "fine-tuning", "from-scratch"]
    epochs: int
    """Number of epochs in the recipe."""
    epochs_run: int
    """Number of epochs that were trained."""
    best_epoch: int
    """The epoch whose weights were kept, counted from 1."""
    stopped_early: bool
    """Whether early stopping ended the phase."""
    seconds: float
    """Time to train, without validation and features."""
    images_per_second: float | None
    """Training images per second, averaged over all epochs."""
    trainable_parameters: int
    """Number of weights that the phase trained."""
    trainable_layers: int
    """Number of layers with such weights."""
    learning_rate: float | None = None
    """Initial learning rate, which is lower than that of the recipe if that one did harm in the first epoch."""
    warnings: tuple[str, ...] = ()
    """What the user should know about this phase."""
    feature_seconds: float | None = None
    """Time in seconds to compute features with frozen layers, if the phase stored them."""
    stored_layer: str | None = None
    """The frozen layer whose outputs fine-tuning stored, instead of computing them in every step."""
    views: int | None = None
    """Number of differently augmented copies of the training images for which they were stored."""
    opened_layers: tuple[str, ...] | None = None
    """Backbone layers that fine-tuning trained, in order."""
    layer_groups: dict[str, int] | None = None
    """Group of each of these layers, if groups have their own learning rates."""
    taken_over_from: str | None = None
    """``run_id`` of the run whose feature extraction was used (``train.start_from``)."""


class ProfileRecord(Part):
    """Where the wall-clock time of training went, in seconds; of a resumed run, that of the last command.

    The parts do not overlap. What runs beside the training steps, such as writing a checkpoint, counts only if the
    steps had to wait for it.
    """

    import_seconds: float
    """To import the framework and Keras, and to find the processor."""
    data_seconds: float
    """To find, hash, split and decode the images, and to copy them to the device."""
    build_seconds: float
    """To build the network and load its weights."""
    compile_seconds: float
    """To trace and compile the training steps and the predictions."""
    features_seconds: float
    """To compute stored outputs of frozen layers."""
    input_seconds: float
    """The training steps waited for their images."""
    step_seconds: float
    """Training steps."""
    validation_seconds: float
    """To predict the validation images after each epoch."""
    checkpoint_seconds: float
    """Training waited for checkpoints."""
    save_seconds: float
    """To save the model."""
    evaluate_seconds: float
    """To evaluate the network and draw the figures."""
    other_seconds: float
    """Everything else."""


class TimingRecord(Part):
    """Wall-clock times in seconds; ``null`` until the part is done."""

    data_seconds: float | None = None
    """To find, hash, split and decode the images."""
    train_seconds: float | None = None
    """To train all phases, including stored features."""
    evaluate_seconds: float | None = None
    """To evaluate the network and draw the figures."""
    total_seconds: float | None = None
    """From start to end; for a resumed run, of the last command."""
    profile: ProfileRecord | None = None
    """The parts of ``total_seconds``; ``null`` in runs of older versions."""


class ClassMetrics(Part):
    """Metrics of one class; all but ``support`` are 0 to 1."""

    label: str
    """Class name."""
    precision: float
    """Fraction of the images predicted as this class that belong to it."""
    recall: float
    """Fraction of the images of this class that are predicted as such."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of images of the class."""


class SplitMetrics(Part):
    """Metrics of the network on one split."""

    accuracy: float
    """Fraction of correctly classified images (0 to 1)."""
    n_samples: int
    """Number of images."""
    accuracy_ci95: tuple[float, float]
    """Wilson's 95% interval of the accuracy."""
    macro_f1: float
    """Mean F1 over classes."""
    macro_precision: float
    """Mean precision over classes."""
    macro_recall: float
    """Mean recall over classes."""
    log_loss: float
    """Mean cross-entropy in nats."""
    ece: float
    """Expected calibration error, 0 to 1."""
    per_class: tuple[ClassMetrics, ...]
    """Metrics of each class, in the order of the network's outputs."""
    confusion: tuple[tuple[int, ...], ...]
    """Number of images, with the true classes in rows and the predicted classes in columns. Empty with more than 200
    classes, which have ``confusion_entries``."""
    confusion_entries: tuple[tuple[int, int, int], ...] = ()
    """With more than 200 classes: the true class, the predicted class (both counted from 0) and the number of images,
    for every pair that occurs. Empty otherwise."""

    def confused(self) -> list[tuple[int, int, int]]:
        """Every pair of a true and another, predicted class that occurs, with its number of images, as in entries."""
        entries = self.confusion_entries or [
            (i, j, n) for i, row in enumerate(self.confusion) for j, n in enumerate(row) if n
        ]
        return [entry for entry in entries if entry[0] != entry[1]]

    @model_validator(mode="after")
    def _numbers_fit(self) -> SplitMetrics:
        size = len(self.per_class)
        rows = [len(row) for row in self.confusion]
        if rows != [size] * size and not (self.confusion_entries and not rows):
            raise ValueError(f"the confusion matrix does not have {size} rows and columns")
        if not 0 <= self.accuracy <= 1 or self.n_samples < 1:
            raise ValueError("the accuracy or the number of images is out of range")
        return self


class ImportRecord(Part):
    """The model file that a run was imported from, and what the import changed."""

    file: str
    """Name of the file or folder."""
    format: Literal["keras", "h5", "savedmodel"]
    """Kind of file."""
    sha256: str
    """SHA-256 of the file; of a folder, over the names and hashes of its files."""
    keras_version: str
    """Version of Keras that saved it."""
    scaling: str
    """Scaling of the pixels, as it was given: a name, or ``MEAN,STD``."""
    mean: tuple[float, float, float]
    """What the network subtracts from each channel of the pixels (0 to 255)."""
    std: tuple[float, float, float]
    """What it then divides each channel by."""
    bgr: bool = False
    """Whether the model takes blue first. ``mean`` and ``std`` are in that order."""
    filter: str = "bilinear"
    """How images are resized: always with antialiasing."""
    labels: Literal["file", "folders"]
    """Where the order of the classes comes from: a file of labels, or the names of the image folders."""
    output: str
    """What the last layer of the model is, in words."""
    changes: tuple[str, ...] = ()
    """What is different from the model in the file, in words."""
    max_abs_difference: float
    """Largest difference in probability between the network and the model in the file, on some training images."""
    tried_images: int
    """Number of training images that scalings were tried on."""
    tried: dict[str, float] = {}
    """Accuracy on these images (0 to 1), by scaling."""


def without_gate_split(old: JsonObject) -> JsonObject:
    """A document of version 1: its recipe set no images aside for the accuracy gate."""
    data = old["recipe"].setdefault("data", {})
    data.setdefault("split", {}).setdefault("gate", 0.0)
    return old


class RunDocument(Document):
    """One training run."""

    VERSION: ClassVar[int] = 2
    MIGRATIONS: ClassVar[dict[int, Migration]] = {1: without_gate_split}

    schema_version: int = 2
    """Version of this kind of document."""

    status: Literal["running", "done"]
    """``running`` until training has finished, also if it was interrupted."""
    run_id: str
    """Name of the run folder when it was created."""
    created: str
    """Time in UTC (ISO 8601)."""
    edgekit_version: str
    """Version of edgekit."""
    recipe: Recipe
    """The recipe with all defaults."""
    backbone: str
    """Name of the backbone; of an imported network, the name that it was given."""
    alpha: float | None = None
    """Width multiplier."""
    strategy: str
    """Training strategy; ``imported`` if edgekit did not train the network."""
    seed: int
    """Seed of all random choices in training."""
    weights: WeightsRecord
    dataset: DatasetRecord
    model: ModelRecord
    environment: TrainingEnvironment
    warnings: tuple[str, ...] = ()
    """What to know when reading the results."""
    stages: tuple[PhaseRecord, ...] = ()
    """The phases of training, in order."""
    timing: TimingRecord = TimingRecord()
    metrics: dict[SplitName, SplitMetrics] = {}
    """Metrics by split; empty until the network has been evaluated."""
    accuracy: float | None = None
    """Accuracy on the test split (0 to 1)."""
    n_samples: int | None = None
    """Number of test images."""
    accuracy_ci95: tuple[float, float] | None = None
    """Wilson's 95% interval of the accuracy on the test split."""
    files: dict[str, str] = {}
    """SHA-256 of the files of the run, by name."""
    imported: ImportRecord | None = None
    """Where an imported network comes from; ``null`` if edgekit trained it."""

    @model_validator(mode="after")
    def _classes_fit(self) -> RunDocument:
        for split, metrics in self.metrics.items():
            if len(metrics.per_class) != len(self.dataset.classes):
                raise ValueError(f"the metrics of {split} are not about the {len(self.dataset.classes)} classes")
        return self

    @property
    def done(self) -> bool:
        """Whether training has finished."""
        return self.status == "done"


class GradCamPicture(Part):
    """One Grad-CAM picture of a test image."""

    picture: FileName
    """File name in the folder of ``gradcam.json``."""
    file: str
    """Path of the test image below the image folder."""
    label: str
    """Class of the image."""
    predicted: str
    """Predicted class."""
    probability: float
    """Probability of the predicted class (0 to 1)."""
    right: bool
    """Whether the prediction is correct."""


class GradCamDocument(Document):
    """``gradcam.json``: where the network looks in some test images."""

    images: tuple[GradCamPicture, ...]
    """Some test images of each class, correctly and incorrectly classified."""
