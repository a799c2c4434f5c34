"""Figures under corruption, from stored answers whose right figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.documents.corruptions import CLEAN, Plan, Store, parse_plan, read_corrupted
from edgekit.documents.folders import RunFolder
from edgekit.errors import InputError
from edgekit.report.model.corruption_figures import figures, pairs, robustness_summary
from edgekit.stats import robustness
from edgekit.stats.claims import Region
from edgekit.stats.intervals import paired_difference_interval

N = 400
PER_WRONG = N // 200
"""Images for each of the counts below, which are of 200."""
LABELS = np.arange(N, dtype=np.int32) % 4
FILES = [f"{i}.png" for i in range(N)]


def answers(n_wrong: int, confidence: float = 0.7, first: int = 0) -> np.ndarray:
    """float32 (N, 4): the images from ``first`` on are wrong, ``n_wrong`` of them."""
    given = LABELS.copy()
    given[PER_WRONG * first : PER_WRONG * (first + n_wrong)] += 1
    probabilities = np.full((N, 4), (1 - confidence) / 3, np.float32)
    probabilities[np.arange(N), given % 4] = confidence
    return probabilities


def keep(run: RunFolder, key: str, wrong: dict[str, list[int]], first: int = 0) -> None:
    """Store answers with that many wrong ones for each severity, from 1 on; ``clean`` has one."""
    store = Store(run, "local", key)
    store.open(model_sha256=key, seed=0, n_samples=1, dataset_sha256="0")
    for name, counts in wrong.items():
        severities = [0] if name == CLEAN else list(range(1, len(counts) + 1))
        store.write(name, severities, LABELS, FILES, np.stack([answers(n, first=first) for n in counts]))


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def test_errors_are_averaged_over_severities_then_corruptions(run):
    keep(run, "keras", {CLEAN: [20], "haze": [40, 60], "jpeg": [20, 20, 50]})
    (found,) = [figures(one) for one in read_corrupted(run)]
    assert found.clean.accuracy == 0.9
    assert [one.accuracy for one in found.corruptions["jpeg"]] == pytest.approx([0.9, 0.9, 0.75])
    expected = ((0.2 + 0.3) / 2 + (0.1 + 0.1 + 0.25) / 3) / 2
    assert found.mean_corruption_error == pytest.approx(expected)
    assert found.relative_corruption_error == pytest.approx(expected - 0.1)
    assert found.clean.ece == pytest.approx(0.2)  # 70% sure, 90% right
    assert found.corruptions["haze"][1].ece == pytest.approx(0.0, abs=1e-6)
    low, high = found.corruptions["haze"][1].accuracy_ci95
    assert low < 0.7 < high


def test_int8_is_paired_with_fp32_of_its_format_image_by_image(run):
    keep(run, "tflite-fp32", {CLEAN: [10], "haze": [20, 40]})
    keep(run, "tflite-int8", {CLEAN: [12], "haze": [26, 50]})
    keep(run, "onnx-int8", {CLEAN: [10], "haze": [20, 40]})
    (pair,) = robustness_summary(run).paired  # onnx-int8 has no fp32 counterpart and there is no Keras model
    assert (pair.model, pair.reference) == ("tflite-int8", "tflite-fp32")
    assert pair.clean_loss == pytest.approx(0.01)
    assert pair.corrupted_loss == pytest.approx((0.03 + 0.05) / 2)
    assert pair.extra_loss == pytest.approx(0.03)
    extra = np.zeros(N)
    extra[20:24] = -1  # lost on clean images already
    extra[40:52] += 0.5
    extra[80:100] += 0.5
    adjusted = np.append(extra, [1, -1])
    half = 1.959964 * adjusted.std() / np.sqrt(N + 2)
    assert pair.extra_loss_ci95 == pytest.approx([adjusted.mean() - half, adjusted.mean() + half])
    assert pair.verdict == "refuted"
    assert pair.by_corruption == {"haze": pytest.approx(0.04)}


@pytest.mark.parametrize(
    ("int8_wrong", "verdict"), [([40, 60], "supported"), ([80, 100], "refuted"), ([43, 63], "undecided")]
)
def test_as_robust_is_judged_by_the_whole_interval(run, int8_wrong, verdict):
    keep(run, "tflite-fp32", {CLEAN: [10], "haze": [40, 60]})
    keep(run, "tflite-int8", {CLEAN: [10], "haze": int8_wrong})
    assert pairs(read_corrupted(run))[0].verdict == verdict


def test_with_one_condition_the_interval_is_that_of_two_paired_proportions(run):
    keep(run, "tflite-fp32", {CLEAN: [0], "haze": [20]})
    keep(run, "tflite-int8", {CLEAN: [0], "haze": [35]})
    (pair,) = pairs(read_corrupted(run))
    expected = paired_difference_interval(worse=30, better=0, n=N)
    assert pair.extra_loss_ci95 == pytest.approx(expected)


def test_a_few_images_without_a_difference_prove_nothing(run, monkeypatch):
    monkeypatch.setattr(robustness, "AS_ROBUST", Region.of("not-above", 0.005))
    keep(run, "tflite-fp32", {CLEAN: [0], "haze": [20]})
    keep(run, "tflite-int8", {CLEAN: [0], "haze": [20]})
    (pair,) = pairs(read_corrupted(run))
    assert pair.extra_loss == 0
    assert pair.verdict == "undecided"


def test_the_same_number_right_on_other_images_is_not_the_same(run):
    """Paired: forty wrong here and forty others there is a wide interval around no loss."""
    keep(run, "tflite-fp32", {CLEAN: [0], "haze": [40]})
    keep(run, "tflite-int8", {CLEAN: [0], "haze": [40]}, first=100)
    (pair,) = pairs(read_corrupted(run))
    assert pair.extra_loss == 0
    low, high = pair.extra_loss_ci95
    assert low < -0.05 < 0.05 < high
    assert pair.verdict == "undecided"


def test_what_is_stored_is_measured_anew_only_where_it_must(run):
    plan = Plan(("haze", "jpeg"), (1, 2))
    keep(run, "keras", {CLEAN: [0], "haze": [1, 2], "jpeg": [1]})
    store = Store(run, "local", "keras")
    store.open(model_sha256="keras", seed=0, n_samples=1, dataset_sha256="0")
    assert store.missing(plan) == ["jpeg"]  # severity 2 of it
    store.open(model_sha256="another model", seed=0, n_samples=1, dataset_sha256="0")
    assert store.missing(plan) == [CLEAN, "haze", "jpeg"]
    assert read_corrupted(run) == []


def test_names_groups_and_severities_are_read_or_refused():
    plan = parse_plan("sensor,haze,rotation", "5,1", 3, None)
    assert plan == Plan(("low-light", "exposure", "rotation", "haze"), (1, 5), 3, None)
    with pytest.raises(InputError, match="unknown corruption 'rain'"):
        parse_plan("haze,rain", "1", 0, None)
    for text in ("0", "6", "one", ""):
        with pytest.raises(InputError, match="severities are numbers from 1 to 5"):
            parse_plan("haze", text, 0, None)


def test_damaged_answers_are_named(run):
    keep(run, "keras", {CLEAN: [0]})
    (run.corruptions / "local" / "keras" / "haze.npz").write_bytes(b"half")
    with pytest.raises(InputError, match="damaged") as caught:
        read_corrupted(run)
    assert caught.value.where.endswith("haze.npz")
