"""The order of cells, several at once, tries, budgets, and the lock; what the cells do is somebody else's test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from listeners import Told

from edgekit.data import open_dataset
from edgekit.documents.folders import RunFolder
from edgekit.errors import EdgekitError, InputError
from edgekit.recipe import Data, Recipe, load_recipe, validate
from edgekit.registry import BACKBONES
from edgekit.study.cells import Cell, plan_cells
from edgekit.study.executors import Executor, open_executor
from edgekit.study.folder import Study, study_lock
from edgekit.study.job_runner import JobFailed, run_job
from edgekit.study.jobs import ExportJob, Job, JobSettings, Outcome, ReportJob, TrainJob
from edgekit.study.leak_audit import audit_study
from edgekit.study.scheduler import Scheduler, clean_up
from edgekit.support.files import temporaries
from edgekit.support.progress import SILENT


def recipe(**compare: object) -> Recipe:
    return validate({"name": "s", "data": {"name": "digits"}, "compare": compare}, "test")


class Recorder(Executor):
    """Ends every job at once: a cell with errors left fails with the next of them."""

    def __init__(self, errors: dict[str, list[JobFailed]] | None = None) -> None:
        self.errors = errors or {}
        self.started: list[str] = []
        self.environments: list[Mapping[str, str]] = []

    def submit(self, job: Job | None, quiet: bool, environment: Mapping[str, str]) -> Future[Outcome | None]:
        future: Future[Outcome | None] = Future()
        if job is None:
            future.set_result(None)
            return future
        assert isinstance(job, TrainJob)
        name = job.run.name
        self.started.append(name)
        self.environments.append(environment)
        if self.errors.get(name):
            future.set_exception(self.errors[name].pop(0))
        else:
            future.set_result(Outcome())
        return future


def run_cells(
    study: Study, pool: Executor, monkeypatch: pytest.MonkeyPatch, *, jobs: int = 1, retries: int = 1
) -> list[str]:
    told = Told()
    cells = Scheduler(study, pool, jobs, retries, quiet=True, progress=told)
    monkeypatch.setattr(cells, "_export", lambda cell: study.update(cell, "exported"))
    cells.run()
    return told.lines


def test_a_fine_tuning_waits_for_its_feature_extraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(
        tmp_path, recipe(backbones=["vgg16", "mobilenetv2"], strategies=["fine-tuning", "feature-extraction"])
    )
    pool = Recorder()
    run_cells(study, pool, monkeypatch, jobs=4)
    assert sorted(pool.started) == sorted(Path(cell.run).name for cell in study.cells)
    for backbone in ("vgg16", "mobilenetv2"):
        first, second = (pool.started.index(f"{backbone}-{s}-s0") for s in ("feature-extraction", "fine-tuning"))
        assert first < second
    assert {cell.status for cell in study.cells} == {"exported"}
    assert all(cell.seconds is not None for cell in study.cells)
    assert {env["OMP_NUM_THREADS"] for env in pool.environments} == {str(max(1, (os.cpu_count() or 1) // 4))}


def test_a_failed_cell_is_retried_and_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(tmp_path, recipe(seeds=[0, 1, 2]))
    name = "mobilenetv2-fine-tuning-s{}"
    pool = Recorder(
        {
            name.format(0): [JobFailed("killed")],
            name.format(1): [JobFailed("killed"), JobFailed("killed again")],
            name.format(2): [JobFailed("no such folder", retry=False)],
        }
    )
    lines = run_cells(study, pool, monkeypatch)
    assert [cell.status for cell in study.cells] == ["exported", "failed", "failed"]
    assert [pool.started.count(name.format(seed)) for seed in range(3)] == [2, 2, 1]
    assert study.cells[1].error == "killed again"
    assert any("will be retried" in line for line in lines)
    # The next call tries what failed, and only that.
    again = Study.open(tmp_path, recipe(seeds=[0, 1, 2]))
    (tmp_path / again.cells[0].run).mkdir(parents=True)
    (tmp_path / again.cells[0].run / "model.keras").touch()
    pool = Recorder()
    run_cells(again, pool, monkeypatch)
    assert pool.started == [name.format(1), name.format(2)]


def test_time_left_is_estimated_from_similar_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study.open(tmp_path, recipe(seeds=[0, 1, 2]))
    study.update(study.cells[0], "trained", seconds=1200.0)
    (tmp_path / study.cells[0].run).mkdir(parents=True)
    (tmp_path / study.cells[0].run / "model.keras").touch()
    lines = run_cells(study, Recorder(), monkeypatch)
    assert any("about 20 min left" in line for line in lines)


def killed_while_writing(path: Path) -> Path:
    """The file that a process leaves which is killed while it writes ``path``."""
    code = (
        "import os, sys; from pathlib import Path; from edgekit.support.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as file: file.write_text('half'); os.kill(os.getpid(), 9)"
    )
    before = set(path.parent.iterdir()) if path.parent.is_dir() else set()
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    (left,) = set(path.parent.iterdir()) - before
    return left


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_a_kill_left_half_done_is_removed(tmp_path: Path) -> None:
    study = Study.open(tmp_path, recipe())
    run = study.folder(study.cells[0])
    killed_while_writing(run.run_json)
    clean_up(run)
    assert not run.path.exists()
    killed_while_writing(run.export("tflite-fp32").path / "model.tflite")
    killed_while_writing(run.model)
    run.run_json.write_text("{}")
    clean_up(run)
    assert names(run.path) == ["exports", "exports/tflite-fp32", "run.json"]


def test_what_a_person_has_in_a_study_stays(tmp_path: Path) -> None:
    """The study is a git repository with hidden files, links and a folder of somebody's where a run is to be."""
    study = tmp_path / "study"
    cell = Study.open(study, recipe()).cells[0]
    run = RunFolder(study / cell.run)
    elsewhere = tmp_path / "elsewhere"
    outside = killed_while_writing(elsewhere / "notes.txt")
    subprocess.run(["git", "init", "-q", str(study)], check=True)
    mine = [
        study / ".env",
        study / ".venv" / "bin" / "python",
        study / "runs" / ".notes",
        study / ".notes.tmp",
        study / ".notes.edgekit-short.tmp",
        run.path / ".keep",
        run.path / ".model.keras.swp",
        run.path / "checkpoint" / ".cache" / "x",
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    run.run_json.write_text("{}")
    (study / "linked").symlink_to(elsewhere)
    link = study / ".a.json.edgekit-abcdefgh.tmp.json"
    link.symlink_to(elsewhere / "nowhere")
    before = names(study)
    stale = [killed_while_writing(study / "study.json"), killed_while_writing(run.model)]
    for path in list(temporaries(study)):
        path.unlink()
    clean_up(run)
    assert names(study) == before
    assert outside.is_file()
    assert link.is_symlink()
    assert not any(path.exists() for path in stale)


@pytest.mark.parametrize("name", ["notes.txt", ".git/config", "model.keras", "photos/1.png"])
def test_a_folder_of_somebody_else_where_a_run_is_to_be_stops_the_study(tmp_path: Path, name: str) -> None:
    study = Study.open(tmp_path, recipe())
    run = study.folder(study.cells[0])
    mine = run.path / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    cells = Scheduler(study, Recorder(), 1, 1, quiet=True, progress=SILENT)
    with pytest.raises(InputError, match="not a run") as error:
        cells.run()
    assert error.value.where == str(run.path)
    assert Path(name).parts[0] in error.value.problem
    assert mine.read_text() == "mine"


def test_a_run_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    study = Study.open(tmp_path / "study", recipe())
    run = study.folder(study.cells[0])
    (tmp_path / "disk").mkdir()
    kept = killed_while_writing(tmp_path / "disk" / "a.txt")
    run.path.parent.mkdir(parents=True)
    run.path.symlink_to(tmp_path / "disk")
    clean_up(run)
    assert run.path.is_symlink()
    assert kept.is_file()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with study_lock(tmp_path), pytest.raises(InputError, match="another edgekit compare"), study_lock(tmp_path):
        pass
    with study_lock(tmp_path) as lock:
        assert lock.is_file()


@pytest.mark.parametrize(("name", "jobs", "said"), [("slurm", 1, "local, ray"), ("local", 0, "at least 1")])
def test_executors_that_cannot_be(name: str, jobs: int, said: str) -> None:
    with pytest.raises(InputError) as error, open_executor(name, jobs):
        pass
    assert said in str(error.value)


def test_ray_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EdgekitError, match="Ray") as error, open_executor("ray", 1):
        pass
    assert error.value.hint == 'pip install "edgekit[ray]"'


def test_a_job_that_fails_says_why(tmp_path: Path) -> None:
    """In a real process: the problem, the place and the exit code of the command come back typed."""
    with pytest.raises(JobFailed, match="this run folder does not exist") as error:
        run_job(ExportJob(run=tmp_path / "run", exports=("tflite-fp32",)), quiet=True)
    assert error.value.where == str(tmp_path / "run")
    assert (error.value.code, error.value.retry) == (2, False)


def test_a_job_that_is_killed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'edgekit.cli.supervised' in sys.orig_argv: os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(JobFailed, match="edgekit report was killed by SIGKILL") as error:
        run_job(ReportJob(study=tmp_path), quiet=True)
    assert error.value.retry
    assert "memory" in str(error.value.hint)


def test_a_job_ends_when_its_study_is_killed(tmp_path: Path) -> None:
    """The parent is killed while its child sleeps; the child must be gone, and what the child started too."""
    note, settings = tmp_path / "pids", tmp_path / "settings.json"
    JobSettings(job=ReportJob(study=tmp_path)).write(settings)
    child = (
        "import os, subprocess, sys, time; from edgekit.cli import supervised\n"
        "def attempt(job, progress):\n"
        f"    inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"    open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{inner.pid}}')\n"
        f"    time.sleep(60)\n"
        "supervised._attempt = attempt\n"
        f"sys.argv = ['supervised', {str(settings)!r}]; supervised.main()"
    )
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE).wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    deadline = time.monotonic() + 20
    while not (note.exists() and len(note.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pids = [int(pid) for pid in note.read_text().split()]
    process.kill()
    process.wait()
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "the command outlived the study"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def planned(**compare: Any) -> dict[str, Cell]:
    return {cell.backbone: cell for cell in plan_cells(recipe(**compare), Path("study"))}


def test_equal_seconds_limit_every_cell() -> None:
    cells = planned(backbones=["vgg16", "mobilenetv2"], budget={"equal": "seconds", "seconds": 90})
    assert {cell.recipe.train.max_seconds for cell in cells.values()} == {90}


def test_equal_compute_gives_light_networks_more_epochs() -> None:
    cells = planned(backbones=["vgg16", "resnet50v2", "mobilenetv2"], budget={"equal": "compute"})
    epochs = {name: cell.recipe.train.fine_tuning.epochs for name, cell in cells.items()}
    assert epochs == {"vgg16": 10, "resnet50v2": 44, "mobilenetv2": 512}
    for name, n in epochs.items():
        assert n * BACKBONES[name].macs == pytest.approx(10 * BACKBONES["vgg16"].macs, rel=0.02)
    cells = planned(backbones=["vgg16", "mobilenetv2"], budget={"equal": "compute", "reference": "mobilenetv2"})
    assert cells["vgg16"].recipe.train.fine_tuning.epochs == 1  # never less than one


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"equal": "seconds"}, "equal: seconds needs a value for seconds"),
        ({"seconds": 3}, "only equal: seconds does"),
        ({"equal": "epochs", "reference": "vgg16"}, "reference requires equal: compute"),
        ({"equal": "compute", "reference": "vgg16"}, "not one of the study.s backbones"),
    ],
)
def test_budgets_that_cannot_be(budget: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        planned(backbones=["mobilenetv2"], budget=budget)


def test_the_audit_comes_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_recipe(None, {"data.name": "digits"})
    audit_study(study, tmp_path, SILENT)
    document = json.loads((tmp_path / "audit.json").read_text())
    assert document["splits"] == {"train": 967, "val": 362, "test": 359, "gate": 109}
    assert document["fingerprint"] == open_dataset(Data(name="digits")).fingerprint
    monkeypatch.setattr("edgekit.study.leak_audit.audit", lambda *_, **__: pytest.fail("audited twice"))
    audit_study(study, tmp_path, SILENT)


def test_settings_of_a_job_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    (cell,) = plan_cells(recipe(overrides={"mobilenetv2": {"train.label_smoothing": 0.1}}), tmp_path)
    settings = JobSettings(job=TrainJob(recipe=cell.recipe, run=tmp_path / "run", resume=True), quiet=True)
    settings.write(tmp_path / "settings.json")
    assert JobSettings.read(tmp_path / "settings.json") == settings


def test_backbones_from_files_and_from_keras_have_short_names_in_folders() -> None:
    cells = plan_cells(recipe(backbones=["nets/mine.keras", "keras:VGG19", "keras:MobileNetV2"]), Path("study"))
    assert [cell.backbone for cell in cells][:3] == ["mine", "keras:VGG19", "mobilenetv2"]
    assert not [cell.run for cell in cells if ":" in cell.run or cell.run.count("/") > 1]
    assert cells[0].recipe.model.backbone == "nets/mine.keras"


def test_two_backbones_with_the_same_name_are_an_error() -> None:
    with pytest.raises(InputError, match="two backbones of the study have the same name: mine"):
        plan_cells(recipe(backbones=["a/mine.keras", "b/mine.keras"]), Path("study"))


def test_equal_compute_needs_multiply_accumulates() -> None:
    with pytest.raises(InputError, match="needs the multiply-accumulates of keras:VGG19"):
        planned(backbones=["vgg16", "keras:VGG19"], budget={"equal": "compute", "reference": "vgg16"})


def test_a_change_of_one_cell_looks_at_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of a thousand cells saves its state three times for each of them."""
    from edgekit.study import folder

    study = Study.open(tmp_path / "study", recipe(seeds=list(range(20))))
    study.save()
    written: list[str] = []
    redact = folder.redact_model
    monkeypatch.setattr(
        folder, "redact_model", lambda model, folders: written.append(model.run) or redact(model, folders)
    )
    changed = study.update(study.cells[3], "trained", seconds=2.0)
    assert written == [changed.run]
    assert study.cell(changed.run) is changed
    stored = json.loads(study.file.read_text())["cells"]
    assert [cell["status"] for cell in stored].count("trained") == 1
    assert stored[3]["seconds"] == 2.0
