"""Answers of a device are checked: what the program really emits passes, and whatever is changed in it does not."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit.device.protocol import NOISE_IMAGES
from edgekit.device.runtime_table import RUNTIMES
from edgekit.errors import TargetError
from edgekit.targets.event_shapes import InvalidAnswer, check_shape
from edgekit.targets.job_events import JobAnswers, ModelFacts
from edgekit.targets.local import LocalTarget
from edgekit.targets.request_events import RequestAnswers

PROTOCOL = {"warmup_runs": 2, "warmup_ns": 0, "rounds": 3, "block_runs": 2, "block_ns": 0, "cooldown_ns": 0}
FREE_TEXT = {
    *("name", "version", "delegate", "power_source", "error", "reason", "cpu", "board", "architecture", "os", "kernel"),
    *("emulated", "python", "governor", "raw", "suite", "dtype", "precision", "Pillow", "numpy", *RUNTIMES),
    *("resize", "file", "where", "operator", "now", "since_boot", "labels", "source"),
}
"""Keys whose text only the device knows."""
SIGNED = {"margins", "score", "temperature_c", "mean", "std"}
"""Numbers that may be below zero, or are compared with nothing."""
WINDOW = {"event": "window", "key": "a", "number": 0, "start_s": 0.0, "ns": [10_000]}
WINDOW |= {"frequency_khz": None, "temperature_c": None, "throttled": None}


@pytest.fixture(scope="module")
def golden(onnx_models, tmp_path_factory) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    outputs = np.zeros((4, 3), np.float32)
    outputs[np.arange(4), [0, 1, 2, 0]] = 1
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    np.savez(path, inputs=pixels, outputs=outputs)
    return str(path)


@pytest.fixture(scope="module")
def jobs(onnx_models, colours, golden) -> dict[str, dict]:
    image = str(colours / "red" / "0.png")
    two = [
        {"key": "a", "path": str(onnx_models / "uint8.onnx"), "images": [image] * PROTOCOL["rounds"]},
        {"key": "b", "path": str(onnx_models / "labelled.onnx")},
    ]
    one = two[:1]
    files = [f"{label}/{n}.png" for label in ("red", "green", "blue") for n in range(6)] * 2
    corruptions = [("clean", 0), ("haze", 2)]
    timed = {"models": two, "threads": 1}
    return {
        "probe": {"models": two, "load_runtimes": True},
        "latency": {**timed, "protocol": PROTOCOL, "controls": ["a"], "seed": 5},
        "sustained": {"models": one, "threads": 1, "seconds": 2},
        "energy": {**timed, "seconds": 0.1},
        "memory": {"models": one, "threads": 1},
        "profile": {"models": one, "threads": 1, "runs": 3},
        "accuracy": {**timed, "root": str(colours), "files": files, "corruptions": corruptions},
        "predict": {**timed, "root": str(colours), "files": files[:2]},
        "verify": {**timed, "golden": {"a": golden, "b": golden}},
    }


@pytest.fixture(scope="module")
def real(jobs) -> Callable[[str], list[dict]]:
    """The events that the program emits for the job of a verb."""
    known: dict[str, list[dict]] = {}

    def events(verb: str) -> list[dict]:
        if verb not in known:
            command = [sys.executable, "-m", "edgekit.device", verb]
            done = subprocess.run(command, input=json.dumps(jobs[verb]), capture_output=True, text=True, check=True)
            known[verb] = [json.loads(line) for line in done.stdout.splitlines()]
            for event in known[verb]:
                if event["event"] == "window":  # thousands of runs, of which few will do
                    event["ns"] = [500_000_000, 499_999_999, sum(event["ns"]) - 999_999_999]
        return copy.deepcopy(known[verb])

    return events


VERBS = ("probe", "latency", "sustained", "energy", "memory", "profile", "accuracy", "predict", "verify")


def accept(verb: str, job: dict, events: list[dict]) -> None:
    answers = JobAnswers("pi4", verb, job, ModelFacts())
    for event in events:
        answers.parsed(json.dumps(event).encode())


def refuse(verb: str, job: dict, events: list[dict]) -> TargetError:
    with pytest.raises(TargetError) as error:
        accept(verb, job, events)
    assert error.value.exit_code == 4
    assert "pi4" in error.value.problem
    assert error.value.where == "target pi4"
    assert error.value.problem.isprintable()
    return error.value


@pytest.mark.parametrize("verb", VERBS)
def test_what_the_program_emits_is_accepted(verb, jobs, real):
    accept(verb, jobs[verb], real(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_missing_repeated_and_swapped_events_are_refused(verb, jobs, real):
    events = real(verb)
    for place in range(len(events) - 1):
        refuse(verb, jobs[verb], events[:place] + events[place + 1 :])
        refuse(verb, jobs[verb], [*events[: place + 1], *events[place:]])
        swapped = [*events[:place], events[place + 1], events[place], *events[place + 2 :]]
        if swapped != events:
            refuse(verb, jobs[verb], swapped)
    refuse(verb, jobs[verb], [*events[:-1], {"event": "restarted"}, events[-1]])
    refuse(verb, jobs[verb], [*events[:-1], {"event": "nothing"}, events[-1]])


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of each part of an event; of lists, the first two entries."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, one in items:
        yield from places(one, (*path, key))


def changed(event: dict, path: tuple, value: object) -> dict:
    event = copy.deepcopy(event)
    holder = event
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return event


def wrong_values(name: str, old: object) -> Iterator[object]:
    yield {"x": 1} if not isinstance(old, dict) else [1]
    yield float("nan")
    if isinstance(old, bool):
        yield from (None, 1, "yes")
    elif isinstance(old, int | float):
        yield from (float("inf"), -float("inf"), "5", True, 10**400, None if isinstance(old, int) else "x")
        if name not in SIGNED:
            yield -5
        if isinstance(old, int):
            yield old + 0.5
    elif isinstance(old, str):
        yield from (5, "x" * 100_000)
        if name not in FREE_TEXT:
            yield "other"
    elif old is None:
        yield []
    else:
        yield from (None, 5, "x")


NULLABLE = {
    *("predicted", "score", "cores", "memory_total_bytes", "frequency_khz", "frequency_max_khz"),
    *("memory_available_bytes", "classes", "arena_bytes"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_any_changed_value_is_refused(verb, jobs, real):
    events, tried = real(verb), 0
    for number, event in enumerate(events):
        for path in places(event):
            name = next(key for key in reversed(path) if isinstance(key, str))
            old = event
            for key in path:
                old = old[key]
            values = list(wrong_values(name, old))
            if path[-1] == name and path[0] != "metadata" and name not in RUNTIME_NAMES:
                values.append(...)
            for value in values:
                if value is None and name in NULLABLE | {"scaling", "labels", "throttled", "load_average"}:
                    continue
                if value == [] and old is None and name in ("throttled", "labels"):
                    continue
                lied = [*events[:number], changed(event, path, value), *events[number + 1 :]]
                try:
                    refuse(verb, jobs[verb], lied)
                except BaseException as error:
                    raise AssertionError(f"{verb} {event['event']} {path}: {str(value)[:40]!r}") from error
                tried += 1
    assert tried > 20


RUNTIME_NAMES = {"numpy", "Pillow", *RUNTIMES}


def packed(rows: np.ndarray) -> dict:
    content = rows.astype("<f4").tobytes()
    return {"probabilities_b64": base64.b64encode(content).decode(), "count": len(rows), "classes": rows.shape[1]}


@pytest.mark.parametrize(
    "rows",
    [
        np.full((32, 3), -5.0),
        np.full((32, 3), np.nan),
        np.full((32, 3), np.inf),
        np.full((32, 3), 7.0),
        np.full((32, 4), 0.25),
        np.full((31, 3), 1 / 3),
        np.full((33, 3), 1 / 3),
        np.full((32, 0), 1.0),
    ],
    ids=str,
)
def test_wrong_predictions_are_refused(rows, jobs, real):
    events = real("accuracy")
    number = [i for i, event in enumerate(events) if event["event"] == "predictions"][2]
    events[number].update(packed(rows))
    refuse("accuracy", jobs["accuracy"], events)


def test_softmax_adds_up_to_one(jobs, real):
    events = real("accuracy")
    number = next(i for i, event in enumerate(events) if event["event"] == "predictions")
    events[number].update(packed(np.full((32, 3), 0.5)), activation="softmax")
    assert "add up" in refuse("accuracy", jobs["accuracy"], events).problem


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 511])
def test_wrong_packing_is_refused(text, jobs, real):
    events = real("accuracy")
    number = next(i for i, event in enumerate(events) if event["event"] == "predictions")
    events[number]["probabilities_b64"] = text
    refuse("accuracy", jobs["accuracy"], events)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ns", []),
        ("ns", [10]),
        ("ns", [0, 10]),
        ("ns", [10, 10, 10]),
        ("wall_ns", 0),
        ("wall_ns", 1),
        ("cpu_ns", 10**17),
        ("round", 1),
        ("key", "b#again"),
    ],
)
def test_wrong_blocks_are_refused(key, value, jobs, real):
    events = real("latency")
    number = next(i for i, event in enumerate(events) if event["event"] == "block")
    events[number][key] = value
    refuse("latency", jobs["latency"], events)


@pytest.mark.parametrize(("key", "pictures"), [("a", PROTOCOL["rounds"]), ("b", NOISE_IMAGES)])
def test_an_answer_about_an_image_that_the_model_does_not_have_is_refused(key, pictures, jobs, real):
    events = real("latency")
    block = next(event for event in events if event["event"] == "block" and event["key"] == key)
    block["answers"][0]["image"] = pictures - 1
    accept("latency", jobs["latency"], events)
    block["answers"][0]["image"] = pictures
    assert "an image that it does not have" in refuse("latency", jobs["latency"], events).problem


def test_an_operator_may_take_less_than_the_profiler_can_tell(jobs, real):
    """ONNX Runtime counts whole microseconds. A whole run always takes some time."""
    events = real("profile")
    next(event for event in events if event["event"] == "profile")["nodes"][0]["ns"][0] = 0
    accept("profile", jobs["profile"], events)
    with pytest.raises(InvalidAnswer, match="below 1"):
        check_shape({**WINDOW, "ns": [10_000, 0]}, "sustained")


def test_number_of_classes_is_that_of_the_opened_model(jobs, real):
    facts = ModelFacts()
    for verb in ("probe", "accuracy"):
        events = real(verb)
        if verb == "accuracy":
            for event in events:
                if event["event"] == "predictions":
                    event.update(packed(np.full((event["count"], 5), 0.2)))
        answers = JobAnswers("pi4", verb, jobs[verb], facts)
        lines = [json.dumps(event).encode() for event in events]
        if verb == "probe":
            for line in lines:
                answers.parsed(line)
            continue
        with pytest.raises(TargetError, match="5 classes"):
            for line in lines:
                answers.parsed(line)


def test_a_model_that_fails_has_no_further_events(jobs, real):
    events = real("accuracy")
    first = next(i for i, event in enumerate(events) if event["event"] == "predictions")
    failed = {"event": "failed", "key": "a", "reason": "NaN"}
    without = [event for event in events[first:] if event.get("key") != "a"]
    accept("accuracy", jobs["accuracy"], [*events[:first], failed, *without])
    refuse("accuracy", jobs["accuracy"], [*events[:first], failed, *events[first + 1 :]])
    events = real("latency")
    place = next(i for i, event in enumerate(events) if event["event"] == "model" and event["key"] == "b")
    failed["key"] = "b"
    refuse("latency", jobs["latency"], [*events[:place], failed, *events[place + 1 :]])


@pytest.mark.parametrize(
    "line",
    [
        b'{"event"',
        b'{"event": NaN}',
        b'{"event": ["done"]}',
        b'{"event": 5}',
        b'["event"]',
        b"[" * 100_000,
        b'{"event": ' + b"[" * 100_000,
        b'{"event": "block", "round": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b"",
        b'{"event": "\\u001b[2Jdone"}',
    ],
    ids=lambda line: str(line[:20]),
)
def test_lines_that_are_no_events_are_refused(line, jobs):
    with pytest.raises(TargetError) as error:
        JobAnswers("pi4", "latency", jobs["latency"], ModelFacts()).parsed(line)
    assert error.value.problem.isprintable()
    assert len(error.value.problem) < 300


OBJECT = "a" * 64


@pytest.mark.parametrize(
    ("verb", "request_", "events"),
    [
        ("have", {"objects": [OBJECT]}, [{"event": "have", "missing": ["b" * 64], "free_bytes": 5}]),
        ("have", {"objects": [OBJECT]}, [{"event": "have", "missing": [OBJECT] * 2, "free_bytes": 5}]),
        ("have", {"objects": [OBJECT]}, [{"event": "have", "missing": [], "free_bytes": -5}]),
        ("have", {"objects": [OBJECT]}, []),
        ("have", {"objects": []}, [{"event": "have", "missing": [], "free_bytes": 5}] * 2),
        ("put", {"objects": [{"name": OBJECT, "size": 1}]}, [{"event": "stored", "name": "../../x"}]),
        ("put", {"objects": [{"name": OBJECT, "size": 1}]}, []),
        ("put", {"objects": [{"name": OBJECT, "size": 1}]}, [{"event": "stored", "name": OBJECT}] * 2),
        ("install", {"id": "x"}, [{"event": "installed", "id": "y"}]),
        ("place", {}, [{"event": "placed", "folder": None}]),
        ("purge", {}, [{"event": "purged", "left": "all"}]),
        ("facts", {}, [{"event": "facts", "facts": {}}]),
        ("follow", {"skip_lines": 4}, [{"event": "line", "number": 3, "line": {"event": "done"}}]),
        ("follow", {"skip_lines": 4}, [{"event": "line", "number": 4, "line": "done"}]),
        ("follow", {"skip_lines": 4}, [{"event": "lost"}, {"event": "lost"}]),
        ("start", {"id": "x"}, [{"event": "line", "number": 0, "line": {"event": "done"}}] * 2),
        ("start", {"id": "x"}, [{"event": "stderr", "text": 5}]),
        ("hello", {}, [{"event": "hello", "version": ["3", 9], "program": ""}]),
        ("hello", {}, [{"event": "hello", "version": 3, "program": ""}]),
    ],
)
def test_wrong_answers_to_requests_are_refused(verb, request_, events):
    answers = RequestAnswers("pi4", verb, request_)
    with pytest.raises(TargetError, match="an invalid response"):
        for event in [*events, {"event": "done"}]:
            answers.parsed(json.dumps(event).encode())


def test_wrong_verifications_are_refused(jobs, real):
    for key, value in [
        ("predicted", [0, 1, 2]),
        ("predicted", [0, 1, 2, 3]),
        ("expected", [0, 1, 2, 1]),
        ("margins", [0.0, 0.0, 0.0, -7.0]),
        ("differences", []),
    ]:
        events = real("verify")
        number = next(i for i, event in enumerate(events) if event["event"] == "verified")
        events[number][key] = value
        refuse("verify", jobs["verify"], events)


def test_the_shapes_that_are_checked_are_those_of_all_verbs():
    from edgekit.device.__main__ import JOB_VERBS, REQUEST_VERBS
    from edgekit.targets import event_shapes, job_events, request_events

    assert set(job_events._GRAMMARS) == set(JOB_VERBS)
    assert set(request_events._GRAMMARS) == {*REQUEST_VERBS, "hello"}
    assert all(event_shapes._kinds_of(verb) for verb in (*JOB_VERBS, *REQUEST_VERBS))
    assert Path(event_shapes.__file__).is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("s/\"peak_rss_bytes\": /\"peak_rss_bytes\": -/", "below 0"),
        ("/\"memory\"/d", "events of it are missing"),
        ("/\"memory\"/p", "after the end of the job"),
        ("s/\"memory\"/\"forged\"/", "not an event"),
    ],
)  # fmt: skip
def test_this_machine_is_not_believed_either(monkeypatch, tmp_path, jobs, change, said):
    """Another process of this machine, such as a damaged runtime, may write what it likes."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n'{sys.executable}' \"$@\" | sed -u '{change}'\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(TargetError, match=said) as error:
        list(LocalTarget().run("memory", jobs["memory"]))
    assert error.value.exit_code == 4


def test_many_runs_are_checked_quickly(jobs):
    """A fast model has a hundred thousand runs a second, and this machine may be the one that is measured."""
    event = {**WINDOW, "ns": [10_000] * 100_000}
    start = time.process_time()
    check_shape(event, "sustained")
    assert time.process_time() - start < 0.05
