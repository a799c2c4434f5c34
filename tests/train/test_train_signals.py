"""Training that is interrupted by real signals, sent to the process of a command in the middle of an epoch."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
import yaml
from train_helpers import edgekit_process, history, model_weights, values

from edgekit.documents.folders import RunFolder

TOLERANCE = 1e-4
"""Difference between processes on this machine, because CPU threads may add in another order."""


def signal_after(process, run: RunFolder, epochs: int, number: signal.Signals) -> str:
    """Send the signal when ``epochs`` epochs are done and the next one has started; returns stderr."""
    deadline = time.monotonic() + 240
    while not run.history.is_file() or len(history(run)) < epochs:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    return stderr


def test_a_run_that_was_interrupted_and_killed_ends_like_an_uninterrupted_one(trained, tmp_path):
    """Ctrl-C in the first phase, SIGKILL in the second; ``--resume`` continues after the last complete epoch."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(trained.recipe.document()))
    run = RunFolder(tmp_path / "run")

    stderr = signal_after(edgekit_process("train", str(recipe), "--run", str(run.path)), run, 1, signal.SIGINT)
    first = history(run)
    assert 1 <= len(first) < 3
    assert f"resume with: edgekit train --run {run.path} --resume" in stderr.replace("\n", " ")
    assert stderr.rstrip().endswith("interrupted")
    assert "Traceback" not in stderr
    assert run.read_run().status == "running"
    assert not run.model.exists()

    process = edgekit_process("train", "--run", str(run.path), "--resume")
    signal_after(process, run, 4, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    second = history(run)
    assert 4 <= len(second) < 6
    assert second[: len(first)] == first  # not trained again: even the times are the same
    assert run.read_run().status == "running"

    process = edgekit_process("train", "--run", str(run.path), "--resume", "--json")
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert "feature-extraction: already finished, 3 epochs" in stderr
    assert "feature-extraction 1/3" not in stderr
    rows = history(run)
    assert rows[: len(second)] == second
    assert values(rows) == pytest.approx(values(history(trained.folder)), abs=TOLERANCE)

    document = json.loads(stdout)
    assert document["run_dir"] == str(run.path)
    assert document["run_id"] == "run"
    assert document["accuracy"] == trained.document.accuracy
    assert [s["best_epoch"] for s in document["stages"]] == [s.best_epoch for s in trained.document.stages]
    ours, theirs = model_weights(run), model_weights(trained.folder)
    assert ours.keys() == theirs.keys()
    assert all(np.allclose(ours[path], theirs[path], atol=TOLERANCE) for path in theirs)
    assert not run.checkpoint.exists()
