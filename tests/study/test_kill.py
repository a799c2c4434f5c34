"""A study that is killed again and again ends with the results of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KILLS = int(os.environ.get("EDGEKIT_TEST_KILLS", "3"))

RECIPE = """
name: small
data: {name: digits, image_size: 32, limit_per_class: 6}
model: {weights: none, backbone: mobilenetv2, alpha: 0.35}
train:
  strategy: from-scratch
  batch_size: 16
  from_scratch: {epochs: 3, learning_rate: 3.0e-3, batchnorm_momentum: 0.8}
export: {files: [tflite-fp32, tflite-fp16], parity_images: 10}
bench: {protocol: quick, threads: [1], images: 50}
compare: {seeds: [0, 1]}
"""


def study(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edgekit", "compare", "small.yaml", "--out", str(folder), "--quiet", "--json"]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder.parent, stdout=log, stderr=log, start_new_session=True)


def results(folder: Path) -> dict[str, Any]:
    """What the study left, without times and without what the last bit of a weight changes."""
    found: dict[str, Any] = {}
    for cell in json.loads((folder / "study.json").read_text())["cells"]:
        run = folder / cell["run"]
        found[f"{cell['run']} status"] = cell["status"]
        for export in sorted(run.glob("exports/*/export.json")):
            document = json.loads(export.read_text())
            found[f"{cell['run']} {export.parent.name}"] = (document["size_bytes"], document["status"])
        for bench in sorted(run.glob("bench/local/*.json")):
            document = json.loads(bench.read_text())
            file = json.loads((run / "exports" / bench.stem / "export.json").read_text())
            found[f"{cell['run']} {bench.stem} measured"] = document["sha256"] == file["sha256"]
    found["files"] = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if "tensorboard" not in path.parts
    )
    return found


def learnt(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy of every epoch, and the probabilities of every test image, of all runs."""
    curves, answers = [], []
    for run in sorted((folder / "runs").iterdir()):
        rows = [line.split(",") for line in (run / "history.csv").read_text().splitlines()[1:]]
        curves.append([[float(value) for value in row[2:6]] for row in rows])
        with np.load(run / "predictions.npz") as stored:
            answers.append(stored["probabilities"])
    return np.array(curves), np.array(answers)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    started = time.monotonic()
    undisturbed = study(tmp_path / "undisturbed")
    assert undisturbed.wait() == 0, (tmp_path / "undisturbed.log").read_text()[-3000:]
    seconds = time.monotonic() - started

    draw = random.Random(int(os.environ.get("EDGEKIT_TEST_SEED", "0")))
    killed, folders = 0, 0
    while killed < KILLS:
        folders += 1
        disturbed = tmp_path / f"disturbed-{folders}"
        killed += disturb(disturbed, KILLS - killed, lambda: draw.uniform(0.02, 0.3) * seconds)
        assert study(disturbed).wait() == 0, (tmp_path / f"{disturbed.name}.log").read_text()[-3000:]
        assert results(disturbed) == results(tmp_path / "undisturbed")
        # The threads of the CPU may add up in another order; a lost or a repeated epoch is far outside of this.
        for ours, theirs in zip(learnt(disturbed), learnt(tmp_path / "undisturbed")):
            np.testing.assert_allclose(ours, theirs, atol=0.01)
    print(f"killed {killed} times in {folders} studies; undisturbed one took {seconds:.0f} s")


def disturb(folder: Path, most: int, moment: Callable[[], float]) -> int:
    """Start the study and kill it, again and again, until it is done or was killed ``most`` times; how often it was."""
    for killed in range(most):
        running = study(folder)
        try:
            code = running.wait(timeout=moment())
        except subprocess.TimeoutExpired:
            os.kill(running.pid, signal.SIGKILL)  # the study alone: what it started has to notice
            running.wait()
        else:
            assert code == 0, folder.with_suffix(".log").read_text()[-3000:]
            return killed
    return most


@pytest.mark.slow
def test_interrupted_it_ends_soon_and_takes_everything_with_it(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    running = study(tmp_path / "study")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "study").glob("runs/*/run.json")):  # training has begun
        assert running.poll() is None, (tmp_path / "study.log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 130
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(tmp_path / "study").encode() in command]
