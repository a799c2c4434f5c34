"""Claims about ways of training: accuracy, loss and corrupted images, paired by image and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_factory import recipe_of
from report_factory import predictions, write_run, write_study
from test_claims import same_images

from edgekit.documents.corruptions import CLEAN, Store
from edgekit.documents.folders import RunFolder
from edgekit.documents.report_findings import JudgedClaim
from edgekit.errors import InputError
from edgekit.recipe import load_recipe, validate
from edgekit.report.build import build_report
from edgekit.report.model.report import compose
from edgekit.report.model.source import read_source
from edgekit.stats.classification import classification_metrics, cross_entropy

N = 400
LABELS = np.arange(N, dtype=np.int32) % 4
FILES = [f"{i}.jpg" for i in range(N)]
REPORTED = [
    {"backbone": "mobilenetv2", "strategy": "fine-tuning", "arm": arm, "val_accuracy": accuracy, "val_loss": loss}
    | {"n_samples": 180, "source": "jellyfish study"}
    for arm, accuracy, loss in (("basic", 0.4111, 1.4373), ("mixed", 0.4722, 1.3127))
]


def claim(metric: str, relation: str, **more: Any) -> dict[str, Any]:
    return {
        "text": metric,
        "metric": metric,
        "left": {"arm": "mixed"},
        "relation": relation,
        "right": {"arm": "basic"},
    } | more


def show(run: RunFolder, key: str, clean: float, corrupted: dict[str, float], seed: int) -> None:
    """Predictions with that share of correct ones, the same at two severities."""
    store = Store(run, "local", key)
    store.open(model_sha256=key, seed=0, n_samples=1, dataset_sha256="0")
    store.write(CLEAN, [0], LABELS, FILES, [predictions(LABELS, 4, clean, np.random.default_rng(seed))])
    for name, accuracy in corrupted.items():
        layer = predictions(LABELS, 4, accuracy, np.random.default_rng([seed, len(name)]))
        store.write(name, [1, 3], LABELS, FILES, np.stack([layer] * 2))


def study_of_arms(folder: Path, claims: list[dict[str, Any]], seeds: int = 3) -> list[JudgedClaim]:
    """Mixed: 5 points better on clean images, 20 under haze, none under noise; int8 loses 20 points under haze."""
    cells = []
    for arm, clean, haze in (("basic", 0.85, 0.6), ("mixed", 0.9, 0.8)):
        for seed in range(seeds):
            place = folder / "runs" / f"{arm}-{seed}"
            run = write_run(place, strategy="fine-tuning", seed=seed, accuracy=clean, n_test=N, arm=arm)
            same_images(run)
            show(run, "keras", clean, {"haze": haze, "gaussian-noise": 0.7}, seed)
            show(run, "tflite-fp32", clean, {"haze": haze, "gaussian-noise": 0.7}, seed)
            show(run, "tflite-int8", clean, {"haze": haze - 0.2, "gaussian-noise": 0.7}, seed)
            cells.append((run, "exported"))
    write_study(folder, cells, recipe_of(claims=claims, reported=REPORTED))
    return compose(read_source(folder), "2026-11-22", "0.1.0").claims


def test_an_arm_is_judged_on_clean_and_on_corrupted_images(tmp_path: Path) -> None:
    accuracy, far, loss, haze, noise, both, lost = study_of_arms(
        tmp_path,
        [
            claim("accuracy", "above"),
            claim("accuracy", "above", margin=20),
            claim("loss", "below"),
            claim("corrupted_accuracy", "above", corruptions=["haze"]),
            claim("corrupted_accuracy", "above", corruptions=["gaussian-noise"]),
            claim("corrupted_accuracy", "above"),
            claim("accuracy_lost", "below"),
        ],
    )
    assert [accuracy.verdict, far.verdict, loss.verdict] == ["supported", "refuted", "supported"]
    assert accuracy.pairs[0].effect == pytest.approx(5)
    assert [haze.verdict, noise.verdict, both.verdict] == ["supported", "undecided", "supported"]
    assert haze.pairs[0].effect == pytest.approx(20)
    assert haze.pairs[0].basis == "3 seeds, 400 images, 2 conditions"
    assert both.pairs[0].effect == pytest.approx(10)
    # 5 points more on clean images and 10 on corrupted ones: 5 less are lost.
    assert lost.pairs[0].effect == pytest.approx(-5)
    low, high = lost.pairs[0].effect_ci95
    assert low < -5 < high


def test_the_reported_effect_stands_beside_and_is_said_to_be_of_validation(tmp_path: Path) -> None:
    accuracy, loss = study_of_arms(tmp_path, [claim("accuracy", "above"), claim("loss", "below")], seeds=1)
    (pair,) = accuracy.pairs
    assert pair.reported_effect == pytest.approx(6.11, abs=0.01)
    assert pair.reported_effect_ci95 == pytest.approx([-4.1, 16.1], abs=0.3)
    assert pair.reported_source == "jellyfish study, validation"
    (pair,) = loss.pairs
    assert (loss.unit, loss.relation) == ("nats", "difference below 0 nats")
    assert pair.reported_effect == pytest.approx(1.3127 - 1.4373)
    assert pair.reported_effect_ci95 is None
    page = page_text(tmp_path)
    assert "jellyfish study, validation" in page
    assert "41.1" in page
    assert "loss 1.437" in page
    assert "−0.125" in page


def page_text(folder: Path) -> str:
    build_report(folder)
    return (folder / "report" / "report.html").read_text(encoding="utf-8")


def test_int8_is_judged_against_fp32_in_every_arm(tmp_path: Path) -> None:
    files = {"left": {"file": "tflite-int8"}, "right": {"file": "tflite-fp32"}}
    loose, strict, under_noise = study_of_arms(
        tmp_path,
        [
            claim("accuracy_lost", "not-above", margin=15, **files),
            claim("accuracy_lost", "not-above", margin=5, **files),
            claim("accuracy_lost", "not-above", margin=1, corruptions=["gaussian-noise"], **files),
        ],
    )
    assert [pair.left for pair in loose.pairs] == [
        f"MobileNetV2, fine-tuning, {arm}, tflite-int8" for arm in ("basic", "mixed")
    ]
    assert loose.verdict == "supported"
    assert strict.verdict == "refuted"
    assert strict.pairs[0].effect == pytest.approx(10)  # 20 points under one of two corruptions
    # Not one image differs; 400 images show that to about half a point.
    assert under_noise.verdict == "supported"
    low, high = under_noise.pairs[0].effect_ci95
    assert low < 0 < high < 1


def test_a_corruption_that_was_not_shown_is_not_judged(tmp_path: Path) -> None:
    (judged,) = study_of_arms(tmp_path, [claim("corrupted_accuracy", "above", corruptions=["haze", "fog"])], seeds=1)
    assert judged.verdict == "undecided"
    assert judged.reason.startswith("not measured: MobileNetV2, fine-tuning, mixed, Keras")


def test_the_loss_of_images_averages_to_the_log_loss() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), N).astype(np.float32)
    probabilities[0] = (0, 1, 0, 0)
    expected = classification_metrics(LABELS, probabilities, list("abcd"))["log_loss"]
    assert cross_entropy(LABELS, probabilities).mean() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"claims": [claim("loss", "below", left={"file": "tflite-int8"})]}, "leave out file"),
        ({"claims": [claim("accuracy", "above", corruptions=["haze"])]}, "corruptions require the metric"),
        ({"claims": [claim("accuracy_lost", "above", corruptions=["hase"])]}, "did you mean 'haze'"),
        ({"claims": [claim("loss", "below", margin=-0.1)]}, "must be 0 nats or more"),
        ({"claims": [claim("accuracy_lost", "below", margin=101)]}, "0 to 100 points"),
        (
            {"reported": [{"backbone": "vgg16", "strategy": "fine-tuning", "n_samples": 9, "source": "x"}]},
            "val_accuracy",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate(document, "test")


@pytest.mark.parametrize("name", ["jellyfish", "small-data"])
def test_the_shipped_claims_are_about_the_arms_and_files_of_their_recipe(name: str) -> None:
    recipe = load_recipe(name)
    assert len(recipe.claims) == 10
    sides = [side for one in recipe.claims for side in (one.left, one.right)]
    assert {side.arm for side in sides} == {None, *recipe.compare.arms}
    assert {side.file for side in sides} - {None} <= set(recipe.export.files)
    assert {row.val_accuracy for row in recipe.reported} == ({0.4111, 0.4722} if name == "jellyfish" else set())


def test_a_finished_study_can_be_judged_by_the_claims_of_another_recipe(tmp_path: Path) -> None:
    study_of_arms(tmp_path / "study", [], seeds=2)
    stored = (tmp_path / "study" / "study.json").read_bytes()
    newer = validate({"claims": [claim("accuracy", "above")], "reported": REPORTED}, "test")
    document = build_report(tmp_path / "study", claims=newer)
    assert [one.verdict for one in document.claims] == ["supported"]
    assert document.claims[0].pairs[0].reported_effect == pytest.approx(6.11, abs=0.01)
    assert (tmp_path / "study" / "study.json").read_bytes() == stored
