"""The Python example of the docs: everything in it is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "api.py"


def test_the_example_trains_exports_measures_and_reports(tmp_path: Path) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "runs" / "digits"
    assert json.loads((run / "run.json").read_text())["accuracy"] > 0.5
    assert {path.parent.name for path in run.glob("exports/*/export.json")} == {
        "tflite-fp32",
        "tflite-int8",
        "onnx-fp32",
    }
    assert len(list(run.glob("bench/local/*.json"))) == 3
    assert (run / "report" / "report.html").is_file()
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Keras model")
    assert lines[-1].endswith("%)")
