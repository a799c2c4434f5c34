"""Facts that require opening a model on the target: its input, its own labels, its scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.protocol.events import InspectedEvent
from edgekit.device.protocol.jobs import ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.device.resizing import BILINEAR
from edgekit.device.scaling import parse_scaling
from edgekit.documents.bench import RuntimeRecord
from edgekit.documents.machine import MachineEnvironment
from edgekit.documents.preprocessing import PreprocessingRecord, ScalingRecord
from edgekit.errors import InputError
from edgekit.registry import RUNTIMES
from edgekit.support.progress import Progress
from edgekit.targets.base import Target

WEB_FORMAT = "onnx"


def with_runtime(models: list[MeasuredModel], runtime: str | None) -> list[MeasuredModel]:
    """Use ``runtime`` for the models of its format; the others keep their default."""
    if runtime is None:
        return models
    if runtime not in RUNTIMES:
        raise InputError(f"unknown runtime {runtime!r}", hint=f"choose one of: {', '.join(RUNTIMES)}")
    file_format = RUNTIMES[runtime].format
    if all(model.format != file_format for model in models):
        raise InputError(f"{runtime} runs .{file_format} files, and there are none among these files")
    return [replace(model, runtime=runtime) if model.format == file_format else model for model in models]


def with_target_runtime(models: list[MeasuredModel], runtime: str | None) -> list[MeasuredModel]:
    """Use the runtime that a target asks for, if any of the models has its format."""
    if runtime is None or all(model.format != RUNTIMES[runtime].format for model in models):
        return models
    return with_runtime(models, runtime)


def for_web(models: list[MeasuredModel], progress: Progress) -> list[MeasuredModel]:
    """The models that a browser can run: those in ONNX format. The others are left out, with a message.

    Raises :class:`InputError` if there are none.
    """
    kept = [model for model in models if model.format == WEB_FORMAT]
    if not kept:
        run = models[0].run
        raise InputError(
            "a browser runs ONNX files only, and there are none among these files",
            where=str(models[0].path if run is None else models[0].folder),
            hint=None if run is None else f"edgekit export {models[0].folder} --format onnx --fp32 --int8",
        )
    if len(kept) < len(models):
        left = ", ".join(model.key for model in models if model not in kept)
        progress.info(f"left out, because a browser runs ONNX files only: {left}")
    return kept


def with_default_runtime(model: MeasuredModel) -> MeasuredModel:
    """Leave the choice of the runtime to the machine: this one may lack the runtime that a target uses."""
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
