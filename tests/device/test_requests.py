"""Requests about files and sessions: each event against its type, and damaged, missing and misnamed files."""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path

import pytest
from protocol_types import problem

from edgekit.device import deployment, job_runner, object_store, purging, session
from edgekit.device.calls import Call, read_call
from edgekit.device.failures import BusyError, DeviceError
from edgekit.device.protocol import requests
from edgekit.device.working_folder import MARKER, OWNER, PROGRAM

CONTENT = b"content of a model"
NAME = f"{hashlib.sha256(CONTENT).hexdigest()}.onnx"


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(verb, request: dict, kind: type, *, who: str = "a", body: bytes = b"") -> list[dict]:
    events: list[dict] = []
    verb(Call(request, who, f"owner {who}", io.BytesIO(body)), events.append)
    for event in events:
        assert problem(json.loads(json.dumps(event)), kind) is None
    return events


def put(content: bytes, size: int = len(CONTENT)) -> list[dict]:
    request = {"objects": [{"name": NAME, "size": size}]}
    return ask(object_store.put, request, requests.StoredEvent, body=content)


def missing() -> list[str]:
    (event,) = ask(object_store.have, {"objects": [NAME]}, requests.HaveEvent)
    return event["missing"]


def test_a_stored_object_is_there():
    assert missing() == [NAME]
    assert put(CONTENT) == [{"event": "stored", "name": NAME}]
    assert missing() == []


def test_a_damaged_transfer_is_dropped():
    assert put(CONTENT[::-1]) == [{"event": "corrupt", "name": NAME}]
    assert list(Path("objects").iterdir()) == []


def test_an_interrupted_transfer_leaves_nothing():
    with pytest.raises(DeviceError, match="ended early"):
        put(CONTENT[:5])
    assert list(Path("objects").iterdir()) == []


def test_a_damaged_object_is_missing():
    put(CONTENT)
    Path("objects", NAME).write_bytes(b"bit rot")
    assert missing() == [NAME]


@pytest.mark.parametrize("name", ["../x", "", "x.onnx", f"{'0' * 64}/x"])
def test_object_names_cannot_leave_the_store(name):
    with pytest.raises(DeviceError, match="invalid object name"):
        ask(object_store.have, {"objects": [name]}, requests.HaveEvent)


def test_a_deployment_is_replaced_and_purged(working_folder):
    put(CONTENT)
    request = {"folder": "box", "files": {"model.onnx": NAME, PROGRAM: NAME}, "environment": None, "update": False}
    (event,) = ask(deployment.place, request, requests.PlaceEvent)
    folder = Path(event["folder"])
    (folder / "mine.txt").write_text("kept")
    ask(deployment.place, {**request, "files": {PROGRAM: NAME}}, requests.PlaceEvent)
    assert {path.name for path in folder.iterdir()} == {PROGRAM, "mine.txt"}
    (working_folder / MARKER).touch()
    assert ask(purging.purge, {}, requests.PurgedEvent)[0]["left"] == ["deploy"]
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_one_session_has_the_device_until_it_releases_it(monkeypatch):
    session.hold(Call({}, "a", "owner a", io.BytesIO()), "")
    assert session.busy_owner("a") is None
    assert session.busy_owner("b") == "owner a"
    with pytest.raises(BusyError, match="started by owner a"):
        ask(job_runner.start, {"id": "x", "verb": "probe", "job": {}}, requests.LostEvent, who="b")
    ask(job_runner.release, {}, requests.ReleasedEvent, who="b")
    assert OWNER.exists(), "another session cannot release it"
    ask(job_runner.release, {}, requests.ReleasedEvent, who="a")
    assert session.busy_owner("b") is None


def test_a_lease_expires(monkeypatch):
    session.hold(Call({}, "a", "owner a", io.BytesIO()), "")
    now = time.monotonic()
    monkeypatch.setattr(session.time, "monotonic", lambda: now + session.LEASE_S + 1)
    assert session.busy_owner("b") is None


def test_a_job_that_is_gone_is_lost():
    (event,) = ask(job_runner.follow, {"id": "x", "skip_lines": 0}, requests.LostEvent)
    assert event == {"event": "lost"}
    assert not list(Path().iterdir())


@pytest.mark.parametrize("line", [b"", b"not JSON", b"{}", b"[]", b'{"session": "a", "owner": "b"}'])
def test_a_line_that_is_not_a_request_is_refused(line):
    with pytest.raises(DeviceError, match="not a request"):
        read_call(io.BytesIO(line + b"\n"))
