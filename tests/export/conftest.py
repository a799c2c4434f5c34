"""A finished run of a tiny network that is sure of what it sees, made once and copied for each test that writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from export_runs import make_run

from edgekit.documents.folders import RunFolder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """MobileNetV2 at alpha 0.35 and 32x32, three classes of coloured images. Not to be written to."""
    return make_run(tmp_path_factory.mktemp("trained") / "run", "mobilenetv2", alpha=0.35, steps=160)


@pytest.fixture
def run(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy to write to."""
    return RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "run")))
