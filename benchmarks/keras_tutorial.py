"""Image classification as the Keras and TensorFlow tutorials write it: what edgekit is measured against.

``image_dataset_from_directory``, preprocessing layers for augmentation, ``keras.applications``, a head, ``fit``.
The network and its hyperparameters are those of edgekit's run. A program of its own, started by the benchmarks:

    python benchmarks/keras_tutorial.py FOLDER --settings '{"keras_class": "MobileNetV2", ...}'

FOLDER has train, val and test folders of classes. Prints one JSON document: nanoseconds of training in every epoch, and
the test accuracy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON, see train()")
    arguments = parser.parse_args()
    json.dump(train(arguments.folder, arguments.settings), sys.stdout)


def train(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Train, and test on the test images.

    ``settings``: keras_class, alpha and weights (or null), image_size, batch_size, epochs, learning_rate, open_layers
    (0: the backbone is frozen), augment (or null), augment_in (``model`` or ``map``), cache, validate, seed.
    """
    keras.utils.set_random_seed(settings["seed"])
    splits = {name: images(folder / name, settings, shuffle=name == "train") for name in ("train", "val", "test")}
    classes = len(splits["train"].class_names)
    augmentation = keras.Sequential(augmentation_layers(settings)) if settings["augment"] else None
    if augmentation is not None and settings["augment_in"] == "map":
        splits["train"] = splits["train"].map(
            lambda x, y: (augmentation(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE
        )
    splits = {
        name: (split.cache() if settings["cache"] else split).prefetch(tf.data.AUTOTUNE)
        for name, split in splits.items()
    }
    inside = augmentation if settings["augment_in"] == "model" else None
    model = network(settings, classes, inside)
    model.compile(keras.optimizers.Adam(settings["learning_rate"]), "categorical_crossentropy", metrics=["accuracy"])
    clock = EpochClock()
    model.fit(
        splits["train"],
        validation_data=splits["val"] if settings["validate"] else None,
        epochs=settings["epochs"],
        callbacks=[clock],
        verbose=0,
    )
    _, accuracy = model.evaluate(splits["test"], verbose=0)
    return {"epoch_ns": clock.epoch_ns, "accuracy": float(accuracy)}


def images(folder: Path, settings: dict[str, Any], *, shuffle: bool) -> Any:
    side = settings["image_size"]
    return keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        image_size=(side, side),
        batch_size=settings["batch_size"],
        shuffle=shuffle,
        seed=settings["seed"],
        verbose=False,
    )


def augmentation_layers(settings: dict[str, Any]) -> list[Any]:
    augment, layers = settings["augment"], keras.layers
    made = [layers.RandomFlip("horizontal")] if augment["flip"] == "horizontal" else []
    if augment["rotation"]:
        made.append(layers.RandomRotation(augment["rotation"] / 360))
    if augment["zoom"]:
        made.append(layers.RandomZoom(augment["zoom"]))
    if augment["shift"]:
        made.append(layers.RandomTranslation(augment["shift"], augment["shift"]))
    return made


def network(settings: dict[str, Any], classes: int, augmentation: Any) -> Any:
    application = getattr(keras.applications, settings["keras_class"])
    preprocess = sys.modules[application.__module__].preprocess_input
    side = settings["image_size"]
    width = {} if settings["alpha"] is None else {"alpha": settings["alpha"]}
    base = application(include_top=False, weights=None, input_shape=(side, side, 3), **width)
    if settings["weights"] is not None:
        base.load_weights(settings["weights"])
    first = len(base.layers) - settings["open_layers"]
    for position, layer in enumerate(base.layers):
        layer.trainable = position >= first and not isinstance(layer, keras.layers.BatchNormalization)
    layers = keras.layers
    inputs = keras.Input((side, side, 3))
    x = inputs if augmentation is None else augmentation(inputs)
    x = base(preprocess(x), training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


class EpochClock(keras.callbacks.Callback):
    """Training time of every epoch, validation left out."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch_ns: list[int] = []
        self._started = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        self._started = time.perf_counter_ns()
        self.epoch_ns.append(0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self.epoch_ns[-1] = time.perf_counter_ns() - self._started


if __name__ == "__main__":
    main()
