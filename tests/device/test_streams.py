"""Evaluation with every core on images of its own: the same predictions as one image after another."""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from modelfiles import LABELS, SIDE, colour_pixels

from edgekit.device import predictions, streams
from edgekit.device.classifier import Classifier
from edgekit.device.images import load_image
from edgekit.device.jobs import Job, JobModel
from edgekit.device.streams import ClassifierPool, classify_all, copies_in, open_pools

FILES = ["onnx/uint8.onnx", "onnx/nchw.onnx", "tflite/uint8.tflite", "tflite/quantized.tflite"]


@pytest.fixture
def model_path(onnx_models, tflite_models):
    return lambda name: str({"onnx": onnx_models, "tflite": tflite_models}[name.split("/")[0]] / name.split("/")[1])


def entry_of(path: str) -> JobModel:
    from edgekit.device.scaling import parse_scaling

    return JobModel("m", path, scaling=parse_scaling("imagenet") if path.endswith("nchw.onnx") else None)


@pytest.mark.parametrize("name", FILES)
def test_equal_to_one_image_after_another(model_path, name):
    entry = entry_of(model_path(name))
    pixels = np.stack([colour_pixels(LABELS[n % 3], n) for n in range(60)])
    alone = Classifier(entry, entry.open(1))
    expected = np.stack([alone.classify(image) for image in pixels])
    pool = open_pools([entry], 3)["m"]
    pool.first.classify(pixels[0])
    assert np.array_equal(classify_all(pool, pixels, 3), expected)


@pytest.mark.parametrize("name", FILES)
def test_copies_have_inputs_of_their_own(model_path, name):
    entry = entry_of(model_path(name))
    first = Classifier(entry, entry.open(1))
    first.classify(colour_pixels("red"))
    second = first.copy()
    assert second.decided
    first.model.set_input(first.tensor(colour_pixels("red")))
    second.model.set_input(second.tensor(colour_pixels("blue")))
    second.model.invoke()
    first.model.invoke()
    assert LABELS[int(first.probabilities().argmax())] == "red"
    assert LABELS[int(second.probabilities().argmax())] == "blue"


def test_images_of_one_model_are_classified_at_the_same_time(onnx_models, colours, monkeypatch):
    """As many as there are cores: a single model used to leave all cores but one to the threads of its runtime."""
    running, most, lock = 0, 0, threading.Lock()
    classify = Classifier.classify

    def slow(self, pixels):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        try:
            return classify(self, pixels)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(Classifier, "classify", slow)
    files = [f"{label}/{n}.png" for label in LABELS for n in range(6)] * 6
    events = run_accuracy([JobModel("m", str(onnx_models / "uint8.onnx"))], colours, files, cores=4)
    assert most == 4
    starts = [event["start"] for event in events if event["event"] == "predictions"]
    assert starts == [0, 32, 64, 96], "chunks are reported in order"


def test_images_are_decoded_once_for_all_models(onnx_models, tflite_models, colours, monkeypatch):
    decoded = []

    def counted(path, *arguments):
        decoded.append(path)
        return load_image(path, *arguments)

    monkeypatch.setattr("edgekit.device.images.load_image", counted)
    models = [
        replace(entry_of(str(path)), key=key, activation="none")
        for key, path in (("a", onnx_models / "uint8.onnx"), ("b", tflite_models / "uint8.tflite"))
    ]
    files = [f"{label}/{n}.png" for label in LABELS for n in range(6)] * 3
    events = run_accuracy(models, colours, files, cores=2)
    assert len(decoded) == len(files)
    first, second = (rows_of(events, key) for key in "ab")
    assert first.shape == second.shape == (len(files), 3)
    assert (first.argmax(axis=1) == second.argmax(axis=1)).all()


def test_a_model_that_fails_leaves_the_others_alone(onnx_models, colours):
    models = [JobModel(name, str(onnx_models / f"{name}.onnx")) for name in ("nan", "uint8")]
    files = [f"{label}/{n}.png" for label in LABELS for n in range(6)] * 5
    events = run_accuracy(models, colours, files, cores=3)
    failed = [event for event in events if event["event"] == "failed"]
    assert [event["key"] for event in failed] == ["nan"]
    assert files[0] in failed[0]["reason"]
    assert rows_of(events, "uint8").shape == (len(files), 3)


def test_memory_limits_the_copies(onnx_models, monkeypatch):
    monkeypatch.setattr(streams, "memory_available_bytes", lambda: 0)
    monkeypatch.setattr(streams, "resident_bytes", iter((0, 10**9)).__next__)
    pool = open_pools([JobModel("m", str(onnx_models / "uint8.onnx"))], 4)["m"]
    assert pool.first.model.threads == 4, "one copy gets all threads"
    with pool.borrowed():
        waiting = threading.Thread(target=lambda: pool.borrowed().__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive(), "a second thread waits for the only copy"


@pytest.mark.parametrize(
    ("available", "each", "cores", "copies"),
    [
        (None, 10**9, 4, 4),
        (0, 10**9, 4, 1),
        (2 * 10**9, 10**9, 4, 2),
        (10**12, 10**9, 4, 4),
        (10**9, 0, 8, 8),
    ],
)
def test_number_of_copies(available, each, cores, copies):
    assert copies_in(available, each, cores) == copies


def test_a_copy_that_cannot_open_is_done_without(tmp_path, tflite_models):
    """Memory was short after all, or the file is gone: the copies that are open do the work."""
    path = tmp_path / "m.tflite"
    path.write_bytes((tflite_models / "uint8.tflite").read_bytes())
    entry = JobModel("m", str(path))
    pool = ClassifierPool(Classifier(entry, entry.open(1)), 3)
    path.unlink()
    pixels = np.stack([np.zeros((SIDE, SIDE, 3), np.uint8)] * 40)
    assert classify_all(pool, pixels, 3).shape == (40, 3)


def run_accuracy(models: list[JobModel], root, files: list[str], cores: int) -> list[dict]:
    events: list[dict] = []
    predictions.accuracy(
        Job({"models": [], "threads": 0, "root": str(root), "files": files}, models, cores), events.append
    )
    return events


def rows_of(events: list[dict], key: str) -> np.ndarray:
    chunks = [event for event in events if event["event"] == "predictions" and event["key"] == key]
    return np.concatenate(
        [np.frombuffer(base64.b64decode(c["probabilities_b64"]), "<f4").reshape(-1, c["classes"]) for c in chunks]
    )
