"""`edgekit deploy --update` over SSH: a running `watch` takes over the new model; a bad one is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from loopback import Server, wrapped
from modelfiles import colour_pixels, write_colours
from PIL import Image
from runfolders import golden_outputs, make_run

import edgekit
from edgekit.cli.app import main
from edgekit.device.working_folder import STATISTICS
from edgekit.documents.drift_reference import DriftReference
from edgekit.documents.folders import RunFolder
from edgekit.support.files import sha256_file
from edgekit.targets.config import add_target


@pytest.fixture
def run(tmp_path, onnx_models) -> RunFolder:
    files = {"onnx-fp32": onnx_models / "uint8.onnx", "onnx-fp16": onnx_models / "labelled.onnx"}
    return golden_outputs(make_run(tmp_path / "run", files, write_colours(tmp_path / "colours", 20)))


@pytest.fixture
def there(project, server: Server, tmp_path) -> Path:
    folder = tmp_path / "work"
    add_target(server.target(folder), project / "targets.toml")
    return folder


def deploy(capsys, run: RunFolder, *options: object, export: str = "onnx-fp32", expect: int = 0) -> dict:
    capsys.readouterr()
    words = ["deploy", run.path, "--export", export, "--target", "loop", "--name", "camera", *options, "--json"]
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    assert int(stop.value.code or 0) == expect, captured.err
    return json.loads(captured.out)


def test_a_running_watch_takes_over_an_update(run, there, capsys, tmp_path):
    done = deploy(capsys, run)
    assert (done["replaced_sha256"], done["rejected"], done["statistics_images"]) == (None, None, 57)
    folder = Path(done["folder"])
    reference = DriftReference.read(folder / STATISTICS)
    assert reference.model_sha256 == sha256_file(folder / "model.onnx")
    assert reference.predicted == (19, 19, 19)
    assert len(reference.values["brightness"]) == 57

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(colour_pixels("red")).save(photos / "1.png")
    command = [sys.executable, "edgekit-device.pyz", "watch", "model.onnx", "--folder", photos, "--port", "0"]
    with subprocess.Popen([*map(str, command)], cwd=folder, text=True, stdout=subprocess.PIPE) as process:
        try:
            first = state(process)
            assert first["drift"].endswith("of 200 pictures collected")
            again = deploy(capsys, run, "--update", export="onnx-fp16")
            assert again["replaced_sha256"] == first["sha256"]
            assert state(process)["sha256"] == sha256_file(run.export("onnx-fp16").model()) != first["sha256"]
        finally:
            process.kill()
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx", "labels.txt", "golden.npz", "README.txt", "edgekit-device.pyz", STATISTICS,
    }  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["camera"]


def state(process: subprocess.Popen[str]) -> dict:
    assert process.stdout is not None
    address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+/", line)))
    with urllib.request.urlopen(f"{address}state.json", timeout=20) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_a_model_that_gives_other_outputs_on_the_target_is_refused(run, there, capsys):
    """Its golden file says other classes, as with a runtime that computes something else."""
    done = deploy(capsys, run)
    before = {path.name: path.read_bytes() for path in Path(done["folder"]).iterdir()}
    golden = run.export("onnx-fp16").golden
    with np.load(golden) as stored:
        np.savez(golden, inputs=stored["inputs"], outputs=np.roll(stored["outputs"], 1, axis=1))
    refused = deploy(capsys, run, "--update", export="onnx-fp16", expect=3)
    assert "9 of 9 golden inputs get another class" in refused["rejected"]
    again = edgekit.deploy(run.path, "loop", export="onnx-fp16", name="camera", update=True)
    assert again.rejected == refused["rejected"]
    assert {path.name: path.read_bytes() for path in Path(done["folder"]).iterdir()} == before


@pytest.mark.slow
def test_a_runtime_that_is_wrong_in_the_deployment_only_is_found_there(run, there, server, project, capsys, tmp_path):
    """The check in the folder itself fails: its Python adds a fault there. Nothing is replaced."""
    done = deploy(capsys, run)
    before = {path.name: path.read_bytes() for path in Path(done["folder"]).iterdir()}
    (project / "targets.toml").unlink()
    folder = tmp_path / "faulty"
    python = wrapped(folder, f"sys.executable = {str(folder / 'python-of-the-device')!r}")
    broken = folder / "python-of-the-device"
    broken.write_text(
        "#!/bin/sh\ncase \"$3 $4\" in 'verify model.onnx') echo 'error: Illegal instruction'; exit 132;; esac\n"
        + f'exec "{sys.executable}" "$@"\n'
    )
    broken.chmod(0o755)
    add_target(server.target(there, python=python), project / "targets.toml")
    refused = deploy(capsys, run, "--update", export="onnx-fp16", expect=3)
    assert "Illegal instruction" in refused["rejected"]
    assert {path.name: path.read_bytes() for path in Path(done["folder"]).iterdir()} == before


@pytest.mark.slow
def test_messages(run, there, capsys):
    def said(*options: str, expect: int) -> str:
        words = ["deploy", str(run.path), "--target", "loop", "--name", "camera", *options]
        with pytest.raises(SystemExit) as stop:
            main(words)
        captured = capsys.readouterr()
        assert int(stop.value.code or 0) == expect, captured.err
        return captured.out + captured.err

    assert "no deployment of this name to update" in said("--export", "onnx-fp32", "--update", expect=1)
    first = said("--export", "onnx-fp32", expect=0)
    assert first.startswith("copied to ")
    assert "drift check: against 57 test images" in first
    assert said("--export", "onnx-fp16", "--update", expect=0).startswith("updated ")
    images = run.path.parent / "colours"
    images.rename(images.with_name("moved"))
    without = said("--export", "onnx-fp32", "--update", expect=0)
    assert "no drift check on the device" in without
    assert "drift check: against" in said(
        "--export", "onnx-fp32", "--update", "--data", str(images.with_name("moved")), expect=0
    )
