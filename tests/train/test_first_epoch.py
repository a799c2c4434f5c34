"""Fine-tuning does not destroy what feature extraction has learned: warm-up, and the check of the first epoch."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listeners import StopsAt, Told
from test_phases import make_job
from train_helpers import REPOSITORY

from edgekit.documents.folders import RunFolder
from edgekit.documents.history import EpochResult
from edgekit.recipe import FineTuning, FromScratch, validate

SHARED = Path(os.environ.get("EDGEKIT_SHARED", REPOSITORY.parent / "shared"))
VGG16_WEIGHTS = SHARED / "weights" / "vgg16_imagenet_notop.weights.h5"
IMAGES = SHARED / "data" / "brain-tumor-mri"


def result(loss: float, accuracy: float) -> EpochResult:
    return EpochResult("fine-tuning", 1, 0.1, 0.9, loss, accuracy, 1e-4, 1.0, 1.0)


@pytest.fixture(scope="module")
def first_epoch():
    from edgekit.train import first_epoch

    return first_epoch


@pytest.mark.parametrize(
    ("loss", "accuracy", "destroyed"),
    [(1.40, 0.231, True), (0.20, 0.93, False), (0.40, 0.92, False), (0.27, 0.85, False), (0.5, 0.87, True)],
)
def test_much_worse_is_in_loss_and_in_accuracy(first_epoch, loss, accuracy, destroyed):
    before = first_epoch.PhaseEnd(0.25, 0.913)
    assert before.destroyed_by(result(loss, accuracy)) is destroyed


def test_lower_rates_are_thirds_and_only_for_fine_tuning(first_epoch):
    before = first_epoch.PhaseEnd(0.25, 0.913)
    phase = FineTuning(learning_rate=9e-4)
    assert first_epoch.lower_rates(phase, before) == pytest.approx([3e-4, 1e-4, 1e-4 / 3])
    assert first_epoch.lower_rates(phase, None) == []
    assert first_epoch.lower_rates(FineTuning(check_learning_rate=False), before) == []
    assert first_epoch.lower_rates(FromScratch(), before) == []


def test_adam_warms_up_linearly():
    import keras

    from edgekit.train.optimizer import FusedAdam, GroupedAdam

    def steps(optimizer) -> np.ndarray:
        """The size of each of six steps against a constant gradient, which for Adam is its learning rate."""
        variable = keras.Variable(np.zeros(1, "float32"))
        optimizer.build([variable])
        places = [0.0]
        for _ in range(6):
            optimizer.apply([keras.ops.convert_to_tensor(np.ones(1, "float32"))], [variable])
            places.append(float(keras.ops.convert_to_numpy(variable)[0]))
        return -np.diff(places)

    expected = [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    assert steps(FusedAdam(0.1, warmup_steps=4)) == pytest.approx(expected, rel=1e-4)
    assert steps(GroupedAdam(0.1, [0], warmup_steps=4)) == pytest.approx(expected, rel=1e-4)
    assert steps(FusedAdam(0.1)) == pytest.approx([0.1] * 6, rel=1e-4)


HARMFUL: dict[str, Any] = {"epochs": 3, "learning_rate": 3.0, "fraction": 1.0, "warmup_epochs": 0.0}


@pytest.fixture
def judged_by_loss(first_epoch, monkeypatch):
    """The classes of the tiny images overlap, so that their accuracy is low before, too."""
    monkeypatch.setattr(first_epoch, "LOST_ACCURACY", -1.0)


def tuned(folder: Path, progress: Told | StopsAt | None = None, **settings: Any):
    job = make_job(folder, "fine-tuning", 5, 5e-2, plain_head=True, fine_tuning={**HARMFUL, **settings})
    return job if progress is None else job.go(progress)


@pytest.mark.usefixtures("judged_by_loss")
@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_a_learning_rate_that_does_harm_is_lowered_and_a_resumed_run_keeps_the_lower_one(tmp_path, schedule):
    told = Told()
    done = tuned(tmp_path / "whole", told, schedule=schedule)
    warnings = [line for line in told.lines if "made the network worse" in line]
    assert "starting fine-tuning again at learning rate 1" in warnings[0]
    record = done.records[1]
    assert record.warnings == tuple(line.removeprefix("warning: ") for line in warnings)
    assert record.learning_rate < 3.0
    assert done.column("learning_rate", "fine-tuning")[0] == pytest.approx(record.learning_rate)
    assert record.epochs_run == len(done.history["fine-tuning"]) <= 3

    other = tuned(tmp_path / "other", schedule=schedule)
    with pytest.raises(KeyboardInterrupt):
        other.go(StopsAt("fine-tuning  1/3"))
    other.go()
    assert other.values == pytest.approx(done.values, abs=1e-5)
    assert other.records[1].learning_rate == record.learning_rate
    assert other.records[1].warnings == record.warnings


@pytest.mark.usefixtures("judged_by_loss")
def test_without_the_check_the_warning_says_what_to_change(tmp_path):
    told = Told()
    record = tuned(tmp_path, told, check_learning_rate=False).records[1]
    (warning,) = record.warnings
    assert "lower train.fine_tuning.learning_rate" in warning
    assert "last_stage" in warning
    assert record.learning_rate == 3.0
    assert f"warning: {warning}" in told.lines


def test_the_warning_proposes_only_what_is_not_already_so():
    from edgekit.documents.history import EpochResult
    from edgekit.recipe import FineTuning
    from edgekit.train.first_epoch import PhaseEnd

    before = PhaseEnd(val_loss=0.25, val_accuracy=0.92)
    first = EpochResult("fine-tuning", 1, 1.0, 0.7, 2.2, 0.63, 3e-4, 1.0, 100.0)

    def proposed(**settings: Any) -> str:
        return before.warning(first, FineTuning(**settings), "fine-tuning", 3e-4, None).partition("recover, ")[2]

    assert proposed() == (
        "lower train.fine_tuning.learning_rate or use a longer warm-up (train.fine_tuning.warmup_epochs: 2)"
    )
    assert proposed(warmup_epochs=4) == "lower train.fine_tuning.learning_rate"
    assert proposed(fraction=1.0, last_stage=False, warmup_epochs=0) == (
        "lower train.fine_tuning.learning_rate, train fewer layers (train.fine_tuning.last_stage: true) or use a "
        "longer warm-up (train.fine_tuning.warmup_epochs: 1)"
    )


@pytest.mark.skipif(not VGG16_WEIGHTS.is_file(), reason="the ImageNet weights of VGG16 are not on this machine")
@pytest.mark.skipif(not IMAGES.is_dir(), reason="the brain MRI images are not on this machine")
def test_the_defaults_keep_what_a_pretrained_vgg16_can_do(tmp_path):
    """A plain `edgekit train`: validation accuracy and loss are at least as good after fine-tuning."""
    from edgekit.train.training import train

    for source, split, numbers in (("Training", "train", range(40)), ("Training", "val", range(40, 70))):
        for folder in (IMAGES / source).iterdir():
            (tmp_path / "images" / split / folder.name).mkdir(parents=True)
            files = sorted(folder.iterdir())
            for number in numbers:
                link = tmp_path / "images" / split / folder.name / files[number * 10].name
                link.symlink_to(files[number * 10].resolve())
    settings = {
        "data": {"path": str(tmp_path / "images"), "image_size": 64, "split": {"test": 0.1}},
        "model": {"backbone": "vgg16", "weights": str(VGG16_WEIGHTS)},
    }
    run = RunFolder(tmp_path / "run")
    document = train(validate(settings, "test"), run)
    with run.history.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ends = []
    for record in document.stages:
        epoch = [row for row in rows if row["stage"] == record.name][record.best_epoch - 1]
        ends.append((float(epoch["val_accuracy"]), float(epoch["val_loss"])))
    (accuracy_before, loss_before), (accuracy_after, loss_after) = ends
    assert accuracy_before > 0.4
    assert accuracy_after >= accuracy_before
    assert loss_after < loss_before
    assert document.stages[1].opened_layers == ("block5_conv1", "block5_conv2", "block5_conv3")
    assert document.stages[1].stored_layer == "block4_pool"
    assert document.warnings == ()
