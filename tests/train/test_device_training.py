"""Training on data that is on the device equals training on batches that the host prepares, and resumes exactly.

A CPU takes the part of the device. The tests run under the Keras backend of the process, and once more in a process of
their own under every other one that is installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from listeners import StopsAt
from test_phases import AUGMENT, Job, make_job
from train_helpers import REPOSITORY

from edgekit.recipe import validate

TOLERANCE = 1e-4
MIX = {"mixup": {"probability": 0.4}, "cutmix": {"probability": 0.4}}
ERASE = {**AUGMENT, "erasing": 0.5}


@pytest.fixture
def job(tmp_path):
    """``job(batches="device", ...)``: a job on a stand-in for an accelerator, in a folder of its own."""
    numbers = itertools.count()

    def make(strategy: str = "from-scratch", epochs: int = 2, batches: str = "device", **train: Any) -> Job:
        made = make_job(tmp_path / f"job-{next(numbers)}", strategy, epochs, batches=batches, **train)
        made.on_accelerator = True
        return made

    return make


def assert_equal(one: Job, other: Job, tolerance: float = TOLERANCE) -> None:
    """The same history and, where no rounding error can grow, the same weights."""
    assert one.values == pytest.approx(other.values, abs=tolerance)
    for path, value in other.weights.items():
        assert np.allclose(one.weights[path], value, atol=tolerance), path


def test_the_device_sees_the_images_that_the_host_prepares(job):
    """The same order, random numbers, pairs, targets and weights, in several steps per dispatch and a smaller batch."""
    settings = {"augment": ERASE, "mix": MIX, "class_weights": "balanced", "label_smoothing": 0.1}
    on_host, on_device = job(batches="host", **settings).go(), job(**settings).go()
    assert on_device.values == pytest.approx(on_host.values, abs=2e-3)
    assert on_device.predict("val")[1] == pytest.approx(on_host.predict("val")[1], abs=5e-3)


def test_views_on_the_device_equal_training_that_computes_every_layer(job):
    stage = {"epochs": 2, "learning_rate": 1e-2, "last_layers": 3, "view_storage": "float32"}
    plain = job("fine-tuning", augment=AUGMENT, fine_tuning=stage).go()
    stored = job("fine-tuning", augment=AUGMENT, fine_tuning={**stage, "views": 2}).go()
    assert stored.records[1].stored_layer == "relu_1"
    assert list(stored.folder.glob("features-*")) == []
    assert_equal(stored, plain)


def test_data_that_does_not_fit_is_copied_in_chunks(job, monkeypatch):
    """One batch at a time from the host, and stored outputs on the disk; the results are the same."""
    stage = {"epochs": 2, "learning_rate": 1e-2, "last_layers": 3, "view_storage": "float32", "views": 2}
    settings = {"augment": AUGMENT, "feature_extraction": {"epochs": 2, "views": 2}, "fine_tuning": stage}
    resident = job("fine-tuning", **settings).go()
    from edgekit.train import device_data, fitting, frozen_layers, head_features

    for module in (device_data, frozen_layers, head_features):
        monkeypatch.setattr(module, "fits", lambda *_: False)
    monkeypatch.setattr(fitting, "CHUNK_BYTES", 40_000)
    streamed = job("fine-tuning", **settings).go()
    names = {path.name for path in streamed.folder.glob("features-*")}
    assert {"features-train-view1.npy", "features-frozen-train-view1.npy", "features-frozen-val.npy"} <= names
    assert_equal(streamed, resident)


@pytest.mark.parametrize("text", ["feature-extraction  2/2", "fine-tuning  1/2"])
def test_an_interrupted_run_resumes_to_the_same_weights(job, text):
    settings = {"augment": AUGMENT, "fine_tuning": {"epochs": 2, "learning_rate": 1e-2, "last_layers": 3, "views": 2}}
    whole, other = job("fine-tuning", **settings).go(), job("fine-tuning", **settings)
    with pytest.raises(KeyboardInterrupt):
        other.go(StopsAt(text))
    done = len(other.values)
    assert 0 < done < 4
    seconds = [row.seconds for rows in other.history.values() for row in rows]
    other.go()
    assert [row.seconds for rows in other.history.values() for row in rows][:done] == seconds
    assert_equal(other, whole, 1e-6)


def test_the_learning_rate_is_lowered_between_epochs(job):
    """At such a low rate, and without the statistics of BatchNorm, the validation loss cannot improve."""
    settings = {"reduce_lr": {"patience": 1, "factor": 0.5, "min_learning_rate": 0.0}, "plain_head": True}
    done = job("feature-extraction", 3, rate=1e-9, early_stopping={"enabled": False}, **settings).go()
    assert done.column("learning_rate") == pytest.approx([1e-9, 1e-9, 5e-10])


@pytest.mark.parametrize("chosen", ["interrupted and fine", pytest.param("", marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_under_every_backend(backend, chosen):
    """An interrupted run on stored views; with the slow tests, all of them."""
    import keras

    if backend == keras.backend.backend() or "EDGEKIT_TESTED_BACKEND" in os.environ:
        pytest.skip("these are the tests above")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", __file__, "-k", chosen],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "EDGEKIT_TESTED_BACKEND": backend,
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("n_images", "batch_size", "most_steps", "lengths"),
    [
        (64, 32, 100, [(2, 32)]),
        (70, 32, 100, [(2, 32), (1, 6)]),
        (20, 32, 100, [(1, 20)]),
        (160 * 32, 32, 100, [(80, 32)] * 2),
        (157 * 2, 2, 100, [(78, 2), (78, 2), (1, 2)]),
        (7, 2, 1, [(1, 2), (1, 2), (1, 2), (1, 1)]),
    ],
)
def test_an_epoch_is_divided_into_few_lengths(n_images, batch_size, most_steps, lengths):
    from edgekit.train.device_engine import chunks_of

    chunks = chunks_of(n_images, batch_size, most_steps)
    assert [(chunk.steps, chunk.batch_size) for chunk in chunks] == lengths
    assert [chunk.start for chunk in chunks] == list(
        itertools.accumulate((chunk.n_images for chunk in chunks[:-1]), initial=0)
    )
    assert sum(chunk.n_images for chunk in chunks) == n_images


def test_where_batches_are_put_together_is_a_setting():
    from edgekit.train.backend import Backend
    from edgekit.train.device_engine import engine_of

    cpu, gpu = Backend("tensorflow", None), Backend("tensorflow", "GPU")
    assert validate({}, "test").train.batches == "auto"
    assert engine_of(cpu, "auto") is None
    assert engine_of(gpu, "host") is None


def test_mixed_precision_trains_float32_weights_to_nearly_the_same(job):
    import keras

    stage = {"epochs": 2, "learning_rate": 1e-3, "dropout": 0.0}  # TensorFlow draws other masks in bfloat16
    plain, mixed = job(from_scratch=stage), job(from_scratch=stage, precision="mixed_bfloat16")
    plain.go()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed.go()
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in mixed.network.layers} >= {"bfloat16"}
    assert {value.dtype for value in mixed.weights.values()} == {np.dtype(np.float32)}
    assert mixed.values[:, 0] == pytest.approx(plain.values[:, 0], rel=0.05)
