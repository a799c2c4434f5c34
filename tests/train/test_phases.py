"""The phases and their epochs, on a network of two convolutions: what trains, when it stops, where it resumes."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listeners import StopsAt
from train_helpers import MEASURED, pixels_in_memory, tiny_network

from edgekit.documents.history import EpochResult
from edgekit.documents.run import PhaseRecord
from edgekit.errors import EdgekitError
from edgekit.recipe import Recipe, validate
from edgekit.support.progress import SILENT, Progress

TOLERANCE = 1e-5
COUNTS = {"train": (16, 16, 16), "val": (12, 12, 12), "test": (1, 1, 1)}
UNEVEN = {"train": (30, 12, 6), "val": (12, 12, 12), "test": (1, 1, 1)}


@dataclass
class Job:
    """One run of a strategy's phases; call ``go`` again to resume from the checkpoints in ``folder``."""

    folder: Path
    recipe: Recipe
    counts: dict[str, tuple[int, int, int]] = field(default_factory=lambda: COUNTS)
    history: dict[str, list[EpochResult]] = field(default_factory=dict)
    records: list[PhaseRecord] = field(default_factory=list)
    network: Any = None
    plain_head: bool = False
    on_accelerator: bool = False

    def go(self, progress: Progress = SILENT) -> Job:
        from edgekit.train.backend import prepare_backend

        backend = prepare_backend("cpu")
        if self.on_accelerator:  # the way of a GPU, walked by the CPU
            backend = replace(backend, accelerator="stand-in")
        from edgekit.train.phases import STRATEGY_PHASES
        from edgekit.train.run_context import RunContext

        self.network = tiny_network(self.recipe.train.seed, plain_head=self.plain_head)
        dataset, pixels = pixels_in_memory(self.counts)
        context = RunContext(self.recipe, self.network, dataset, pixels, backend, self.folder, self._keep)
        self.records = [phase(context, progress) for phase in STRATEGY_PHASES[self.recipe.train.strategy]]
        return self

    def _keep(self, phase: str, epochs: list[EpochResult]) -> None:
        self.history[phase] = list(epochs)

    @property
    def values(self) -> np.ndarray:
        """(epochs, 5): what was measured in every epoch of all phases."""
        return np.array([[getattr(row, name) for name in MEASURED] for rows in self.history.values() for row in rows])

    def column(self, name: str, phase: str = "feature-extraction") -> list[float]:
        return [getattr(row, name) for row in self.history[phase]]

    @property
    def weights(self) -> dict[str, np.ndarray]:
        import keras

        return {weight.path: keras.ops.convert_to_numpy(weight) for weight in self.network.weights}

    def predict(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N,) and the network's probabilities (N, 3) now."""
        dataset, pixels = pixels_in_memory(self.counts)
        rows = dataset.indices(split)
        import keras

        found = self.network(pixels[rows].astype(np.float32), training=False)
        return dataset.labels[rows], keras.ops.convert_to_numpy(found).astype(np.float64)


def make_job(
    folder: Path, strategy="feature-extraction", epochs=3, rate=1e-2, counts=COUNTS, plain_head=False, **train
):
    stage = {"epochs": epochs, "learning_rate": rate}
    document = {
        "data": {"image_size": 32},
        "model": {"weights": "none"},
        "train": {
            "strategy": strategy,
            "batch_size": 10,
            "feature_extraction": stage,
            "fine_tuning": {**stage, "last_layers": 3},
            "from_scratch": stage,
            **train,
        },
    }
    return Job(folder, validate(document, "test"), counts, plain_head=plain_head)


@pytest.fixture
def job(tmp_path):
    """``job(strategy="fine-tuning", epochs=4, ...)``: a job in a folder of its own."""
    numbers = itertools.count()
    return lambda *args, **settings: make_job(tmp_path / f"job-{next(numbers)}", *args, **settings)


AUGMENT = {"flip": "both", "zoom": 0.2, "brightness": 0.2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two uninterrupted fine-tuning jobs, on stored features and with augmentation."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        "plain": make_job(folder / "plain", "fine-tuning").go(),
        "augmented": make_job(folder / "augmented", "fine-tuning", augment=AUGMENT).go(),
    }


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """Layers with at least one weight that changed."""
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


HEAD = {"head_dense", "head_batchnorm", "probabilities"}


@pytest.mark.parametrize(
    ("strategy", "settings", "trained"),
    [
        ("feature-extraction", {}, HEAD),
        ("fine-tuning", {}, HEAD | {"conv_2"}),
        ("fine-tuning", {"train_batchnorm": True}, HEAD | {"conv_2", "norm_2"}),
        ("from-scratch", {}, HEAD | {"conv_1", "norm_1", "conv_2", "norm_2"}),
    ],
)
def test_every_strategy_trains_exactly_its_layers(job, strategy, settings, trained):
    """The weights of BatchNorm include its moving statistics, which frozen layers keep."""
    before = {weight.path: np.asarray(weight) for weight in tiny_network().weights}
    stage = {"epochs": 1, "learning_rate": 1e-2, "last_layers": 3}
    done = job(strategy, epochs=1, fine_tuning={**stage, **settings}).go()
    assert moved(before, done.weights) == trained
    assert done.records[-1].trainable_layers == len(trained)
    assert [record.name for record in done.records] == list(done.history)


def test_training_on_stored_features_equals_training_on_images(job):
    """A brightness change too small to alter any pixel sends the images through the backbone in every step."""
    on_features, on_images = job(epochs=2).go(), job(epochs=2, augment={"brightness": 1e-12}).go()
    assert sorted(p.name for p in on_features.folder.glob("features-*")) == ["features-train.npy", "features-val.npy"]
    assert sorted(p.name for p in on_images.folder.glob("features-*")) == ["features-val.npy"]
    assert on_images.values == pytest.approx(on_features.values, abs=1e-3)
    # Not the weights: Adam takes full steps even where a gradient is only rounding error.
    assert on_images.predict("val")[1] == pytest.approx(on_features.predict("val")[1], abs=2e-3)


def test_views_are_computed_once_and_used_in_turn(job):
    """The first view is unchanged. A resumed job uses the views that were stored."""
    settings = {"augment": AUGMENT, "feature_extraction": {"epochs": 4, "learning_rate": 1e-2, "views": 2}}
    bars, plain, viewed, other = Bars(), job(epochs=1).go(), job(**settings), job(**settings)
    viewed.go(bars)
    assert sum(name.startswith("features") for name in bars.seen) == 3
    names = [f"features-{name}.npy" for name in ("train-view1", "train", "val")]
    assert sorted(p.name for p in viewed.folder.glob("features-*")) == names
    assert viewed.values[0] == pytest.approx(plain.values[0], abs=TOLERANCE)
    first, second = (np.load(viewed.folder / name) for name in names[1::-1])
    assert first.shape == second.shape
    assert np.abs(first - second).max() > 0.01
    assert interrupted(other, "feature-extraction  1/4") == 1
    other.go()
    assert other.values == pytest.approx(viewed.values, abs=TOLERANCE)


class Bars(Progress):
    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def bar(self, description, total):
        self.seen.append(description)
        with super().bar(description, total) as bar:
            yield bar


def test_features_are_computed_once_however_many_epochs_there_are(job):
    bars = Bars()
    job(epochs=3).go(bars)
    assert [name for name in bars.seen if name.startswith("features")] == ["features of val", "features of train"]
    assert [name for name in bars.seen if "extraction" in name] == [f"feature-extraction {n}/3" for n in (1, 2, 3)]


def test_the_seed_decides_the_result(job, whole):
    again, other = (job(augment=AUGMENT, seed=seed).go() for seed in (0, 1))
    first = whole["augmented"].values[:3]
    assert again.values == pytest.approx(first, abs=TOLERANCE)
    assert not np.allclose(other.values[:, 0], first[:, 0], atol=1e-3)


def test_augmentation_changes_the_result(whole):
    assert not np.allclose(whole["plain"].values, whole["augmented"].values, atol=1e-3)


def test_augmentation_in_the_training_step_of_an_accelerator_learns_nearly_the_same(job, whole):
    """The random numbers are the same. Pixels differ by OpenCV's rounding, and losses a little more in every epoch."""
    other = job("fine-tuning", augment=AUGMENT)
    other.on_accelerator = True
    on_step, before = other.go().values[:, 0], whole["augmented"].values[:, 0]
    assert on_step[0] != before[0]
    assert on_step[0] == pytest.approx(before[0], abs=0.01)
    assert on_step == pytest.approx(before, abs=0.15)


# --- when a phase ends


OVERFITTING: dict[str, Any] = {
    "epochs": 40,
    "rate": 0.05,
    "counts": {"train": (6, 6, 6), "val": (12, 12, 12), "test": (1, 1, 1)},
    "early_stopping": {"patience": 6},
    "reduce_lr": {"patience": 2, "factor": 0.5},
}
"""Six images per class and a high learning rate, so that the validation loss soon gets worse."""


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory):
    return make_job(tmp_path_factory.mktemp("overfitted"), **OVERFITTING).go()


def log_loss(job: Job, split: str) -> float:
    labels, probabilities = job.predict(split)
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_early_stopping_ends_the_phase_and_restores_the_best_weights(overfitted):
    done = overfitted
    (record,) = done.records
    losses = done.column("val_loss")
    best = int(np.argmin(losses))
    assert record.stopped_early is True
    assert record.epochs_run == len(losses) == best + 1 + 6 < 40
    assert record.best_epoch == best + 1
    assert losses[-1] > losses[best] + 0.01
    assert log_loss(done, "val") == pytest.approx(losses[best], abs=1e-4)


def test_early_stopping_can_watch_the_accuracy(job):
    done = job(**{**OVERFITTING, "early_stopping": {"patience": 3, "monitor": "val_accuracy"}}).go()
    accuracies = done.column("val_accuracy")
    assert done.records[0].best_epoch == int(np.argmax(accuracies)) + 1 == len(accuracies) - 3


def test_the_best_weights_are_restored_without_early_stopping_too(job):
    off = {"early_stopping": {"enabled": False}, "reduce_lr": {"enabled": False}, "epochs": 15}
    done = job(**{**OVERFITTING, **off}).go()
    assert (done.records[0].epochs_run, done.records[0].stopped_early) == (15, False)
    assert done.records[0].best_epoch == int(np.argmin(done.column("val_loss"))) + 1
    assert done.column("learning_rate") == pytest.approx([0.05] * 15)
    assert log_loss(done, "val") == pytest.approx(min(done.column("val_loss")), abs=1e-4)


def test_the_learning_rate_is_lowered_when_the_validation_loss_stops_improving(overfitted):
    done = overfitted
    expected, best, wait = [0.05], np.inf, 0
    for loss in done.column("val_loss")[:-1]:
        wait = 0 if loss < best else wait + 1
        best = min(best, loss)
        expected.append(expected[-1] / 2 if wait == 2 else expected[-1])
        wait %= 2
    assert done.column("learning_rate") == pytest.approx(expected)
    assert expected[-1] < 0.05


def test_a_loss_that_is_not_finite_stops_the_run(job):
    with pytest.raises(EdgekitError, match="diverged") as caught:
        job("from-scratch", epochs=30, rate=1e30).go()
    assert "learning rate" in str(caught.value.where)


# --- interrupted and resumed


def interrupted(job: Job, text: str) -> int:
    """Interrupt the job at the message that contains ``text``; returns the number of completed epochs."""
    with pytest.raises(KeyboardInterrupt):
        job.go(StopsAt(text))
    return len(job.values)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("plain", "feature-extraction  1/3"), ("augmented", "feature-extraction  3/3"), ("augmented", "fine-tuning  1/3")],
)
def test_a_resumed_run_gives_the_same_result_as_an_uninterrupted_one(job, whole, kind, text):
    other = job("fine-tuning", augment=AUGMENT if kind == "augmented" else {})
    done = interrupted(other, text)
    assert 0 < done < 6
    before = [row.seconds for rows in other.history.values() for row in rows]
    other.go()
    after = [row.seconds for rows in other.history.values() for row in rows]
    assert after[:done] == before  # the same times: they were not trained again
    assert other.values == pytest.approx(whole[kind].values, abs=TOLERANCE)
    for path, value in whole[kind].weights.items():
        assert np.allclose(other.weights[path], value, atol=TOLERANCE), path
    assert [r.best_epoch for r in other.records] == [r.best_epoch for r in whole[kind].records]


def test_early_stopping_and_the_learning_rate_resume_where_they_were(job, overfitted):
    """Interrupted after both have waited for an epoch."""
    other = job(**OVERFITTING)
    losses = overfitted.column("val_loss")
    waiting = next(e for e in range(2, len(losses)) if losses[e - 1] > losses[e - 2] == min(losses[: e - 1]))
    assert interrupted(other, f"feature-extraction {waiting:>2}/") == waiting
    other.go()
    assert other.values == pytest.approx(overfitted.values, abs=TOLERANCE)
    assert other.records[0].best_epoch == overfitted.records[0].best_epoch


def test_the_cosine_schedule_falls_to_zero_and_resumes_where_it_was(job):
    settings = {"feature_extraction": {"epochs": 4, "learning_rate": 0.02, "schedule": "cosine"}}
    whole = job(**settings).go()
    assert whole.column("learning_rate") == pytest.approx(0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)), rel=1e-4)
    other = job(**settings)
    assert interrupted(other, "feature-extraction  2/") == 2
    other.go()
    assert other.values == pytest.approx(whole.values, abs=TOLERANCE)


def test_a_phase_interrupted_just_after_stopping_early_does_not_train_again(job, overfitted):
    other = job(**OVERFITTING)
    assert interrupted(other, "stopped") == len(overfitted.values)
    other.go()
    assert other.values == pytest.approx(overfitted.values, abs=TOLERANCE)
    assert log_loss(other, "val") == pytest.approx(log_loss(overfitted, "val"), abs=1e-4)


def test_a_checkpoint_keeps_the_scale_of_mixed_precision(tmp_path):
    import keras

    from edgekit.train.checkpoint import PhaseCheckpoint, PhaseState, read_variables

    network = tiny_network()

    def optimizer():
        made = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.5))
        made.build(network.trainable_variables)
        return made

    before = optimizer()
    before.dynamic_scale.assign(64.0)
    before.learning_rate = 0.125
    before.inner_optimizer.iterations.assign(9)
    checkpoint = PhaseCheckpoint(tmp_path / "stage.npz")
    checkpoint.save(PhaseState(epochs_run=1).to_json(), [], [], read_variables(before.variables))
    after = optimizer()
    state, _, _ = checkpoint.load(after)
    assert state.epochs_run == 1
    assert float(after.dynamic_scale) == 64.0
    assert float(after.learning_rate) == 0.125
    assert int(after.inner_optimizer.iterations) == 9


# --- losses computed by hand: a tiny learning rate keeps the network as it was


def still(job, **settings) -> tuple[Job, np.ndarray, np.ndarray]:
    """A job of one epoch that learns nothing, and the labels (N,) and probabilities (N, 3) of its training images."""
    done = job(epochs=1, rate=1e-12, plain_head=True, **settings).go()
    return done, *done.predict("train")


def test_balanced_class_weights_weight_every_class_equally(job):
    done, labels, probabilities = still(job, counts=UNEVEN, class_weights="balanced")
    each = -np.log(probabilities[np.arange(len(labels)), labels])
    per_class = [each[labels == label].mean() for label in range(3)]
    (loss,) = done.column("loss")
    assert loss == pytest.approx(np.mean(per_class), rel=1e-4)
    assert loss != pytest.approx(each.mean(), rel=1e-2)


def test_without_class_weights_every_image_has_the_same_weight(job):
    done, labels, probabilities = still(job, counts=UNEVEN)
    each = -np.log(probabilities[np.arange(len(labels)), labels])
    assert done.column("loss") == pytest.approx([each.mean()], rel=1e-4)
    assert done.column("accuracy") == pytest.approx([(probabilities.argmax(axis=1) == labels).mean()])


def test_label_smoothing_applies_only_to_training(job):
    done, labels, probabilities = still(job, label_smoothing=0.3)
    targets = 0.7 * np.eye(3)[labels] + 0.3 / 3
    assert done.column("loss") == pytest.approx([-(targets * np.log(probabilities)).sum(axis=1).mean()], rel=1e-4)
    assert done.column("val_loss") == pytest.approx([log_loss(done, "val")], rel=1e-4)


def test_a_time_limit_ends_each_phase_after_an_epoch(job):
    done = job("fine-tuning", epochs=4, max_seconds=1e-6).go()
    assert [record.epochs_run for record in done.records] == [1, 1]
    assert [len(rows) for rows in done.history.values()] == [1, 1]
    enough = job("feature-extraction", epochs=2, max_seconds=1e6).go()
    assert [record.epochs_run for record in enough.records] == [2]
