"""`edgekit gate` on real files and runtimes, from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_runs import KEY, edgekit

import edgekit as api
from edgekit.cli.render.gate_check import gate_text
from edgekit.documents.bench import BenchResult
from edgekit.documents.dataset_list import read_dataset_csv, write_dataset_csv
from edgekit.documents.folders import RunFolder
from edgekit.documents.regression import BaselineDocument, GateCheck
from edgekit.regression.baseline import read_baseline
from edgekit.support.files import sha256_file


def outcomes(document: dict) -> dict[str, str]:
    (file,) = document["files"]
    return {check["check"]: check["outcome"] for check in file["checks"]}


def check(capsys, *arguments: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = edgekit("gate", "check", "photos", *arguments, "--json", "--quiet")
    return code, json.loads(capsys.readouterr().out)


def test_what_a_baseline_contains(saved: Path, base: RunFolder, images: Path):
    with zipfile.ZipFile(saved) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    assert sorted(content) == [
        "0/bench/local/onnx-fp32-predictions.npz", "0/bench/local/onnx-fp32.json", "0/dataset.csv",
        "0/exports/onnx-fp32/export.json", "0/run.json", "baseline.json",
    ]  # fmt: skip
    document = BaselineDocument.parse(json.loads(content["baseline.json"]), "baseline.json")
    (file,) = document.runs[0].files
    assert (file.sha256, file.embedded, file.targets) == (sha256_file(base.export(KEY).model()), False, ("local",))
    assert document.limits.max_accuracy_drop == 1.0
    stored = json.loads(content["0/bench/local/onnx-fp32.json"])
    measured = BenchResult.read(base.bench_json("local", KEY)).bench
    assert stored["latency"] == measured.to_dict()["latency"]
    for entry, text in content.items():
        if not entry.endswith(".npz"):
            assert str(images).encode() not in text
            assert str(base.path.parent.parent).encode() not in text
    assert saved.stat().st_size < 150_000


def test_the_same_content_gives_the_same_file(saved: Path, base: RunFolder):
    before = saved.read_bytes()
    assert edgekit("gate", "save", "photos", base.path, "--quiet") == 2
    assert saved.read_bytes() == before
    for name in ("one", "two"):
        assert edgekit("gate", "save", name, base.path, "--quiet") == 0
    with zipfile.ZipFile("gates/one.zip") as one, zipfile.ZipFile("gates/two.zip") as two:
        assert one.namelist() == two.namelist()
        assert [n for n in one.namelist() if one.read(n) != two.read(n)] == ["baseline.json"]
        assert {entry.date_time[0] for entry in one.infolist()} == {1980}
    assert edgekit("gate", "save", "one", base.path, "--quiet", "--replace") == 0


@pytest.mark.slow
def test_a_file_of_other_bytes_and_equal_predictions_passes(saved: Path, capsys):
    code, document = check(capsys, "runs/same", "--recipe", recipe(max_latency_increase=300.0))
    assert (code, document["outcome"]) == (0, "passed")
    assert set(outcomes(document)) == {"accuracy", "class accuracy", "agreement", "size", "memory", "latency"}
    (file,) = document["files"]
    assert file["measured_together"]
    assert file["sessions"] == 1
    latency = next(one for one in file["checks"] if one["check"] == "latency")
    assert latency["threads"] == 1
    assert latency["change_interval"][0] <= latency["change"] <= latency["change_interval"][1] <= 300
    stored = GateCheck.read(Path("runs/same/gate/photos/gate.json"))
    assert stored.to_dict() == document
    assert not list(stored.read_from.parent.glob("check-*/unfinished"))
    # The run's own results are untouched: it was never benchmarked.
    assert not Path("runs/same/bench").exists()


@pytest.mark.slow
def test_a_slower_file_fails_and_is_named(saved: Path, capsys):
    code, document = check(capsys, "runs/slow", "--recipe", recipe(max_size_increase=None), "--time-limit", "60s")
    assert (code, document["outcome"]) == (3, "failed")
    assert outcomes(document)["latency"] == "failed"
    assert outcomes(document)["accuracy"] == "passed"
    assert "size" not in outcomes(document)
    latency = next(one for one in document["files"][0]["checks"] if one["check"] == "latency")
    assert latency["change_interval"][0] > 5
    text = gate_text(GateCheck.parse(document, "--json"))
    assert max(map(len, text.splitlines())) <= 80


def test_a_file_that_is_wrong_more_often_fails(saved: Path, capsys):
    code, document = check(capsys, "runs/wrong", "--no-latency", "--recipe", recipe(max_accuracy_drop=0.2))
    assert code == 3
    assert outcomes(document) == {
        "accuracy": "failed", "class accuracy": "passed", "agreement": "passed", "size": "passed",
        "memory": "not compared", "latency": "not compared",
    }  # fmt: skip
    accuracy = document["files"][0]["checks"][0]
    assert accuracy["baseline"] == 1.0
    assert accuracy["change"] == pytest.approx(100 * (accuracy["new"] - 1))
    assert accuracy["change_interval"][1] < -0.2


def test_too_few_images_leave_it_undecided(saved: Path, capsys):
    limits = recipe(max_accuracy_drop=2.0, min_agreement=98.0)
    assert edgekit("gate", "check", "photos", "runs/wrong", "--no-latency", "--recipe", limits) == 0
    printed = capsys.readouterr().out
    assert "undecided" in printed.splitlines()[0]
    assert "more would decide" in printed.replace("\n  ", " ")
    assert max(map(len, printed.splitlines())) <= 80
    assert edgekit("gate", "check", "photos", "runs/wrong", "--no-latency", "--recipe", limits, "--strict") == 3


@pytest.mark.slow
def test_only_undecided_latencies_are_measured_again(saved: Path, capsys):
    """No interval is short enough for 0.01%, so sessions are repeated until there is no time for another."""
    limits = recipe(max_latency_increase=0.01)
    assert edgekit("gate", "check", "photos", "runs/same", "--recipe", limits, "--time-limit", "10m") in (0, 3)
    told = capsys.readouterr()
    document = GateCheck.read(Path("runs/same/gate/photos/gate.json"))
    (file,) = document.files
    latency = next(one for one in file.checks if one.check == "latency")
    if latency.outcome == "undecided":
        assert file.sessions == 6
        assert f"{file.sessions} sessions did not decide" in latency.reason
    # The second session takes the predictions of the first.
    again = Path("runs/same/gate/photos/check-1/session-2/0/bench/local") / f"{KEY}.json"
    if file.sessions > 1:
        assert "measuring again (session 2)" in told.err
        assert BenchResult.read(again).bench.accuracy.scored is not None


def test_the_same_file_needs_no_measurement(saved: Path, capsys):
    code, document = check(capsys, "runs/base")
    assert code == 0
    assert outcomes(document)["latency"] == "passed"
    assert document["files"][0]["sessions"] == 0
    assert "same" in document["files"][0]["checks"][-1]["reason"]


@pytest.mark.slow
def test_without_the_file_of_the_baseline_latency_is_not_compared(saved: Path, project: Path, capsys):
    (project / "runs" / "base").rename(project / "elsewhere")
    code, document = check(capsys, "runs/slow", "--recipe", recipe(max_size_increase=None))
    assert code == 0
    assert outcomes(document)["latency"] == "not compared"
    assert outcomes(document)["accuracy"] == "passed"
    assert outcomes(document)["memory"] in ("passed", "undecided")
    _, document = check(
        capsys, "runs/slow", "--baseline-files", "elsewhere", "--recipe", recipe(max_size_increase=None)
    )
    assert outcomes(document)["latency"] in ("failed", "undecided")


@pytest.mark.slow
def test_a_baseline_that_contains_the_files_needs_nothing_else(project: Path, base: RunFolder, capsys):
    assert edgekit("gate", "save", "photos", base.path, "--quiet", "--with-models", "--replace") == 0
    shutil.rmtree(base.path)
    _, document = check(capsys, "runs/same", "--recipe", recipe(max_latency_increase=500.0))
    assert document["files"][0]["measured_together"]
    assert outcomes(document)["latency"] == "passed"


def test_a_file_that_is_gone_fails(saved: Path, project: Path, capsys):
    shutil.rmtree(project / "runs" / "same" / "exports" / KEY)
    code, document = check(capsys, "runs/same")
    assert (code, outcomes(document)) == (3, {"exported": "failed"})


def test_junit_and_markdown(saved: Path, capsys):
    options = ("--no-latency", "--recipe", recipe(max_accuracy_drop=0.2))
    assert edgekit("gate", "check", "photos", "runs/wrong", *options, "--junit", "g.xml", "--markdown", "g.md") == 3
    suites = ElementTree.parse("g.xml").getroot()
    (suite,) = suites
    assert suites.tag == "testsuites"
    assert (suite.get("name"), suite.get("tests")) == (f"wrong/{KEY}", "6")
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("1", "2", "0")
    (failure,) = suite.iter("failure")
    assert "limit -0.2 pt" in failure.get("message")
    text = Path("g.md").read_text()
    assert text.startswith("### ❌ gate photos: failed")
    assert "| wrong/onnx-fp32 | accuracy | 100.0% |" in text
    assert text.count("<details>") == text.count("</details>") == 1


def with_seed(source: str, folder: Path, seed: int) -> Path:
    run = RunFolder(Path(shutil.copytree(source, folder)))
    run.read_run().model_copy(update={"seed": seed, "run_id": folder.name}).write(run.run_json)
    return run.path


def test_several_runs_are_paired_by_seed(saved: Path, tmp_path: Path, capsys):
    for seed in (0, 1):
        with_seed("runs/base", tmp_path / "old" / f"old-{seed}", seed)
    assert edgekit("gate", "save", "seeds", tmp_path / "old", "--quiet") == 0
    for seed, source in ((1, "runs/wrong"), (0, "runs/same"), (2, "runs/same")):
        with_seed(source, tmp_path / "new" / f"new-{seed}", seed)
    capsys.readouterr()
    options = ("--no-latency", "--json", "--quiet", "--recipe", recipe(max_accuracy_drop=0.6))
    assert edgekit("gate", "check", "seeds", tmp_path / "new", *options) == 3
    document = GateCheck.parse(json.loads(capsys.readouterr().out), "--json")
    assert {file.run_id: file.baseline_run_id for file in document.files} == {"new-0": "old-0", "new-1": "old-1"}
    assert {file.run_id: file.outcome for file in document.files} == {"new-0": "passed", "new-1": "failed"}
    assert document.notes == ("new-2 has no counterpart in the baseline",)
    # One exported file alone, and only half of the baseline.
    file = tmp_path / "new" / "new-0" / "exports" / KEY / "model.onnx"
    assert edgekit("gate", "check", "seeds", file, *options) == 0
    document = GateCheck.parse(json.loads(capsys.readouterr().out), "--json")
    assert [one.run_id for one in document.files] == ["new-0"]
    assert document.notes == ("not checked: old-1 of the baseline has no counterpart among the given runs",)


def test_only_images_that_both_tested_count(saved: Path, project: Path, capsys):
    """The new run has other test images: 100 of them are training images now."""
    run = RunFolder(project / "runs" / "same")
    rows = read_dataset_csv(run.dataset)
    moved = [replace(row, split="train") if place < 100 else row for place, row in enumerate(rows)]
    write_dataset_csv(run.dataset, moved)
    code, document = check(capsys, "runs/same", "--no-latency")
    assert code == 0
    accuracy = document["files"][0]["checks"][0]
    assert "of 500 test images" in accuracy["reason"]
    assert "100 images of the baseline are not test images of the new run" in accuracy["reason"]


def test_a_check_that_is_refused_loses_nothing(saved: Path, images: Path):
    assert edgekit("gate", "check", "photos", "runs/wrong", "--no-latency", "--quiet") in (0, 3)
    folder = Path("runs/wrong/gate/photos")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert edgekit("gate", "check", "photos", "runs/wrong", "--protocol", "fast") == 2
    assert edgekit("gate", "check", "photos", "runs/wrong", "--no-latency", "--data", "nowhere") == 2
    assert before.items() <= {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}.items()
    assert edgekit("gate", "check", "photos", "runs/wrong", "--no-latency", "--quiet") in (0, 3)
    assert len(list(folder.glob("check-*"))) == 1


def test_the_python_functions(project: Path, base: RunFolder):
    written = api.gate_save("copy", base.path)
    assert Path(written.file).name == "copy.zip"
    assert Path(written.file).is_file()
    found = api.gate_check("photos", ["runs/wrong"], latency=False)
    assert isinstance(found, GateCheck)
    assert found.outcome in ("failed", "undecided")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("save", "a/b", "runs/base"), "cannot be the name of a baseline"),
        (("save", "other", "runs/none"), "this folder does not exist"),
        (("save", "slow", "runs/slow"), "nothing has been measured"),
        (("save", "photos", "runs/base"), "there is a baseline 'photos' already"),
        (("check", "fotos", "runs/base"), "there is no baseline 'fotos'; did you mean 'photos'?"),
        (("check", "photos", "runs/base", "--target", "pi4"), "the baseline was not measured on pi4"),
        (("check", "photos", "gates/photos.zip"), "this file was not exported from a run"),
        (("check", "photos", "runs/base", "--time-limit", "soon"), "is not a duration"),
    ],
)
def test_bad_input_is_refused(project: Path, capsys, arguments, problem):
    assert edgekit("gate", *arguments) == 2
    assert problem in capsys.readouterr().err


def test_a_damaged_baseline_is_refused(saved: Path, capsys):
    content = saved.read_bytes()
    for damaged in (
        b"",
        b"no archive",
        content[: len(content) // 2],
        content.replace(b"baseline.json", b"baseline.jsom"),
    ):
        saved.write_bytes(damaged)
        assert edgekit("gate", "check", "photos", "runs/same") == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_is_no_baseline_is_not_replaced(project: Path, base: RunFolder):
    (project / "gates" / "photos.zip").write_bytes(b"mine")
    assert edgekit("gate", "save", "photos", base.path, "--replace") == 2
    assert (project / "gates" / "photos.zip").read_bytes() == b"mine"


INTERRUPTED = """
import sys
sys.path[:0] = {paths!r}
from edgekit.bench.protocols import PROTOCOLS, protocol_of
PROTOCOLS["gate"] = protocol_of("gate", 3, 4, (4, 150_000_000), (3, 2_000_000))
from edgekit.cli.app import main
main(["gate", "check", "photos", "runs/same", "--time-limit", "1s"])
"""


@pytest.mark.slow
def test_an_interrupted_check_continues(saved: Path, project: Path):
    """Killed in the middle of the session, the check continues in the same session, and keeps its blocks."""
    import os
    import signal
    import time

    code = INTERRUPTED.format(paths=[str(Path(__file__).parents[2])])
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    session = project / "runs" / "same" / "gate" / "photos" / "check-1" / "session-1"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        blocks = [path.read_text().count('"block"') for path in session.glob("*/bench/local/session-*.jsonl")]
        if sum(blocks) >= 4:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (session.parent / "unfinished").is_file()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert "resuming the check that was interrupted" in done.stderr
    result = BenchResult.read(session / "0" / "bench" / "local" / f"{KEY}.json").bench
    assert len(result.sittings) == 2
    assert sum(len(process.blocks) for process in result.latency[0].processes) >= 12


def recipe(**limits: float | None) -> Path:
    """A recipe with these limits of the gate."""
    path = Path("gates.yaml")
    lines = [f"  {name}: {'null' if value is None else value}" for name, value in limits.items()]
    path.write_text("\n".join(["gates:", *lines]) + "\n")
    return path


def test_limits_are_saved_with_the_baseline(project: Path, base: RunFolder):
    assert edgekit("gate", "save", "other", base.path, "--recipe", recipe(max_latency_increase=12.5)) == 0
    limits = read_baseline("other", Path("gates")).document.limits
    assert (limits.max_latency_increase, limits.max_accuracy_drop) == (12.5, 1.0)
