"""A study on several targets: an unreachable one does not stop the others, and is measured once it is back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loopback import Notes, Server
from runfolders import make_run

from edgekit.documents.bench import BenchDocument
from edgekit.recipe import validate
from edgekit.study.benchmarking import is_measured, measure, warn_of_unreachable
from edgekit.study.folder import Study
from edgekit.study.job_runner import JobFailed, run_job
from edgekit.study.jobs import BenchJob
from edgekit.targets.config import add_target


@pytest.fixture
def study(tmp_path: Path, onnx_models: Path, colours: Path) -> Study:
    """One trained and exported cell, as training and export leave it."""
    bench = {"protocol": "quick", "threads": [1], "images": 6}
    recipe = validate({"name": "s", "data": {"path": str(colours)}, "bench": bench}, "test")
    made = Study.open(tmp_path / "study", recipe)
    shutil.rmtree(made.folder(made.cells[0]).path, ignore_errors=True)
    make_run(made.folder(made.cells[0]).path, {"onnx-fp32": onnx_models / "uint8.onnx"}, colours)
    made.update(made.cells[0], "exported")
    return made


def stamp(study: Study, target: str) -> str:
    path = study.folder(study.cells[0]).bench_json(target, "onnx-fp32")
    return str(json.loads(path.read_text())["session_id"])


@pytest.mark.slow
def test_an_unreachable_target_is_measured_later(study: Study, server: Server, project: Path, tmp_path: Path) -> None:
    away = server.config_file("later", Port="1")
    add_target(server.target(tmp_path / "near"), project / "targets.toml")
    add_target(server.target(tmp_path / "far", name="away", ssh_config=str(away)), project / "targets.toml")
    notes, names = Notes(), ["away", "loop"]

    warn_of_unreachable(study, names, notes)
    assert len(notes.warnings) == 1
    assert notes.warnings[0].startswith("away cannot measure now")
    assert "cannot reach the target" in notes.warnings[0]

    errors = measure(study, study.cells, names, quiet=True, progress=notes)
    assert list(errors) == ["away"]
    assert "cannot reach the target" in errors["away"]
    assert (is_measured(study, study.cells, "loop"), is_measured(study, study.cells, "away")) == (True, False)

    before = stamp(study, "loop")
    assert list(measure(study, study.cells, names, quiet=True, progress=notes)) == ["away"], "still unreachable"
    server.config_file("later")
    assert measure(study, study.cells, names, quiet=True, progress=notes) == {}
    assert is_measured(study, study.cells, "away")
    assert stamp(study, "loop") == before, "what was measured is not measured again"


def test_an_error_on_all_targets_ends_the_study(study: Study, server: Server, project: Path, tmp_path: Path):
    add_target(server.target(tmp_path / "near"), project / "targets.toml")
    study.folder(study.cells[0]).export("onnx-fp32").model().write_bytes(b"no model")
    with pytest.raises(JobFailed, match="model") as error:
        measure(study, study.cells, ["local", "loop"], quiet=True, progress=Notes())
    assert error.value.code == 2


def test_a_study_scores_now_and_measures_latency_later(study: Study):
    assert measure(study, study.cells, ["local"], latency=False, quiet=True, progress=Notes()) == {}
    assert is_measured(study, study.cells, "local", latency=False)
    assert not is_measured(study, study.cells, "local")
    scored = BenchDocument.read(study.folder(study.cells[0]).bench_json("local", "onnx-fp32"))
    assert (scored.latency, scored.accuracy.n_samples) == ((), 6)

    job = BenchJob(
        runs=(study.folder(study.cells[0]).path,), targets=("local",), protocol="check", threads=(1,), images=6
    )
    assert run_job(job, quiet=True).failed_files == ()
    assert is_measured(study, study.cells, "local")
    done = BenchDocument.read(study.folder(study.cells[0]).bench_json("local", "onnx-fp32"))
    assert done.accuracy.scored == scored.created, "the images are not scored again"
