"""Reports on several runs: which they are, what compares, and what is never mixed up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import change_run, give_the_same_images, two_run_study, write_bench, write_run

from edgekit.documents.folders import RunFolder
from edgekit.documents.report import ReportDocument
from edgekit.errors import InputError
from edgekit.report.build import build_report
from edgekit.report.model.collection import read_sources

FILES = ("tflite-fp32", "tflite-int8")


def run_of(folder: Path, *, session: str = "one", n_test: int = 400, **values: object) -> RunFolder:
    run = write_run(folder, files=FILES, n_test=n_test, **values)  # type: ignore[arg-type]
    for key in FILES:
        write_bench(run, key, session=session)
    return run


def with_settings(run: RunFolder, **train: object) -> None:
    recipe = run.read_run().recipe
    change_run(run, recipe=recipe.model_copy(update={"train": recipe.train.model_copy(update=train)}))


def with_images(run: RunFolder, fingerprint: str) -> None:
    """Other images under the same file names."""
    change_run(run, dataset=run.read_run().dataset.model_copy(update={"fingerprint": fingerprint}))


def sentences(document: ReportDocument) -> str:
    assert document.comparability is not None
    return " ".join(document.comparability.sentences)


def test_three_trainings_are_one_report(tmp_path: Path) -> None:
    for backbone in ("mobilenetv2", "resnet50v2", "vgg16"):
        run_of(tmp_path / f"photos-{backbone}", backbone=backbone)
    give_the_same_images(tmp_path)
    document = build_report(tmp_path)
    assert (document.kind, len(document.runs), len(document.candidates)) == ("runs", 3, 6)
    assert document.runs[0].run_dir == "photos-mobilenetv2"
    assert sentences(document) == (
        "All runs were tested on the same 400 images, so their accuracies can be compared. "
        "All latencies were measured in one session, so they can be compared."
    )
    assert document.recommendation is not None
    for name in ("report.html", "report.md", "report.json"):
        assert "tested on the same 400 images" in (tmp_path / "report" / name).read_text()
    again = build_report([tmp_path / "photos-vgg16", tmp_path / "photos-mobilenetv2"])
    assert [run.backbone for run in again.runs] == ["vgg16", "mobilenetv2"]
    assert again.report_html == str(tmp_path / "report" / "report.html")


def test_what_does_not_compare_is_said_and_not_compared(tmp_path: Path) -> None:
    """Other images and another session: the best accuracy and the lowest latency there win nothing."""
    a = run_of(tmp_path / "a", backbone="mobilenetv2", accuracy=0.9)
    b = run_of(tmp_path / "b", backbone="resnet50v2", accuracy=0.9)
    c = write_run(tmp_path / "c", backbone="vgg16", files=FILES, accuracy=0.999)
    for key in FILES:
        write_bench(c, key, session="two", factor=0.1)
    give_the_same_images(tmp_path)
    with_images(c, "other")
    document = build_report(tmp_path)
    text = sentences(document)
    assert "compare accuracies only within each of these sets: a and b (400 images); c (400 images)" in text
    assert "in 2 sessions; compare them only within each of these sets: a and b; c" in text
    assert document.comparability is not None
    assert [found.run_ids for found in document.comparability.test_images] == [("a", "b"), ("c",)]
    assert [found.run_ids for found in document.comparability.sessions] == [("a", "b"), ("c",)]
    accurate, fastest = document.verdict[0], document.verdict[1]
    assert all(not winner.title.startswith("VGG16") for winner in (*accurate.winners, *fastest.winners))
    assert "scored on other images: VGG16" in accurate.remark
    assert "measured in another session: VGG16" in fastest.remark
    assert document.recommendation is not None
    assert "VGG16" not in document.recommendation.exports[0].title
    assert any("other test images" in doubt for doubt in document.recommendation.doubts)
    assert {a.path.name, b.path.name} == {"a", "b"}


def test_two_runs_on_different_images_have_no_winner_and_no_recommendation(tmp_path: Path) -> None:
    run_of(tmp_path / "a", backbone="mobilenetv2")
    with_images(run_of(tmp_path / "b", backbone="vgg16"), "other")
    give_the_same_images(tmp_path)
    document = build_report(tmp_path)
    assert document.verdict[0].winners == ()
    assert document.recommendation is not None
    assert (document.recommendation.status, document.recommendation.exports) == ("undecided", ())
    assert "different test images" in document.recommendation.reasons[0]


def test_images_with_the_same_content_compare_although_the_splits_differ(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = run_of(tmp_path / name, backbone="mobilenetv2" if name == "a" else "vgg16")
        with np.load(run.predictions) as stored:
            files = [f"{i:05}.jpg" for i in range(len(stored["files"]))]
        rows = [f"{file},glioma,test,{i:064x}" for i, file in enumerate(files)]
        run.dataset.write_text("\n".join(["path,class,split,sha256", *rows]) + "\n")
        with_images(run, name)
    give_the_same_images(tmp_path)
    assert "tested on the same 400 images" in sentences(build_report(tmp_path))


def test_only_seeds_of_the_same_training_are_averaged(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_of(tmp_path / f"s{seed}", seed=seed)
    with_settings(run_of(tmp_path / "longer", seed=2), batch_size=64)
    give_the_same_images(tmp_path)
    kinds = {run.title for run in read_sources([tmp_path]).runs}
    assert kinds == {
        "MobileNetV2, feature-extraction, batch_size 32",
        "MobileNetV2, feature-extraction, batch_size 64",
    }
    document = build_report(tmp_path)
    assert [group.seeds for group in document.groups] == [(2,), (2,), (0, 1), (0, 1)]


def test_a_training_that_was_repeated_is_no_second_seed(tmp_path: Path) -> None:
    for name in ("first", "again"):
        run_of(tmp_path / name, seed=3)
    give_the_same_images(tmp_path)
    document = build_report(tmp_path)
    assert document.groups == ()
    assert {file.arm for file in document.candidates} == {"first", "again"}


def test_runs_of_one_name_keep_their_own_cards(tmp_path: Path) -> None:
    for place, backbone in (("x/photos", "mobilenetv2"), ("y/photos", "vgg16")):
        run_of(tmp_path / place, backbone=backbone)
    give_the_same_images(tmp_path)
    document = build_report(tmp_path)
    assert [run.run_id for run in document.runs] == ["x/photos", "y/photos"]
    assert len(list((tmp_path / "report" / "cards").iterdir())) == 4


def test_claims_of_a_recipe_are_judged_on_several_runs(tmp_path: Path) -> None:
    for backbone, accuracy in (("mobilenetv2", 0.8), ("vgg16", 0.95)):
        for seed in range(3):
            run_of(tmp_path / f"{backbone}-{seed}", backbone=backbone, seed=seed, accuracy=accuracy)
    give_the_same_images(tmp_path)
    claim = {
        "text": "MobileNetV2 is less accurate",
        "metric": "accuracy",
        "left": {"backbone": "mobilenetv2"},
        "relation": "below",
        "right": {"backbone": "vgg16"},
    }
    (judged,) = build_report(tmp_path, claims=recipe_of(claims=[claim])).claims
    assert (judged.verdict, judged.after_the_fact) == ("supported", True)


def test_a_folder_of_one_run_and_a_folder_of_a_study(tmp_path: Path) -> None:
    study = two_run_study(tmp_path / "studies" / "brain")
    document = build_report(tmp_path / "studies")
    assert (document.kind, len(document.runs)) == ("runs", 2)
    assert build_report(study).kind == "study"
    alone = run_of(tmp_path / "runs" / "only")
    assert build_report(tmp_path / "runs").kind == "run"
    assert (alone.path / "report" / "report.html").is_file()


def test_the_report_of_several_runs_goes_where_it_is_asked_for(tmp_path: Path) -> None:
    for backbone in ("mobilenetv2", "vgg16"):
        run_of(tmp_path / "runs" / backbone, backbone=backbone)
    out = tmp_path / "elsewhere"
    build_report(tmp_path / "runs", out=out)
    assert json.loads((out / "report.json").read_text())["runs"][0]["run_dir"] == "mobilenetv2"
    assert not (tmp_path / "runs" / "report").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("my own page")
    with pytest.raises(InputError, match="holds other files"):
        build_report(tmp_path / "runs", out=mine)
    assert (mine / "report.html").read_text() == "my own page"


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no run"):
        build_report(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        build_report([tmp_path / "nowhere", tmp_path])
