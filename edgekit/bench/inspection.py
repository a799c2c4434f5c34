"""Facts that require opening a model on the target: its input, its own labels, its scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.events import InspectedEvent
from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.device.resizing import BILINEAR
from edgekit.device.runtime_table import FORMATS, default_runtimes
from edgekit.device.runtimes import runtime_version
from edgekit.device.scaling import parse_scaling
from edgekit.documents.bench import RUNTIME_MARK, RuntimeRecord
from edgekit.documents.machine import MachineEnvironment
from edgekit.documents.preprocessing import PreprocessingRecord, ScalingRecord
from edgekit.errors import InputError
from edgekit.registry import RUNTIMES
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import Target

ALL = "all"
"""Stands for every runtime that loads on the target, but for simulated ones."""


def with_runtimes(models: Sequence[MeasuredModel], runtimes: str | None, target: Target) -> list[MeasuredModel]:
    """Every model once for each of ``runtimes`` that runs its format.

    ``runtimes``: names with commas between them, or ``all``. A model that none of them runs, and all models without
    ``runtimes``, use the runtime that ``target`` is configured with, or the default of the machine. Raises
    :class:`InputError` for an unknown runtime, and for one that runs none of the models.
    """
    names = _loaded(target) if runtimes == ALL else _checked(runtimes, models)
    found = []
    for model in models:
        able = [name for name in names if model.format in RUNTIMES[name].formats]
        if not able and target.runtime is not None and model.format in RUNTIMES[target.runtime].formats:
            able = [target.runtime]
        found += [_run_by(model, name) for name in able] or [model]
    return found


def with_runtime(models: Sequence[MeasuredModel], runtime: str | None, target: Target) -> list[MeasuredModel]:
    """:func:`with_runtimes`, for a command that takes one runtime."""
    if runtime is not None and runtime not in RUNTIMES:
        raise _unknown(runtime)
    return with_runtimes(models, runtime, target)


def _checked(runtimes: str | None, models: Sequence[MeasuredModel]) -> list[str]:
    names = [] if runtimes is None else list(dict.fromkeys(name.strip() for name in runtimes.split(",")))
    for name in names:
        if name not in RUNTIMES:
            raise _unknown(name, f", or {ALL}")
        formats = RUNTIMES[name].formats
        if all(model.format not in formats for model in models):
            suffixes = " and ".join(f".{one}" for one in formats)
            raise InputError(f"{name} runs {suffixes} files, and there are none among these files")
    for file_format in FORMATS:
        same = [name for name in names if RUNTIMES[name].default and file_format in RUNTIMES[name].formats]
        if len(same) > 1:
            raise InputError(
                f"{same[0]} and {same[1]} cannot be measured in one session, because their results have the same names",
                hint="choose one of them",
            )
    return names


def _unknown(name: str, more: str = "") -> InputError:
    return InputError(f"unknown runtime {name!r}", hint=f"choose one of: {', '.join(RUNTIMES)}{more}")


def _loaded(target: Target) -> list[str]:
    """The runtimes that load on ``target``; of the default ones, the first for each format."""
    loaded = [
        event["name"]
        for event in target.run(PROBE, ProbeJob(load_runtimes=True))
        if event["event"] == "runtime" and event["error"] is None
    ]
    first = {next((one.name for one in default_runtimes(kind) if one.name in loaded), None) for kind in FORMATS}
    return [name for name in loaded if name in first or not (RUNTIMES[name].default or RUNTIMES[name].simulated)]


def opened_by_their_runtimes(
    models: Sequence[MeasuredModel], target: Target, progress: Progress
) -> list[MeasuredModel]:
    """``models`` without those that a runtime which is no default does not open, with a warning about each."""
    found = []
    for model in models:
        if model.runtime is None or RUNTIMES[model.runtime].default or opens(target, model, progress):
            found.append(model)
    return found


def opens(target: Target, model: MeasuredModel, progress: Progress = SILENT) -> bool:
    """Whether ``target`` opens ``model`` with its runtime; if not, a warning says why."""
    try:
        list(target.run(PROBE, ProbeJob(models=[model.job()])))
    except InputError as error:
        progress.warn(f"{model.id} is left out: {error.problem}")
        return False
    return True


def _run_by(model: MeasuredModel, runtime: str) -> MeasuredModel:
    mark = "" if RUNTIMES[runtime].default else f"{RUNTIME_MARK}{runtime}"
    return replace(model, runtime=runtime, key=model.key + mark, id=model.id + mark)


def with_installed_runtime(model: MeasuredModel) -> MeasuredModel:
    """``model`` for this machine, which uses its own default where it lacks the runtime of a target."""
    if model.runtime is not None and runtime_version(model.runtime) is not None:
        return model
    return replace(model, runtime=None)


@dataclass(frozen=True)
class InspectedTarget:
    """The target as it is now, and the runtime that opened each model, by its id."""

    environment: MachineEnvironment
    runtimes: Mapping[str, RuntimeRecord]

    @property
    def cores(self) -> int:
        """How many cores the target lets a program use."""
        return self.environment.usable_cores or 1


def inspected(
    target: Target, models: list[MeasuredModel], *, scored: bool
) -> tuple[list[MeasuredModel], InspectedTarget]:
    """Open every model once on ``target``, and complete third-party models from their own metadata.

    ``scored``: the models will classify images, so the scaling of a float input has to be known. Raises
    :class:`InputError` for a damaged file.
    """
    facts: dict[str, InspectedEvent] = {}
    environment = MachineEnvironment()
    for event in target.run(PROBE, ProbeJob(models=[model.job() for model in models])):
        if event["event"] == "inspected":
            facts[event["key"]] = event
        elif event["event"] == "environment":
            known = {k: v for k, v in event.items() if k in MachineEnvironment.model_fields}
            environment = MachineEnvironment.model_validate(known)
    runtimes = {key: RuntimeRecord.model_validate(event["runtime"]) for key, event in facts.items()}
    return [_described(model, facts[model.id], scored=scored) for model in models], InspectedTarget(
        environment, runtimes
    )


def _described(model: MeasuredModel, facts: InspectedEvent, *, scored: bool) -> MeasuredModel:
    """``model`` with the labels, scaling and resizing of its own metadata where none were given.

    Raises :class:`InputError` if the number of labels differs from that of the outputs, or if the model is to
    be ``scored`` and the scaling of its float input is unknown.
    """
    own = facts["metadata"]
    labels = model.labels or (tuple(own["labels"]) if own["labels"] else None)
    classes = facts["output"]["classes"]
    if labels is not None and classes is not None and len(labels) != classes:
        raise InputError(f"{len(labels)} labels do not fit {classes} outputs", where=str(model.path))
    if model.run is not None:
        return model
    scaling = model.scaling if model.scaling is not None else own["scaling"]
    resize = model.resize or own["resize"]
    if scored and scaling is None and facts["input"]["needs_scaling"]:
        raise InputError(
            "this model takes float input, and its metadata does not say how pixels are scaled",
            where=str(model.path),
            hint="pass --scaling none, unit, symmetric, imagenet, caffe or MEAN,STD",
        )
    return replace(
        model,
        labels=labels,
        scaling=scaling,
        resize=resize,
        pixel_range=model.pixel_range or own["range"],
        preprocessing=_preprocessing(replace(model, scaling=scaling, resize=resize), facts),
    )


def _preprocessing(model: MeasuredModel, facts: InspectedEvent) -> PreprocessingRecord:
    given, made = facts["input"], facts["output"]
    shape = given["shape"]
    height, width = shape[1:3] if given["layout"] == "NHWC" else shape[2:4]
    scaling = None if model.scaling is None else parse_scaling(model.scaling)
    return PreprocessingRecord(
        scaling=None if scaling is None else ScalingRecord(mean=scaling.mean, std=scaling.std, bgr=scaling.bgr),
        resize=model.resize or "stretch",
        filter=model.filter or BILINEAR,
        height=height,
        width=width,
        channels=given["channels"],
        batch=shape[0],
        dynamic_batch=given["dynamic_batch"],
        output=made["name"],
        output_operator=made["operator"],
        activation=model.activation or "auto",
        preset=model.preset,
    )


def assumptions(model: MeasuredModel) -> list[str]:
    """What a user should know about how a third-party model is fed and read; empty for an exported file of a run."""
    known = model.preprocessing
    if known is None:
        return []
    found = []
    if known.dynamic_batch:
        found.append("its batch is dynamic; it runs with a batch of 1")
    if known.batch > 1:
        found.append(f"each run takes a batch of {known.batch} images, and latency is that of the whole batch")
    if known.output_operator == "sigmoid" and len(model.labels or ()) > 2:
        found.append("its classes are independent (sigmoid), so their probabilities do not add up to 1")
    return found
