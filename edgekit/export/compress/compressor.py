"""Compression of a trained network with TensorFlow Model Optimization: QAT, pruning, clustering."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit import __version__
from edgekit.documents.export import CarriedOver, CompressionName, CompressionRecord
from edgekit.export.base import Maker, Probabilities
from edgekit.export.check.exported_file import Reference
from edgekit.export.compress.checkpoint import Checkpoint
from edgekit.export.compress.clustering import cluster
from edgekit.export.compress.fine_tuning import FineTuned, TrainingImages, fine_tune
from edgekit.export.compress.pruning import prune
from edgekit.export.compress.tf_keras_copy import PortableNetwork, portable_network, verify_copy
from edgekit.export.makers import Makers
from edgekit.export.network import TrainedNetwork
from edgekit.export.sample_images import Samples
from edgekit.export.versions import installed_version
from edgekit.recipe import Recipe
from edgekit.support.frameworks import lean_import
from edgekit.support.progress import Progress

COPY_CHECK_IMAGES = 32
RANGE_IMAGES = 128
"""Calibration images that set the initial ranges of fake quantization; training adjusts them."""

_SECTIONS = {"qat": "qat", "pruned": "pruning", "clustered": "clustering"}
"""The section below ``export`` in the recipe, for each compression."""


@dataclass(frozen=True)
class CompressedNetwork:
    """A compressed network: the record of its training, and its predictions on the parity images."""

    record: CompressionRecord
    predictions: Probabilities
    maker: Callable[[str], Maker]
    """Takes a format."""


@dataclass
class Compressor:
    """Compresses one network with each requested compression, once for all files of that compression.

    A training keeps a checkpoint in ``folder``, from which an interrupted one resumes, until :meth:`clean_up`.
    """

    folder: Path
    network: TrainedNetwork
    recipe: Recipe
    calibration: Samples
    reference: Reference
    progress: Progress
    _done: dict[str, CompressedNetwork] = field(default_factory=dict)

    def compress(self, compression: str) -> CompressedNetwork:
        """The network after ``compression``, one of :data:`edgekit.registry.COMPRESSIONS`.

        Raises :class:`edgekit.errors.CheckFailed` if the tf_keras copy does not predict what the network predicts.
        """
        if compression not in self._done:
            import_model_optimization()
            portable = portable_network(self.network.keras_model)
            carried_over = CarriedOver(images=COPY_CHECK_IMAGES, max_abs_difference=self._verify_copy(portable))
            train = {"qat": self._quantize, "pruned": self._prune, "clustered": self._cluster}[compression]
            self._done[compression] = train(portable, carried_over)
        return self._done[compression]

    def clean_up(self) -> None:
        """Remove the checkpoints: the files are made, so an interrupt loses nothing anymore."""
        for compression in self._done:
            self._checkpoint(compression).remove()

    def _verify_copy(self, portable: PortableNetwork) -> float:
        """The largest difference between the probabilities of the tf_keras copy and of the network, on real images."""
        import tf_keras

        pixels = self.reference.parity.pixels[:COPY_CHECK_IMAGES]
        copy = portable.with_convolutions_only().build(tf_keras)
        predictions = copy.predict(pixels.astype(np.float32), batch_size=8, verbose=0)
        return verify_copy(self.reference.keras[: len(pixels)], predictions)

    def _checkpoint(self, compression: str) -> Checkpoint:
        recipe = self.recipe.document()
        depends_on = {
            "edgekit": __version__,
            "network": self.network.sha256,
            "calibration": self.calibration.files,
            "data": recipe["data"],
            "train": recipe["train"],
            "export": recipe["export"][_SECTIONS[compression]],
        }
        return Checkpoint(self.folder / f"{compression}.checkpoint.npz", depends_on)

    def _training_images(self) -> TrainingImages:
        return TrainingImages.of(self.calibration.dataset, self.recipe, self.progress)

    def _quantize(self, portable: PortableNetwork, carried_over: CarriedOver) -> CompressedNetwork:
        from edgekit.export.compress.fake_quantization import QatMaker, fake_quantized

        model = fake_quantized(portable, self.calibration.pixels[:RANGE_IMAGES])
        settings, checkpoint = self.recipe.export.qat, self._checkpoint("qat")
        tuned = fine_tune(model, self._training_images(), settings, "qat", self.progress, checkpoint)
        parity, facts = self.reference.parity, self.reference.facts
        predictions = model.predict(parity.pixels.astype(np.float32), batch_size=8, verbose=0)
        record = _record("qat", tuned, carried_over)
        return CompressedNetwork(record, np.asarray(predictions, np.float32), lambda _: QatMaker(model, facts))

    def _prune(self, portable: PortableNetwork, carried_over: CarriedOver) -> CompressedNetwork:
        settings, checkpoint = self.recipe.export.pruning, self._checkpoint("pruned")
        pruned, tuned = prune(portable, self._training_images(), settings, self.progress, checkpoint)
        return self._in_keras(pruned, _record("pruned", tuned, carried_over))

    def _cluster(self, portable: PortableNetwork, carried_over: CarriedOver) -> CompressedNetwork:
        settings, checkpoint = self.recipe.export.clustering, self._checkpoint("clustered")
        clustered, tuned = cluster(portable, self._training_images(), settings, self.progress, checkpoint)
        return self._in_keras(clustered, _record("clustered", tuned, carried_over))

    def _in_keras(self, portable: PortableNetwork, record: CompressionRecord) -> CompressedNetwork:
        """Back in Keras 3, where its files are made like those of any network."""
        import keras

        original = self.network
        network = TrainedNetwork(portable.build(keras), original.image_size, original.labels, original.sha256)
        pixels, facts, settings = self.calibration.pixels, self.reference.facts, self.recipe.export
        predictions = network.predict(self.reference.parity.pixels)
        return CompressedNetwork(record, predictions, Makers(network, pixels, facts, settings).of)


def _record(kind: CompressionName, tuned: FineTuned, carried_over: CarriedOver) -> CompressionRecord:
    return CompressionRecord(
        kind=kind,
        settings=tuned.settings,
        steps=tuned.steps,
        history=tuned.history,
        seconds=tuned.seconds,
        resumed=tuned.resumed,
        layers=tuned.layers,
        carried_over=carried_over,
        versions={
            "tensorflow_model_optimization": installed_version("tensorflow-model-optimization"),
            "tf_keras": installed_version("tf-keras", "tf_keras"),
        },
    )


def import_model_optimization() -> None:
    """Import TensorFlow Model Optimization, which works on tf_keras models, beside Keras 3 in this process."""
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    with lean_import("tensorflow"):
        importlib.import_module("tf_keras")
        importlib.import_module("tensorflow_model_optimization")
    # Its import sets this variable for the whole process and its children, which should use Keras 3.
    if before is None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    else:
        os.environ["TF_USE_LEGACY_KERAS"] = before
