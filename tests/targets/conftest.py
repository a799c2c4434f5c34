"""The loopback server, and the model files and images that the tests of the bench use too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from loopback import Server, serve
from modelfiles import colours, ncnn_models, onnx_models, tflite_models  # noqa: F401

from edgekit.targets.config import TargetConfig


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder as the current one, and no targets of the person who runs the tests."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    return folder


@pytest.fixture
def config(server: Server, tmp_path, project) -> TargetConfig:
    return server.target(tmp_path / "work")
