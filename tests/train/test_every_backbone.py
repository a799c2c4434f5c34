"""Every backbone trains with images, is interrupted, resumes to the same weights, and saves a network that can be read.

Random weights: what matters is that each phase runs on its layers, not what it learns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from backbones import backbones
from listeners import StopsAt
from train_helpers import SIDE, model_weights, recipe, write_images

from edgekit.documents.folders import RunFolder
from edgekit.recipe import Recipe, validate
from edgekit.registry import BACKBONES


@pytest.fixture(scope="module")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), dict.fromkeys(("train", "val", "test"), (4, 4, 4)))


def recipe_of(backbone: str, images: Path) -> Recipe:
    """Two epochs of the head, then two of the last stage."""
    document = recipe(images, "none", strategy="fine-tuning", epochs=2, early_stopping={"enabled": False}).document()
    entry = BACKBONES.get(backbone)
    document["data"]["image_size"] = max(SIDE, entry.min_image_size if entry else 0)
    document["model"] |= {"backbone": backbone, "alpha": 1.0}
    document["train"]["fine_tuning"] |= {"last_stage": True, "last_layers": None, "check_learning_rate": False}
    return validate(document, "test")


def check(chosen: Recipe, folder: Path) -> RunFolder:
    """Train it in one go, and with an interrupt; both give the same weights."""
    from edgekit.train.training import train

    whole, parts = RunFolder(folder / "whole"), RunFolder(folder / "parts")
    document = train(chosen, whole)
    assert document.done
    assert [phase.epochs_run for phase in document.stages] == [2, 2]
    assert document.stages[1].opened_layers
    assert document.stages[0].trainable_parameters < document.stages[1].trainable_parameters
    assert document.stages[1].trainable_parameters < document.model.parameters
    with pytest.raises(KeyboardInterrupt):
        train(chosen, parts, progress=StopsAt("fine-tuning  1/2"))
    assert train(chosen, parts, resume=True).accuracy == document.accuracy
    ours, theirs = model_weights(whole), model_weights(parts)
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert np.allclose(value, theirs[path], atol=1e-5), path
    return whole


@pytest.mark.parametrize("backbone", backbones(("mobilenetv3small",)))
def test_a_backbone_trains_and_resumes(backbone, few_images, tmp_path):
    run = check(recipe_of(backbone, few_images), tmp_path)
    assert run.read_run().backbone == backbone


def test_a_feature_extractor_of_a_persons_own_trains_and_resumes(few_images, tmp_path):
    import keras

    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2)(layers.Rescaling(1 / 255)(image)))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    keras.Model(image, x).save(tmp_path / "mine.keras")
    run = check(recipe_of(str(tmp_path / "mine.keras"), few_images), tmp_path)
    document = run.read_run()
    assert document.backbone == "mine"
    assert (document.weights.source, document.weights.path) == ("file", str(tmp_path / "mine.keras"))
    assert len(str(document.weights.sha256)) == 64
