"""Runs with small real model files: the baseline, the same network again, a slower one, and one that is often wrong."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from gate_check import write_images, write_model
from runfolders import make_run

from edgekit.bench.protocols import PROTOCOLS, protocol_of
from edgekit.cli.app import main
from edgekit.documents.folders import RunFolder

KEY = "onnx-fp32"
TINY = protocol_of("gate", 2, 4, (4, 1_000_000), (3, 1_000_000))
BLOCKS = 4


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files: ``base``, ``same`` (other bytes), ``slow`` (three times the work), ``wrong`` (2% of the images)."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "base.onnx", blocks=BLOCKS)
    write_model(folder / "same.onnx", blocks=BLOCKS, note="exported again")
    write_model(folder / "slow.onnx", blocks=3 * BLOCKS)
    write_model(folder / "wrong.onnx", blocks=BLOCKS, wrong_pixel=(3, 5))
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), 600)


@pytest.fixture(scope="session")
def project_of_all(tmp_path_factory: pytest.TempPathFactory, models: Path, images: Path) -> Path:
    """A folder with ``runs/base``, which is measured and saved as the baseline ``photos``, and the other runs."""
    project = tmp_path_factory.mktemp("project")
    for name in ("base", "same", "slow", "wrong"):
        make_run(project / "runs" / name, {KEY: models / f"{name}.onnx"}, images, name=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROTOCOLS, "quick", TINY)
        patch.chdir(project)
        assert edgekit("bench", "runs/base", "--quiet") == 0
        assert edgekit("gate", "save", "photos", "runs/base", "--quiet") == 0
    return project


@pytest.fixture
def project(project_of_all: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that project, as the current folder."""
    monkeypatch.setitem(PROTOCOLS, "gate", TINY)
    monkeypatch.setitem(PROTOCOLS, "quick", TINY)
    shutil.copytree(project_of_all, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def saved(project: Path) -> Path:
    """The file of the baseline."""
    return project / "gates" / "photos.zip"


@pytest.fixture
def base(project: Path) -> RunFolder:
    return RunFolder(project / "runs" / "base")


def edgekit(*arguments: object) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)
