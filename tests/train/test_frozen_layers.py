"""Fine-tuning on stored outputs of the frozen layers equals fine-tuning that computes every layer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from listeners import StopsAt, Told
from test_phases import AUGMENT, Job, make_job
from train_helpers import REPOSITORY, pixels_in_memory, tiny_network

from edgekit.errors import InputError
from edgekit.recipe import validate
from edgekit.support.progress import Progress

STAGE: dict[str, Any] = {"epochs": 3, "learning_rate": 1e-2, "last_layers": 3}


@pytest.fixture
def tune(tmp_path):
    """``tune("name", views=2)``: a job of fine-tuning with these settings, in a folder of that name."""

    def make(name: str, augment: dict[str, Any] | None = None, **fine_tuning: Any) -> Job:
        augment = AUGMENT if augment is None else augment
        return make_job(tmp_path / name, "fine-tuning", 2, augment=augment, fine_tuning={**STAGE, **fine_tuning})

    return make


def difference(a: Job, b: Job) -> float:
    return max(float(np.abs(a.weights[path] - value).max()) for path, value in b.weights.items())


def stored(job: Job) -> list[str]:
    return sorted(path.name for path in job.folder.glob("features-frozen-*"))


def test_as_many_views_as_epochs_equal_training_that_computes_every_layer(tune):
    """Exactly, if they are stored in float32; and the network learns."""
    plain, exact, half = (
        tune("plain").go(),
        tune("exact", views=3, view_storage="float32").go(),
        tune("half", views=3).go(),
    )
    assert difference(exact, plain) == 0
    assert np.array_equal(exact.values, plain.values)
    assert 0 < difference(half, plain) < 0.05
    for loss in ("loss", "val_loss"):
        assert half.column(loss, "fine-tuning") == pytest.approx(plain.column(loss, "fine-tuning"), abs=0.02)
    assert stored(half) == [
        f"features-frozen-{name}.npy" for name in ("train-view0", "train-view1", "train-view2", "val")
    ]
    record = half.records[1]
    assert (record.stored_layer, record.views) == ("relu_1", 3)
    assert record.feature_seconds is not None
    assert plain.records[1].stored_layer is None


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_views_equal_training_that_computes_every_layer_under(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    test = "test_as_many_views_as_epochs_equal_training_that_computes_every_layer"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_images_that_do_not_change_are_always_stored_on_a_cpu(tune, monkeypatch):
    from edgekit.train import outputs

    # A faster form of the frozen layers in feature extraction rounds differently, and training makes that larger.
    monkeypatch.setattr(outputs, "fastest_form", lambda model, **_: model)
    exact = tune("exact", {}, view_storage="float32").go()
    on_accelerator = tune("every-layer", {})
    on_accelerator.on_accelerator = True
    plain = on_accelerator.go()
    assert stored(exact) == ["features-frozen-train-view0.npy", "features-frozen-val.npy"]
    assert stored(plain) == []
    assert difference(exact, plain) == 0


def test_epochs_use_the_views_in_turn(tune):
    """With fewer views than epochs, the third epoch sees the images of the first again."""
    done = tune("two", views=2).go()
    assert stored(done)[:2] == ["features-frozen-train-view0.npy", "features-frozen-train-view1.npy"]
    first, second = (np.load(done.folder / name) for name in stored(done)[:2])
    assert first.dtype == np.float16
    assert np.load(done.folder / "features-frozen-val.npy").dtype == np.float32
    assert np.abs(first - second).max() > 0.01
    assert done.values[:4] == pytest.approx(tune("three", views=3).go().values[:4], abs=1e-6)


class StopsInBar(Progress):
    """Interrupts in the middle of a bar, and counts the bars."""

    def __init__(self, text: str) -> None:
        self._text, self.seen = text, list[str]()

    @contextmanager
    def bar(self, description, total):
        self.seen.append(description)
        with super().bar(description, total) as bar:
            if self._text and self._text in description:
                raise KeyboardInterrupt
            yield bar


def test_an_interrupted_view_is_computed_again_and_finished_ones_are_kept(tune):
    whole, other = tune("whole", views=3).go(), tune("other", views=3)
    with pytest.raises(KeyboardInterrupt):
        other.go(StopsInBar("train, view 2/3"))
    assert stored(other) == ["features-frozen-train-view0.npy", "features-frozen-val.npy"]
    bars = StopsInBar("")
    other.go(bars)
    assert [name for name in bars.seen if "frozen" in name] == [f"frozen layers of train, view {n}/3" for n in (2, 3)]
    assert other.values == pytest.approx(whole.values, abs=1e-6)


def test_an_interrupted_epoch_resumes(tune):
    whole, other = tune("whole", views=2).go(), tune("other", views=2)
    with pytest.raises(KeyboardInterrupt):
        other.go(StopsAt("fine-tuning  2/3"))
    other.go()
    assert other.values == pytest.approx(whole.values, abs=1e-6)
    assert difference(other, whole) < 1e-6


def test_views_that_do_not_fit_are_an_error_with_the_choices(tune, monkeypatch):
    with pytest.raises(InputError, match=r"3 views takes 0\.0 GB, but max_view_gb is 1e-06") as caught:
        tune("limited", views=3, max_view_gb=1e-6).go()
    assert "views=1" in str(caught.value.hint)
    assert "views=null" in str(caught.value.hint)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"but only 0\.0 GB are free"):
        tune("full", views=3).go()


def test_without_views_a_full_disk_changes_only_the_speed(tune):
    told = Told()
    plain = tune("limited", {}, max_view_gb=1e-6)
    plain.go(told)
    assert any("computes the frozen layers in every step" in line for line in told.lines)
    assert stored(plain) == []
    assert plain.values == pytest.approx(tune("stored", {}, view_storage="float32").go().values, abs=1e-6)


def test_views_have_no_effect_where_every_layer_is_trained(tune):
    told = Told()
    done = tune("all", views=2, last_layers=None, fraction=1.0)
    done.go(told)
    assert any("views has no effect" in line for line in told.lines)
    assert stored(done) == []


def test_outputs_beyond_float16_are_stored_in_float32(tune, tmp_path):
    from edgekit.train.backend import Backend
    from edgekit.train.frozen_layers import SplitNetwork, ViewStore
    from edgekit.train.run_context import RunContext

    network = tiny_network()
    network.get_layer("norm_1").gamma.assign(np.full(8, 1e6))
    split = SplitNetwork.of(network, ["conv_2"])
    dataset, pixels = pixels_in_memory({"train": (4, 4, 4), "val": (2, 2, 2), "test": (1, 1, 1)})
    rows = {name: dataset.indices(name) for name in ("train", "val")}
    told = Told()
    recipe = tune("x", views=1).recipe
    context = RunContext(recipe, network, dataset, pixels, Backend("tensorflow", None), tmp_path, lambda *_: None)
    (outputs,) = ViewStore(split, recipe, rows, tmp_path / "store").outputs(context, told).stored.views
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()
    assert any("exceed the range of float16" in line for line in told.lines)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mix": {"mixup": {"probability": 1.0}}}, "fine_tuning.views stores features of single images"),
        ({"augment": {"randaugment": 2}}, "fine_tuning.views stores features, but augment.randaugment"),
    ],
)
def test_views_of_images_that_change_in_the_step_are_an_error(settings, problem):
    with pytest.raises(InputError, match=problem):
        validate({"train": {"fine_tuning": {"views": 2}, **settings}}, "recipe")
