"""The protocol's types against what the device program really emits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from modelfiles import LABELS, colour_pixels
from protocol_types import problem

from edgekit.device import __main__ as program
from edgekit.device import energy, golden, jobs, memory, model_probe, predictions, profiling, sustained, timing
from edgekit.device.protocol import control_key, events, model_key, requests, verbs

DEVICE = Path(program.__file__).parent
PROTOCOL = {"warmup_runs": 1, "warmup_ns": 0, "rounds": 2, "block_runs": 1, "block_ns": 0, "cooldown_ns": 0}


@pytest.fixture
def entries(onnx_models, tflite_models, colours) -> list[dict]:
    images = [str(colours / "red" / "0.png")]
    return [
        {"key": "a", "path": str(onnx_models / "labelled.onnx"), "images": images},
        {"key": "b", "path": str(tflite_models / "quantized.tflite")},
        {"key": "bad", "path": str(onnx_models / "nan.onnx")},
    ]


VERBS = {
    "probe": (model_probe.inspect, events.ProbeEvent),
    "latency": (timing.latency, events.LatencyEvent),
    "sustained": (sustained.sustained, events.SustainedEvent),
    "energy": (energy.energy, events.MeteredEvent),
    "memory": (memory.memory, events.MemoryJobEvent),
    "profile": (profiling.profile, events.ProfileJobEvent),
    "accuracy": (predictions.accuracy, events.AccuracyEvent),
    "predict": (predictions.predict, events.PredictEvent),
    "verify": (golden.verify, events.VerifyEvent),
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_event_of_a_job_has_the_keys_of_its_type(verb, entries, colours, tmp_path):
    inputs = np.stack([colour_pixels(label) for label in LABELS])
    np.savez(tmp_path / "golden.npz", inputs=inputs, outputs=np.eye(3, dtype=np.float32))
    models = entries[:1] if verb in ("memory", "profile") else entries[:2] if verb == "predict" else entries
    path = str(tmp_path / "golden.npz")
    job = {
        "models": models, "threads": 1, "load_runtimes": True, "protocol": PROTOCOL, "controls": ["a"], "seed": 1,
        "seconds": 0.01, "runs": 2, "root": str(colours), "files": ["red/0.png", "blue/1.png"],
        "corruptions": [["clean", 0], ["haze", 1]], "golden": dict.fromkeys(("a", "b", "bad"), path),
    }  # fmt: skip
    if verb == "predict":
        (tmp_path / "bad.png").write_bytes(b"no picture")
        job["files"] = [*job["files"], str(tmp_path / "bad.png")]
    run, kind = VERBS[verb]
    emitted: list[dict] = []
    run(jobs.read_job(json.dumps(job)), emitted.append)
    for event in json.loads(json.dumps(emitted)):
        (matching,) = [one for one in get_args(kind) if is_named(one, event)]
        assert problem(event, matching) is None
    never = {"restarted", "sitting"} | ({"opening"} if verb == "energy" and energy.source() is None else set())
    assert {event["event"] for event in emitted} >= names(kind) - never, "each event of the verb occurs"


def is_named(kind: Any, event: dict) -> bool:
    """Whether ``kind`` is the type of events of this name. Environment events are told apart by a second key."""
    hints = get_type_hints(kind)
    if event["event"] not in get_args(hints["event"]):
        return False
    return "when" not in event or event["when"] in get_args(hints["when"])


def names(kind: Any) -> set[str]:
    return {name for one in get_args(kind) for name in get_args(get_type_hints(one)["event"])}


def test_verbs_of_the_program_are_those_of_the_protocol():
    known = {str(value) for value in vars(verbs).values() if isinstance(value, verbs.Verb)}
    assert known == {*program.JOB_VERBS, *program.REQUEST_VERBS}
    assert set(program.JOB_VERBS) == set(VERBS)
    for verb in known:
        assert callable(program._function({**program.JOB_VERBS, **program.REQUEST_VERBS}[verb]))


def test_facts_have_the_keys_of_their_type(tmp_path, monkeypatch):
    from edgekit.device.calls import Call
    from edgekit.device.host_facts import facts

    monkeypatch.chdir(tmp_path)
    emitted: list[dict] = []
    facts(Call({}, "session", "me", None), emitted.append)
    assert problem(json.loads(json.dumps(emitted[0])), requests.FactsEvent) is None


def test_control_keys():
    assert control_key("a") == "a#again"
    assert [model_key(key) for key in ("a#again", "a", "#again#again")] == ["a", "a", "#again"]


def test_verbs_before_setup_need_only_the_standard_library_of_python_39():
    python = Path("/root/.pyenv/versions/3.9.18/bin/python")
    if not python.exists():
        pytest.skip("no Python 3.9 here")
    modules = sorted({name.split(".")[0] for name in program.REQUEST_VERBS.values()})
    script = (
        f"import sys, importlib; sys.path.insert(0, {str(DEVICE.parents[1])!r})\n"
        f"for name in {modules!r}: importlib.import_module('edgekit.device.' + name)\n"
        "assert not {'numpy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([python, "-I", "-S", "-c", script], check=True)
