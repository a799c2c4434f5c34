"""The figures of a classifier against values worked out by hand or by scikit-learn from the definition."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.documents.run import SplitMetrics
from edgekit.stats.classification import classification_metrics, expected_calibration_error
from edgekit.train.figures import confusion_figure

NAMES = ("ant", "bee", "cat")
#                     true: ant  ant  ant  bee  bee  cat
LABELS = np.array([0, 0, 0, 1, 1, 2], np.int32)
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.5, 0.4, 0.1], [0.3, 0.3, 0.4]], np.float32
)


def test_figures_worked_out_by_hand():
    metrics = classification_metrics(LABELS, PROBABILITIES, NAMES)
    assert metrics["confusion"] == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["n_samples"] == 6
    by_name = {row["label"]: row for row in metrics["per_class"]}
    assert by_name["ant"] == {
        "label": "ant",
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "support": 3,
    }
    assert by_name["bee"]["precision"] == pytest.approx(1 / 2)
    assert by_name["cat"]["f1"] == 1.0
    assert metrics["macro_precision"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert metrics["macro_recall"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    chosen = (0.8, 0.6, 0.2, 0.9, 0.4, 0.4)
    assert metrics["log_loss"] == pytest.approx(-sum(map(math.log, chosen)) / 6, rel=1e-5)


def test_the_interval_is_wilsons():
    z, n, p = 1.959964, 6, 4 / 6
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = classification_metrics(LABELS, PROBABILITIES, NAMES)["accuracy_ci95"]
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_the_calibration_error_is_the_published_one():
    # Confidence 0.8 right, 0.6 right, 0.7 wrong, 0.9 right, 0.5 wrong, 0.4 right; with five bins, (0.6, 0.8] holds
    # 0.8 and 0.7, (0.4, 0.6] holds 0.6 and 0.5, (0.8, 1] holds 0.9, (0.2, 0.4] holds 0.4 (Guo et al. 2017, eq. 3).
    expected = (2 / 6) * abs(0.5 - 0.75) + (2 / 6) * abs(0.5 - 0.55) + (1 / 6) * abs(1 - 0.9) + (1 / 6) * abs(1 - 0.4)
    exact = PROBABILITIES.astype(np.float64).round(1)
    assert expected_calibration_error(LABELS, exact, bins=5) == pytest.approx(expected)


def test_the_calibration_error_of_a_perfect_and_of_a_boastful_network():
    sure = np.eye(3, dtype=np.float32)[LABELS]
    assert expected_calibration_error(LABELS, sure) == 0.0
    assert expected_calibration_error((LABELS + 1) % 3, sure) == 1.0


def straight_forward_ece(labels, probabilities, bins):
    """The definition, bin by bin, image by image."""
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [i for i, row in enumerate(probabilities) if low < max(row) <= high]
        if inside:
            accuracy = sum(int(np.argmax(probabilities[i])) == labels[i] for i in inside) / len(inside)
            confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), classes=st.integers(2, 6))
def test_random_networks_agree_with_the_definitions(seed, n, classes):
    from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    probabilities = random.dirichlet(np.full(classes, 0.4), n).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    metrics = classification_metrics(labels, probabilities, [str(c) for c in range(classes)])
    everything = {"labels": range(classes), "average": "macro", "zero_division": 0}
    assert metrics["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, predicted, **everything))
    assert metrics["macro_precision"] == pytest.approx(precision_score(labels, predicted, **everything))
    assert metrics["macro_recall"] == pytest.approx(recall_score(labels, predicted, **everything))
    normalised = probabilities.astype(np.float64)
    normalised /= normalised.sum(axis=1, keepdims=True)
    assert metrics["log_loss"] == pytest.approx(log_loss(labels, normalised, labels=range(classes)))
    assert metrics["ece"] == pytest.approx(straight_forward_ece(labels, probabilities, 15), abs=1e-6)
    assert np.sum(metrics["confusion"]) == n
    assert np.sum(metrics["confusion"], axis=1).tolist() == [c["support"] for c in metrics["per_class"]]
    json.dumps(metrics, allow_nan=False)


def test_a_class_that_does_not_occur_counts_as_zero_and_not_as_nan():
    metrics = classification_metrics(np.array([0, 1]), np.eye(3, dtype=np.float32)[:2], NAMES)
    assert metrics["per_class"][2] == {"label": "cat", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert metrics["macro_f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_has_no_accuracy(value):
    broken = PROBABILITIES.copy()
    broken[3, 1] = value
    with pytest.raises(ValueError, match="NaN"):
        classification_metrics(LABELS, broken, NAMES)


def test_very_many_classes_have_entries_instead_of_a_matrix():
    """A matrix of 10,000 classes would be 800 MB, and as JSON 200 MB in every run."""
    n_classes = 10_000
    labels = np.arange(300) * 33
    probabilities = np.zeros((300, n_classes), np.float32)
    predicted = np.where(np.arange(300) % 3 == 0, labels + 1, labels)
    probabilities[np.arange(300), predicted] = 1.0
    names = [str(c) for c in range(n_classes)]
    metrics = classification_metrics(labels, probabilities, names)
    assert metrics["confusion"] == []
    assert len(metrics["confusion_entries"]) == 300
    assert sum(n for *_, n in metrics["confusion_entries"]) == 300
    record = SplitMetrics.model_validate(metrics)
    assert len(record.confused()) == 100
    assert record.confused()[0] == (0, 1, 1)


def test_the_figure_of_very_many_classes_is_no_larger_than_a_page(tmp_path):
    """With half an inch for each class, a few hundred classes were more than a PNG may have."""
    labels = np.repeat(np.arange(700), 2)
    metrics = classification_metrics(labels, np.eye(700, dtype=np.float32)[labels], [f"class {c}" for c in range(700)])
    confusion_figure(SplitMetrics.model_validate(metrics), tmp_path / "confusion.png")
    assert max(Image.open(tmp_path / "confusion.png").size) < 3000
