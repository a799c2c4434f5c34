"""`target setup --from device`: the device downloads packages with its own pip."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import exit_code, wrapped

from edgekit.targets.config import TargetConfig
from edgekit.targets.setup import set_up
from edgekit.targets.ssh import SshTarget


@pytest.mark.slow
def test_a_device_downloads_its_packages(
    config: TargetConfig, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], onnx_models: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    fresh = replace(config, python=str(tmp_path / "fresh/bin/python3"))
    code, said = exit_code(fresh, project, capsys, "target", "setup", "loop", "--from", "device")
    assert code == 0, said
    with closing(SshTarget(fresh)) as target:
        again = set_up(target, "device")
        assert (again.changed, again.source) == (False, "device")
        assert set(again.runtimes) == {"litert", "onnxruntime"}
        job = {"models": [{"path": str(onnx_models / "uint8.onnx")}]}
        assert "inspected" in [event["event"] for event in target.run("probe", job)]
    site = subprocess.run([fresh.python, "-c", "import numpy"], capture_output=True, check=False)
    assert site.returncode != 0, "nothing is installed outside of the working folder"


def test_no_package_index_is_one_clear_error(
    config: TargetConfig, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0"}
    bare = replace(config, python=wrapped(tmp_path / "fault", f"import os; os.environ.update({offline})", bare=True))
    code, said = exit_code(bare, project, capsys, "target", "setup", "loop", "--from", "device")
    assert code == 4
    assert "pip failed on the device" in said
    assert not list((tmp_path / "work" / "env").glob("*/site")), "nothing is left half installed"
