"""The regression gate on a target over SSH: both files are measured there, in one session."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from loopback import Server, exit_code
from runfolders import make_run

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gate_check import write_images, write_model

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.documents.bench import BenchDocument
from edgekit.documents.regression import GateCheck
from edgekit.targets.config import TargetConfig

TINY = protocol_of("gate", 2, 4, (4, 1_000_000), (3, 1_000_000))
KEY = "onnx-fp32"


@pytest.mark.slow
def test_both_files_are_measured_on_the_target(
    server: Server, config: TargetConfig, project: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setitem(PROTOCOLS, "gate", TINY)
    monkeypatch.setitem(PROTOCOLS, "quick", TINY)
    images = write_images(tmp_path / "images", 90)
    for name, blocks in (("base", 4), ("slow", 12)):
        write_model(tmp_path / f"{name}.onnx", blocks=blocks)
        make_run(project / "runs" / name, {KEY: tmp_path / f"{name}.onnx"}, images, name=name)
    target = ("--target", config.name)
    assert exit_code(config, project, capsys, "bench", "runs/base", *target)[0] == 0
    assert exit_code(config, project, capsys, "gate", "save", "photos", "runs/base", "--with-models")[0] == 0
    shutil.rmtree(project / "runs" / "base")
    code, _ = exit_code(config, project, capsys, "gate", "check", "photos", "runs/slow")
    document = GateCheck.read(project / "runs" / "slow" / "gate" / "photos" / "gate.json")
    (file,) = document.files
    assert (document.target, file.measured_together, code) == (config.name, True, 3)
    found = {check.check: check for check in file.checks}
    assert found["latency"].outcome in ("failed", "undecided")
    assert found["latency"].change > 20
    assert found["memory"].new is not None
    results = sorted((project / "runs/slow/gate/photos/check-1/session-1").glob(f"*/bench/{config.name}/{KEY}.json"))
    assert len({BenchDocument.read(path).session_id for path in results}) == 1
    assert len(results) == 2
