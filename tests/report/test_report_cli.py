"""`edgekit report` as a person types it."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from document_factory import FILES
from report_factory import study_of_seeds, write_bench, write_run, write_study

from edgekit.cli.app import main
from edgekit.cli.report import MARK_LETTERS
from edgekit.documents.report_rows import Mark


def run_cli(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *arguments])
    return int(ended.value.code or 0)


def table_of(lines: list[str]) -> list[str]:
    """The table, which stands between the recommendation and the verdict."""
    start = next(i for i, line in enumerate(lines) if line.startswith("#  "))
    assert lines[0].startswith(("Deploy:", "Undecided between:", "Nothing meets"))
    return lines[start : lines.index("", start)]


def test_table_fits_80_columns(tmp_path, capsys):
    cells = []
    for backbone, strategy in (("resnet50v2", "feature-extraction"), ("mobilenetv2", "fine-tuning")):
        run = write_run(
            tmp_path / "runs" / f"a-long-name-of-a-run-{backbone}-{strategy}-s12",
            backbone=backbone,
            strategy=strategy,
            seed=12,
            scale=9.4,
            files=tuple(FILES),
        )
        for key in FILES:
            write_bench(
                run, key, factor=100, unstable=("the clock fell from 2.10 to 1.50 GHz",), emulated=key[0] == "o"
            )
        cells.append((run, "exported"))
    assert run_cli(str(write_study(tmp_path, cells))) == 0
    lines = capsys.readouterr().out.splitlines()
    table = table_of(lines)
    assert len(table) == 2 + 8 + 3  # heading, files, legend
    assert max(map(len, table)) <= 80
    assert all(len(line) <= 80 for line in lines if not line.startswith("report: "))
    assert any(line.endswith("  eu") for line in table)


@pytest.mark.parametrize("strategies", [("from-scratch", "from-scratch"), ("from-scratch", "fine-tuning")])
def test_long_names_of_files_fit_too(tmp_path, capsys, strategies):
    """A strategy that all have is left out first; then names of files lose their ends."""
    files = ("tflite-fp32", "tflite-fp32-clustered", "tflite-int8-clustered", "tflite-int8-pruned")
    cells = []
    for backbone, strategy in zip(("resnet50v2", "vgg16"), strategies):
        run = write_run(tmp_path / "runs" / backbone, backbone=backbone, strategy=strategy, scale=9.4, files=files)
        for key in files:
            write_bench(run, key, factor=100, unstable=("the clock fell",))
        cells.append((run, "exported"))
    assert run_cli(str(write_study(tmp_path, cells))) == 0
    lines = capsys.readouterr().out.splitlines()
    table = table_of(lines)
    assert max(map(len, table)) <= 80
    shared = strategies[0] == strategies[1]
    assert ("strategy" in table[0]) != shared
    assert any("tflite-int8-clustered" in line for line in table) == shared


def test_over_seeds_a_line_is_a_kind_of_exported_file(tmp_path, capsys):
    """So that the numbers of the table are those of the verdict."""
    assert run_cli(str(study_of_seeds(tmp_path / "study"))) == 0
    lines = capsys.readouterr().out.splitlines()
    table = table_of(lines)
    assert [line.split()[:2] for line in table[2:6]] == [
        [str(n), backbone] for n, backbone in enumerate(("mobilenetv2", "mobilenetv2", "resnet50v2", "resnet50v2"), 1)
    ]
    assert [line.split()[3] for line in table[2:6]] == ["3"] * 4
    assert "means" in " ".join(table[6:])
    assert max(map(len, lines[:-1])) <= 80
    assert any(line.startswith(("Most accurate: #3", "Most accurate: #4")) for line in lines)


def test_it_prints_the_path_of_the_page(study, capsys):
    assert run_cli(str(study)) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith(f"report: {study / 'report' / 'report.html'}")
    assert "Most accurate: #3 ResNet50V2" in out


def test_json_is_the_document_and_nothing_else(study, capsys):
    assert run_cli(str(study), "--json", "--quiet") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert len(document["candidates"]) == 4
    assert captured.err == ""


def test_missing_pieces_are_told_on_stderr_unless_quiet(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert run_cli(str(run.path)) == 0
    assert "edgekit bench" in capsys.readouterr().err
    assert run_cli(str(run.path), "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_a_wrong_folder_is_wrong_usage(tmp_path, capsys):
    assert run_cli(str(tmp_path)) == 2
    assert "contains no run" in capsys.readouterr().err


def test_constraints_are_given_by_name(study, capsys):
    assert run_cli(str(study), "--constraint", "latency_ms=0.01", "--constraint", "size_mb=50") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("Nothing meets the constraints. The nearest: ")
    assert "No exported file meets at most 0.01 ms and at most 50 MB; the nearest is" in out


@pytest.mark.parametrize("wrong", ["latency=3", "size_mb=", "size_mb=-1", "size_mb=nan", "threads=1.5", "threads=4"])
def test_a_wrong_constraint_is_wrong_usage(study, capsys, wrong):
    assert run_cli(str(study), "--constraint", wrong) == 2
    assert "--constraint" in capsys.readouterr().err


def test_every_mark_has_a_letter_that_the_legend_explains():
    assert set(MARK_LETTERS) == set(get_args(Mark))
    assert len(set(MARK_LETTERS.values())) == len(MARK_LETTERS)
