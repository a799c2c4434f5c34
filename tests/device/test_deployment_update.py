"""A deployment is replaced only by files that pass their check, in one step, and nothing of a person's is lost."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from protocol_types import problem

from edgekit.device import deployment
from edgekit.device.calls import Call
from edgekit.device.failures import DeviceError
from edgekit.device.protocol import requests
from edgekit.device.working_folder import OBJECTS, PROGRAM

# Programs in the place of the device program: how their check ends, seen from the folder that they run in.
GOOD = (
    "import os; assert os.path.exists('golden.npz'); open('../checked', 'a').write(os.path.basename(os.getcwd()) + ' ')"
)
BAD = "import sys; print('2 of 9 golden inputs get another class'); sys.exit(3)"
BAD_IN_PLACE = "import os, sys; sys.exit('it does not run here' if not os.getcwd().endswith('.part') else 0)"


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    OBJECTS.mkdir()
    return tmp_path


def stored(content: str, kind: str) -> str:
    name = f"{hashlib.sha256(content.encode()).hexdigest()}.{kind}"
    (OBJECTS / name).write_text(content)
    return name


def place(check: str, model: str, *, update: bool, name: str = "model.tflite", **more: str) -> dict:
    files = {PROGRAM: stored(check, "pyz"), name: stored(model, "tflite"), "golden.npz": stored("golden", "npz")}
    files.update({other: stored(content, "txt") for other, content in more.items()})
    request = {"folder": "box", "files": files, "environment": None, "update": update}
    events: list[dict] = []
    deployment.place(Call(request, "a", "owner", io.BytesIO()), events.append)
    (event,) = events
    assert problem(event, requests.PlaceEvent) is None
    return event


def contents() -> dict[str, str]:
    folder = Path("deploy", "box")
    names = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {name: text for name, text in names.items() if name not in (PROGRAM, "golden.npz")}


def leftovers() -> list[str]:
    return sorted(path.name for path in Path("deploy").iterdir() if path.name not in ("box", "checked"))


def test_an_update_is_checked_before_and_after_it_is_in_place():
    assert place(GOOD, "one", update=False)["replaced"] is None
    assert not Path("deploy", "checked").exists()
    Path("deploy/box/unsure").mkdir()
    Path("deploy/box/unsure/a.jpg").write_text("picture")
    Path("deploy/box/watch-token").write_text("token")
    assert place(GOOD, "two", update=True)["replaced"] == hashlib.sha256(b"one").hexdigest()
    assert contents() == {"model.tflite": "two", "unsure/a.jpg": "picture", "watch-token": "token"}
    assert Path("deploy", "checked").read_text() == ".box.part box "
    assert leftovers() == []


@pytest.mark.parametrize(
    ("check", "reason"), [(BAD, "2 of 9 golden inputs get another class"), (BAD_IN_PLACE, "it does not run here")]
)
def test_an_update_that_fails_its_check_leaves_the_earlier_one(check, reason):
    place(GOOD, "one", update=False, **{"labels.txt": "a"})
    Path("deploy/box/mine.txt").write_text("mine")
    before = contents(), Path("deploy/box", PROGRAM).read_text()
    event = place(check, "two", update=True)
    assert (event["event"], event["reason"]) == ("rejected", reason)
    assert (contents(), Path("deploy/box", PROGRAM).read_text()) == before
    assert leftovers() == []
    assert place(GOOD, "three", update=True)["event"] == "placed"
    assert contents() == {"model.tflite": "three", "mine.txt": "mine"}


def test_what_cannot_be_updated_is_refused():
    with pytest.raises(DeviceError, match="no deployment of this name"):
        place(GOOD, "one", update=True)
    place(GOOD, "one", update=False)
    with pytest.raises(DeviceError, match=r"contains model.tflite, and this file is model.onnx"):
        place(GOOD, "two", update=True, name="model.onnx")
    assert contents() == {"model.tflite": "one"}


@pytest.mark.parametrize("system", ["exchanges", "only renames"])
@pytest.mark.parametrize("killed_at", range(8))
def test_a_kill_at_any_step_loses_nothing(monkeypatch, system, killed_at):
    """Each rename may be the last thing that happens. The next deployment finishes what is left."""
    if system == "only renames":
        monkeypatch.setattr(deployment.ctypes, "CDLL", lambda *_a, **_k: object())
    place(GOOD, "one", update=False)
    Path("deploy/box/unsure").mkdir()
    Path("deploy/box/unsure/a.jpg").write_text("picture")
    steps = iter(range(100))
    rename = Path.rename

    def dying(self: Path, target: Path) -> Path:
        if next(steps) == killed_at:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dying)
        try:
            place(GOOD, "two", update=False)
        except KeyboardInterrupt:
            in_between = Path("deploy/box/model.tflite")
            assert not in_between.exists() or in_between.read_text() in ("one", "two")
            assert system == "only renames" or in_between.exists(), "never without a model"
    place(GOOD, "three", update=False)
    assert contents() == {"model.tflite": "three", "unsure/a.jpg": "picture"}
    assert leftovers() == []


def test_external_data_and_files_of_the_same_name():
    """External data belongs to its model; a person's file whose name the new model needs is kept under another."""
    settings = '{"external_data": ["weights.bin"]}'
    place(GOOD, "one", update=False, **{"weights.bin": "w1", "preprocessing.json": settings})
    place(GOOD, "two", update=False, **{"weights.bin": "w2", "preprocessing.json": settings})
    assert contents() == {"model.tflite": "two", "weights.bin": "w2", "preprocessing.json": settings}
    place(GOOD, "three", update=False)
    Path("deploy/box/weights.bin").write_text("mine")
    place(GOOD, "four", update=False, **{"weights.bin": "w4", "preprocessing.json": settings})
    assert contents() == {
        "model.tflite": "four", "weights.bin": "w4", "preprocessing.json": settings, "weights.bin.1": "mine",
    }  # fmt: skip
    assert leftovers() == []


def test_folders_change_places(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    inode = first.stat().st_ino
    deployment._exchange(first, second)
    assert second.stat().st_ino == inode
