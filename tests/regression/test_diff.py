"""`edgekit diff` on runs that were really measured: what differs is shown, and what noise explains is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gate_runs import KEY, edgekit

import edgekit as api
from edgekit.documents.bench import BenchDocument
from edgekit.documents.difference import DiffDocument
from edgekit.documents.folders import RunFolder


def found(capsys, *sides: object) -> dict:
    capsys.readouterr()
    assert edgekit("diff", *sides, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert DiffDocument.parse(document, "--json").to_dict() == document
    return document


def kinds(document: dict) -> list[tuple[str, str]]:
    return [(one["what"], one["subject"]) for one in document["differences"]]


@pytest.fixture(scope="session")
def scored_of_all(project_of_all: Path, tmp_path_factory) -> Path:
    """The project with all runs scored."""
    project = tmp_path_factory.mktemp("scored")
    shutil.copytree(project_of_all, project, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert edgekit("bench", "runs/same", "runs/wrong", "--no-latency", "--quiet") == 0
    return project


@pytest.fixture
def scored(scored_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(scored_of_all)
    return scored_of_all


def test_an_equal_run_has_no_differences(scored: Path, capsys):
    document = found(capsys, "runs/base", "runs/same")
    assert document["differences"] == []
    assert document["n_compared"] >= 4  # two accuracies, status, size


def test_an_accuracy_is_paired_by_image(scored: Path, capsys):
    document = found(capsys, "runs/base", "runs/wrong")
    (accuracy,) = [one for one in document["differences"] if one["what"] == "accuracy"]
    assert (accuracy["subject"], accuracy["a"]) == (KEY, 1.0)
    assert accuracy["b"] < 1
    assert accuracy["change"] == pytest.approx(100 * (accuracy["b"] - 1))
    assert accuracy["change_ci95"][0] < accuracy["change"] < accuracy["change_ci95"][1] < 0
    assert accuracy["p_holm"] < 0.05
    assert accuracy["basis"] == "600 images, paired"
    back = found(capsys, "runs/wrong", "runs/base")
    assert back["differences"][0]["change"] == -accuracy["change"]


def test_several_seeds_are_compared_as_one(scored: Path, tmp_path: Path, capsys):
    for side, name in (("a", "base"), ("b", "wrong")):
        for seed in (0, 1):
            run = RunFolder(Path(shutil.copytree(scored / "runs" / name, tmp_path / side / f"s{seed}")))
            run.read_run().model_copy(update={"seed": seed, "run_id": f"s{seed}"}).write(run.run_json)
    document = found(capsys, tmp_path / "a", tmp_path / "b")
    (accuracy,) = [one for one in document["differences"] if one["what"] == "accuracy"]
    assert accuracy["basis"] == "600 images, paired, 2 seeds"
    assert "mobilenetv2" in accuracy["subject"]


def test_a_report_alone_shows_less(scored: Path, tmp_path: Path, capsys):
    for name in ("base", "wrong"):
        assert edgekit("report", f"runs/{name}", "--out", tmp_path / name, "--quiet") == 0
    document = found(capsys, tmp_path / "base", tmp_path / "wrong" / "report.json")
    accuracies = [one for one in document["differences"] if one["what"] == "accuracy"]
    assert [one["basis"] for one in accuracies] == ["600 and 600 images, not paired"]
    assert "setting" not in [one["what"] for one in document["differences"]]


def test_what_only_one_side_has(scored: Path, tmp_path: Path, capsys):
    run = RunFolder(Path(shutil.copytree("runs/base", tmp_path / "run")))
    run.export(KEY).path.rename(run.export("onnx-int8").path)
    export = run.export("onnx-int8").read_export().model_copy(update={"scheme": "int8"})
    export.write(run.export("onnx-int8").export_json)
    assert ("only in B", "onnx-int8") in kinds(found(capsys, "runs/base", run.path))
    assert ("only in A", "onnx-int8") in kinds(found(capsys, run.path, "runs/base"))


def test_settings_and_size(scored: Path, tmp_path: Path, capsys):
    document = found(capsys, "runs/base", "runs/slow")
    (size,) = [one for one in document["differences"] if one["what"] == "size"]
    assert size["change"] == pytest.approx(100 * (size["b"] / size["a"] - 1))
    assert any("not scored" in text for text in document["not_compared"])
    run = RunFolder(Path(shutil.copytree("runs/base", tmp_path / "run")))
    recipe = run.read_run().recipe
    trained = recipe.train.model_copy(update={"batch_size": 7})
    run.read_run().model_copy(update={"recipe": recipe.model_copy(update={"train": trained})}).write(run.run_json)
    assert kinds(found(capsys, "runs/base", run.path)) == [("setting", "train.batch_size")]


def test_it_fits_into_80_columns(scored: Path, capsys):
    capsys.readouterr()
    assert edgekit("diff", "runs/base", "runs/wrong") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 differences beyond noise")
    assert max(map(len, lines)) <= 80


def test_bad_input(scored: Path, capsys):
    assert edgekit("diff", "runs/base", "nowhere") == 2
    assert "this folder does not exist" in capsys.readouterr().err
    Path("text.json").write_text("{}")
    assert edgekit("diff", "runs/base", "text.json") == 2
    assert "was not written by edgekit" in capsys.readouterr().err


def test_the_python_function(scored: Path):
    document = api.diff("runs/base", api.load_run("runs/wrong"))
    assert [one.what for one in document.differences] == ["accuracy", "size"]


@pytest.mark.slow
def test_latencies_are_compared_within_a_session_only(project: Path, capsys):
    assert edgekit("bench", "runs/base", "runs/slow", "--images", "0", "--quiet") == 0
    for name in ("base", "slow"):  # other programs may have been running, and then nothing wins
        path = RunFolder(Path("runs") / name).bench_json("local", KEY)
        bench = BenchDocument.read(path)
        quiet = tuple(one.model_copy(update={"unstable": ()}) for one in bench.latency)
        bench.model_copy(update={"latency": quiet}).write(path)
    document = found(capsys, "runs/base", "runs/slow")
    latencies = [one for one in document["differences"] if one["what"] == "latency"]
    undecided = [text for text in document["not_compared"] if "too noisy" in text]
    assert len(latencies) + len(undecided) == 1
    for one in latencies:
        assert one["change_ci95"][0] > 0
    assert edgekit("bench", "runs/slow", "--images", "0", "--quiet") == 0
    document = found(capsys, "runs/base", "runs/slow")
    assert any("not measured in the same session" in text for text in document["not_compared"])
