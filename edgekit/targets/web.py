"""Chromium on this machine as a target: ONNX Runtime Web in WebAssembly, as a page on any server would run it.

Every job gets a new browser, which is its process. The page reports the events of edgekit's device program; what a page
cannot know (processor time, memory, the machine) is added here.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgekit.data.cache import cache_dir
from edgekit.device import probe
from edgekit.device.block_order import block_order
from edgekit.device.golden import read_golden
from edgekit.device.jobs import entry_key
from edgekit.device.protocol import control_key, same_key
from edgekit.device.protocol.events import BlockEvent, ErrorEvent, JobEvent, ModelEvent, StateEvent
from edgekit.device.protocol.jobs import AnyJob, ModelEntry
from edgekit.device.protocol.verbs import (
    ACCURACY,
    ENERGY,
    LATENCY,
    MEMORY,
    PREDICT,
    PROBE,
    PROFILE,
    VERIFY,
    Answer,
    Given,
    Verb,
)
from edgekit.errors import EdgekitError, InputError
from edgekit.support.progress import SILENT, Progress
from edgekit.targets.base import WEB, failure, model_path
from edgekit.targets.web_models import WebModels, as_json
from edgekit.targets.web_process import RendererCpu, RendererMemory
from edgekit.web.assets import assets
from edgekit.web.chromium import Browser, require_chromium
from edgekit.web.runtime_package import runtime_files
from edgekit.web.server import PageServer

SILENCE_S = 600.0
"""A large model on a slow machine takes as long to open, or for one block."""

EVENT = "edgekitEvent"

CLOCK_STEP = """
Math.round(1000 * Math.min(...Array.from({ length: 20 }, () => {
  const start = performance.now();
  let now = start;
  while (now === start) now = performance.now();
  return now - start;
})))
"""
"""The smallest step of the browser's clock in microseconds."""


class WebTarget:
    """Runs jobs in a browser. Paths in a job are those of this machine."""

    name = WEB
    threads: tuple[int, ...] | None = None
    runtime: str | None = None

    def __init__(self, progress: Progress = SILENT, runtime_dir: Path | None = None) -> None:
        """``runtime_dir``: the npm package of the runtime; see :func:`edgekit.web.runtime_package.runtime_files`."""
        self._progress = progress
        self._runtime_dir = runtime_dir
        self._models = WebModels()
        self._browser: Browser | None = None
        self.browser_name: str | None = None
        """Name and version of the browser, once a job has run."""

    def run(self, verb: Verb[Given, Answer], job: Given) -> Iterator[Answer]:
        """See :class:`edgekit.targets.base.Target`."""
        return cast("Iterator[Answer]", self._run(verb, cast("AnyJob", job)))

    def abort(self) -> None:
        """End the browser, whose job then fails."""
        if self._browser is not None:
            self._browser.close()

    def close(self) -> None:
        """Nothing to do: no browser outlives :meth:`run`."""

    def _run(self, verb: str, job: AnyJob) -> Iterator[JobEvent]:
        if verb == ENERGY:
            for entry in job["models"]:
                yield {"event": "energy", "key": entry_key(entry), "source": None}
            return
        if verb not in _HANDLERS:
            what = "operator times" if verb == PROFILE else f"the verb {verb!r}"
            raise InputError(f"{what}: not available in a browser")
        require_chromium()
        files = runtime_files(cache_dir(), self._runtime_dir, self._progress)
        served = {**assets(headless=True), **{f"runtime/{name}": path for name, path in files.items()}}
        inspected = self._models.inspect(job.get("models", [])) if verb == PROBE else []
        with contextlib.closing(PageServer(served)) as server, contextlib.closing(Browser()) as browser:
            self._browser = browser
            try:
                session = _Session(browser, server, self._models, job)
                self.browser_name = browser.version
                yield from _HANDLERS[verb](session, inspected)
            finally:
                self._browser = None


class _Session:
    """One job in one browser."""

    def __init__(self, browser: Browser, server: PageServer, models: WebModels, job: AnyJob) -> None:
        self.browser, self.server, self.models, self.job = browser, server, models, job
        self._shared: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._opening: str | None = None
        browser.bind(EVENT)
        browser.open(server.url("job.html"))

    @property
    def threads(self) -> int:
        """The threads of the job: 0 stands for as many as the browser has."""
        return self.job.get("threads", 1) or int(self.browser.evaluate("navigator.hardwareConcurrency"))

    def url(self, path: str) -> str:
        """Where the page finds a file of this machine."""
        if path not in self._shared:
            self._shared[path] = self.server.url(self.server.share(Path(path)))
            self._paths[self._shared[path]] = path
        return self._shared[path]

    def entries(self, **more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The models of the job for the page. ``more``: further keys of each, by the model's key."""
        return [self._entry(entry, more) for entry in self.job.get("models", [])]

    def _entry(self, entry: ModelEntry, more: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        key = entry_key(entry)
        images = [self.url(path) for path in entry.get("images", ())]
        extra = {name: values[key] for name, values in more.items()}
        return as_json(self.models.web_model(entry), url=self.url(entry["path"]), images=images, **extra)

    def events(self, verb: str, job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Start the job in the page, and follow its events. Raises the error that one of them describes."""
        self.browser.evaluate(f"edgekitRun({json.dumps(verb)}, {json.dumps(job)})")
        with contextlib.closing(self.browser.bound_calls(EVENT, SILENCE_S)) as calls:
            for text in calls:
                event: dict[str, Any] = json.loads(text)
                if event["event"] == "opening":
                    self._opening = event["key"]
                elif event["event"] == "error":
                    raise self._failure(event)
                elif event["event"] == "done":
                    return
                else:
                    yield event

    def _failure(self, event: dict[str, Any]) -> EdgekitError:
        where = self._paths.get(event["where"] or "", event["where"])
        if event["kind"] == "model" and self._opening is not None:
            where = model_path(self.job, self._opening)
        return failure(cast("ErrorEvent", {**event, "where": where}), install="")

    def environment(self) -> dict[str, Any]:
        """This machine and its browser."""
        found = probe.environment()
        versions = {"browser": self.browser.version, "clock step": f"{self.browser.evaluate(CLOCK_STEP):g} us"}
        return {**found, "python": None, "versions": versions}


def _probe(session: _Session, inspected: Sequence[Any]) -> Iterator[Any]:
    cores = 1
    opened: dict[str, Any] = {}
    for event in session.events(PROBE, {"models": session.entries()}):
        if event["event"] == "browser":
            cores = event["threads"]
        elif event["event"] == "opened":
            opened[event["key"]] = event["runtime"]
    environment = {**session.environment(), "usable_cores": cores}
    yield {"event": "environment", "when": "now", "power_source": None, **environment}
    for event in inspected:
        yield {**event, "runtime": opened[event["key"]]}


def _latency(session: _Session, _: Sequence[Any]) -> Iterator[Any]:
    job, threads = session.job, session.threads
    keys = [entry_key(entry) for entry in job["models"]]
    copies = [control_key(key) for key in job.get("controls", ())] + [
        same_key(key) for key in job.get("same_input", ())
    ]
    rounds = job["protocol"]["rounds"]
    cpu = RendererCpu(session.browser)
    time.sleep(0.25)
    others = cpu.others_cores()
    environment = session.environment()
    yield {"event": "environment", "when": "before", "others_cores": others, "pinned": None, **environment}
    sent: dict[str, Any] = {
        "models": session.entries(),
        "threads": threads,
        "order": list(block_order([*keys, *copies], rounds, job["seed"])),
        "protocol": job["protocol"],
        "controls": job.get("controls", ()),
        "same_input": job.get("same_input", ()),
        "skip": job.get("skip", 0),
    }
    cpu = RendererCpu(session.browser)
    for event in session.events(LATENCY, sent):
        if event["event"] == "model":
            cpu.mark()
            yield _model_event(event)
        elif event["event"] == "block":
            yield _block_event(event, cpu.block_ns(event["idle_ns"], event["wall_ns"]))
        elif event["event"] == "state":
            yield StateEvent(
                event="state",
                round=event["round"],
                temperature_c=probe.temperature_c(),
                throttled=probe.throttled(),
            )
        else:
            yield event
    yield {"event": "environment", "when": "after", "others_cores": cpu.others_cores(), **probe.state()}


def _model_event(event: Mapping[str, Any]) -> ModelEvent:
    return ModelEvent(
        event="model",
        key=event["key"],
        runtime=event["runtime"],
        threads=event["threads"],
        pinned=None,
        load_ns=event["load_ns"],
        first_ns=event["first_ns"],
        warmup_ns=event["warmup_ns"],
    )


def _block_event(event: Mapping[str, Any], cpu_ns: int) -> BlockEvent:
    return BlockEvent(
        event="block",
        round=event["round"],
        key=event["key"],
        ns=event["ns"],
        wall_ns=event["wall_ns"],
        cpu_ns=cpu_ns,
        frequency_khz=probe.frequency_khz(),
        answers=event["answers"],
    )


def _accuracy(session: _Session, _: Sequence[Any]) -> Iterator[Any]:
    job = session.job
    if len(job.get("corruptions", ())) > 0:
        raise InputError("a browser scores clean images only", hint="score corrupted images on another target")
    files = [session.url(str(Path(job["root"], file))) for file in job["files"]]
    sent = {"models": session.entries(), "threads": 1, "files": files, "skip": job.get("skip", 0)}
    for event in session.events(ACCURACY, sent):
        if event["event"] == "decoder":
            event["name"] = f"{event['name']}, {session.browser.version}"
        yield event


def _predict(session: _Session, _: Sequence[Any]) -> Iterator[Any]:
    paths = [str(Path(session.job.get("root", ""), file)) for file in session.job["files"]]
    sent = {"models": session.entries(), "files": [session.url(path) for path in paths]}
    for event in session.events(PREDICT, sent):
        yield {**event, "file": paths[event["number"]]}


def _verify(session: _Session, _: Sequence[Any]) -> Iterator[Any]:
    golden = {key: read_golden(path) for key, path in session.job["golden"].items()}
    urls = {
        key: session.server.url(session.server.share(np.ascontiguousarray(inputs).tobytes()))
        for key, (inputs, _) in golden.items()
    }
    for event in session.events(VERIFY, {"models": session.entries(golden=urls)}):
        scores = np.frombuffer(base64.b64decode(event["probabilities_b64"]), "<f4").reshape(event["count"], -1)
        outputs = golden[event["key"]][1]
        predicted, expected, rows = scores.argmax(axis=1), outputs.argmax(axis=1), np.arange(len(outputs))
        yield {
            "event": "verified",
            "key": event["key"],
            "runtime": event["runtime"],
            "predicted": predicted.tolist(),
            "expected": expected.tolist(),
            "differences": np.abs(scores - outputs).max(axis=1).astype(float).tolist(),
            "margins": (outputs[rows, expected] - outputs[rows, predicted]).astype(float).tolist(),
        }


def _memory(session: _Session, _: Sequence[Any]) -> Iterator[Any]:
    memory = RendererMemory(session.browser)
    for event in session.events(MEMORY, {"models": session.entries(), "threads": session.threads}):
        if event["event"] == "baseline":
            memory.start()
        else:
            yield {
                "event": "memory",
                "key": entry_key(session.job["models"][0]),
                "threads": session.threads,
                **memory.end(),
            }
        session.browser.evaluate("edgekitResume()")


_HANDLERS = {
    PROBE: _probe,
    LATENCY: _latency,
    ACCURACY: _accuracy,
    PREDICT: _predict,
    VERIFY: _verify,
    MEMORY: _memory,
}
