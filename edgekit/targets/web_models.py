"""From the models of a job to what the program in the browser opens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL

from edgekit.device.jobs import entry_key
from edgekit.device.protocol.events import CurrentEnvironmentEvent, InspectedEvent
from edgekit.device.protocol.jobs import ModelEntry, ProbeJob
from edgekit.device.protocol.verbs import PROBE
from edgekit.device.scaling import parse_scaling
from edgekit.documents.preprocessing import ScalingRecord
from edgekit.documents.web_page import WebInput, WebModel, WebOutput
from edgekit.errors import InputError
from edgekit.targets.local import LocalTarget

SUFFIX = ".onnx"

HOST_RUNTIME = "onnxruntime"
"""The runtime of this machine that runs the same files."""

DTYPES = ("uint8", "float32")


@dataclass
class WebModels:
    """What the models of the jobs take and return, as this machine's runtime reports it: each is opened once."""

    environment: CurrentEnvironmentEvent | None = None
    """This machine, as the last inspection found it."""
    _known: dict[str, InspectedEvent] = field(default_factory=dict)

    def inspect(self, entries: Sequence[ModelEntry]) -> list[InspectedEvent]:
        """The events of the verb ``probe`` here. Raises :class:`InputError` for a file that no browser opens."""
        for entry in entries:
            if Path(entry["path"]).suffix.lower() != SUFFIX:
                raise InputError(
                    "a browser runs .onnx files only",
                    where=entry["path"],
                    hint="export it to ONNX: edgekit export RUN --format onnx",
                )
            if entry.get("runtime") not in (None, HOST_RUNTIME):
                raise InputError("a browser runs files with onnxruntime-web only", hint="leave out --runtime")
        for event in LocalTarget().run(PROBE, ProbeJob(models=entries)):
            if event["event"] == "inspected":
                self._known[event["key"]] = event
            elif event["event"] == "environment":
                self.environment = event
        return [self._known[entry_key(entry)] for entry in entries]

    def web_model(self, entry: ModelEntry) -> WebModel:
        """One model. Raises :class:`InputError` if the page's program cannot feed it or read it."""
        key = entry_key(entry)
        if key not in self._known:
            self.inspect([entry])
        return web_model(entry, self._known[key])


def web_model(entry: ModelEntry, facts: InspectedEvent) -> WebModel:
    """The model of a job with what was found about it. Raises :class:`InputError` as :meth:`WebModels.web_model`."""
    given, made = facts["input"], facts["output"]
    for what, dtype, known in (("input", given["dtype"], DTYPES), ("output", made["dtype"], ("float32",))):
        if dtype not in known:
            raise InputError(
                f"its {what} has type {dtype}; in a browser, edgekit supports {' and '.join(known)}",
                where=entry["path"],
            )
    if entry.get("files"):
        raise InputError(
            "this model has external data, which a browser cannot open",
            where=entry["path"],
            hint="save the model again with its weights in one file",
        )
    height, width = given["shape"][1:3] if given["layout"] == "NHWC" else given["shape"][2:4]
    scaling = entry.get("scaling")
    parsed = None if scaling is None else parse_scaling(scaling)
    record = None if parsed is None else ScalingRecord(mean=parsed.mean, std=parsed.std, bgr=parsed.bgr)
    return WebModel(
        key=entry_key(entry),
        input=WebInput(
            name=given["name"],
            dtype="uint8" if given["dtype"] == "uint8" else "float32",
            layout="NHWC" if given["layout"] == "NHWC" else "NCHW",
            height=height,
            width=width,
            channels=given["channels"],
            batch=given["shape"][0],
        ),
        output=WebOutput(name=made["name"], operator=made["operator"], classes=made["classes"]),
        resize=entry.get("resize") or "stretch",
        filter=entry.get("filter") or "bilinear",
        range=entry.get("range") or "full",
        pillow=int(PIL.__version__.partition(".")[0]),
        scaling=record,
        activation=entry.get("activation") or "auto",
    )


def as_json(model: WebModel, **more: object) -> dict[str, Any]:
    """The entry of a job for the browser's program."""
    found: dict[str, Any] = {**json.loads(model.model_dump_json()), **more}
    return found
