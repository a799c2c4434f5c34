"""What is shared tells nothing of the machine: no absolute path reaches a report or study.json."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_factory import change_bench, change_export, change_run, change_study, two_run_study, write_run

from edgekit.documents.folders import RunFolder
from edgekit.documents.study import StudyDocument
from edgekit.errors import InputError
from edgekit.recipe import validate
from edgekit.recipe.redaction import redact_path, redact_text
from edgekit.report.build import build_report
from edgekit.study.folder import Study
from edgekit.support.progress import Progress

SECRET = "/home/ann/secret project"
WHERE = f"{SECRET}/photos/a.png"


class Told(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def info(self, text: str) -> None:
        self.texts.append(text)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


def test_a_report_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "brain")
    first, *_ = sorted((study / "runs").iterdir())
    run = RunFolder(first)
    change_run(run, warnings=(f"the weights come from {SECRET}/w.h5, and {tmp_path}/x/y.txt is missing",))
    change_export(run, "tflite-int8", warnings=(f"see {tmp_path}/brain/runs/log.txt",))
    for bench in study.glob("runs/*/bench/*/*.json"):
        change_bench(
            bench, warnings=(f"{tmp_path}/brain/model.tflite is slow",), model=f"{tmp_path}/brain/model.tflite"
        )
    cells = StudyDocument.read(study / "study.json").cells
    failed = cells[0].model_copy(update={"status": "failed", "error": f"no image\n  where: {WHERE}\n  hint: look"})
    change_study(study, cells=(failed, *cells[1:]))
    told = Told()
    build_report(study.absolute(), progress=told)
    for name, text in contents(study / "report").items():
        assert str(tmp_path) not in text, name
        assert "/home/ann" not in text, name
        assert "/data/brain-tumor-mri" not in text, name


def test_commands_of_a_report_are_for_a_folder_of_the_same_name_and_those_on_the_terminal_for_this_one(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path / "my run")
    told = Told()
    build_report(run.path.absolute(), progress=told)
    text = contents(run.path / "report")["report.json"]
    assert "edgekit bench 'my run'" in text
    assert str(tmp_path) not in text
    assert f"edgekit bench '{tmp_path}/my run'" in "".join(told.texts)


def test_a_study_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    recipe = validate(
        {
            "data": {"path": f"{SECRET}/photos"},
            "model": {"weights": f"{SECRET}/w.h5"},
            "description": f"the images of {SECRET}/photos",
            "compare": {
                "seeds": [0, 1],
                "arms": {"a": {"model.weights": f"{SECRET}/a.h5"}, "b": {"model": {"weights": f"{SECRET}/b.h5"}}},
                "overrides": {"mobilenetv2": {"train.start_from": f"{SECRET}/run"}},
            },
        },
        "test",
    )
    study = Study(tmp_path / "study", recipe, [], "2026-11-26", None)
    (tmp_path / "study").mkdir()
    study.save()
    text = study.file.read_text()
    assert "/home" not in text
    assert '"photos"' in text
    from edgekit.study.cells import Cell

    study = Study(
        tmp_path / "study", recipe, [Cell("runs/a", "mobilenetv2", "fine-tuning", 0, recipe)], "2026-11-26", None
    )
    study.update(
        study.cells[0], "failed", f"this file is damaged\n  where: {tmp_path}/study/runs/a/model.keras\n  hint: {WHERE}"
    )
    text = study.file.read_text()
    assert str(tmp_path) not in text
    assert "/home" not in text
    assert "runs/a/model.keras" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann/photos", "photos"),
        ("~/photos", "photos"),
        ("~ann/photos/a.png", "a.png"),
        ("C:\\Users\\ann\\photos", "photos"),
        ("see /home/ann/a.png, or '/mnt/x/b.png'", "see a.png, or 'b.png'"),
        ("where: /home/ann/a.png\n  hint: rerun", "where: a.png\n  hint: rerun"),
        ("runs/a/model.keras", "runs/a/model.keras"),
        ("12 images/s, and/or 3 W/m2/K", "12 images/s, and/or 3 W/m2/K"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("~5 % of the images", "~5 % of the images"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("edgekit export /home/ann/runs/a --fp32", "edgekit export a --fp32"),
    ],
)
def test_what_is_a_path(text: str, expected: str) -> None:
    assert redact_text(text) == expected
    assert redact_path("photos") == "photos"


@pytest.mark.parametrize("name", ["report", "report/cards"])
def test_a_report_is_not_written_through_a_link(name: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "report.json").write_text("mine")
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).symlink_to(outside)
    with pytest.raises(InputError, match="this is a link"):
        build_report(run.path)
    assert [path.name for path in outside.iterdir()] == ["report.json"]
    assert (outside / "report.json").read_text() == "mine"


def test_a_report_that_was_interrupted_is_written_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    run.report.mkdir()
    (run.report / "report.json").write_text("{}")  # the first file that is written
    (run.report / "report.html").write_text("half")
    (run.report / ".report.json.edgekit-abcdefgh.tmp.json").write_text("half")
    build_report(run.path)
    assert sorted(path.name for path in run.report.iterdir()) == [
        "candidates.csv",
        "cards",
        "report.html",
        "report.json",
        "report.md",
    ]
