"""What a job's events have to be, in which order, until the job is complete: see :class:`JobAnswers`.

The device program emits the same events in the same order for the same job, so anything else (a missing, repeated or
invented event, a time below zero, probabilities above 1) is refused instead of stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from edgekit.device.block_order import block_order
from edgekit.device.jobs import entry_key
from edgekit.device.protocol import CHUNK, CLEAN, DECODED_IMAGES, NOISE_IMAGES, control_key, model_key, same_key
from edgekit.device.protocol.events import DoneEvent, ErrorEvent, JobEvent
from edgekit.device.protocol.jobs import AnyJob, ModelEntry
from edgekit.device.protocol.requests import BrokenEvent, ExitEvent
from edgekit.device.protocol.values import RuntimeInfo
from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import TargetError
from edgekit.targets.event_probabilities import check_probabilities, unpacked_probabilities
from edgekit.targets.event_shapes import InvalidAnswer, check_shape, invalid_answer, parse_line

MOST_CORES = 4096
WINDOW_NS = 10**9
Event = Mapping[str, Any]
"""An event whose shape was checked."""
Grammar = Generator[None, Event, None]
"""Takes the events of a job one by one. It ends with the last event that belongs to the job."""


@dataclass
class ModelFacts:
    """What earlier answers of a target say about model files, by path: how many classes each has."""

    classes: dict[str, int] = field(default_factory=dict)


@dataclass
class _Context:
    job: AnyJob
    facts: ModelFacts
    local_path: Callable[[str], str]

    @property
    def entries(self) -> dict[str, ModelEntry]:
        return {entry_key(entry): entry for entry in self.job.get("models", ())}

    def check_runtime(self, runtime: RuntimeInfo, key: str) -> None:
        wanted = self.entries[model_key(key)].get("runtime")
        if runtime["name"] not in RUNTIMES or wanted not in (None, runtime["name"]):
            raise InvalidAnswer(
                f"the runtime of {key} is {runtime['name']!r}, not {wanted or 'one that edgekit knows'}"
            )

    def check_classes(self, count: int, key: str) -> None:
        path = self.entries[key]["path"]
        known = self.facts.classes.setdefault(path, count)
        if count != known:
            raise InvalidAnswer(f"{key} has {count} classes, and had {known} before")

    def check_threads(self, event: Event) -> None:
        entry = self.entries.get(model_key(str(event["key"])))
        own = None if entry is None else entry.get("threads")
        wanted = self.job.get("threads", 1) if own is None else own
        if wanted and event["threads"] != wanted:
            raise InvalidAnswer(f"event {event['event']!r}: measured with {event['threads']} threads, not {wanted}")


class JobAnswers:
    """Checks the answers to one job of one target, one line after another.

    ``facts`` are kept from job to job. ``local_path`` translates the paths of the job into paths of this machine.
    """

    def __init__(
        self, target: str, verb: str, job: AnyJob, facts: ModelFacts, local_path: Callable[[str], str] = str
    ) -> None:
        self._target, self._verb = target, verb
        self._grammar: Grammar | None = _GRAMMARS[verb](_Context(job, facts, local_path))
        self._broken = False
        try:
            next(self._grammar)
        except StopIteration:
            self._grammar = None

    def parsed(self, line: bytes) -> JobEvent | DoneEvent | ErrorEvent:
        """:meth:`checked`, for a line that comes from the job itself."""
        try:
            event = parse_line(line)
        except InvalidAnswer as error:
            raise self._refusal(error) from None
        return cast("JobEvent | DoneEvent | ErrorEvent", self.checked(event))

    def checked(self, event: Mapping[str, object]) -> JobEvent | DoneEvent | ErrorEvent | ExitEvent | BrokenEvent:
        """``event`` itself. Raises :class:`TargetError` if it cannot be the next event of this job."""
        try:
            check_shape(event, self._verb)
            self._advance(event)
        except InvalidAnswer as error:
            raise self._refusal(error) from None
        return cast("JobEvent", event)

    def _advance(self, event: Event) -> None:
        name = event["event"]
        if name == "done":
            if self._grammar is not None:
                raise InvalidAnswer(f"the job {self._verb!r} is done, but events of it are missing")
            return
        if name == "broken":
            self._broken = True
        if name in ("error", "exit", "broken"):
            return
        if self._grammar is None or self._broken or name == "alive":
            raise InvalidAnswer(f"event {name!r} after the end of the job {self._verb!r}")
        try:
            self._grammar.send(event)
        except StopIteration:
            self._grammar = None

    def _refusal(self, error: InvalidAnswer) -> TargetError:
        return invalid_answer(self._target, str(error))


def _expect(event: Event, *names: str, **values: object) -> Event:
    """``event``, if it has one of ``names`` and these ``values``."""
    if event["event"] not in names:
        raise InvalidAnswer(f"event {event['event']!r} came where {' or '.join(map(repr, names))} was expected")
    for key, value in values.items():
        if event.get(key) != value:
            raise InvalidAnswer(f"event {event['event']!r}: {key} is {event.get(key)!r}, and {value!r} was expected")
    return event


def _check_answers(context: _Context, key: str, block: Event) -> None:
    """After the runs 0, 1, 2, 4, 8 and so on, one about an image of the model each."""
    images = len(context.entries[model_key(key)].get("images", ()))
    pictures = images if images >= context.job["protocol"]["rounds"] else NOISE_IMAGES
    if len(block["answers"]) != 1 + (len(block["ns"]) - 1).bit_length():
        raise InvalidAnswer(f"a block of {key} has {len(block['answers'])} predictions")
    classes = context.facts.classes.get(context.entries[model_key(key)]["path"])
    for answer in block["answers"]:
        if answer["image"] >= pictures:
            raise InvalidAnswer(f"a prediction of {key} is for an image that it does not have")
        # A model with one output value has two classes.
        if classes is not None and (answer["predicted"] or 0) >= max(2, classes):
            raise InvalidAnswer(f"{key} predicts a class that it does not have")


def _check_runs(numbers: Sequence[float], count: int, total: float, what: str, *, exactly: bool = True) -> None:
    """Times of single runs: none is 0, and they end with the first one after which there are enough."""
    if numbers and min(numbers) <= 0:
        raise InvalidAnswer(f"{what}: a run took no time")
    if len(numbers) < count:
        raise InvalidAnswer(f"{what}: {len(numbers)} runs, and {count} were asked for")
    if sum(numbers) < total:
        raise InvalidAnswer(f"{what}: the runs took {sum(numbers) / 1e9:g} s, and {total / 1e9:g} s were asked for")
    if exactly and len(numbers) > max(count, 1) and sum(numbers[:-1]) >= total:
        raise InvalidAnswer(f"{what}: more runs than were asked for")


def _probe(context: _Context) -> Grammar:
    _expect((yield), "environment", when="now")
    if context.job.get("load_runtimes"):
        for name in RUNTIMES:
            _expect((yield), "runtime", name=name)
    for key, entry in context.entries.items():
        _expect((yield), "opening", key=key)
        event = _expect((yield), "inspected", key=key)
        context.check_runtime(event["runtime"], key)
        given = event["input"]
        if given["layout"] not in ("NHWC", "NCHW") or len(given["shape"]) != 4 or given["channels"] not in (1, 3):
            raise InvalidAnswer(f"the input of {key} has no known layout")
        scaling = event["metadata"]["scaling"]
        if scaling is not None and not (len(scaling["mean"]) == len(scaling["std"]) == 3 and all(scaling["std"])):
            raise InvalidAnswer(f"the metadata of {key} has a scaling without three means and standard deviations")
        classes = event["output"]["classes"]
        if classes is not None:
            context.facts.classes[entry["path"]] = classes


def _latency(context: _Context) -> Grammar:
    job, skip = context.job, context.job.get("skip", 0)
    pinned = _expect((yield), "environment", when="before")["pinned"]
    if pinned is not None and not (pinned and job.get("pin")):
        raise InvalidAnswer("it pinned its processes without being asked to")
    subjects: list[str] = []
    for key in context.entries:
        if (yield from _subject(context, key, images=not skip)):
            subjects.append(key)
    copies = [*map(control_key, job.get("controls", ())), *map(same_key, job.get("same_input", ()))]
    for again in [key for key in copies if model_key(key) in set(subjects)]:
        if (yield from _subject(context, again, images=False)):
            subjects.append(again)
    settings = job["protocol"]
    for number, keys in enumerate(block_order(subjects, settings["rounds"], job.get("seed", 0))):
        for place, key in enumerate(keys):
            if number * len(subjects) + place < skip:
                continue
            block = _expect((yield), "block", round=number, key=key)
            what = f"block {number} of {key}"
            # With a rate, it is the intervals between the runs that add up.
            spent = [max(ns, settings.get("period_ns", 0)) for ns in block["ns"]]
            _check_runs(block["ns"], settings["block_runs"], 0, what, exactly=False)
            _check_runs(spent, settings["block_runs"], settings["block_ns"], what)
            _check_answers(context, key, block)
            if block["wall_ns"] < sum(block["ns"]):
                raise InvalidAnswer(f"{what}: all runs together took less time than their sum")
            if block["cpu_ns"] > MOST_CORES * block["wall_ns"]:
                raise InvalidAnswer(f"{what}: more processor time than any machine has")
        _expect((yield), "state", round=number)
    _expect((yield), "environment", when="after")


def _subject(context: _Context, key: str, *, images: bool) -> Generator[None, Event, bool]:
    """The events of one model before its blocks. Whether it will have blocks."""
    _expect((yield), "opening", key=key)
    event = _expect((yield), "model", "failed", key=key)
    if event["event"] == "failed":
        return False
    context.check_runtime(event["runtime"], key)
    context.check_threads(event)
    if event["pinned"] is not None and not (event["pinned"] and context.entries[model_key(key)].get("pin")):
        raise InvalidAnswer(f"it pinned {key} without being asked to")
    settings = context.job["protocol"]
    _check_runs([event["first_ns"]], 1, 0, f"first run of {key}")
    _check_runs(event["warmup_ns"], settings["warmup_runs"], settings["warmup_ns"], f"warm-up of {key}")
    pictures = context.entries[model_key(key)].get("images", ())
    if images and pictures:
        times = _expect((yield), "images", key=key)
        count = min(DECODED_IMAGES, len(pictures))
        if not len(times["preprocess_ns"]) == len(times["postprocess_ns"]) == count:
            raise InvalidAnswer(f"{key} does not have one time for each of {count} images")
    return True


def _sustained(context: _Context) -> Grammar:
    seconds = float(context.job["seconds"])
    for key in context.entries:
        _expect((yield), "opening", key=key)
        context.check_threads(_expect((yield), "sustained_start", key=key))
        end, number = 0.0, 0
        while (event := _expect((yield), "window", "sustained_end", key=key))["event"] == "window":
            _expect(event, "window", number=number)
            number += 1
            _check_runs(event["ns"], 1, WINDOW_NS, f"sustained run of {key}")
            if not end - 0.01 <= event["start_s"] < min(seconds, end + 10):
                raise InvalidAnswer(f"sustained run of {key}: a window starts at {event['start_s']:g} s")
            end = event["start_s"] + sum(event["ns"]) / 1e9
        _expect(event, "sustained_end", windows=number)
        # The times of the runs leave out the loop around them and the reading of the sensors.
        if end < seconds - 10 or end == 0:
            raise InvalidAnswer(f"sustained run of {key}: it ended after {end:.0f} of {seconds:.0f} s")


def _energy(context: _Context) -> Grammar:
    for key in context.entries:
        event = _expect((yield), "opening", "energy", key=key)
        if event["event"] == "energy":
            _expect(event, "energy", source=None)
            continue
        event = _expect((yield), "energy", key=key)
        numbers = ("threads", "joules", "wall_s", "runs", "idle_joules", "idle_s")
        missing = [name for name in ("source", *numbers) if event.get(name) is None]
        if missing:
            raise InvalidAnswer(f"the energy of {key} lacks {', '.join(missing)}")
        context.check_threads(event)
        if event["wall_s"] < 0.9 * context.job.get("seconds", 0) or not event["wall_s"] or not event["idle_s"]:
            raise InvalidAnswer(f"the energy of {key} was measured for {event['wall_s']:g} s only")


def _memory(context: _Context) -> Grammar:
    (key,) = context.entries
    _expect((yield), "opening", key=key)
    event = _expect((yield), "memory", key=key)
    context.check_threads(event)
    baseline, peak = event["baseline_rss_bytes"], event["peak_rss_bytes"]
    if not baseline or not peak or event["model_rss_bytes"] != max(0, peak - baseline):
        raise InvalidAnswer(f"the memory of {key} does not add up")


def _profile(context: _Context) -> Grammar:
    (key,) = context.entries
    _expect((yield), "opening", key=key)
    event = _expect((yield), "profile", key=key)
    context.check_threads(event)
    if event["runtime"] not in RUNTIMES:
        raise InvalidAnswer(f"the runtime of {key} is {event['runtime']!r}")
    runs = 0 if event["reason"] is not None else context.job.get("runs", len(event["run_ns"]))
    if len(event["run_ns"]) != runs or any(len(node["ns"]) != runs for node in event["nodes"]):
        raise InvalidAnswer(f"the profile of {key} has not {runs} times of each operator")


def _accuracy(context: _Context) -> Grammar:
    job, live = context.job, list(context.entries)
    for key in live:
        _expect((yield), "opening", key=key)
    total = len(job["files"])
    for start in range(job.get("skip", 0), total, CHUNK):
        for condition in range(len(job.get("corruptions", (CLEAN,)))):
            for key in list(live):
                event = _expect((yield), "predictions", "failed", key=key)
                if event["event"] == "failed":
                    live.remove(key)
                    continue
                _expect(event, "predictions", start=start, condition=condition, count=min(CHUNK, total - start))
                if event["activation"] not in ("softmax", "sigmoid", "none"):
                    raise InvalidAnswer(f"the activation of {key} is {event['activation']!r}")
                context.check_classes(event["classes"], key)
                check_probabilities(unpacked_probabilities(event), key, event["activation"] == "softmax")
    _expect((yield), "decoder")


def _predict(context: _Context) -> Grammar:
    import numpy as np

    for key in context.entries:
        _expect((yield), "opening", key=key)
    for number in range(len(context.job["files"])):
        for place, key in enumerate(context.entries):
            event = _expect((yield), "prediction", *(() if place else ("unreadable",)), number=number)
            if event["event"] == "unreadable":
                break
            _expect(event, "prediction", key=key)
            if not event["probabilities"]:
                raise InvalidAnswer(f"{key} predicts no classes")
            context.check_classes(len(event["probabilities"]), key)
            check_probabilities(np.array([event["probabilities"]], np.float32), key, softmax=False)


def _verify(context: _Context) -> Grammar:
    for key in context.entries:
        _expect((yield), "opening", key=key)
        event = _expect((yield), "verified", "failed", key=key)
        context.check_runtime(event["runtime"], key)
        if event["event"] == "verified":
            _check_golden(event, context.local_path(context.job["golden"][key]))


def _check_golden(event: Event, path: str) -> None:
    """The golden outputs are here: what they say about a predicted class is known."""
    from edgekit.device.failures import DeviceError
    from edgekit.device.golden import read_golden

    key, predicted, expected = event["key"], event["predicted"], event["expected"]
    try:
        outputs = read_golden(path)[1]
    except DeviceError:
        raise InvalidAnswer(f"{key} was verified with golden outputs that cannot be read here") from None
    if outputs.ndim != 2:
        raise InvalidAnswer(f"{key} was verified with golden outputs of another shape")
    count, classes = outputs.shape
    if not len(predicted) == len(expected) == len(event["differences"]) == len(event["margins"]) == count:
        raise InvalidAnswer(f"{key} was not verified on each of {count} golden inputs")
    if expected != outputs.argmax(axis=1).tolist():
        raise InvalidAnswer(f"the expected classes of {key} are not those of its golden outputs")
    if any(not 0 <= number < classes for number in predicted):
        raise InvalidAnswer(f"{key} predicts a class that it does not have")
    for row, here, there, margin in zip(outputs, expected, predicted, event["margins"]):
        if not math.isclose(float(row[here] - row[there]), margin, abs_tol=1e-4, rel_tol=1e-4):
            raise InvalidAnswer(f"the margins of {key} are not those of its golden outputs")


_GRAMMARS: dict[str, Callable[[_Context], Grammar]] = {
    "probe": _probe,
    "latency": _latency,
    "sustained": _sustained,
    "energy": _energy,
    "memory": _memory,
    "profile": _profile,
    "accuracy": _accuracy,
    "predict": _predict,
    "verify": _verify,
}
