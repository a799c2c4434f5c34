"""Cells on a local Ray cluster; without Ray there is nothing to test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.study.executors import Executor, open_executor
from edgekit.study.job_runner import JobFailed
from edgekit.study.jobs import ExportJob

pytest.importorskip("ray")

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


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with open_executor("ray", 2) as executor:
        yield executor


def test_a_job_that_fails_on_the_cluster_says_why(pool: Executor, tmp_path: Path) -> None:
    job = ExportJob(run=tmp_path / "run", exports=("tflite-fp32",))
    futures = [pool.submit(job, True, {}) for _ in range(2)]
    for future in futures:
        with pytest.raises(JobFailed, match="this run folder does not exist") as error:
            future.result()
        assert not error.value.retry
    assert pool.submit(None, True, {}).result() is None


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
