"""Events of jobs: what the verbs that run models emit."""

from __future__ import annotations

from typing import Literal, TypedDict, Union

from .values import Environment, RuntimeInfo, ScalingDocument, State, Throttling


class OpeningEvent(TypedDict):
    """The program is about to open the model ``key``: if it crashes now, that file is the reason."""

    event: Literal["opening"]
    key: str


class DoneEvent(TypedDict):
    """The last event of a job or request that succeeded."""

    event: Literal["done"]


ErrorKind = Literal["job", "model", "runtime", "image", "output", "disk", "busy", "camera", "memory"]


class ErrorEvent(TypedDict):
    """The last event of a job or request that failed. ``where``: the file it is about."""

    event: Literal["error"]
    kind: ErrorKind
    reason: str
    where: str | None


class FailedEvent(TypedDict):
    """The output of one model is not finite; the job continues without that model."""

    event: Literal["failed"]
    key: str
    reason: str


class CurrentEnvironmentEvent(Environment):
    """``power_source``: what measures the power of this machine; None if nothing does."""

    event: Literal["environment"]
    when: Literal["now"]
    power_source: str | None


class BeforeEvent(Environment):
    """``others_cores``: how many cores other programs keep busy; None if the system does not report it."""

    event: Literal["environment"]
    when: Literal["before"]
    others_cores: float | None
    pinned: list[int] | None
    """The cores that the process keeps to; None if it was not asked to, or the system does not allow it."""


class AfterEvent(State):
    """The state after all blocks, and how many cores other programs kept busy during them."""

    event: Literal["environment"]
    when: Literal["after"]
    others_cores: float | None


class RuntimeEvent(TypedDict):
    """Whether a runtime loads; ``error`` is None if it does."""

    event: Literal["runtime"]
    name: str
    version: str | None
    error: str | None


OutputOperator = Literal["softmax", "sigmoid", "scores", ""]
"""What computes the output of a file, as far as that is known; ``scores`` have no limits."""


class InputDocument(TypedDict):
    """The image input of a file. ``layout`` is NHWC or NCHW; ``needs_scaling``: it takes floats.

    ``dynamic_batch``: the file leaves the number of images of a run open, and 1 is used. ``channels``: 3, or 1 for
    grey.
    """

    name: str
    dtype: str
    shape: list[int]
    layout: str
    needs_scaling: bool
    dynamic_batch: bool
    channels: int


class OutputDocument(TypedDict):
    """The scores of a file. ``classes`` is None if the file does not specify it; one score stands for two classes.

    ``operator``: what computes them: ``softmax``, ``sigmoid``, ``scores``, or empty if that is not known.
    """

    name: str
    dtype: str
    classes: int | None
    operator: OutputOperator


class MetadataDocument(TypedDict):
    """The metadata of a file; None for what it does not contain."""

    labels: list[str] | None
    scaling: ScalingDocument | None
    resize: str | None
    range: str | None


class InspectedEvent(TypedDict):
    """What a file takes and returns."""

    event: Literal["inspected"]
    key: str
    runtime: RuntimeInfo
    input: InputDocument
    output: OutputDocument
    metadata: MetadataDocument


class ModelEvent(TypedDict):
    """A model is ready to be measured: time to load it, of its first run, and of each warm-up run.

    ``pinned``: the cores that a model keeps to whose entry asks for that; None for others, or if the system does not
    allow it.
    """

    event: Literal["model"]
    key: str
    runtime: RuntimeInfo
    threads: int
    pinned: list[int] | None
    load_ns: int
    first_ns: int
    warmup_ns: list[int]


class ImagesEvent(TypedDict):
    """Decoding, resizing and scaling of each image, and reading its result."""

    event: Literal["images"]
    key: str
    preprocess_ns: list[int]
    postprocess_ns: list[int]


class TimedAnswer(TypedDict):
    """What a timed run said: the number of the model's image, the top class and its score or probability.

    None if its output was not finite.
    """

    image: int
    predicted: int | None
    score: float | None


class BlockTimes(TypedDict):
    """One block: the time of each run, of all of them together, and the processor time of all threads.

    ``wall_ns`` includes what happens between the runs, but no pauses. ``answers`` are those of some of the runs.
    """

    ns: list[int]
    wall_ns: int
    cpu_ns: int
    frequency_khz: int | None
    answers: list[TimedAnswer]


class BlockEvent(BlockTimes):
    """One block of one model in one round."""

    event: Literal["block"]
    round: int
    key: str


class StateEvent(TypedDict):
    """The machine after a round."""

    event: Literal["state"]
    round: int
    temperature_c: float | None
    throttled: Throttling | None


class SustainedStartEvent(State):
    """A sustained run starts. ``cooldown_s``: how long the machine cooled down before."""

    event: Literal["sustained_start"]
    key: str
    threads: int
    cooldown_s: float


class WindowEvent(TypedDict):
    """About one second of a sustained run, which began ``start_s`` after the run did. ``number`` counts from 0."""

    event: Literal["window"]
    key: str
    number: int
    start_s: float
    ns: list[int]
    frequency_khz: int | None
    temperature_c: float | None
    throttled: Throttling | None
    """Read every few seconds only; None in between."""


class SustainedEndEvent(State):
    """The state after a sustained run, which had so many ``windows``."""

    event: Literal["sustained_end"]
    key: str
    windows: int


class _EnergyEvent(TypedDict):
    event: Literal["energy"]
    key: str
    source: str | None


class EnergyEvent(_EnergyEvent, total=False):
    """The energy of ``runs`` runs and of an idle period before. Without a ``source`` there are no other keys."""

    threads: int
    joules: float | None
    wall_s: float
    runs: int
    idle_joules: float | None
    idle_s: float


class MemoryEvent(TypedDict):
    """Resident memory before the model was opened and at its peak. ``peak_was_reset``: without that of imports.

    ``arena_bytes``: the working memory on a microcontroller, with TensorFlow Lite Micro.
    """

    event: Literal["memory"]
    key: str
    threads: int
    baseline_rss_bytes: int
    peak_rss_bytes: int
    model_rss_bytes: int
    peak_was_reset: bool
    arena_bytes: int | None


class NodeTimes(TypedDict):
    """One operator: its name in the file, its type, where it ran, and its time in each run."""

    name: str
    operator: str
    where: str
    ns: list[int]


class ProfileEvent(TypedDict):
    """The time of each whole run and of each operator. ``reason``: why there is no profile, or None."""

    event: Literal["profile"]
    key: str
    threads: int
    runtime: str
    version: str | None
    reason: str | None
    run_ns: list[int]
    nodes: list[NodeTimes]


class PackedPredictions(TypedDict):
    """``probabilities_b64``: float32 (count, classes), little-endian, in base64."""

    count: int
    classes: int
    probabilities_b64: str


class PredictionsEvent(PackedPredictions):
    """Predictions for ``count`` files from number ``start``, under the job's corruption number ``condition``."""

    event: Literal["predictions"]
    key: str
    start: int
    condition: int
    activation: str
    """``softmax`` or ``none``: what was applied to the output."""


class DecoderEvent(TypedDict):
    """The versions of the image decoder and of the corruptions that produced the pixels."""

    event: Literal["decoder"]
    name: str
    suite: str


class PredictionEvent(TypedDict):
    """The probability of each class for file number ``number``."""

    event: Literal["prediction"]
    key: str
    number: int
    file: str
    probabilities: list[float]


class UnreadableEvent(TypedDict):
    """File number ``number`` is not an image that can be decoded."""

    event: Literal["unreadable"]
    number: int
    file: str
    reason: str


class VerifiedEvent(TypedDict):
    """One model on its golden inputs, one value per input.

    ``predicted`` and ``expected`` are the top classes, ``differences`` the largest difference of a score, ``margins``
    the difference between the golden scores of the expected and the predicted class.
    """

    event: Literal["verified"]
    key: str
    runtime: RuntimeInfo
    predicted: list[int]
    expected: list[int]
    differences: list[float]
    margins: list[float]


class UnverifiedEvent(FailedEvent):
    """The output of a model on a golden input is not finite."""

    runtime: RuntimeInfo


class SittingEvent(TypedDict):
    """From the host, not from the device: what follows was measured in this sitting of an interrupted session."""

    event: Literal["sitting"]
    number: int


class RestartedEvent(TypedDict):
    """From the host's side of a target, not from the device: the device lost the job, and the rest was started anew."""

    event: Literal["restarted"]


ProbeEvent = Union[CurrentEnvironmentEvent, RuntimeEvent, OpeningEvent, InspectedEvent, RestartedEvent]
LatencyEvent = Union[
    BeforeEvent,
    OpeningEvent,
    ModelEvent,
    ImagesEvent,
    BlockEvent,
    StateEvent,
    FailedEvent,
    AfterEvent,
    RestartedEvent,
    SittingEvent,
]
SustainedEvent = Union[OpeningEvent, SustainedStartEvent, WindowEvent, SustainedEndEvent, RestartedEvent]
MeteredEvent = Union[OpeningEvent, EnergyEvent, RestartedEvent]
MemoryJobEvent = Union[OpeningEvent, MemoryEvent, RestartedEvent]
ProfileJobEvent = Union[OpeningEvent, ProfileEvent, RestartedEvent]
AccuracyEvent = Union[OpeningEvent, PredictionsEvent, FailedEvent, DecoderEvent, RestartedEvent]
PredictEvent = Union[OpeningEvent, PredictionEvent, UnreadableEvent, RestartedEvent]
VerifyEvent = Union[OpeningEvent, VerifiedEvent, UnverifiedEvent, RestartedEvent]

JobEvent = Union[
    ProbeEvent,
    LatencyEvent,
    SustainedEvent,
    MeteredEvent,
    MemoryJobEvent,
    ProfileJobEvent,
    AccuracyEvent,
    PredictEvent,
    VerifyEvent,
]
