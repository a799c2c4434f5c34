"""Cells on a local Ray cluster; without Ray there is nothing to test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_kill import RECIPE

from edgekit.study.executors import Executor, open_executor
from edgekit.study.job_runner import StepFailed

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with open_executor("ray", 2) as executor:
        yield executor


def test_commands_run_on_the_cluster(pool: Executor) -> None:
    futures = [pool.submit(["list", what], True, {}) for what in ("backbones", "formats")]
    assert ["backbones" in futures[0].result(), "formats" in futures[1].result()] == [True, True]
    assert pool.submit(None, True, {}).result() is None


def test_a_failed_command_fails_the_cell(pool: Executor) -> None:
    with pytest.raises(StepFailed, match="no-such-recipe") as error:
        pool.submit(["train", "no-such-recipe"], True, {}).result()
    assert not error.value.again


@pytest.mark.slow
def test_a_whole_study(tmp_path: Path) -> None:
    """Trained, exported and measured: cells on the cluster, latency on this machine; a second time nothing is left."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    options = ["--out", "study", "--executor", "ray", "--jobs", "2", "--quiet", "--json"]
    command = [sys.executable, "-m", "edgekit", "compare", "small.yaml", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / "study" / "study.json").read_text())["cells"]
    assert [cell["status"] for cell in cells] == ["exported"] * 2
    for seed in (0, 1):
        run = tmp_path / "study" / "runs" / f"mobilenetv2-from-scratch-s{seed}"
        assert {path.stem for path in run.glob("bench/local/*.json")} == {"tflite-fp32", "tflite-fp16"}
    assert (tmp_path / "study" / "report" / "report.html").is_file()
    trained = (run / "run.json").stat().st_mtime_ns
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    assert (run / "run.json").stat().st_mtime_ns == trained
