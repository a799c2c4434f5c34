"""Differences by class: recalls counted by hand, exact tests, and the correction for their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from document_factory import CLASSES
from report_factory import write_bench, write_run, write_study

from edgekit.report.build import build_report
from edgekit.report.model.classes import ClassComparison, class_comparisons
from edgekit.report.model.comparisons import Comparisons
from edgekit.report.model.exported_files import exported_files
from edgekit.report.model.groups import grouped
from edgekit.report.model.source import read_source
from edgekit.stats.significance import holm, mcnemar_exact

PER_CLASS = 50
LABELS = np.repeat(np.arange(len(CLASSES)), PER_CLASS)


def predict(file: Path, wrong: list[int]) -> None:
    """Let a predictions file be right on all images but those at ``wrong``, which all files share by name."""
    guesses = LABELS.copy()
    guesses[wrong] = (guesses[wrong] + 1) % len(CLASSES)
    names = np.array([f"{i:05}.jpg" for i in range(len(LABELS))])
    probabilities = np.eye(len(CLASSES), dtype=np.float32)[guesses]
    np.savez_compressed(file, labels=LABELS, probabilities=probabilities, files=names)


def compared(folder: Path, wrong: dict[tuple[str, int, str], list[int]]) -> list[ClassComparison]:
    """By backbone, seed and file: which images are classified wrong."""
    cells = []
    for backbone, seed in dict.fromkeys((backbone, seed) for backbone, seed, _ in wrong):
        keys = tuple(key for b, s, key in wrong if (b, s) == (backbone, seed))
        place = folder / "runs" / f"{backbone}-s{seed}"
        run = write_run(place, backbone=backbone, seed=seed, n_test=len(LABELS), files=keys)
        for key in keys:
            write_bench(run, key)
            predict(run.path / "bench" / "local" / f"{key}-predictions.npz", wrong[backbone, seed, key])
        predict(run.predictions, [])
        cells.append((run, "exported"))
    write_study(folder, cells)
    return compared_in(folder)


def compared_in(folder: Path) -> list[ClassComparison]:
    files = exported_files(read_source(folder).runs)
    return class_comparisons(grouped(files), Comparisons(files))


def test_one_seed_is_told_by_mcnemar(tmp_path: Path) -> None:
    # ResNet misses 2 gliomas; MobileNet misses 20 others, and one meningioma.
    (pair,) = compared(
        tmp_path,
        {
            ("resnet50v2", 0, "tflite-fp32"): [0, 1],
            ("mobilenetv2", 0, "tflite-fp32"): [*range(10, 30), PER_CLASS],
        },
    )
    assert (pair.left.first.model, pair.right.first.model) == ("ResNet50V2", "MobileNetV2")
    assert (pair.n_seeds, pair.n_tests) == (1, 4)
    first, second, *same = pair.rows
    assert (first.label, first.n_images, first.left, first.right) == ("glioma", 50, 0.96, 0.6)
    assert first.difference.estimate == pytest.approx(0.36)
    assert first.difference.low < 0.36 < first.difference.high
    assert [row.p for row in pair.rows] == holm([mcnemar_exact(20, 2), mcnemar_exact(1, 0), 1.0, 1.0])
    assert first.differs
    assert not second.differs
    assert all(row.difference.estimate == 0 for row in same)
    assert pair.sentence == "significant differences: glioma (+36.0 points)"


def test_int8_against_its_fp32_counterpart(tmp_path: Path) -> None:
    pairs = compared(
        tmp_path,
        {("mobilenetv2", 0, "tflite-fp32"): [0], ("mobilenetv2", 0, "tflite-int8"): [0, 3 * PER_CLASS]},
    )
    (pair,) = pairs
    assert (pair.left.first.key, pair.right.first.key) == ("tflite-int8", "tflite-fp32")
    assert pair.sentence == "no class differs significantly; the largest difference is in class pituitary (−2.0 points)"


def test_several_seeds_count_the_chance_of_both(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    wrong = {}
    for seed in range(3):
        wrong["resnet50v2", seed, "tflite-fp32"] = random.choice(50, 2, replace=False).tolist()
        wrong["mobilenetv2", seed, "tflite-fp32"] = random.choice(50, 25 + seed, replace=False).tolist()
    (pair,) = compared(tmp_path, wrong)
    glioma = pair.rows[0]
    assert pair.n_seeds == 3
    assert glioma.left == pytest.approx(1 - 2 / 50)
    assert glioma.right == pytest.approx(1 - 26 / 50)
    assert glioma.differs
    assert glioma.difference.low > 0.2
    assert pair.document().classes[0].difference == pytest.approx(0.48)


def test_other_images_are_not_compared(tmp_path: Path) -> None:
    cells = []
    for backbone in ("mobilenetv2", "resnet50v2"):
        run = write_run(tmp_path / "runs" / backbone, backbone=backbone, files=("tflite-fp32",))
        write_bench(run, "tflite-fp32")
        cells.append((run, "exported"))
    write_study(tmp_path, cells)
    for file in (tmp_path / "runs" / "resnet50v2").rglob("*predictions.npz"):
        with np.load(file) as stored:
            parts = dict(stored)
        np.savez_compressed(file, **{**parts, "files": np.array([f"other-{name}" for name in parts["files"]])})
    assert compared_in(tmp_path) == []


def test_they_stand_in_every_form_of_the_report(tmp_path: Path) -> None:
    compared(tmp_path, {("mobilenetv2", 0, "tflite-fp32"): [0], ("mobilenetv2", 0, "tflite-int8"): list(range(20))})
    (pair,) = build_report(tmp_path).class_differences
    assert [row.label for row in pair.classes] == list(CLASSES)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Differences by class" in page
    assert "significant differences: glioma (−38.0 points)" in page
    assert "significant differences: glioma (−38.0 points)" in (tmp_path / "report" / "report.md").read_text()
