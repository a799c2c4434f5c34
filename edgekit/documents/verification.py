"""What `edgekit verify`, `edgekit deploy` and `edgekit predict` print with ``--json``."""

from __future__ import annotations

from pydantic import computed_field

from edgekit.documents.base import Document, Part
from edgekit.documents.bench import RuntimeRecord
from edgekit.documents.preprocessing import PreprocessingRecord
from edgekit.documents.tuning import SettingRecord


class VerificationRecord(Part):
    """One exported file on one target, checked against its golden outputs."""

    id: str
    n_inputs: int = 0
    n_same: int = 0
    """Golden inputs with the same top class."""
    max_difference: float | None = None
    """Largest difference of one score."""
    runtime: RuntimeRecord | None
    problem: str | None
    """``null`` if the file passed."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Whether the file passed."""
        return self.problem is None


class VerificationReport(Document):
    """What `edgekit verify --json` prints."""

    target: str
    results: tuple[VerificationRecord, ...]


class DeploymentReport(Document):
    """What `edgekit deploy --json` prints."""

    target: str
    folder: str
    """The folder on the target."""
    command: str
    """How to classify an image there."""
    replaced_sha256: str | None = None
    """SHA-256 of the model that was in this folder before, if any."""
    statistics_images: int | None = None
    """Test images that the drift check on the target compares with; ``null`` without a drift check."""
    rejected: str | None = None
    """Why the files on the target were not replaced (``--update``); ``null`` if they were."""
    verification: VerificationRecord
    settings: SettingRecord | None = None
    """The setting that it runs with, from `edgekit bench --tune`; ``null`` for the default."""


class SampleReport(Document):
    """What `edgekit deploy --sample --json` prints."""

    language: str
    folder: str
    model: str
    """The exported file that the sample runs, as `RUN/EXPORT`."""
    files: tuple[str, ...]
    """What was written, as POSIX paths below ``folder``."""


class ClassProbability(Part):
    """One class with its probability."""

    label: str
    probability: float


class ImagePrediction(Part):
    """The most probable classes of one image."""

    image: str
    label: str
    probability: float
    top: tuple[ClassProbability, ...]


class UnreadableImage(Part):
    """An image that could not be classified."""

    image: str
    reason: str


class PredictionReport(Document):
    """What `edgekit predict --json` prints."""

    model: str
    target: str
    predictions: tuple[ImagePrediction, ...]
    unreadable: tuple[UnreadableImage, ...] = ()
    preprocessing: PreprocessingRecord | None = None
    """How the images reached a third-party model."""
