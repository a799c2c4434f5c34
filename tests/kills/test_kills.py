"""Every command that writes ends as if nobody had disturbed it, after kill -9 and SIGHUP at random moments."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from killed_commands import TRAINING, VERBS, log_of, run, start

KILLS = int(os.environ.get("EDGEKIT_TEST_KILLS", "2"))
SEED = int(os.environ.get("EDGEKIT_TEST_SEED", "0"))


@pytest.mark.slow
@pytest.mark.parametrize("verb", list(VERBS))
def test_killed_at_random_moments(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    found = run({verb: KILLS}, SEED, tmp_path)
    assert found["failures"] == []
    assert found["kills"] == KILLS


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="only Linux lists the processes of a folder")
def test_an_interrupted_study_ends_soon_and_takes_everything_with_it(tmp_path: Path) -> None:
    place = tmp_path / "work"
    place.mkdir()
    (place / "small.yaml").write_text(TRAINING)
    running = start(VERBS["compare"], place, tmp_path / "config")
    deadline = time.monotonic() + 120
    while not list(place.glob("study/runs/*/run.json")):  # training has begun
        assert running.poll() is None, log_of(place)
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert len(working_in(place)) >= 2  # the command and the training
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 130
    assert working_in(place) == []


def working_in(folder: Path) -> list[int]:
    """The processes whose current folder this is."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if link.readlink() == folder.resolve():
                found.append(int(link.parent.name))
    return found
