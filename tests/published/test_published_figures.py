"""The table of published figures, what lists it, and the section of a report that shows it beside measured ones."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))
from report_factory import change_run, two_run_study, write_bench, write_run, write_study

from edgekit.cli.app import main
from edgekit.published import PublishedFigure, published_figures
from edgekit.registry import BACKBONES
from edgekit.report.build import build_report
from edgekit.report.model.report import compose
from edgekit.report.model.source import read_source


def edgekit(*arguments: str) -> tuple[object, str, str]:
    """Exit code, stdout and stderr of the command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code, out.getvalue(), err.getvalue()


def test_every_figure_names_a_known_backbone_a_source_and_what_is_not_known() -> None:
    figures = published_figures()
    assert len(figures) > 60
    assert {figure.backbone for figure in figures} <= set(BACKBONES)
    assert all(figure.source and figure.not_stated and figure.runtime and figure.value > 0 for figure in figures)
    assert {figure.quantity for figure in figures} == {"latency_ms", "top1"}
    assert {figure.precision for figure in figures} == {"fp32", "float", "int8"}
    assert all(0 < figure.value < 100 for figure in figures if figure.quantity == "top1")


def figure(backbone: str, device: str, threads: str, precision: str) -> PublishedFigure:
    found = [
        f
        for f in published_figures([backbone], quantity="latency_ms")
        if (f.device, f.threads, f.precision) == (device, threads, precision)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("backbone", "device", "threads", "precision", "milliseconds"),
    [
        ("vgg16", "Raspberry Pi 5", "1", "int8", 273.10),
        ("vgg16", "Raspberry Pi 5", "1", "fp32", 189.63),
        ("mobilenetv2", "Raspberry Pi 4", "4", "fp32", 61.88),
        ("resnet50v2", "Intel i9-10940X", "", "fp32", 15.68),
        ("mobilenetv2", "Galaxy S25, NPU", "", "int8", 0.214),
    ],
)
def test_a_figure_is_that_of_its_source(
    backbone: str, device: str, threads: str, precision: str, milliseconds: float
) -> None:
    assert figure(backbone, device, threads, precision).value == milliseconds


def test_list_published_shows_one_backbone_and_fits_the_terminal() -> None:
    code, out, _ = edgekit("list", "published", "--backbone", "vgg16")
    assert code == 0
    assert "273.1 ms" in out
    assert "72.02 %" in out
    assert "mobilenetv2" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_whole_list_fits_the_terminal() -> None:
    assert max(map(len, edgekit("list", "published")[1].splitlines())) <= 80


def test_list_published_as_json_says_what_is_not_stated() -> None:
    entries = json.loads(edgekit("list", "published", "--json")[1])["published"]
    assert len(entries) == len(published_figures())
    assert all(entry["not_stated"] and entry["source"] for entry in entries)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["formats", "--backbone", "vgg16"], "edgekit list published --backbone vgg16"),
        (["published", "--layers", "vgg16"], "edgekit list backbones --layers vgg16"),
        (["published", "--backbone", "alexnet"], "alexnet"),
    ],
)
def test_an_option_of_another_table_is_refused(arguments: list[str], hint: str) -> None:
    code, _, err = edgekit("list", *arguments)
    assert code == 2
    assert hint in err


def test_a_report_marks_published_figures_beside_measured_ones(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "brain")
    document = build_report(study)
    backbones = {run.backbone for run in document.runs}
    assert {row.backbone for row in document.published} == backbones & {f.backbone for f in published_figures()}
    page = (study / "report" / "report.html").read_text(encoding="utf-8")
    section = page.partition('id="published"')[2].partition("</section>")[0]
    assert section.count("mark-published") == len(
        [row for row in document.published if row.quantity == "latency_ms"]
    ) + len(
        [
            row
            for row in document.published
            if (row.quantity, row.precision) == ("top1", "int8") and "Arm" not in row.source
        ]
    )
    assert "not stated: " in section
    assert "Tencent/ncnn" in section


def test_a_narrower_network_is_not_shown_beside_figures_of_full_width(tmp_path: Path) -> None:
    folder = tmp_path / "brain"
    wide, narrow = (write_run(folder / "runs" / f"brain-{name}", seed=i) for i, name in enumerate(("wide", "narrow")))
    change_run(narrow, alpha=0.35)
    for run in (wide, narrow):
        write_bench(run, "tflite-fp32")
    write_study(folder, [(wide, "exported"), (narrow, "exported")])
    found = compose(read_source(folder), "2026-11-26", "0.1.0").published
    assert found is not None
    measured = [row.model for row in found.latencies if row.published is None]
    assert measured and not any("0.35" in model for model in measured)
    change_run(wide, alpha=0.5)
    assert compose(read_source(folder), "2026-11-26", "0.1.0").published is None


def test_a_report_without_measurements_shows_no_published_figures(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "brain")
    for result in study.rglob("bench"):
        for file in result.rglob("*.json"):
            file.unlink()
    assert not build_report(study).published
