"""Jobs: what the host sends to a verb that runs models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from .values import ScalingDocument


class _ModelPath(TypedDict):
    path: str


class ModelSetting(TypedDict, total=False):
    """How the runtime runs a file of a job."""

    threads: int | None
    """How many threads this model runs with, where that is not the number of the job; 0: all cores."""
    pin: bool
    """Keep this model to as many cores as it has threads."""
    options: Mapping[str, str]
    """Settings of its runtime; see :attr:`edgekit.device.runtime_table.Runtime.options`."""
    limit_ns: int
    """A latency job gives this model up, as ``failed``, if a run takes longer."""


class ModelEntry(_ModelPath, ModelSetting, total=False):
    """One file of a job. Only ``path`` is required; see :class:`edgekit.device.jobs.JobModel` for the defaults."""

    key: str
    runtime: str | None
    scaling: str | ScalingDocument | None
    resize: str | None
    range: str | None
    """How values of more than 8 bits become 0 to 255; see :func:`edgekit.device.images.decode_rgb`."""
    filter: str | None
    """One of :data:`edgekit.device.resizing.FILTERS`."""
    activation: str
    """What makes probabilities of the output: ``softmax``, ``sigmoid``, ``none``, or ``auto``."""
    image_size: Sequence[int] | None
    """Height and width of an input that leaves them open."""
    output: str | None
    """Name or number of the output with the scores, of a file with several."""
    files: Mapping[str, str]
    """Files with external data: the location in the model, and the path."""
    images: Sequence[str]


class BlockSettings(TypedDict):
    """How long to measure. A block ends once it has ``block_runs`` runs and ``block_ns`` of invoke time."""

    warmup_runs: int
    warmup_ns: int
    rounds: int
    block_runs: int
    block_ns: int
    cooldown_ns: int
    """Pause before each block."""
    period_ns: int
    """Time from the start of one run to that of the next; 0: as fast as possible."""


class ProbeJob(TypedDict, total=False):
    """``models`` to inspect; ``load_runtimes``: also import every runtime and report whether that works."""

    models: Sequence[ModelEntry]
    load_runtimes: bool


class _ModelsJob(TypedDict):
    models: Sequence[ModelEntry]
    threads: int
    """0: all cores."""


class _LatencyJob(_ModelsJob):
    protocol: BlockSettings
    controls: Sequence[str]
    """The keys of the models to measure twice."""
    seed: int
    """Determines the order of the models in each round."""


class LatencyJob(_LatencyJob, total=False):
    """``skip``: the number of blocks that were measured before an interruption.

    ``same_input``: the keys of models to measure once more on one image. ``pin``: keep to as many cores as threads.
    """

    skip: int
    same_input: Sequence[str]
    pin: bool


class MemoryJob(_ModelsJob):
    """``models`` has one entry: memory is measured in its own process."""


class TimedJob(_ModelsJob):
    """Energy and sustained runs: each model runs for ``seconds``, on its images one after another."""

    seconds: float


class ProfileJob(_ModelsJob):
    """``models`` has one entry; its operators are timed over ``runs`` runs."""

    runs: int


class _AccuracyJob(_ModelsJob):
    root: str
    files: Sequence[str]


class AccuracyJob(_AccuracyJob, total=False):
    """Predictions for ``files`` below ``root``.

    ``corruptions``: pairs of a name and a severity, each applied to every image (default: :data:`CLEAN` alone).
    ``skip``: the number of files that were done before an interruption.
    """

    corruptions: Sequence[tuple[str, int]]
    corruption_seed: int
    skip: int


class _PredictJob(_ModelsJob):
    files: Sequence[str]


class PredictJob(_PredictJob, total=False):
    """Predictions for a few ``files`` (below ``root``, if given), as text rather than packed."""

    root: str


class VerifyJob(_ModelsJob):
    """``golden``: the path of each model's golden.npz by its key."""

    golden: Mapping[str, str]


class AnyJob(TypedDict, total=False):
    """Any of the jobs above, for code that sends, resumes or reads all of them alike."""

    models: Sequence[ModelEntry]
    threads: int
    load_runtimes: bool
    protocol: BlockSettings
    controls: Sequence[str]
    same_input: Sequence[str]
    pin: bool
    seed: int
    skip: int
    seconds: float
    runs: int
    root: str
    files: Sequence[str]
    corruptions: Sequence[tuple[str, int]]
    corruption_seed: int
    golden: Mapping[str, str]
