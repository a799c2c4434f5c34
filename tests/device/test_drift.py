"""The drift check: its rate of false alarms, what it finds, and pictures that resemble each other."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from edgekit.device import drift
from edgekit.device.drift import DRIFT, NO_DRIFT, PREDICTED, UNDECIDED, Verdict, Window, judged
from edgekit.device.failures import DeviceError
from edgekit.device.picture_statistics import CONFIDENCE, Reference, picture_features, read_reference
from edgekit.documents.drift_reference import DriftReference

CLASSES = 4
SHARES = np.array([0.4, 0.3, 0.29, 0.01])


def drawn(random: np.random.Generator, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features and classes of ``count`` independent pictures; the confidence has many ties, as int8 outputs have."""
    values = {name: random.normal(100, 20, count) for name in ("brightness", "contrast", "sharpness", "warmth")}
    values[CONFIDENCE] = np.round(np.minimum(1, random.beta(8, 1, count) * 1.05) * 256) / 256
    return values, random.choice(CLASSES, count, p=SHARES)


def reference(random: np.random.Generator, count: int = 300) -> Reference:
    values, predicted = drawn(random, count)
    return Reference("0", count, values, np.bincount(predicted, minlength=CLASSES))


def alarms(n_windows: int, size: int = 200) -> int:
    random = np.random.default_rng(7)
    found = 0
    for _ in range(n_windows):
        values, predicted = drawn(random, size)
        found += judged(reference(random), values, predicted, random).status == DRIFT
    return found


def test_rate_of_false_alarms(monkeypatch):
    """At a rate that a short test can count. Of 250 windows, 25 are expected, more than 42 in 1 of 3,000 tests."""
    monkeypatch.setattr(drift, "FALSE_ALARMS", 0.1)
    monkeypatch.setattr(drift, "RANDOM_TABLES", 2_000)
    assert 5 <= alarms(250) <= 42


@pytest.mark.slow
def test_rate_of_false_alarms_as_it_is():
    """5,000 windows: 5 expected, more than 14 in 1 of 4,000 such tests."""
    assert alarms(5_000) <= 14


@pytest.mark.parametrize("changed", ["brightness", CONFIDENCE, PREDICTED])
def test_planted_changes_are_found_and_named(changed):
    random = np.random.default_rng(1)
    values, predicted = drawn(random, 200)
    if changed == PREDICTED:
        predicted = random.choice(CLASSES, 200, p=SHARES[[2, 1, 3, 0]])
    else:
        values[changed] = values[changed] * 0.8
    names = ["cat", "dog", "cow", "emu"]
    verdict = judged(reference(random), values, predicted, random, names)
    assert verdict.status == DRIFT
    assert [one.name for one in verdict.findings if one.drifted] == [changed]
    assert verdict.sentence().startswith(f"drift in {changed} (")
    if changed == PREDICTED:
        assert "emu 3" in verdict.sentence()
        assert "test split" in verdict.sentence()


def correlated(random: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """A first-order autoregressive series with the distribution of the features above."""
    series, last = np.empty(count), random.normal()
    for number, step in enumerate(random.normal(0, np.sqrt(1 - correlation**2), count)):
        last = correlation * last + step
        series[number] = last
    return 100 + 20 * series


def alarms_of_series(n_windows: int, correlation: float) -> int:
    random = np.random.default_rng(11)
    found = 0
    for _ in range(n_windows):
        values, predicted = drawn(random, 1000)
        for name in ("brightness", "contrast", "sharpness", "warmth"):
            values[name] = correlated(random, 1000, correlation)
        found += judged(reference(random), values, predicted, random).status == DRIFT
    return found


def test_few_false_alarms_when_pictures_resemble_their_neighbours(monkeypatch):
    """Without thinning, most windows raise an alarm."""
    monkeypatch.setattr(drift, "RANDOM_TABLES", 2_000)
    monkeypatch.setattr(drift, "FALSE_ALARMS", 0.02)
    assert alarms_of_series(60, 0.9) <= 6
    monkeypatch.setattr(drift, "thinning", lambda series, predicted: 1)
    assert alarms_of_series(20, 0.9) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_rate_of_false_alarms_of_series(correlation):
    """1,500 windows: 1.5 expected, more than 7 in 1 of 2,000 such tests."""
    assert alarms_of_series(1_500, correlation) <= 7


def test_a_scene_that_stays_the_same_decides_nothing():
    random = np.random.default_rng(0)
    slow = np.repeat(random.normal(100, 20, 4), 50)
    verdict = judged(
        reference(random), {"brightness": slow, CONFIDENCE: slow / 200}, np.repeat([0, 1, 0, 1], 50), random
    )
    assert verdict.status == UNDECIDED
    assert "resemble each other too much" in verdict.sentence()


def test_tests_agree_with_scipy():
    random = np.random.default_rng(5)
    first, second = random.normal(0, 1, 150), random.normal(0.3, 1, 200)
    distance, p = drift.kolmogorov_smirnov(first, second)
    found = stats.ks_2samp(first, second, method="exact")
    assert distance == pytest.approx(found.statistic)
    assert p == pytest.approx(found.pvalue, rel=0.1)
    a, b = np.array([60, 30, 10, 0]), np.array([40, 40, 19, 1])
    _, p = drift.homogeneity(a, b, random)
    assert p == pytest.approx(stats.chi2_contingency(np.stack([a, b])[:, :3]).pvalue, rel=0.5)
    assert drift.kolmogorov_smirnov(first, first) == (0.0, 1.0)
    assert drift.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_window_judges_each_picture_once():
    random = np.random.default_rng(2)
    window = Window(reference(random), 50, seed=0)
    values, predicted = drawn(random, 100)
    verdicts = [window.add({name: series[i] for name, series in values.items()}, int(predicted[i])) for i in range(100)]
    found = [verdict for verdict in verdicts if verdict is not None]
    assert [verdict.status for verdict in found] == [NO_DRIFT] * 2
    assert found[0].sentence() == f"no drift seen ({found[0].n_used} pictures compared with the test split)"
    assert isinstance(found[0], Verdict)
    assert len(window) == 0


def test_features_are_those_of_the_picture():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 0] = 200
    assert picture_features(pixels) == {
        "brightness": pytest.approx(59.8), "contrast": 0.0, "sharpness": 0.0, "saturation": 200.0, "warmth": 200.0,
    }  # fmt: skip
    stripes = np.zeros((4, 6, 1), np.uint8)
    stripes[:, ::2] = 100
    assert picture_features(stripes) == {"brightness": 50.0, "contrast": 50.0, "sharpness": 50.0}


def test_the_device_reads_what_the_host_writes(tmp_path):
    document = DriftReference(
        model_sha256="ab", n_images=2, values={"brightness": (1.0, 2.5), CONFIDENCE: (0.5, 1.0)}, predicted=(2, 0)
    )
    document.write(tmp_path / "statistics.json")
    found = read_reference(tmp_path / "statistics.json")
    assert (found.model_sha256, found.n_images, found.predicted.tolist()) == ("ab", 2, [2, 0])
    assert found.values["brightness"].tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2}, {"n_images": 3}, {"predicted": [1, 2]}, {"predicted": "x"}, {"values": {}},
        {"values": {"confidence": [0.5, float("nan")]}}, {"values": [1]}, {"n_images": 10**400},
    ],
)  # fmt: skip
def test_damaged_statistics_are_refused(tmp_path, change):
    good = {
        "schema_version": 1, "model_sha256": "a", "n_images": 2, "values": {"confidence": [0.5, 1.0]}, "predicted": [2],
    }  # fmt: skip
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(DeviceError, match="cannot use the statistics"):
        read_reference(path)
