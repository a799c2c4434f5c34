"""Members of each kind of fault: no variance, missing parts, one seed, other images, two sessions, ties, few images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import give_the_same_images, write_bench, write_run, write_study

from edgekit.documents.folders import RunFolder
from edgekit.documents.report_findings import Finding, JudgedClaim
from edgekit.errors import InputError
from edgekit.report.build import build_report
from edgekit.report.model.report import Report, compose
from edgekit.report.model.source import read_source

BACKBONES = ("mobilenetv2", "resnet50v2")
ABOVE = {"metric": "accuracy", "left": {"backbone": BACKBONES[0]}, "right": {"backbone": BACKBONES[1]}}


def study(
    folder: Path,
    *claims: dict[str, Any],
    accuracy: float = 0.9,
    seeds: tuple[tuple[int, ...], ...] = ((0, 1, 2), (0, 1, 2)),
    n_test: int = 200,
    sessions: tuple[str, str] = ("one", "one"),
    measured: bool = True,
    noise: float = 0.02,
) -> Report:
    """Two backbones; what is the same for both is equal to the last image."""
    cells = []
    for backbone, numbers, session in zip(BACKBONES, seeds, sessions):
        for seed in numbers:
            place = folder / "runs" / f"{backbone}-{seed}"
            run = write_run(
                place, backbone=backbone, seed=seed, accuracy=accuracy, n_test=n_test, files=("tflite-fp32",)
            )
            if measured:
                write_bench(run, "tflite-fp32", session=session, noise=noise)
            cells.append((run, "exported"))
    wanted = [{"text": "a claim", "relation": "above", **ABOVE, **claim} for claim in claims]
    write_study(folder, cells, recipe_of(claims=wanted, export={"files": ["tflite-fp32"]}))
    return composed(folder)


def composed(folder: Path) -> Report:
    return compose(read_source(folder), "2026-11-26", "0.1.0")


def finding(report: Report, question: str) -> Finding:
    return next(found for found in report.findings if found.question.startswith(question))


def rewrite(folder: Path, **change: Any) -> None:
    """Change arrays in all stored predictions."""
    for file in folder.rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        for name, of in change.items():
            parts[name] = of(parts)
        np.savez_compressed(file, **parts)


def verdicts(claims: list[JudgedClaim]) -> list[str]:
    return [str(claim.verdict) for claim in claims]


@pytest.mark.parametrize("accuracy", [1.0, 0.0])
def test_all_correct_or_all_wrong_is_no_proof_of_equality(tmp_path: Path, accuracy: float) -> None:
    """Nothing varies, over seeds or images: 200 images do not show that two methods are within 1 point."""
    tight, wide = {"relation": "within", "margin": 1}, {"relation": "within", "margin": 5}
    report = study(tmp_path, {}, {"relation": "below"}, tight, wide, accuracy=accuracy)
    assert verdicts(report.claims) == ["undecided", "undecided", "undecided", "supported"]
    assert len(finding(report, "Most accurate").winners) == 2
    assert all(group.interval is not None and group.interval[0] < group.interval[1] for group in report.groups)


def test_two_test_images_decide_nothing(tmp_path: Path) -> None:
    report = study(tmp_path, {}, {"about": "networks"}, {"relation": "within", "margin": 20}, n_test=2)
    assert verdicts(report.claims) == ["undecided"] * 3
    assert report.recommendation is not None
    assert report.recommendation.status == "undecided"


def test_one_test_image_is_a_report_without_verdicts(tmp_path: Path) -> None:
    report = study(tmp_path, {}, n_test=1, accuracy=1.0)
    assert verdicts(report.claims) == ["undecided"]
    assert finding(report, "Most accurate").winners == ()


def test_seeds_that_only_one_side_has_are_no_pairs(tmp_path: Path) -> None:
    report = study(tmp_path, {}, seeds=((0, 1), (2, 3)))
    (judged,) = report.claims
    assert (judged.verdict, judged.pairs) == ("undecided", ())
    assert "not measured: MobileNetV2, feature-extraction against ResNet50V2" in judged.reason


def test_one_shared_seed_of_three_decides_nothing_about_methods(tmp_path: Path) -> None:
    report = study(tmp_path, {"relation": "not-below", "margin": 30}, seeds=((0, 1, 2), (2, 3, 4)))
    assert verdicts(report.claims) == ["undecided"]
    assert "one seed decides nothing about a method" in report.claims[0].reason


def test_networks_that_were_tested_on_other_images_have_no_winner_and_no_verdict(tmp_path: Path) -> None:
    study(tmp_path, {}, {"metric": "loss"})
    rewrite(tmp_path / "runs" / "mobilenetv2-0", files=lambda parts: np.char.add(parts["files"], "x"))
    report = composed(tmp_path)
    assert verdicts(report.claims) == ["undecided", "undecided"]
    assert finding(report, "Most accurate").winners == ()


def test_latencies_of_two_sessions_decide_nothing(tmp_path: Path) -> None:
    report = study(tmp_path, {"metric": "latency"}, {"metric": "latency", "relation": "below"}, sessions=("a", "b"))
    assert verdicts(report.claims) == ["undecided", "undecided"]


def test_losses_that_differ_equally_on_all_images_prove_nothing(tmp_path: Path) -> None:
    """The difference is 0 for every image and seed: without any variance, nothing is known about other images."""
    claims = [{"metric": "loss", "relation": "within", "margin": 0.1}]
    study(tmp_path, *claims, {**claims[0], "about": "networks"})
    constant = np.full((200, 4), 0.1)
    constant[:, 0] = 0.7
    rewrite(tmp_path, probabilities=lambda _: constant, labels=lambda _: np.zeros(200, dtype=np.int64))
    report = composed(tmp_path)
    assert verdicts(report.claims) == ["undecided", "undecided"]
    assert "the same for all images" in report.claims[0].pairs[0].remark


def test_training_times_that_are_equal_prove_nothing(tmp_path: Path) -> None:
    report = study(tmp_path, {"metric": "train_seconds", "relation": "within", "margin": 1.1})
    assert verdicts(report.claims) == ["undecided"]


def test_files_of_equal_size_are_all_the_smallest(tmp_path: Path) -> None:
    assert len(finding(study(tmp_path), "Smallest").winners) == 2


def test_files_that_latency_does_not_separate_are_all_the_fastest(tmp_path: Path) -> None:
    assert len(finding(study(tmp_path), "Fastest, 1 thread").winners) == 2


def test_networks_that_accuracy_does_not_separate_are_all_named(tmp_path: Path) -> None:
    """Also before anything was exported: the higher of two means is no winner."""
    study(tmp_path, measured=False)
    run = RunFolder(tmp_path / "runs" / "mobilenetv2-0")
    with np.load(run.predictions) as stored:
        parts = dict(stored)
    wrong = np.flatnonzero(parts["probabilities"].argmax(axis=1) != parts["labels"])[0]
    parts["probabilities"][wrong] = np.eye(4)[parts["labels"][wrong]]
    np.savez_compressed(run.predictions, **parts)
    found = finding(composed(tmp_path), "Most accurate")
    assert len(found.winners) == 2
    assert "accuracy does not separate these 2 of 2 kinds of network" in found.remark


def test_probabilities_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    rewrite(
        run.path, probabilities=lambda parts: np.where(parts["labels"][:, None] == 0, np.nan, parts["probabilities"])
    )
    with pytest.raises(InputError, match="not finite") as error:
        build_report(run.path)
    assert "predictions.npz" in str(error.value.where)


def test_control_characters_in_names_are_escapes_on_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", classes=("cat\x1b[31m", "dog\u202egod", "bird", "fish"))
    build_report(run.path)
    page = (run.path / "report" / "report.html").read_text()
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert r"cat\x1b[31m" in page


def test_baselines_stand_in_a_report_without_an_audit(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_bench(run, "tflite-fp32")
    give_the_same_images(tmp_path)
    document = build_report(run.path)
    assert document.baselines is not None
    assert document.baselines.majority.accuracy == 0.25
    assert any("always predicting the largest class is correct for 25.0%" in text for text in document.limits)


def test_the_calibration_error_is_shown_without_its_bias(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", accuracy=0.85)
    (row,) = build_report(run.path).runs
    assert row.ece is not None
    assert row.ece_corrected is not None
    assert row.ece_corrected_ci95 is not None
    assert row.ece_corrected_ci95[0] <= row.ece_corrected <= row.ece_corrected_ci95[1]
    assert "corrected 0.0" in (run.path / "report" / "report.html").read_text()
